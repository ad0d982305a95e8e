"""The usual names of the usual fields, for logs that follow no vendor's shape.

Every alias is explicit; what is not named here is kept in `attributes_json`, never guessed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from loopllm_cli.errors import ConfigError
from loopllm_cli.sources.fields import (
    get_path,
    to_count,
    to_error,
    to_number,
    to_text,
    to_time,
)
from loopllm_cli.sources.rows import Origin, Row, to_json

ALIASES: dict[str, tuple[str, ...]] = {
    "prompt": ("prompt", "question", "query", "input", "user_input", "instruction"),
    "response": ("response", "answer", "output", "completion", "answer_text"),
    "messages": ("messages",),
    "id": ("id", "request_id", "interaction_id", "message_id"),
    "response_id": ("response_id",),
    "request_id": ("request_id",),
    "trace_id": ("trace_id",),
    "span_id": ("span_id",),
    "conversation_id": ("conversation_id", "session_id", "session", "thread_id", "chat_id"),
    "turn_index": ("turn_index", "turn"),
    "user_id": ("user_id", "user", "end_user"),
    "request_time": ("request_time", "timestamp", "ts", "time", "created_at", "created"),
    "model": ("model", "response_model", "model_name"),
    "request_model": ("request_model",),
    "system": ("system", "system_prompt"),
    "prompt_name": ("prompt_name",),
    "prompt_version": ("prompt_version",),
    "environment": ("environment", "deployment_environment"),
    "duration_s": ("duration_s", "latency_s"),
    "duration_ms": ("duration_ms", "latency_ms"),
    "first_chunk_s": ("time_to_first_chunk_s", "ttft_s"),
    "first_chunk_ms": ("time_to_first_token_ms", "ttft_ms"),
    "input_tokens": ("input_tokens", "prompt_tokens"),
    "output_tokens": ("output_tokens", "completion_tokens"),
    "cost_usd": ("cost_usd", "cost", "response_cost"),
    "finish_reason": ("finish_reason",),
    "error_type": ("error_type", "error"),
    "http_status": ("http_status", "status_code"),
    "temperature": ("temperature",),
    "reference_answer": ("reference_answer", "reference", "expected_answer", "ground_truth"),
    "feedback": ("feedback", "thumbs"),
    "rating": ("rating",),
    "correction": ("correction", "corrected_response"),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read from records that have the same keys: made once, used for all of them.

    `fields` holds (name, keys to look under in turn) for what the records may have.
    """

    fields: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Mapping:
    """Which key of a record holds which field.

    `columns` overrules the aliases field by field; `date_format` is a strptime format.
    """

    columns: dict[str, str] = field(default_factory=dict)
    date_format: str | None = None
    _plans: dict[tuple[str, ...], Plan] = field(default_factory=dict, compare=False, repr=False)

    def find(self, record: dict[str, Any], name: str) -> tuple[str | None, Any]:
        """Return the key that holds a field and its value; (None, None) where it is missing."""
        if name in self.columns:
            value = get_path(record, self.columns[name])
            return (self.columns[name], value) if value is not None else (None, None)
        for key in ALIASES[name]:
            if record.get(key) is not None:
                return key, record[key]
        return None, None

    def get(self, record: dict[str, Any], name: str) -> Any:
        """Return a field's value, None where it is missing."""
        return self.find(record, name)[1]

    def plan(self, record: dict[str, Any]) -> Plan:
        """Return what to read from a record with these keys."""
        keys = tuple(record)
        plan = self._plans.get(keys)
        if plan is None:
            fields = []
            for name, aliases in ALIASES.items():
                mapped = self.columns.get(name)
                there = (mapped,) if mapped else tuple(key for key in aliases if key in record)
                if there:
                    fields.append((name, there))
            plan = Plan(tuple(fields))
            if len(self._plans) < _MAX_PLANS:
                self._plans[keys] = plan
        return plan


def read_mapping(path: Path) -> Mapping:
    """Read a mapping file: TOML with `[columns] field = "key.or.dotted.path"`.

    Raises:
        ConfigError: the file cannot be read, or names a field that does not exist.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path} ({error.strerror})", "check --map") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML ({error})", "correct the file") from error
    columns = content.pop("columns", {})
    date_format = content.pop("date_format", None)
    if content or not isinstance(columns, dict) or not isinstance(date_format, str | None):
        raise ConfigError(
            f"{path} may hold only date_format and a [columns] table", "remove the other keys"
        )
    for name, key in columns.items():
        if name not in ALIASES or not isinstance(key, str):
            near = get_close_matches(name, ALIASES, n=1)
            raise ConfigError(
                f"{path} maps an unknown field {name!r}",
                f"did you mean {near[0]!r}?" if near else f"fields: {', '.join(ALIASES)}",
            )
    return Mapping(columns, date_format)


PLAIN = Mapping()


def common_values(record: dict[str, Any], origin: Origin, mapping: Mapping = PLAIN) -> Row:
    """Read the columns that any record may carry beside its messages; None where missing.

    Raises:
        BadLine: a date has two readings.
    """
    values = dict(_NOTHING)
    for name, keys in mapping.plan(record).fields:
        read = _READERS.get(name)
        if read is None:
            continue
        found = _first(record, keys)
        if found is not None:
            column = _COLUMNS.get(name, name)
            value = read(found[1]) if read is not to_time else to_time(found[1], origin.date_format)
            if value is not None and values[column] is None:
                values[column] = value
    return values


def leftovers(
    record: dict[str, Any], used: set[str], values: Row, mapping: Mapping = PLAIN
) -> str | None:
    """Serialise what no column holds, so that nothing of a record is lost.

    Args:
        used: keys that were read in another way.
        values: the columns that were read; a field that gave none of them is left over.
    """
    read = set(used)
    for name, keys in mapping.plan(record).fields:
        column = _COLUMNS.get(name, name)
        if column not in values or values[column] is not None:
            found = _first(record, keys)
            if found is not None:
                read.add(found[0] if found[0] in record else found[0].split(".")[0])
    rest = {key: value for key, value in record.items() if key not in read}
    return to_json(rest) if rest else None


def _first(record: dict[str, Any], keys: tuple[str, ...]) -> tuple[str, Any] | None:
    """Return the first key that holds something, with what it holds."""
    for key in keys:
        value = record[key] if key in record else get_path(record, key)
        if value is not None:
            return key, value
    return None


def _milliseconds(value: Any) -> float | None:
    number = to_number(value)
    return None if number is None else _seconds(number / 1000)


def _seconds(value: Any) -> float | None:
    number = to_number(value)
    return number if number is not None and number >= 0 else None


_MAX_PLANS = 4096
_COLUMNS = {
    "model": "response_model",
    "environment": "deployment_environment",
    "temperature": "request_temperature",
    "duration_ms": "duration_s",
    "first_chunk_s": "time_to_first_chunk_s",
    "first_chunk_ms": "time_to_first_chunk_s",
}
_READERS: dict[str, Callable[[Any], Any]] = {
    "request_time": to_time,
    "duration_s": _seconds,
    "duration_ms": _milliseconds,
    "first_chunk_s": _seconds,
    "first_chunk_ms": _milliseconds,
    "turn_index": to_count,
    "input_tokens": to_count,
    "output_tokens": to_count,
    "http_status": to_count,
    "cost_usd": to_number,
    "temperature": to_number,
    "error_type": to_error,
    **dict.fromkeys(
        (
            *("conversation_id", "trace_id", "span_id", "request_id", "response_id", "user_id"),
            *("request_model", "model", "prompt_name", "prompt_version", "environment"),
            "reference_answer",
        ),
        to_text,
    ),
}
_NOTHING: Row = dict.fromkeys(_COLUMNS.get(name, name) for name in _READERS)
