"""Mask secrets and personal data in records before anything is decoded, hashed or written.

A value is replaced by a token such as `<EMAIL_3f9a1c>`: its kind and a few digits of a hash with
the project's key. The same value gives the same token everywhere in a project, so texts, votes
and pairs stay comparable, and nobody without the key can find the value of a token by trying.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from loopllm_cli.errors import ConfigError
from loopllm_cli.sources import redaction_checks as checks
from loopllm_cli.sources.identity import UserHasher, drop_ips
from loopllm_cli.sources.redaction_personal import PERSONAL
from loopllm_cli.sources.redaction_rules import SECRETS, Rule
from loopllm_cli.sources.redaction_search import (
    Record,
    folded_of,
    is_id_name,
    is_secret_name,
    spans_of,
    strings_of,
)
from loopllm_cli.store.arrays import arrow_bytes

__all__ = ["LEVELS", "Redactor", "UserHasher", "drop_ips"]

LEVELS = ("off", "secrets", "basic", "presidio")
RULES_VERSION = 1
_RULES: dict[str, tuple[Rule, ...]] = {
    "off": (),
    "secrets": SECRETS,
    "basic": (*SECRETS, *PERSONAL),
    "presidio": (*SECRETS, *PERSONAL),
}
# A character that is written as an escape may be any of those that a rule looks for; the signs
# < and >, which many exporters escape, are in none.
_ESCAPED = r"\\u00(?:0[9a-dA-D]|[24-7]|3[0-9abdfABDF])"
_SHORTEST = 6
_WORTH_ASKING_BYTES = 1 << 15
_PASSES = 8
_TOKEN = re.compile(r"<[A-Z][A-Z_]{1,30}_[0-9a-f]{6}>")
_DIGEST_BYTES = 3
# Between texts that are searched as one: in no value, and in no context of one.
_APART = "\n\0\n"

Counts = Counter[str]


class Finder(Protocol):
    """Something that finds personal data by meaning: kinds and places in a text."""

    def __call__(self, text: str) -> Iterable[tuple[str, int, int]]:
        """Yield kind, start and end."""
        ...


class Redactor:
    """Mask what a level asks for. May be sent to other processes.

    Args:
        level: off, secrets, basic (secrets and personal data that has a shape) or presidio
            (basic and what Presidio finds by meaning).
        key: the project's key, at most 64 bytes.

    Raises:
        ConfigError: there is no such level.
        MissingExtra: the level needs a package that is not installed.
    """

    def __init__(self, level: str, key: bytes) -> None:
        if level not in LEVELS:
            raise ConfigError(
                f"unknown redaction level {level!r}", f"use one of {', '.join(LEVELS)}"
            )
        self.level = level
        self._key = key
        self._rules = _RULES[level]
        self._rules_for_ids = tuple(r for r in self._rules if not r.numeric)
        self._anything = "|".join([*(r.gate for r in self._rules), _ESCAPED])
        self._finder: Finder | None = None
        if level == "presidio":
            from loopllm_cli.sources.redaction_presidio import load_finder

            self._finder = load_finder()

    def __reduce__(self) -> tuple[type[Redactor], tuple[str, bytes]]:
        return Redactor, (self.level, self._key)

    @property
    def stamp(self) -> str | None:
        """What the store's column `redaction` says of rows that went through here."""
        return f"{self.level}/{RULES_VERSION}" if self._rules else None

    def may_hold(self, data: bytes) -> bool:
        """Tell whether raw JSON may hold anything to mask; False is certain, True is not.

        Asking costs about 0.2 ms before the first byte is read, so a short text is not looked at:
        give whole blocks, or many lines at once to `lines_that_may_hold`. What is no JSON (the
        cells of a CSV file, columns of Parquet) has its names elsewhere: redact without asking.
        """
        if not self._rules:
            return False
        if self._finder is not None or len(data) < _WORTH_ASKING_BYTES:
            return True
        offsets = pa.py_buffer(len(data).to_bytes(8, "little").rjust(16, b"\0"))
        whole = pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, pa.py_buffer(data)])
        return bool(pc.match_substring_regex(whole, pattern=self._anything)[0].as_py())

    def lines_that_may_hold(self, lines: Sequence[bytes]) -> list[bool]:
        """Answer `may_hold` for each of many lines at once."""
        if not self._rules or self._finder is not None:
            return [self._finder is not None] * len(lines)
        column = arrow_bytes(lines)
        found: list[bool] = pc.match_substring_regex(column, pattern=self._anything).to_pylist()
        return found

    def redact_text(self, text: str) -> tuple[str, Counts]:
        """Mask a text; masking it again changes nothing more."""
        counts: Counts = Counter()
        return self._masked(text, counts), counts

    def redact_record(self, record: Record) -> tuple[Record, Counts]:
        """Mask every string of a record, at any depth, keys included.

        Numbers are left alone, and in the values of ids (`id`, `trace_id`, `requestId`) only
        keys with a known shape are masked. The very same object comes back where nothing was
        found; the given one is never changed.
        """
        counts: Counts = Counter()
        if not self._rules or not self._is_hit(record):
            return record, counts
        changed = self._rebuilt(record, counts)
        return (changed, counts) if counts else (record, counts)

    def redact_bytes(self, head: bytes) -> bytes:
        """Mask a line that is no record. Mask it whole and cut it then: half a key has no shape."""
        if not self._rules:
            return head
        text = head.decode("utf-8", "surrogateescape")
        if "\\" in text:
            text = _PLAIN_ESCAPE.sub(lambda m: chr(int(m[1], 16)), text).replace("\\/", "/")
        return self._masked(text, Counter()).encode("utf-8", "surrogateescape")

    def _is_hit(self, record: Record) -> bool:
        """Tell whether any rule has a candidate anywhere in a record."""
        if self._finder is not None:
            return True
        texts: list[str] = []
        ids: list[str] = []
        for name, text in strings_of(record):
            if len(text) >= _SHORTEST:
                (ids if name and is_id_name(name) else texts).append(text)
                if name and is_secret_name(name) and checks.is_secret(text, said=True):
                    return True
        return self._finds(_APART.join(texts), numbers=True) or self._finds(
            _APART.join(ids), numbers=False
        )

    def _finds(self, text: str, *, numbers: bool) -> bool:
        if not text:
            return False
        folded = folded_of(text)
        for rule in self._rules if numbers else self._rules_for_ids:
            where = folded if rule.folded else text
            for probe in rule.probes:
                if probe in where:
                    break
            else:
                if rule.probes:
                    continue
            if spans_of(rule, text, folded):
                return True
        return False

    def _rebuilt(self, record: Record, counts: Counts) -> Record:
        """Copy a record with everything masked; without recursion, however deep it nests."""
        top: Record = {}
        todo: list[tuple[Any, Any]] = [(record, top)]
        while todo:
            old, new = todo.pop()
            items = old.items() if isinstance(old, dict) else ((None, item) for item in old)
            for name, value in items:
                if isinstance(value, str):
                    made: Any = self._member(name, value, counts)
                elif isinstance(value, (dict, list)):
                    made = {} if isinstance(value, dict) else []
                    todo.append((value, made))
                else:
                    made = value
                if isinstance(new, list):
                    new.append(made)
                else:
                    new[_free(self._masked(str(name), counts), new)] = made
        return top

    def _member(self, name: str | None, text: str, counts: Counts) -> str:
        """Mask one string, given the name that it stands under."""
        if name is not None:
            if is_secret_name(name) and checks.is_secret(text, said=True):
                kind = "PASSWORD" if "pass" in name.lower() else "SECRET"
                counts[kind] += 1
                return self._token(kind, text)
            if is_id_name(name):
                return self._masked(text, counts, numbers=False)
        return self._masked(text, counts)

    def _masked(self, text: str, counts: Counts, *, numbers: bool = True) -> str:
        """Apply the rules until none finds anything: a token may free what stood beside a key."""
        if len(text) < _SHORTEST:
            return text
        folded = folded_of(text)
        for _ in range(_PASSES):
            before = text
            for rule in self._rules if numbers else self._rules_for_ids:
                if spans := spans_of(rule, text, folded):
                    found = [(rule.kind, s, e, rule.normal(text[s:e])) for s, e in spans]
                    text = self._replaced(text, found, counts)
                    folded = folded_of(text)
            if text == before:
                break
        if self._finder is not None and numbers and " " in text.strip():
            text = self._replaced(text, self._by_meaning(text), counts)
        return text

    def _by_meaning(self, text: str) -> list[tuple[str, int, int, str]]:
        """Return what Presidio finds outside of tokens, the first of those that overlap."""
        assert self._finder is not None
        end = 0
        taken = [m.span() for m in _TOKEN.finditer(text)]
        found = []
        for kind, s, e in sorted(self._finder(text), key=lambda hit: (hit[1], -hit[2])):
            if s >= end and not any(s < b and a < e for a, b in taken):
                found.append((kind, s, e, text[s:e]))
                end = e
        return found

    def _replaced(self, text: str, found: list[tuple[str, int, int, str]], counts: Counts) -> str:
        if not found:
            return text
        pieces: list[str] = []
        last = 0
        for kind, start, end, value in found:
            pieces += text[last:start], self._token(kind, value)
            counts[kind] += 1
            last = end
        return "".join((*pieces, text[last:]))

    def _token(self, kind: str, value: str) -> str:
        content = value.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(content, digest_size=_DIGEST_BYTES, key=self._key, person=b"token")
        return f"<{kind}_{digest.hexdigest()}>"


_PLAIN_ESCAPE = re.compile(r"\\u00(2[013-9a-f]|[3-46][0-9a-f]|5[0-9abd-f]|7[0-9a-e])")


def _free(name: str, taken: Record) -> str:
    """Return a name that is not taken: two names may have become the same token."""
    number, free = 2, name
    while free in taken:
        free = f"{name}~{number}"
        number += 1
    return free
