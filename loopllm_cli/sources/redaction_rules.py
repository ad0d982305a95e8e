"""What is masked: one rule per kind of secret or personal datum.

Every rule has a pattern for texts and a gate for raw JSON, which may fit more than the pattern
but never less. Patterns begin with a literal or a plain set of characters, because the engine
then skips what cannot begin a match; what has to stand before them is checked afterwards.

Sources for the shapes of keys: the vendors' own pages on key formats, and the published lists
of GitHub secret scanning and detect-secrets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from loopllm_cli.sources import redaction_checks as checks

Span = tuple[int, int]
Find = Callable[[re.Match[str]], Span | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of value to mask.

    Args:
        kind: the word in its token, such as `EMAIL`.
        pattern: finds candidates in a text.
        gate: a condition on raw JSON bytes, in RE2's syntax.
        probes: literals; a text without any of them holds no candidate. Where case does not
            matter, every candidate begins with one of them.
        find: says which part of a candidate is to be masked, None where it is a look-alike.
        folded: whether case does not matter; the probes are in lower case then.
        numeric: whether it may mistake an id for its own, so that ids are left to other rules.
        normal: brings two ways of writing one value to the same form.
    """

    kind: str
    pattern: re.Pattern[str]
    gate: str
    probes: tuple[str, ...]
    find: Find
    folded: bool = False
    numeric: bool = False
    normal: Callable[[str], str] = str


def _whole(match: re.Match[str]) -> Span | None:
    """Take the whole of a key that begins a word and looks drawn by a machine."""
    if not checks.starts_word(match.string, match.start()):
        return None
    return match.span() if checks.looks_random(match[0]) else None


def _known(match: re.Match[str]) -> Span | None:
    """Take the whole of a key whose beginning says enough, unless one letter fills it."""
    good = checks.starts_word(match.string, match.start()) and len(set(match[0])) >= 10
    return match.span() if good else None


def _value(match: re.Match[str]) -> Span | None:
    """Take the value that an unmistakable name gives."""
    return match.span("value") if checks.looks_random(match["value"]) else None


def _long_value(match: re.Match[str]) -> Span | None:
    """Take a value of known length, unless a few letters fill it."""
    return match.span("value") if len(set(match["value"])) >= 12 else None


def _key(kind: str, pattern: str, gate: str, *probes: str, find: Find = _known) -> Rule:
    return Rule(kind, re.compile(pattern, re.ASCII), gate, probes, find, folded="(?i:" in pattern)


_BODY = re.compile(r"[A-Za-z0-9+/=]{16,}")


def _private_key(match: re.Match[str]) -> Span | None:
    """Take a key block to its end line, or to the last line of key material where it was cut."""
    if match["end"]:
        return match.span()
    lines = list(_BODY.finditer(match.string, match.start("body"), match.end("body")))
    return (match.start(), lines[-1].end()) if lines else None


def _url_password(match: re.Match[str]) -> Span | None:
    return None if checks.is_placeholder(match["value"]) else match.span("value")


def alone(check: Callable[[str], bool]) -> Find:
    """Build a search for numbers that pass a check and are no piece of something longer."""

    def find(match: re.Match[str]) -> Span | None:
        good = checks.stands_alone(match.string, match.start()) and check(match[0])
        return match.span() if good else None

    return find


def _card(match: re.Match[str]) -> Span | None:
    """Take a card's number, unless its groups are four of a longer row of numbers."""
    if not checks.stands_alone(match.string, match.start()) or not checks.is_card(match[0]):
        return None
    start, end = match.span()
    before, after = match.string[max(0, start - 6) : start], match.string[end : end + 6]
    in_row = " " in match[0] and (_ROW_AFTER.match(after) or _ROW_BEFORE.search(before))
    return None if in_row else (start, end)


_ROW_AFTER = re.compile(r" [0-9]{4}(?![0-9])")
_ROW_BEFORE = re.compile(r"(?<![0-9])[0-9]{2,4} $")


_TRAILING = ".,;:!?)]}"


SECRET_NAMES = (
    *("password", "passwd", "passphrase", "passwort", "pwd", "secret", "api key", "access key"),
    *("secret key", "private key", "encryption key", "auth token", "access token"),
    *("refresh token", "session token", "bearer token"),
)
"""Ends of names whose value is a secret; a blank stands for any separator, or none."""

_BEFORE = {
    last: re.compile(
        "(?i:"
        + "|".join(n.split()[0] for n in SECRET_NAMES if n.endswith(f" {last}"))
        + ")[ _.-]?$"
    )
    for last in ("key", "token")
}
_LONGEST_BEFORE = 12


def _assigned(match: re.Match[str]) -> Span | None:
    """Take a value that is given to a name such as `password`, if it is one and no code."""
    (start, end), text = match.span("value"), match.string
    before = _BEFORE.get(match["name"].lower())
    if before and not before.search(text[max(0, match.start() - _LONGEST_BEFORE) : match.start()]):
        return None
    while end > start and text[end - 1] in _TRAILING:
        end -= 1
    said = bool(match["quote"]) or match["by"].strip() not in ("=", ":=")
    if text[match.end() : match.end() + 1] in ("(", "["):
        return None
    return (start, end) if checks.is_secret(text[start:end], said=said) else None


_NAMED = r"(?P<name>password|passwd|passphrase|passwort|pwd|secret|key|token)"
_GIVEN_GATE = (
    "(?i:" + "|".join(name.replace(" ", "[ _.-]?") for name in SECRET_NAMES) + ")"
    r"(?:[\\\"'`\]*\s_.0-9-]*[:=]|(?:\s|\\[nrt])+(?:is|was|lautet))"
)

_PEM = "-----(?:BEGIN|END) [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"

SECRETS = (
    _key(
        "PRIVATE_KEY",
        _PEM.replace("(?:BEGIN|END)", "BEGIN")
        + r"(?P<body>(?:(?!-----)[\sA-Za-z0-9+/=:,.()\\-]){0,20000})(?P<end>"
        + _PEM.replace("(?:BEGIN|END)", "END")
        + ")?",
        "PRIVATE KEY",
        "PRIVATE KEY",
        find=_private_key,
    ),
    _key("ANTHROPIC_KEY", r"sk-ant-[A-Za-z0-9_-]{16,}", "sk-ant-[A-Za-z0-9_-]{16}", "sk-ant-"),
    _key(
        "API_KEY",
        r"sk-(?:(?:proj|svcacct|admin|or-v1|lf|None)-[A-Za-z0-9_-]{16,}"
        r"|[A-Za-z0-9]{20,}|(?=[A-Za-z0-9_-]*[A-Z])[A-Za-z0-9_-]{20,})",
        "sk-[A-Za-z0-9_-]{16}",
        "sk-",
        find=_whole,
    ),
    _key(
        "API_KEY",
        r"(?:gsk_|xai-|pplx-|nvapi-|fw_|tgp_v1_|lsv2_[ps][tk]_|dop_v1_|sntrys_|r8_)"
        r"[A-Za-z0-9_-]{24,}|dapi[0-9a-f]{32}(?![A-Za-z0-9])",
        "(?:gsk_|xai-|pplx-|nvapi-|fw_|tgp_v1_|lsv2_|dop_v1_|sntrys_|r8_|dapi)[A-Za-z0-9_-]{20}",
        *("gsk_", "xai-", "pplx-", "nvapi-", "fw_", "tgp_v1_", "lsv2_", "dop_v1_", "sntrys_"),
        *("r8_", "dapi"),
        find=_whole,
    ),
    _key(
        "AWS_KEY", r"A(?:KIA|SIA)[A-Z0-9]{16}(?![A-Za-z0-9])", "A[KS]IA[A-Z0-9]{16}", "AKIA", "ASIA"
    ),
    _key(
        "AWS_SECRET",
        r"(?i:secret[_ ]?(?:access[_ ]?)?key)[\\\"'\s:=>]{1,8}"
        r"(?P<value>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
        "(?i:secret[_ ]?(?:access[_ ]?)?key)",
        "secret",
        find=_long_value,
    ),
    _key(
        "GITHUB_TOKEN",
        r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}",
        "gh[pousr]_[A-Za-z0-9]{20}|github_pat_",
        *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    ),
    _key(
        "GITLAB_TOKEN",
        r"gl(?:pat|rt|dt|ptt|cbt)-[A-Za-z0-9_-]{20,}",
        "gl(?:pat|rt|dt|ptt|cbt)-",
        "glpat-",
        "glrt-",
        "gldt-",
        "glptt-",
        "glcbt-",
    ),
    _key(
        "SLACK_TOKEN",
        r"xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{20,}"
        r"|hooks\.slack\.com/services/[A-Za-z0-9/]{20,}",
        r"xox[abeoprs][.-]|xapp-|hooks\.slack\.com",
        *("xox", "xapp-", "hooks.slack.com"),
    ),
    _key(
        "GOOGLE_KEY",
        r"AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{20,}",
        r"AIza[A-Za-z0-9_-]{20}|ya29\.|GOCSPX-",
        *("AIza", "ya29.", "GOCSPX-"),
    ),
    _key(
        "STRIPE_KEY",
        r"[sr]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{24,}={0,2}",
        "[sr]k_(?:live|test)_|whsec_",
        *("k_live_", "k_test_", "whsec_"),
    ),
    _key(
        "HF_TOKEN",
        r"(?:hf|api_org)_[A-Za-z0-9]{30,}",
        "(?:hf|api_org)_[A-Za-z0-9]{20}",
        "hf_",
        "api_org_",
    ),
    _key("NPM_TOKEN", r"npm_[A-Za-z0-9]{36,}", "npm_[A-Za-z0-9]{20}", "npm_"),
    _key("PYPI_TOKEN", r"pypi-[A-Za-z0-9_-]{50,}", "pypi-[A-Za-z0-9_-]{20}", "pypi-"),
    _key(
        "SENDGRID_KEY",
        r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{30,64}",
        r"SG\.[A-Za-z0-9_-]{16}",
        "SG.",
    ),
    _key(
        "TWILIO_KEY",
        r"(?:SK|AC)[0-9a-f]{32}(?![A-Za-z0-9])",
        "(?:SK|AC)[0-9a-f]{32}",
        *("SK", "AC"),
    ),
    _key(
        "AZURE_KEY",
        r"(?:Account|SharedAccess)Key=(?P<value>[A-Za-z0-9+/]{40,}={0,2})",
        "(?:Account|SharedAccess)Key=",
        *("AccountKey=", "SharedAccessKey="),
        find=_long_value,
    ),
    _key(
        "JWT",
        r"eyJ[A-Za-z0-9_-]{5,}\.eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{10,}",
        r"eyJ[A-Za-z0-9_-]{5,}\.eyJ",
        ".eyJ",
    ),
    _key("BOT_TOKEN", r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])", "[0-9]{8}:AA", ":AA"),
    _key(
        "BEARER_TOKEN",
        r"[Bb]earer[ \t]{1,3}(?P<value>[A-Za-z0-9._~+/-]{20,}={0,2})",
        r"[Bb]earer[ \t\\]+[A-Za-z0-9._~+/\\-]{16}",
        "earer",
        find=_value,
    ),
    _key(
        "BASIC_AUTH",
        r"uthorization[\\\"']{0,4}\s?[:=]\s?[\\\"']{0,4}(?:[Bb]asic|[Tt]oken|[Aa]pi[Kk]ey)\s"
        r"(?P<value>[A-Za-z0-9._~+/-]{8,}={0,2})",
        "uthorization",
        "uthorization",
        find=lambda m: m.span("value"),
    ),
    _key(
        "URL_PASSWORD",
        r"://[^\s:/@\"'<>{}\\]{0,64}:(?P<value>[^\s/@\"'<>{}\\]{3,200})@",
        r':(?:\\*/){2}[^\s/"]*:[^\s"]*@',
        "://",
        find=_url_password,
    ),
    _key(
        "PASSWORD",
        rf"(?i:{_NAMED})[0-9]?[\\\"'`\]*]{{0,4}}"
        r"(?P<by>[ \t]{0,3}(?::=|=>|[:=])[ \t]{0,3}|\s(?:is|was|lautet)(?: now)?:?\s)"
        r"\\?(?P<quote>[\"'`]?)(?P<value>[!#-&(-+\--:=?-\[\]-_a-~]{8,256})",
        _GIVEN_GATE,
        *("password", "passwd", "passphrase", "passwort", "pwd", "secret", "key", "token"),
        find=_assigned,
    ),
    Rule(
        "CARD",
        re.compile(
            r"[2-6](?:[0-9]{13,18}"
            r"|[0-9]{3}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?"
            r"|[0-9]{3}([ -])[0-9]{6}\2[0-9]{4,5})(?![0-9A-Za-z_]|[.-][0-9])",
            re.ASCII,
        ),
        r"(?:^|[^0-9.]|[^0-9]\.|\\u[0-9a-fA-F]{4}\.?)[2-6](?:[0-9]{13,18}(?:[^0-9]|$)|[0-9]{3}[ -]"
        r"(?:[0-9]{4}[ -][0-9]{4}|[0-9]{6})[ -][0-9]{4})",
        (),
        _card,
        numeric=True,
        normal=checks.digits_of,
    ),
)
