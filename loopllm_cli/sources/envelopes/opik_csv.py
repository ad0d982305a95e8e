"""Opik's CSV export, whose cells are Python's `repr` of dicts, not JSON.

A trace has one line per span, each with the trace's input and output.

Source: sdks/python/src/opik/cli/exports in github.com/comet-ml/opik
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import as_json
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.opik import to_rows
from loopllm_cli.sources.python_repr import from_python_repr
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Record

NAME = "opik_csv"


def recognises(record: Record) -> bool:
    """Return whether a record is one line of the export."""
    return "trace_id" in record and "trace_input" in record and "trace_output" in record


def decode(record: Record, origin: Origin) -> Decoded:
    """Decode one line into the row of its trace, or of its span where that is a model's.

    Raises:
        BadLine: it has no id.
    """
    trace = _columns(record, "trace_")
    span = _columns(record, "span_")
    if span.get("type") == "llm" and span.get("id") and span.get("input"):
        return Decoded(to_rows(span, trace, origin))
    if trace.get("id") in (None, ""):
        raise BadLine("a trace without an id")
    if not trace.get("input") or not trace.get("output"):
        return Decoded(skipped=["trace without an answer"])
    return Decoded(to_rows(trace, trace, origin))


def _columns(record: Record, prefix: str) -> dict[str, Any]:
    return {
        key.removeprefix(prefix): from_python_repr(as_json(value))
        for key, value in record.items()
        if isinstance(key, str) and key.startswith(prefix) and value not in (None, "", "None")
    }


FORMAT = Format(
    NAME,
    "Opik traces (CSV)",
    "trace_input beside trace_output",
    Rank.ENVELOPE,
    recognises,
    decode,
)
