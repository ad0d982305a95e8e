"""What the level `basic` masks beside secrets: mail, telephone, account and network addresses.

Names, street addresses and everything else that only meaning tells are not found by patterns.
"""

from __future__ import annotations

import re

from loopllm_cli.sources import redaction_checks as checks
from loopllm_cli.sources.redaction_rules import Rule, Span, alone

_LOCAL = re.compile(r"[A-Za-z0-9._%+'-]{1,64}\Z")
_END = r"(?![0-9A-Za-z_]|[.-][0-9])"


def _mail(match: re.Match[str]) -> Span | None:
    """Take an address, found by its at sign, to the left as far as a name may reach."""
    text, at = match.string, match.start()
    floor = max(0, at - 64)
    name = re.search(_LOCAL, text[floor:at])
    if name is None:
        return None
    start = floor + name.start() + len(name[0]) - len(name[0].lstrip(".'-"))
    start = checks.skip_escape(text, start, at)
    if start >= at or text[at - 1] in ".'" or text[max(0, start - 1) : start] in ("/", "@"):
        return None
    return (start, match.end()) if checks.is_mail(text[start:at], match[0][1:]) else None


def _iban(match: re.Match[str]) -> Span | None:
    """Take as many characters as the country's account numbers have, if the check is right."""
    start = match.start()
    if not checks.stands_alone(match.string, start):
        return None
    length = checks.iban_end(match[0])
    return (start, start + length) if length else None


def _international(match: re.Match[str]) -> Span | None:
    before = match.string[match.start() - 1 : match.start()]
    if before == "+" or not checks.stands_alone(match.string, match.start()):
        return None
    closed_too_often = match[0].endswith(")") and match[0].count("(") < match[0].count(")")
    end = match.end() - closed_too_often
    return (match.start(), end) if checks.is_international(match[0]) else None


def _called(match: re.Match[str]) -> Span | None:
    """Take the digits behind a word such as "phone"."""
    if not checks.starts_word(match.string, match.start()):
        return None
    return match.span("value") if checks.is_called(match["value"]) else None


def _ipv4(match: re.Match[str]) -> Span | None:
    text, (start, end) = match.string, match.span()
    free = checks.starts_word(text, start) and text[max(0, start - 1) : start] not in (".", "_")
    return (start, end) if free and checks.is_ipv4(text, start, end) else None


_GROUP = re.compile(r"[0-9A-Fa-f]{1,4}$")


def _ipv6(match: re.Match[str]) -> Span | None:
    text, (start, end) = match.string, match.span()
    group = _GROUP.search(text[max(0, start - 4) : start])
    start = checks.skip_escape(text, start - len(group[0]) if group else start, end)
    if text[end - 1] == ":" and text[end - 2 : end - 1] != ":":
        end -= 1
    if not checks.starts_word(text, start) or text[max(0, start - 1) : start] in ("_", ":", "."):
        return None
    return (start, end) if checks.is_ipv6(text[start:end]) else None


_CALL_WORDS = (
    *("phone", "telephone", "tel", "mobile", "cell", "fax", "whatsapp", "handy", "call"),
    *("dial", "telefon", "mobil"),
)
_CALLED = (
    rf"(?i:{'|'.join(_CALL_WORDS)})(?:(?i:\.|nummer|number| ?no\.?| ?nr\.?)"
    r"| ?#| ?\(?(?i:is|ist|at|me|us|on|back|number|nummer|under)\)?\b){0,4}"
)

PERSONAL = (
    Rule(
        "EMAIL",
        re.compile(r"@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])"),
        r"[A-Za-z0-9_%+'-]@[A-Za-z0-9]",
        ("@",),
        _mail,
        normal=str.lower,
    ),
    Rule(
        "IBAN",
        re.compile(r"[A-Z]{2}[0-9]{2} ?(?:[A-Z0-9]{4} ?){2,7}[A-Z0-9]{0,4}"),
        "[A-Z]{2}[0-9]{2} ?[A-Z0-9]{4} ?[A-Z0-9]{4}",
        (),
        _iban,
        numeric=True,
        normal=lambda written: written.replace(" ", ""),
    ),
    Rule(
        "SSN",
        re.compile(rf"[0-8](?<!6(?=66))[0-9]{{2}}-(?!00)[0-9]{{2}}-(?!0000)[0-9]{{4}}(?!-){_END}"),
        "[0-9]{3}-[0-9]{2}-[0-9]{4}",
        ("-",),
        alone(lambda written: written[:3] not in ("000", "666")),
        numeric=True,
        normal=checks.digits_of,
    ),
    Rule(
        "PHONE",
        re.compile(
            r"\+[1-9](?:[ .\u00a0/-]?\(?[0-9]\)?){8,14}(?![0-9A-Za-z_:]|[.,][0-9])"
            r"|00[1-9][0-9]{0,2}[ /-](?:[ .\u00a0/-]?\(?[0-9]\)?){6,13}(?![0-9A-Za-z_:]|[.,][0-9])"
        ),
        r"\+[1-9]|00[1-9][0-9]{0,2}[ /-]\(?[0-9]",
        ("+", "00"),
        _international,
        numeric=True,
        normal=lambda written: checks.digits_of(written).lstrip("0"),
    ),
    Rule(
        "PHONE",
        re.compile(
            r"[(1-9](?:(?<=1)[-. ]\(?)?(?:(?<=\()[2-9][0-9]{2}\)[ -]?|(?<=[2-9])[0-9]{2}[-.]"
            r"|(?<=[-. ])[2-9][0-9]{2}[-. ])[2-9][0-9]{2}[-. ][0-9]{4}" + _END
        ),
        r"[2-9][0-9]{2}[-.) ]{1,2}[2-9][0-9]{2}[-. ][0-9]{4}",
        ("-", ".", ")"),
        alone(checks.is_us_number),
        numeric=True,
        normal=lambda written: checks.digits_of(written)[-10:],
    ),
    Rule(
        "PHONE",
        re.compile(
            r"0(?:[1-9](?:[ .][0-9]{2}){4}"  # France
            r"|7[0-9]{3} [0-9]{3} ?[0-9]{3}|20 [0-9]{4} [0-9]{4}"  # United Kingdom
            r"|1[5-7][0-9](?: ?/ ?| )[0-9]{7,8}|[2-9][0-9]{1,3}/[0-9]{5,8})" + _END  # Germany
        ),
        r"0(?:[1-9][ .][0-9]{2}[ .]|7[0-9]{3} [0-9]{3}|20 [0-9]{4} |1[5-7][0-9] ?[/ ]"
        r"|[2-9][0-9]{1,3}(?:\\*/)[0-9]{5})",
        (" ", ".", "/"),
        alone(lambda written: True),
        numeric=True,
        normal=checks.digits_of,
    ),
    Rule(
        "PHONE",
        re.compile(
            _CALLED + r"[\"'\\]{0,4} ?:? ?[\"'\\]{0,4}"
            r"(?P<value>\(?[0-9][0-9 ()/.-]{6,17}[0-9])(?![0-9A-Za-z_]|[.,:-][0-9])",
            re.ASCII,
        ),
        _CALLED + r"[\"'\\]{0,16} ?:? ?[\"'\\]{0,16}\(?[0-9][0-9 ()/.\\-]{7}",
        _CALL_WORDS,
        _called,
        folded=True,
        numeric=True,
        normal=checks.digits_of,
    ),
    Rule(
        "IP",
        re.compile(r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9A-Za-z_]|\.[0-9])"),
        r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
        (".",),
        _ipv4,
        numeric=True,
    ),
    Rule(
        "IP",
        re.compile(r":(?:[0-9A-Fa-f]{0,4}:){1,6}[0-9A-Fa-f]{0,4}(?![0-9A-Za-z_:])"),
        r"[0-9A-Fa-f]::|::[0-9A-Fa-f]|(?:[0-9A-Fa-f]{1,4}:){7}",
        (":",),
        _ipv6,
        numeric=True,
        normal=str.lower,
    ),
)
