"""OpenAI's files for fine-tuning on preferences: one prompt, a preferred and another answer.

Source: https://platform.openai.com/docs/guides/direct-preference-optimization
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.openai_chat import read_request
from loopllm_cli.sources.payloads.pieces import leftover
from loopllm_cli.sources.payloads.preference import Side, Verdict, compared, read_side
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Row, digest
from loopllm_cli.sources.wrapped import known

NAME = "openai_dpo"


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record holds a preferred and another output."""
    return "preferred_output" in record and "non_preferred_output" in record


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one pair into two rows and their comparison; who preferred it is not known.

    Raises:
        BadLine: the input or an output is malformed.
    """
    asked = record.get("input")
    request = read_request(asked) if isinstance(asked, dict) else None
    if request is None or not isinstance(asked, dict):
        raise BadLine("no prompt")
    values: Row = known(request.values)
    values["attributes_json"] = leftover(asked, {"messages", "tools", "model"})
    sides = []
    for key in ("preferred_output", "non_preferred_output"):
        side = _side(request.messages, record[key])
        side.values.update(values)
        sides.append(side)
    # The file gives no ids: a line is known by what it holds.
    native_id = digest(asked, record["preferred_output"], record["non_preferred_output"])
    return compared(origin, NAME, sides, Verdict(0, {"annotator_kind": "UNKNOWN"}), native_id)


def _side(inputs: list[dict[str, Any]], output: Any) -> Side:
    if not isinstance(output, list) or len(output) != 1 or not isinstance(output[0], dict):
        raise BadLine("an output that is not one message")
    return read_side(inputs, {"role": "assistant", **output[0]})


FORMAT = Format(
    NAME,
    "OpenAI preference fine-tuning files",
    "a preferred and a non-preferred output",
    Rank.DATASET,
    recognises,
    decode,
)
