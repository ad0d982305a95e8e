"""Both sides of pairs as rows that signals can measure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loopllm_cli.model import Message, Pair
from loopllm_cli.pairs.audit.texts import last_asked
from loopllm_cli.pairs.chat import said
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.catalogue import compute_signals
from loopllm_cli.signals.registry import Signal

FloatArray = npt.NDArray[np.float64]
_COLUMNS = (
    *("interaction_id", "user_id", "conversation_id", "prompt_hash", "prompt_text"),
    *("input_messages", "response_text", "content_state", "finish_reason", "tool_definitions"),
)


def measure_sides(
    pairs: Sequence[Pair], signals: Mapping[str, Signal]
) -> tuple[FloatArray, FloatArray]:
    """Measure chosen and rejected sides; only what the answers themselves show.

    Returns:
        Two arrays of shape (n_pairs, n_signals), NaN where a signal does not apply.
    """
    chosen = compute_signals(_batch(pairs, [pair.chosen for pair in pairs]), signals)[0]
    rejected = compute_signals(_batch(pairs, [pair.rejected for pair in pairs]), signals)[0]
    return chosen, rejected


def _batch(pairs: Sequence[Pair], answers: Sequence[str]) -> RowBatch:
    rows = [
        {
            "interaction_id": pair.pair_id,
            "user_id": pair.user_id,
            "conversation_id": pair.conversation_id,
            "prompt_hash": pair.prompt_hash,
            "prompt_text": _encodable(last_asked(pair.prompt)),
            "input_messages": _stored(pair.prompt),
            "response_text": _encodable(answer),
            "content_state": "full",
            "finish_reason": "stop",
            "tool_definitions": None if pair.tools is None else _encodable(pair.tools),
        }
        for pair, answer in zip(pairs, answers, strict=True)
    ]
    schema = pa.schema([(name, pa.string()) for name in _COLUMNS])
    return RowBatch(pa.Table.from_pylist(rows, schema=schema))


def _encodable(text: str) -> str:
    """Replace halves of characters, which no table holds."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _stored(prompt: tuple[Message, ...]) -> str:
    """Lay out a context as the store does."""
    return json.dumps(
        [
            {
                "role": str(m.get("role")),
                "parts": [{"type": "text", "content": _encodable(said(m))}],
            }
            for m in prompt
        ]
    )
