"""What tells a real card number, account, telephone number or password from a look-alike.

Pure functions on texts. Must not import anything of ours.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter

_ESCAPE_LETTERS = frozenset("nrtbf")
_UNICODE_ESCAPE = re.compile(r"\\u[0-9A-Fa-f]{4}")
_DIGITS = re.compile(r"[0-9]+")


def starts_word(text: str, start: int) -> bool:
    """Tell whether no Latin letter and no digit stands before a place in a text.

    Chinese, Japanese or Thai have no blanks between words: their letters end none.
    JSON inside a string shows a line break as a backslash and an `n`: that letter belongs to the
    escape and not to the word behind it.
    """
    if start == 0 or not is_latin(text[start - 1]):
        return True
    return escape_before(text, start)


def is_latin(char: str) -> bool:
    """Tell whether a character is a letter from A to Z or a digit."""
    return char.isascii() and char.isalnum()


def stands_alone(text: str, start: int) -> bool:
    """Tell whether a number is no piece of a longer number, of a word or of an id."""
    if start == 0:
        return True
    before = text[start - 1]
    if before in "_-+" or (before == "." and text[start - 2 : start - 1].isdigit()):
        return False
    return starts_word(text, start)


def escape_before(text: str, start: int) -> bool:
    """Tell whether what ends before a place is an escape sequence such as `\\n` or `\\u2022`."""
    if text[start - 1] in _ESCAPE_LETTERS and text[start - 2 : start - 1] == "\\":
        return True
    return start >= 6 and _UNICODE_ESCAPE.fullmatch(text, start - 6, start) is not None


def skip_escape(text: str, start: int, end: int) -> int:
    """Move the start of a match behind an escape sequence that it has taken for letters."""
    if text[start - 1 : start] != "\\" or start >= end:
        return start
    if text[start] in _ESCAPE_LETTERS:
        return start + 1
    return start + 5 if _UNICODE_ESCAPE.match(text, start - 1) else start


def digits_of(text: str) -> str:
    """Return a text's digits."""
    return "".join(_DIGITS.findall(text))


def passes_luhn(digits: str) -> bool:
    """Check the last digit of a card number.

    Source: ISO/IEC 7812-1, annex B.

    >>> passes_luhn("4111111111111111"), passes_luhn("4111111111111112")
    (True, False)
    """
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


_CARD_NUMBERS = re.compile(
    r"4[0-9]{15}(?:[0-9]{3})?"  # Visa; its 13 digits of old look like article numbers
    r"|5[1-5][0-9]{14}"  # Mastercard
    r"|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}"
    r"|3[47][0-9]{13}"  # American Express
    r"|3(?:0[0-5]|[689][0-9])[0-9]{11}"  # Diners Club
    r"|35(?:2[89]|[3-8][0-9])[0-9]{12}"  # JCB
    r"|6(?:011|4[4-9][0-9]|5[0-9]{2})[0-9]{12}"  # Discover
    r"|62[0-9]{14,17}"  # UnionPay
)


def is_card(written: str) -> bool:
    """Tell whether digits, perhaps in groups, are a card's: issuer, length and check digit."""
    digits = digits_of(written)
    return (
        _CARD_NUMBERS.fullmatch(digits) is not None and len(set(digits)) > 1 and passes_luhn(digits)
    )


# Lengths by country. Source: the IBAN registry of SWIFT, release 99.
_IBAN_LENGTHS = {
    code: int(length)
    for length, codes in (
        entry.split(":")
        for entry in (
            "15:NO",
            "16:BE",
            "18:DK FI FK FO GL NL SD",
            "19:MK SI",
            "20:AT BA EE KZ LT LU MN XK",
            "21:CH HR LI LV",
            "22:BG BH CR DE GB GE IE ME RS VA",
            "23:AE GI IL IQ OM SO TL",
            "24:AD CZ ES MD PK RO SA SE SK TN VG",
            "25:LY PT ST",
            "26:IS TR",
            "27:BI DJ FR GR IT MC MR SM",
            "28:AL AZ BY CY DO GT HU LB NI PL SV",
            "29:BR EG PS QA UA",
            "30:JO KW MU YE",
            "31:MT SC",
            "32:LC",
            "33:RU",
        )
    )
    for code in codes.split()
}


def iban_end(written: str) -> int:
    """Return where an account number ends that a text begins with, 0 where it is none.

    Source: ISO 13616-1 (the check is ISO/IEC 7064, MOD 97-10).
    """
    wanted = _IBAN_LENGTHS.get(written[:2])
    if wanted is None:
        return 0
    n = 0
    for place, char in enumerate(written):
        n += char != " "
        if n == wanted:
            compact = written[: place + 1].replace(" ", "")
            number = int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4]))
            follows = written[place + 1 : place + 2]
            return place + 1 if number % 97 == 1 and not is_latin(follows) else 0
    return 0


# Country codes but North America's. Source: ITU-T E.164, list of assigned country codes.
_COUNTRY = re.compile(
    r"7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]"
    r"|(?:2[1-689]|3[578]|42|50|59|6[789]|8[058]|9[679])[0-9]"
)
_US_NUMBER = re.compile(r"1?[2-9][0-9]{2}[2-9][0-9]{6}")
_DATE = re.compile(r"(?:19|20)[0-9]{2}(?:[-/. ]?[0-1]?[0-9][-/. ]?[0-3]?[0-9])?(?:[^0-9].*)?")


def is_international(written: str) -> bool:
    """Tell whether digits with a country code in front can be a telephone number."""
    digits = digits_of(written)
    if digits.startswith("00"):
        digits = digits[2:]
    if digits.startswith("1"):
        return len(digits) == 11 and _US_NUMBER.fullmatch(digits) is not None
    return 9 <= len(digits) <= 15 and _COUNTRY.match(digits) is not None


def is_us_number(written: str) -> bool:
    """Tell whether digits follow the North American numbering plan."""
    return _US_NUMBER.fullmatch(digits_of(written)) is not None


def is_called(written: str) -> bool:
    """Tell whether digits behind a word such as "phone" can be a telephone number."""
    return 8 <= len(digits_of(written)) <= 15 and _DATE.fullmatch(written) is None


_VERSION_BEFORE = re.compile(
    r"(?:\bv|\bver\.?|version|release|build|revision|section|chapter|[=<>~^]=|[@/-])\s?[:=]?\s?$",
    re.IGNORECASE,
)


def is_ipv4(text: str, start: int, end: int) -> bool:
    """Tell whether four numbers are an address of somebody, not a version and not a mask."""
    before = text[max(0, start - 12) : start]
    if _VERSION_BEFORE.search(before) and "//" not in before[-3:]:
        return False
    numbers = text[start:end].split(".")
    if any(int(n) > 255 or (len(n) > 1 and n[0] == "0") for n in numbers):
        return False
    return numbers[0] not in ("0", "127", "255")


def is_ipv6(written: str) -> bool:
    """Tell whether hexadecimal groups are an address of somebody."""
    groups = [g for g in written.split(":") if g]
    if len(groups) < 2 or not any(c.isdigit() for c in written):
        return False
    try:
        address = ipaddress.IPv6Address(written)
    except ValueError:
        return False
    return not address.is_loopback


_NO_LETTER_ENDS = ("png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "ts", "py", "html")


def is_mail(local: str, domain: str) -> bool:
    """Tell a person's address from an asset's name (`icon@2x.png`) and from `git@host`."""
    return local.lower() != "git" and domain.rpartition(".")[2].lower() not in _NO_LETTER_ENDS


_TURNS = re.compile(r"(?=[a-z][A-Z])")


def looks_random(value: str) -> bool:
    """Tell a key that was drawn by a machine from a placeholder of one letter or of words."""
    n_kinds = len(set(value))
    if any(c.isdigit() for c in value):
        return n_kinds >= 8
    return n_kinds >= 12 and len(_TURNS.findall(value)) >= 6


_PLACEHOLDER = re.compile(
    r"(?i)(?:.*(?:\*{3}|\.{3}|x{4}|your[-_ ]|placeholder|changeme|redacted|example|dummy).*"
    r"|none|null|undefined|true|false|password|passwd|pass|pwd|secret|token|user|string)"
)
_CODE = re.compile(
    r"[$%{(\[*/~&|\\].*"  # variables, expressions, paths
    r"|\.{1,2}/.*|[a-z]+://.*|.*\.(?:pem|key|json|txt|ya?ml|env|crt|py|js)"
    r"|[A-Za-z_$][\w$]*(?:(?:\.|->|::|\?\.)[A-Za-z_$][\w$]*)+"  # a.b.c
    r"|[A-Za-z_$][\w$.]*[(\[].*"  # calls and indexes
    r"|f?\{.*\}"
)
_NAME = re.compile(r"[A-Za-z_.-]+[0-9]{0,2}")
_NO_VALUE = re.compile(r"[\s<>]")
_SYMBOLS = frozenset("!@#$%^&*?+=~")


def is_placeholder(value: str) -> bool:
    """Tell whether a value stands for a secret that is not there."""
    return _PLACEHOLDER.fullmatch(value) is not None or value[:1] in "$%{<*["


def is_secret(value: str, *, said: bool) -> bool:
    """Tell a password or key that was given to a name from a variable, a word or a placeholder.

    Args:
        said: it stands in quotes or in a sentence; a bare word behind `=` may be a variable.
    """
    if not 8 <= len(value) <= 256 or _NO_VALUE.search(value) or is_placeholder(value):
        return False
    if _CODE.fullmatch(value):
        return False
    if not any(c.isalpha() for c in value) or len(set(value)) < 5 or entropy(value) < 2.3:
        return False
    has_symbol = bool(_SYMBOLS & set(value))
    if not has_symbol and not any(c.isdigit() for c in value):
        return False
    is_name = _NAME.fullmatch(value) is not None
    return has_symbol or not is_name or (said and value.isalnum() and value[-1].isdigit())


def entropy(value: str) -> float:
    """Return how unevenly a text's characters are spread.

    Source: Shannon (1948), the entropy of the distribution of characters.
    Units: bits per character.

    >>> entropy("abab")
    1.0
    """
    n = len(value)
    return -sum(k / n * math.log2(k / n) for k in Counter(value).values()) if n else 0.0
