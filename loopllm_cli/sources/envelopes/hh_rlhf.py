"""Preferences as two transcripts with "Human:" and "Assistant:" (hh-rlhf).

Both transcripts are the same up to their last answer; where they part earlier, the preference is
about more than an answer and is not made a comparison.

Source: https://huggingface.co/datasets/Anthropic/hh-rlhf
"""

from __future__ import annotations

import re
from typing import Any

from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.preference import Side, Verdict, compared
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, text_message, to_json

NAME = "hh_rlhf"
_SPEAKER = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record holds two transcripts and no prompt apart from them."""
    return "prompt" not in record and all(
        isinstance(text, str) and text.lstrip()[:6] == "Human:" and "\n\nAssistant:" in text
        for text in (record.get("chosen"), record.get("rejected"))
    )


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one preference into two rows and their comparison.

    Raises:
        BadLine: a transcript is none, or does not end with the assistant.
    """
    sides = [_side(record.get(name)) for name in ("chosen", "rejected")]
    rest = {k: v for k, v in record.items() if k not in ("chosen", "rejected") and v is not None}
    for side in sides:
        side.values = {"attributes_json": to_json(rest) if rest else None}
    return compared(origin, NAME, sides, Verdict(0, {"annotator_kind": "HUMAN"}))


def _side(transcript: Any) -> Side:
    if not isinstance(transcript, str):
        raise BadLine("a transcript that is no text")
    before, *pieces = _SPEAKER.split("\n\n" + transcript.lstrip())
    if before.strip() or not pieces:
        raise BadLine("a transcript that does not start with a speaker")
    turns = zip(pieces[::2], pieces[1::2], strict=True)
    *inputs, output = [text_message(_ROLES[who], text.strip()) for who, text in turns]
    if output["role"] != "assistant" or not inputs:
        raise BadLine("a transcript that does not end with an answer")
    return Side(inputs, output)


FORMAT = Format(
    NAME,
    "hh-rlhf preferences",
    "two transcripts with `Human:` and `Assistant:`",
    Rank.DATASET,
    recognises,
    decode,
)
