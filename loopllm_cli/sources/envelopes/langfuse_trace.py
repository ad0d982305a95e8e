"""Whole traces of Langfuse: "Download JSON" of the interface, and `GET traces/{id}` of the API.

Source: https://api.reference.langfuse.com (Trace) ; traces in langfuse/langfuse's fixtures
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.envelopes.langfuse_observation import skip_reason
from loopllm_cli.sources.envelopes.langfuse_score import decode_all
from loopllm_cli.sources.fields import to_text
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.langfuse import snake, to_rows
from loopllm_cli.sources.payloads.pieces import text_of_value
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Record

NAME = "langfuse_trace"
_NOTHING: tuple[Any, ...] = (None, "", "null", {}, [])


def recognises(record: Record) -> bool:
    """Return whether a record is a trace with its observations."""
    observations = record.get("observations")
    if not isinstance(observations, list):
        return False
    if isinstance(record.get("trace"), dict):
        return True
    whole = all(isinstance(item, dict) for item in observations)
    return whole and "timestamp" in record and "id" in record and "scores" in record


def decode(record: Record, origin: Origin) -> Decoded:
    """Decode one trace: its generations (or its root), scores and corrections.

    Raises:
        BadLine: an observation has no id, or a score has no value.
    """
    trace = record.get("trace") if isinstance(record.get("trace"), dict) else record
    trace = snake(trace if isinstance(trace, dict) else {})
    trace_id = text_of_value(trace.get("id"))
    if trace_id is None:
        raise BadLine("a trace without an id")
    observations = _observations(record, trace)
    found = Decoded()
    for observation in observations.values():
        reason = skip_reason(observation)
        if reason:
            found.skipped.append(reason)
            continue
        rows = to_rows(observation, trace, origin, is_joined=True)
        if _is_inside_generation(observation, observations):
            # A library's call inside a framework's: the outer one is what was shown.
            for row in rows:
                row["is_visible"] = False
        found.interactions += rows
    if not found.interactions:
        _add_root(found, trace, observations, origin)
    for name in ("scores", "corrections"):
        found.feedback += decode_all(trace.get(name), origin, trace_id)
    if not (found.interactions or found.feedback or found.skipped):
        found.skipped.append("trace without content")
    return found


def _observations(record: Record, trace: Record) -> dict[str, Record]:
    """Return the observations by id: a download has the same ones twice."""
    found: dict[str, Record] = {}
    for items in (record.get("observations"), trace.get("observations")):
        for item in items if isinstance(items, list) else []:
            if not isinstance(item, dict):
                raise BadLine("an observation that is no object")
            observation = snake(item)
            native_id = text_of_value(observation.get("id"))
            if native_id is None:
                raise BadLine("an observation without an id")
            found.setdefault(native_id, observation)
    return found


def _is_inside_generation(observation: Record, observations: dict[str, Record]) -> bool:
    seen = set()
    parent = to_text(observation.get("parent_observation_id"))
    while parent in observations and parent not in seen:
        seen.add(parent)
        above = observations[parent]
        if skip_reason(above) is None:
            return True
        parent = to_text(above.get("parent_observation_id"))
    return False


def _add_root(
    found: Decoded, trace: Record, observations: dict[str, Record], origin: Origin
) -> None:
    """Add the outermost span that was given something and answered it, where no model was logged.

    A trace without observations may have an input and an output itself.
    """
    for observation in observations.values():
        parent = text_of_value(observation.get("parent_observation_id"))
        kind = to_text(observation.get("type"))
        if parent in observations or kind not in ("AGENT", "SPAN", "CHAIN"):
            continue
        if not _has_sides(observation):
            continue
        reason = skip_reason(observation)
        found.interactions += to_rows(observation, trace, origin, is_joined=True)
        if reason in found.skipped:
            found.skipped.remove(reason)
        break
    else:
        if not observations and _has_sides(trace):
            own = {**trace, "trace_id": trace.get("id"), "start_time": trace.get("timestamp")}
            own["parent_observation_id"] = None
            for row in to_rows(own, trace, origin, is_joined=True):
                found.interactions.append({**row, "span_id": None})
    for row in found.interactions:
        row["operation_name"] = "invoke_agent"


def _has_sides(record: Record) -> bool:
    return record.get("input") not in _NOTHING and record.get("output") not in _NOTHING


FORMAT = Format(
    NAME,
    "Langfuse traces",
    "a trace with its observations",
    Rank.ENVELOPE,
    recognises,
    decode,
)
