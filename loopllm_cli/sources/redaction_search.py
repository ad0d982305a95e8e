"""Find what rules mask: in texts, and in the strings of records."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from loopllm_cli.sources.redaction_rules import SECRET_NAMES, Rule, Span

Record = dict[str, Any]


def spans_of(rule: Rule, text: str, folded: str) -> list[Span]:
    """Return the places that a rule masks, given the text in lower case as well."""
    where = folded if rule.folded else text
    if rule.probes and not any(probe in where for probe in rule.probes):
        return []
    return _at_probes(rule, text, folded) if rule.folded else _anywhere(rule, text)


def folded_of(text: str) -> str:
    """Lower the case of a text without moving any character."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else text.translate(_LOWER)


_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _anywhere(rule: Rule, text: str) -> list[Span]:
    found: list[Span] = []
    place = 0
    while match := rule.pattern.search(text, place):
        span = rule.find(match)
        if span is None or (found and span[0] < found[-1][1]):
            place = match.start() + 1
        else:
            found.append(span)
            place = max(span[1], match.start() + 1)
    return found


def _at_probes(rule: Rule, text: str, folded: str) -> list[Span]:
    found: set[Span] = set()
    for probe in rule.probes:
        place = folded.find(probe)
        while place >= 0:
            match = rule.pattern.match(text, place)
            span = rule.find(match) if match else None
            if span:
                found.add(span)
            place = folded.find(probe, place + len(probe))
    kept: list[Span] = []
    for span in sorted(found):
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return kept


def strings_of(record: Record) -> Iterator[tuple[str | None, str]]:
    """Yield every string of a record with the name that it stands under, and the names."""
    todo: list[Any] = [record]
    while todo:
        old = todo.pop()
        if isinstance(old, dict):
            for name, value in old.items():
                yield None, name
                if isinstance(value, str):
                    yield name, value
                elif isinstance(value, (dict, list)):
                    todo.append(value)
        else:
            for value in old:
                if isinstance(value, str):
                    yield None, value
                elif isinstance(value, (dict, list)):
                    todo.append(value)


_ID_NAME = re.compile(
    r"(?:.*[_.-])?(?:ids?|uuid|guid|digest|etag)|.*(?:Ids?|ID|Uuid|UUID)", re.DOTALL
)
_SECRET_ENDS = tuple(name.replace(" ", "") for name in SECRET_NAMES)
_SEPARATORS = str.maketrans("", "", " _.-")


@lru_cache(maxsize=4096)
def is_id_name(name: str) -> bool:
    """Tell whether a field holds an id, in which digits mean nothing."""
    return _ID_NAME.fullmatch(name) is not None


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Tell whether a field holds a password or a key, by its name."""
    return name.lower().translate(_SEPARATORS).endswith(_SECRET_ENDS)
