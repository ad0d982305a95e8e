"""Fields that the log lacks are signals of their own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from signal_rows import batch_of, measure

from loopllm_cli.drift.effects import estimate
from loopllm_cli.drift.verdict import JudgeSettings, judge
from loopllm_cli.model import Verdict
from loopllm_cli.profiles.clusters import to_buckets
from loopllm_cli.profiles.profile import build_profile
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.catalogue import load_signals
from loopllm_cli.signals.missing import FIELDS


@pytest.mark.parametrize("name", FIELDS)
def test_a_missing_value_is_a_one(name):
    """Rows without the field, where the store has a column for it."""
    column = FIELDS[name][0]
    there = "x" if column in ("finish_reason", "user_id", "conversation_id") else 1.0
    kind = pa.string() if isinstance(there, str) else pa.float64()
    batch = RowBatch(pa.table({column: pa.array([there, None], kind)}))
    assert [0.0, 1.0] == measure(name, batch).tolist()
    np.testing.assert_equal(measure(name, batch_of(prompt_text=["a"])), [np.nan])


def decide(before, after):
    """Judge the missing token counts of two windows of one row per user."""
    one = load_signals()["output_tokens_missing"]
    profiles = []
    for place, numbers in enumerate((before, after)):
        values = one.compute(batch_of(output_tokens=numbers))[:, None]
        buckets = to_buckets([f"user {place} {i}" for i in range(len(values))])
        nowhere = np.zeros(len(values), dtype=np.int64)
        profiles.append(build_profile((one.info.name,), values, nowhere, buckets, 1))
    return judge(estimate(*profiles), (one.info,), JudgeSettings())[0].verdict


def test_one_missing_value_in_ten_is_seen_in_500_rows():
    """From none to a tenth is worse; a field that is never there costs nothing."""
    full, holes = [5.0] * 2000, ([5.0] * 9 + [None]) * 50
    assert Verdict.WORSE is decide(full, holes)
    assert Verdict.UNCHANGED is decide(full, full[:500])
    assert Verdict.UNCHANGED is decide([None] * 2000, [None] * 500)
