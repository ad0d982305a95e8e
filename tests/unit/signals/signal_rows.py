"""Rows for the tests of signals: batches from texts and columns, and the public test data."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.catalogue import load_signals

DATA = Path(__file__).parents[3].parent / "shared" / "data"

TYPES = {
    "prompt_text": pa.string(),
    "response_text": pa.string(),
    "content_state": pa.string(),
    "finish_reason": pa.string(),
    "error_type": pa.string(),
    "reference_answer": pa.string(),
    "attributes_json": pa.string(),
}


def batch_of(**columns: list[Any]) -> RowBatch:
    """Make a batch from canonical columns."""
    names = {
        name: pa.array(values, TYPES.get(name, pa.float64())) for name, values in columns.items()
    }
    return RowBatch(pa.table(names))


def answers(*texts: str | None) -> RowBatch:
    """Make a batch of answers, logged in full."""
    return batch_of(response_text=list(texts), content_state=["full"] * len(texts))


def measure(name: str, batch: RowBatch) -> FloatArray:
    """Compute one built-in signal."""
    return load_signals()[name].compute(batch)


def one(name: str, text: str | None) -> float:
    """Compute one built-in signal on one answer."""
    return float(measure(name, answers(text))[0])


def read_public(name: str) -> list[dict[str, Any]]:
    """Read a file of the public test data, or skip where it is absent."""
    path = DATA / f"{name}.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"no public test data at {path.parent}")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
