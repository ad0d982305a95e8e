"""Canaries: prompts of the user's own, with what every answer to them must hold.

A file holds one canary per line as JSON, or `[[canary]]` tables of TOML:

    {"id": "iban", "prompt": "What is our IBAN?", "contains": "DE02", "refusal": false}

`prompt` is a text or a list of messages. The checks are the keys of `CHECKS`; each may be given
as one value or, where it says so, as a list that must hold entirely.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopllm_cli.errors import ConfigError
from loopllm_cli.model import Message
from loopllm_cli.signals.json_schema import satisfies, unknown_keyword
from loopllm_cli.signals.refusals import is_refusal
from loopllm_cli.signals.structure import find_json
from loopllm_cli.signals.texts import find_fences

MAX_SAMPLES = 100
_KEYS = ("id", "prompt", "samples", "at_least")
_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Canary:
    """One prompt with its checks, asked `samples` times, of which `at_least` must hold."""

    name: str
    messages: tuple[Message, ...]
    checks: tuple[tuple[str, Any], ...]
    samples: int = 1
    at_least: int = 1

    def broken_by(self, answer: str) -> str:
        """Return the first check that an answer does not hold, in words; empty if it holds all."""
        for name, wanted in self.checks:
            if not CHECKS[name].holds(answer, wanted):
                return f"{name} {_shown(wanted)}"
        return ""

    def holds(self, answers: list[str]) -> bool:
        """Say whether enough of several answers hold every check."""
        return sum(not self.broken_by(answer) for answer in answers) >= self.at_least


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a check reads its value (returning what is wrong with it, if anything), and judges."""

    is_list: bool
    fault: Callable[[Any], str]
    holds: Callable[[str, Any], bool]


def _each(holds: Callable[[str, str], bool]) -> Callable[[str, Any], bool]:
    return lambda answer, wanted: all(holds(answer, one) for one in wanted)


def _text_fault(value: Any) -> str:
    return "" if isinstance(value, str) and value else "wants a text that is not empty"


def _regex_fault(value: Any) -> str:
    if not isinstance(value, str) or not value:
        return "wants a regular expression"
    try:
        re.compile(value)
    except re.error as error:
        return f"is no regular expression ({error})"
    return ""


def _schema_fault(value: Any) -> str:
    if not isinstance(value, Mapping):
        return "wants a JSON schema (an object)"
    key = unknown_keyword(value)
    if not key and (pattern := _bad_pattern(value)):
        return f"has a pattern that is no regular expression: {pattern!r}"
    return f"uses the keyword {key!r}, which is not followed" if key else ""


def _bad_pattern(schema: Any) -> str | None:
    if isinstance(schema, list):
        return next((found for part in schema if (found := _bad_pattern(part))), None)
    if not isinstance(schema, Mapping):
        return None
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and _regex_fault(pattern):
        return pattern
    return _bad_pattern(list(schema.values()))


def _count_fault(value: Any) -> str:
    fine = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return "" if fine else "wants a number of characters above 0"


def _bool_fault(value: Any) -> str:
    return "" if isinstance(value, bool) else "wants true or false"


def _true_fault(value: Any) -> str:
    return "" if value is True else "wants true (leave it out otherwise)"


def _is_equal(answer: str, wanted: str) -> bool:
    return " ".join(answer.split()) == " ".join(wanted.split())


def _parsed(answer: str) -> Any | None:
    return find_json(answer, find_fences(answer))


def _satisfies(found: Any | None, schema: Any) -> bool:
    return found is not None and satisfies(found, schema, patterns=True) is True


CHECKS: dict[str, _Kind] = {
    "contains": _Kind(True, _text_fault, _each(lambda a, w: w.casefold() in a.casefold())),
    "not_contains": _Kind(True, _text_fault, _each(lambda a, w: w.casefold() not in a.casefold())),
    "regex": _Kind(True, _regex_fault, _each(lambda a, w: re.search(w, a) is not None)),
    "equals": _Kind(False, _text_fault, _is_equal),
    "json": _Kind(False, _true_fault, lambda a, _: _parsed(a) is not None),
    "json_schema": _Kind(
        False,
        _schema_fault,
        lambda a, w: (
            (found := _parsed(a)) is not None and satisfies(found, w, patterns=True) is True
        ),
    ),
    "max_length": _Kind(False, _count_fault, lambda a, w: len(a) <= w),
    "refusal": _Kind(False, _bool_fault, lambda a, w: is_refusal(a) is w),
}
"""Texts are looked for without regard to case; `equals` without regard to white space; JSON may
stand in a code fence; lengths are in characters."""


def read_canaries(path: Path) -> tuple[Canary, ...]:
    """Read a file of canaries: TOML where its name ends so, else one JSON object per line.

    Raises:
        ConfigError: it cannot be read; with the line of the first thing that is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigError(f"cannot read the canaries in {path} ({said})", "check the path") from (
            error
        )
    entries = _from_toml(path, text) if path.suffix == ".toml" else _from_lines(path, text)
    if not entries:
        raise ConfigError(f"{path} holds no canary", "write one JSON object per line")
    canaries: list[Canary] = []
    names: dict[str, str] = {}
    for number, (place, entry) in enumerate(entries, start=1):
        canary = _to_canary(entry, place, f"canary {number}")
        if canary.name in names:
            raise ConfigError(
                f"{place}: the id {canary.name!r} is taken by {names[canary.name]}",
                "give every canary an id of its own",
            )
        names[canary.name] = place
        canaries.append(canary)
    return tuple(canaries)


def _from_lines(path: Path, text: str) -> list[tuple[str, Any]]:
    entries = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        try:
            entries.append((place, json.loads(line)))
        except (ValueError, RecursionError) as error:
            raise ConfigError(
                f"{place}: this is no JSON ({error})", "write one JSON object per line"
            ) from error
    return entries


def _from_toml(path: Path, text: str) -> list[tuple[str, Any]]:
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML ({error})", "correct the file") from error
    listed = content.get("canary")
    if set(content) != {"canary"} or not isinstance(listed, list):
        raise ConfigError(
            f"{path} holds something else than [[canary]] tables",
            "begin every canary with a line [[canary]]",
        )
    heads = [
        number
        for number, line in enumerate(text.split("\n"), start=1)
        if re.match(r"\s*\[\[\s*canary\s*\]\]", line)
    ]
    # A table's head may stand in a text of several lines; then only the canary's number is sure.
    sure = len(heads) == len(listed)
    places = (
        [f"line {n}" for n in heads] if sure else [f"canary {i + 1}" for i in range(len(listed))]
    )
    return [(f"{path}, {place}", entry) for place, entry in zip(places, listed, strict=True)]


def _to_canary(entry: Any, place: str, number: str) -> Canary:
    if not isinstance(entry, Mapping):
        raise ConfigError(f"{place}: a canary is an object", 'like {"prompt": "...", "json": true}')
    for key in entry:
        if key not in _KEYS and key not in CHECKS:
            known = ", ".join((*_KEYS, *CHECKS))
            raise ConfigError(f"{place}: unknown key {key!r}", f"known keys: {known}")
    checks = tuple((n, _wanted(n, entry[n], place)) for n in CHECKS if n in entry)
    if not checks:
        raise ConfigError(f"{place}: nothing is checked", f"add one of {', '.join(CHECKS)}")
    name = entry.get("id", number)
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{place}: id = {name!r} is no text", "write the id in quotes")
    samples = _count(entry.get("samples", 1), MAX_SAMPLES, f"{place}: samples")
    at_least = _count(entry.get("at_least", samples), samples, f"{place}: at_least")
    return Canary(name, _messages(entry.get("prompt"), place), checks, samples, at_least)


def _wanted(name: str, value: Any, place: str) -> Any:
    kind = CHECKS[name]
    values = value if kind.is_list and isinstance(value, list) else [value]
    fault = next((f for f in map(kind.fault, values) if f), "" if values else "is empty")
    if fault:
        raise ConfigError(f"{place}: {name} {fault}", f"it is {_shown(value)}")
    return tuple(values) if kind.is_list else value


def _count(value: Any, most: int, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ConfigError(f"{place} = {value!r} is no number from 1 to {most}", "correct the line")
    return value


def _messages(prompt: Any, place: str) -> tuple[Message, ...]:
    if isinstance(prompt, str) and prompt.strip():
        return ({"role": "user", "content": prompt},)
    if isinstance(prompt, list) and prompt and all(_is_message(m) for m in prompt):
        return tuple({"role": m["role"], "content": m["content"]} for m in prompt)
    raise ConfigError(
        f"{place}: prompt is neither a text nor a list of messages",
        'messages are objects like {"role": "user", "content": "..."}',
    )


def _is_message(message: Any) -> bool:
    return (
        isinstance(message, Mapping)
        and set(message) == {"role", "content"}
        and message["role"] in _ROLES
        and isinstance(message["content"], str)
    )


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
