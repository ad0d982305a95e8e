"""Take records out of what carries them: pages of an API, log services, database exports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loopllm_cli.sources.fields import as_json
from loopllm_cli.sources.rows import Record

_LISTS = ("data", "traces", "results", "items", "records", "observations", "runs", "value", "hits")
_MAX_KEYS_OF_A_PAGE = 8
_MAX_DEPTH = 64
_CARRIERS = frozenset((*_LISTS, "message", "_source"))
_CONTENT = {"messages", "prompt", "response", "input", "output"}
_EXTENDED = {
    *("$date", "$oid", "$numberLong", "$numberInt", "$numberDouble", "$numberDecimal"),
}


def unwrap(record: Record) -> Iterator[Record]:
    """Yield the records that one object carries; itself, where it carries none.

    Known carriers: a page with a list (`{"data": [...], "object": "list"}`), CloudWatch exports
    (`{"timestamp": ..., "message": "<json>"}`), search hits (`{"_source": {...}}`), and MongoDB's
    extended JSON, whose typed values (`{"$date": ...}`) become plain ones.
    """
    if len(record) <= _MAX_KEYS_OF_A_PAGE and not _CARRIERS.isdisjoint(record):
        for name in _LISTS:
            listed = record.get(name)
            if isinstance(listed, list) and _is_page(record, name, listed):
                for inner in listed:
                    yield from unwrap(inner)
                return
        message = record.get("message")
        if isinstance(message, str) and message[:1] == "{" and "timestamp" in record:
            inner = as_json(message)
            if isinstance(inner, dict):
                yield from unwrap(inner)
                return
        source = record.get("_source")
        if isinstance(source, dict) and "_id" in record:
            yield source
            return
    yield _plain(record, 0) if _has_extended(record) else record


def _is_page(record: Record, name: str, listed: list[Any]) -> bool:
    """Return whether a list is the record's whole matter: all else tells about the page."""
    if not listed or not all(isinstance(inner, dict) for inner in listed):
        return False
    if not _CONTENT.isdisjoint(record):
        return False
    return all(
        key in (name, "meta", "links") or value is None or isinstance(value, str | int | float)
        for key, value in record.items()
    )


def _has_extended(record: Record) -> bool:
    for value in record.values():
        if type(value) is dict and len(value) == 1 and not _EXTENDED.isdisjoint(value):
            return True
    return False


def _plain(value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        return value
    if isinstance(value, dict):
        if len(value) == 1:
            ((key, inner),) = value.items()
            if key in _EXTENDED:
                return _plain(inner, depth + 1)
        return {key: _plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner, depth + 1) for inner in value]
    return value
