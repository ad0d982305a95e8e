"""Made-up texts with secrets, personal data and look-alikes, each with what has to be masked.

Every value is drawn by a seeded generator: well formed, and of nobody. The look-alikes are what
logs are full of: ids, hashes, times, versions, prices, code that mentions passwords.
"""

from __future__ import annotations

import base64
import json
import random
import string
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

Draw = random.Random
ALNUM = string.ascii_letters + string.digits
URLSAFE = ALNUM + "-_"
HEX = "0123456789abcdef"


@dataclass(frozen=True)
class Case:
    """One text, the kind that its value is to be masked as (None for a look-alike), the value."""

    text: str
    kind: str | None
    value: str
    shape: str


def some(rng: Draw, letters: str, n: int) -> str:
    """Draw characters, not all of one kind."""
    return "".join(rng.choice(letters) for _ in range(n))


def luhn(rng: Draw, head: str, length: int) -> str:
    """Complete a card number whose check digit is right."""
    body = head + some(rng, string.digits, length - len(head) - 1)
    total = 0
    for place, digit in enumerate(reversed(body)):
        value = int(digit) * (2 - place % 2)
        total += value - 9 if value > 9 else value
    return body + str(-total % 10)


def grouped(rng: Draw, digits: str, sizes: tuple[int, ...]) -> str:
    """Write digits in groups."""
    parts, at = [], 0
    for size in sizes:
        parts.append(digits[at : at + size])
        at += size
    return rng.choice((" ", "-")).join(parts)


def card(rng: Draw) -> str:
    """Draw a card number, plain or in groups."""
    if rng.random() < 0.25:
        digits = luhn(rng, rng.choice(("34", "37")), 15)
        return grouped(rng, digits, (4, 6, 5)) if rng.random() < 0.5 else digits
    digits = luhn(rng, rng.choice(("4", "51", "55", "2221", "6011", "65", "3528", "62")), 16)
    return grouped(rng, digits, (4, 4, 4, 4)) if rng.random() < 0.6 else digits


def iban(rng: Draw) -> str:
    """Draw an account number whose check digits are right."""
    country, length = rng.choice((("DE", 22), ("FR", 27), ("ES", 24), ("AT", 20), ("CH", 21)))
    body = some(rng, string.digits, length - 4)
    number = int("".join(str(int(c, 36)) for c in body + country + "00"))
    written = f"{country}{98 - number % 97:02d}{body}"
    if rng.random() < 0.5:
        return written
    return " ".join(written[i : i + 4] for i in range(0, length, 4))


def jwt(rng: Draw) -> str:
    """Draw a signed token of JSON."""
    head = {"alg": "HS256", "typ": "JWT"}
    body = {"sub": str(rng.randrange(10**6)), "iat": 1_700_000_000 + rng.randrange(10**7)}
    parts = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode() for p in (head, body)]
    return ".".join([*(p.rstrip("=") for p in parts), some(rng, URLSAFE, 43)])


def pem(rng: Draw) -> str:
    """Draw a private key's block."""
    name = rng.choice(("RSA ", "EC ", "", "OPENSSH ", "ENCRYPTED "))
    lines = "\n".join(some(rng, ALNUM + "+/", 64) for _ in range(rng.randrange(3, 12)))
    return f"-----BEGIN {name}PRIVATE KEY-----\n{lines}\n-----END {name}PRIVATE KEY-----"


def password(rng: Draw) -> str:
    """Draw a password as people make them, or as a manager does."""
    words = ("Sunny", "dragon", "Winter", "Coffee", "blue", "Kite", "orbit", "Maple")
    made = f"{rng.choice(words)}{rng.choice(words)}{rng.randrange(10, 10_000)}"
    if rng.random() < 0.5:
        return made + rng.choice("!#$%&*") + rng.choice(string.ascii_lowercase)
    return some(rng, string.ascii_letters, 4) + some(rng, ALNUM + "!#%&*+", 12) + "7x"


def mail(rng: Draw) -> str:
    """Draw an address for mail."""
    name = rng.choice(("ada.k", "jo-ann", "m_ortiz", "b.o.b+news", "k", "Lena.Maria99"))
    host = rng.choice(("mail.example.org", "firma-nord.de", "uni.example.ac.uk", "x.io"))
    return f"{name}{rng.randrange(1000)}@{host}"


def phone(rng: Draw) -> str:
    """Draw a telephone number, international or in a national form that nothing else has."""
    a, b = f"{rng.randrange(201, 989)}", f"{rng.randrange(200, 999)}"
    c, d = f"{rng.randrange(10_000):04d}", some(rng, string.digits, 7)
    return rng.choice(
        (
            f"+1 {a} {b} {c}",
            f"+1-{a}-{b}-{c}",
            f"({a}) {b}-{c}",
            f"{a}-{b}-{c}",
            f"+49 1{rng.choice('567')}{rng.randrange(10)} {d}",
            f"+4420{some(rng, string.digits, 8)}",
            f"+33 6 {' '.join(some(rng, string.digits, 2) for _ in range(4))}",
            f"+91 9{some(rng, string.digits, 4)} {some(rng, string.digits, 5)}",
            f"06 {' '.join(some(rng, string.digits, 2) for _ in range(4))}",
            f"07{some(rng, string.digits, 3)} {some(rng, string.digits, 6)}",
        )
    )


def address(rng: Draw) -> str:
    """Draw a network address, of either version."""
    if rng.random() < 0.6:
        return ".".join(str(rng.randrange(11, 250)) for _ in range(4))
    groups = ["2001", "db8", *(f"{rng.randrange(1, 65_536):x}" for _ in range(6))]
    return ":".join(groups) if rng.random() < 0.5 else ":".join((*groups[:4], "", groups[7]))


def ssn(rng: Draw) -> str:
    """Draw a social security number of the United States' form."""
    area = rng.choice([n for n in range(1, 900) if n != 666])
    return f"{area:03d}-{rng.randrange(1, 100):02d}-{rng.randrange(1, 10_000):04d}"


def _after(head: str, letters: str, n: int) -> Callable[[Draw], str]:
    return lambda rng: head + some(rng, letters, n)


# Kind, shape, how to draw it, and the words that belong around it ("{}" where it has none).
VALUES: tuple[tuple[str, str, Callable[[Draw], str], tuple[str, ...]], ...] = (
    ("API_KEY", "OpenAI, old", _after("sk-", ALNUM, 48), ("{}",)),
    ("API_KEY", "OpenAI, project", _after("sk-proj-", URLSAFE, 64), ("{}",)),
    ("ANTHROPIC_KEY", "Anthropic", _after("sk-ant-api03-", URLSAFE, 93), ("{}",)),
    ("API_KEY", "OpenRouter", _after("sk-or-v1-", HEX, 64), ("{}",)),
    ("API_KEY", "Groq", _after("gsk_", ALNUM, 52), ("{}",)),
    ("AWS_KEY", "AWS key id", _after("AKIA", string.ascii_uppercase + "234567", 16), ("{}",)),
    (
        "AWS_SECRET",
        "AWS secret",
        _after("", ALNUM + "/+", 40),
        ("aws_secret_access_key = {}", 'AWS_SECRET_ACCESS_KEY="{}"', '"SecretAccessKey": "{}"'),
    ),
    ("GITHUB_TOKEN", "GitHub", _after("ghp_", ALNUM, 36), ("{}", "https://{}@github.com/a/b")),
    ("GITHUB_TOKEN", "GitHub, fine", _after("github_pat_", ALNUM + "_", 82), ("{}",)),
    ("GITLAB_TOKEN", "GitLab", _after("glpat-", URLSAFE, 20), ("{}",)),
    ("SLACK_TOKEN", "Slack", lambda r: f"xoxb-{some(r, '123456789', 11)}-{some(r, ALNUM, 24)}",
     ("{}",)),
    ("GOOGLE_KEY", "Google key", _after("AIza", URLSAFE, 35), ("{}", "?key={}&alt=json")),
    ("GOOGLE_KEY", "Google token", _after("ya29.", URLSAFE, 80), ("{}",)),
    ("STRIPE_KEY", "Stripe", _after("sk_live_", ALNUM, 24), ("{}",)),
    ("HF_TOKEN", "Hugging Face", _after("hf_", string.ascii_letters, 34), ("{}",)),
    ("NPM_TOKEN", "npm", _after("npm_", ALNUM, 36), ("{}", "//registry/:_authToken={}")),
    ("PYPI_TOKEN", "PyPI", _after("pypi-AgEIcHlwaS5vcmc", URLSAFE, 120), ("{}",)),
    ("SENDGRID_KEY", "SendGrid",
     lambda r: f"SG.{some(r, URLSAFE, 22)}.{some(r, URLSAFE, 43)}", ("{}",)),
    ("TWILIO_KEY", "Twilio", _after("SK", HEX, 32), ("{}",)),
    ("AZURE_KEY", "Azure", lambda r: some(r, ALNUM + "+/", 86) + "==",
     ("AccountName=files;AccountKey={};EndpointSuffix=core",)),
    ("JWT", "JWT", jwt, ("{}", "Authorization: Bearer {}")),
    ("PRIVATE_KEY", "PEM", pem, ("{}",)),
    ("BEARER_TOKEN", "bearer", _after("", ALNUM + "-_.", 40),
     ("Authorization: Bearer {}", "-H 'authorization: Bearer {}'")),
    (
        "PASSWORD",
        "password",
        password,
        ("password={}", "password: {}", '"password": "{}"', "DB_PASSWORD='{}'", "PWD: {}",
         "my password is {}"),
    ),
    ("PASSWORD", "named key", _after("a", ALNUM, 31),
     ("api_key={}", '"apiKey": "{}"', "client_secret: {}", "ACCESS_TOKEN={}")),
    ("URL_PASSWORD", "in a URL", _after("p", ALNUM, 14),
     ("postgres://app:{}@db.internal:5432/main", "https://bob:{}@files.example.org/x")),
    ("CARD", "card", card, ("{}",)),
    ("EMAIL", "mail", mail, ("{}", "<{}>", "mailto:{}")),
    ("PHONE", "telephone", phone, ("{}",)),
    ("PHONE", "telephone, by words", _after("5", string.digits, 8),
     ("phone: {}", "Tel. {}", "call me at {}", "my mobile number is {}")),
    ("IBAN", "IBAN", iban, ("{}",)),
    ("IP", "address", address, ("{}", "[{}]")),
    ("SSN", "SSN", ssn, ("{}",)),
)  # fmt: skip
PERSONAL = frozenset({"EMAIL", "PHONE", "IBAN", "IP", "SSN"})


def _moment(rng: Draw) -> datetime:
    return datetime(2023, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(10**8))


def _isbn(rng: Draw) -> str:
    body = "978" + some(rng, string.digits, 9)
    check = -sum(int(d) * (1 + 2 * (i % 2)) for i, d in enumerate(body)) % 10
    return (
        f"{body}{check}" if rng.random() < 0.5 else f"978-{body[3]}-{body[4:8]}-{body[8:]}-{check}"
    )


_COMPOUNDS = ("task", "risk", "disk", "desk", "mask", "flask", "brisk")
_TAILS = ("based-approach-to-planning", "averse-investors-2024", "oriented-dialogue-systems-v2")

LOOKALIKES: tuple[tuple[str, Callable[[Draw], str]], ...] = (
    ("git hash", lambda r: some(r, HEX, 40)),
    ("sha256", lambda r: f"sha256:{some(r, HEX, 64)}"),
    ("uuid", lambda r: str(uuid.UUID(int=r.getrandbits(128), version=4))),
    ("trace id", lambda r: some(r, HEX, 32)),
    ("long decimal id", lambda r: f"1{some(r, string.digits, 17)}"),
    ("completion id", lambda r: f"chatcmpl-{some(r, ALNUM, 29)}"),
    ("call id", lambda r: f"call_{some(r, ALNUM, 24)}"),
    ("message id", lambda r: f"msg_01{some(r, ALNUM, 22)}"),
    ("order number", lambda r: f"order {r.randrange(10**6, 10**9)}"),
    ("order with dashes", lambda r: f"ORD-{r.randrange(10**4)}-{r.randrange(10**6)}"),
    ("time", lambda r: _moment(r).isoformat()),
    ("date", lambda r: f"{_moment(r):%Y-%m-%d}"),
    ("German date", lambda r: f"{_moment(r):%d.%m.%Y %H:%M}"),
    ("log time", lambda r: f"{_moment(r):%Y-%m-%d %H:%M:%S},{r.randrange(1000):03d}"),
    ("epoch, ms", lambda r: str(int(_moment(r).timestamp() * 1000))),
    ("epoch, ns", lambda r: str(int(_moment(r).timestamp() * 10**9))),
    ("version", lambda r: f"version {r.randrange(9)}.{r.randrange(30)}.{r.randrange(9)}"),
    ("version of four", lambda r: f"v{r.randrange(1, 9)}.{r.randrange(30)}.{r.randrange(9)}.1"),
    ("requirement", lambda r: f"torch=={r.randrange(3)}.{r.randrange(9)}.0.{r.randrange(9)}"),
    ("ISBN", _isbn),
    ("price", lambda r: f"${r.randrange(10**6):,}.{r.randrange(100):02d}"),
    ("float", lambda r: repr(r.random() * 10)),
    ("numbers", lambda r: " ".join(str(r.randrange(10**4)) for _ in range(6))),
    ("range of years", lambda r: f"{r.randrange(1900, 2000)}-{r.randrange(2000, 2030)}"),
    ("image", lambda r: f"data:image/png;base64,iVBORw0KGgo{some(r, ALNUM + '+/', 120)}"),
    ("compound", lambda r: f"{r.choice(_COMPOUNDS)}-{r.choice(_TAILS)}"),
    ("placeholder", lambda r: r.choice(("sk-" + "x" * 40, "ghp_" + "x" * 36, "hf_" + "x" * 34))),
    ("words for a key", lambda r: r.choice(("YOUR-API-KEY", "sk-your-key-goes-right-here-please"))),
    ("call in code", lambda r: r.choice(("password = getpass()", "pwd = read_password(user)"))),
    ("name in code", lambda r: r.choice(("password=password", "api_key=self.api_key2"))),
    ("environment", lambda r: r.choice(('password = os.environ["DB1"]', "api_key: ${API_KEY_1}"))),
    ("type in code", lambda r: r.choice(("password: str | None", "api_key: Optional[str]"))),
    ("field in code", lambda r: r.choice(
        ('form["password"] == other', "secret: settings.SECRET1"))),
    ("talk of passwords", lambda r: r.choice(
        ("the password is case sensitive", "password: required, eight characters"))),
    ("bearer of news", lambda r: r.choice(("a bearer of news", "Bearer authentication-is-needed"))),
    ("URL", lambda r: f"https://example.org:8443/a/{r.randrange(10**9)}?t={some(r, ALNUM, 12)}"),
    ("URL, sample password", lambda r: "postgres://user:password@localhost:5432/app"),
    ("asset", lambda r: f"icon-{r.randrange(99)}@2x.png"),
    ("package", lambda r: f"@types/node@{r.randrange(20)}.{r.randrange(9)}.{r.randrange(9)}"),
    ("remote", lambda r: "git@github.com:org/repo.git"),
    ("decorator", lambda r: "@app.get('/items')"),
    ("namespace", lambda r: r.choice(("std::vector<int>", "Foo::Bar::baz", "dead::beef"))),
    ("MAC address", lambda r: ":".join(some(r, HEX, 2) for _ in range(6))),
    ("loopback", lambda r: r.choice(("127.0.0.1:8080", "0.0.0.0", "::1", "255.255.255.0"))),
    ("section", lambda r: "see 3.2.1.4.2 and 192.168.1.1.100"),
    ("arithmetic", lambda r: f"{r.randrange(10**4)}-{r.randrange(100)}+{r.randrange(10**6)}"),
    ("coordinates", lambda r: f"{r.uniform(-90, 90):.6f}, {r.uniform(-180, 180):.6f}"),
    ("token count", lambda r: f"prompt_tokens={r.randrange(10**5)} max_tokens: 4096"),
    ("log probability", lambda r: '{"token": " the", "logprob": -0.12, "bytes": [32, 116]}'),
    ("sharing count", lambda r: f"secret: {r.randrange(10)} of {r.randrange(10, 20)} shares"),
)  # fmt: skip

CARRIERS = (
    "Here it is: {} - can you tell me what goes wrong?",
    "{}",
    "I pasted this by mistake, {}, please forget it again.",
    "The report of last night says\n{}\nand then nothing until the morning.",
    "Why does the second line fail?\n```\nprint('start')\n{}\n```",
    '{{"role": "user", "content": {json}}}',
    "2024-05-01T10:11:12.345Z INFO worker-3 {} done in 12.5 ms",
    "Zuerst kommt {} und danach der Rest.",
    "first;{};third",
    "请看一下{}有什么问题。",
    "(see {})",
)


def _place(rng: Draw, inner: str, value: str) -> tuple[str, str]:
    """Put a value into a sentence; inside of JSON it looks otherwise."""
    carrier = rng.choice(CARRIERS)
    if "json" in carrier:
        said = f"Well:\n{inner}\nand more"
        return carrier.format(json=json.dumps(said)), json.dumps(value)[1:-1]
    if "\n" in inner or inner.endswith('"'):
        carrier = CARRIERS[rng.choice((1, 3, 4))]
    return carrier.format(inner), value


def make_cases(n: int, seed: int = 0) -> list[Case]:
    """Draw `n` texts of every shape and of every look-alike."""
    cases = []
    for kind, shape, draw, frames in VALUES:
        rng = random.Random(f"{seed}/{shape}")
        for _ in range(n):
            value = draw(rng)
            inner = rng.choice(frames).replace("{}", value)
            text, shown = _place(rng, inner, value)
            cases.append(Case(text, kind, shown, shape))
    for shape, draw in LOOKALIKES:
        rng = random.Random(f"{seed}/{shape}")
        for _ in range(n):
            inner = draw(rng)
            text, shown = _place(rng, inner, inner)
            cases.append(Case(text, None, shown, shape))
    return cases
