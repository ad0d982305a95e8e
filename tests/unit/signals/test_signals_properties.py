"""What holds for every signal on any rows, and on texts made to break programs."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loopllm_cli.model import SignalKind
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.catalogue import compute_signals, load_signals

SIGNALS = load_signals()
PIECES = st.sampled_from(
    ["I can't help ", "sorry, ", "```python\n", "```\n", '{"a": ', "}", "[1, ", "no " * 30, "- a\n",
     "?", "def f(x):\n", "é", "你好", "п", "\x00", "answer: ", "**yes**", "https://", "\n", "~~~"]
)  # fmt: skip
TEXTS = st.none() | st.text(max_size=40) | st.lists(PIECES, max_size=8).map("".join)
NUMBERS = st.none() | st.floats(width=32) | st.integers(-3, 5).map(float)
ROW = st.fixed_dictionaries(
    {
        "prompt_text": TEXTS,
        "response_text": TEXTS,
        "reference_answer": TEXTS,
        "content_state": st.sampled_from([None, "full", "truncated"]),
        "finish_reason": st.sampled_from([None, "stop", "length", "error", "tool_call"]),
        "error_type": st.sampled_from([None, "timeout"]),
        "duration_s": NUMBERS,
        "cost_usd": NUMBERS,
        "n_tool_calls": st.none() | st.integers(0, 3).map(float),
        "polarity": st.sampled_from([None, -1.0, 0.0, 1.0]),
        "rating": NUMBERS,
    }
)
SCHEMA = pa.schema(
    [
        (name, pa.string() if name.endswith(("text", "answer", "state", "reason", "type"))
         else pa.float64())
        for name in (
            "prompt_text", "response_text", "reference_answer", "content_state", "finish_reason",
            "error_type", "duration_s", "cost_usd", "n_tool_calls", "polarity", "rating",
        )
    ]
)  # fmt: skip


def table_of(rows):
    """Make a table of generated rows."""
    return pa.Table.from_pylist(rows, schema=SCHEMA)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(ROW, max_size=5))
def test_every_number_fits_its_kind(rows):
    """Rates are 0, 1 or missing; amounts are finite, not negative, or missing."""
    numbers, failures = compute_signals(RowBatch(table_of(rows)), SIGNALS)
    assert ((len(rows), len(SIGNALS)), {}) == (numbers.shape, failures)
    for name, column in zip(SIGNALS, numbers.T, strict=True):
        known = column[~np.isnan(column)]
        if SIGNALS[name].info.kind is SignalKind.RATE:
            assert np.isin(known, (0.0, 1.0)).all(), name
        else:
            assert (np.isfinite(known) & (known >= 0)).all(), name


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(first=st.lists(ROW, max_size=3), second=st.lists(ROW, max_size=3))
def test_rows_give_the_same_numbers_in_any_batch(first, second):
    """Computing on all rows equals computing on parts."""
    whole, _ = compute_signals(RowBatch(table_of(first + second)), SIGNALS)
    parts = [compute_signals(RowBatch(table_of(rows)), SIGNALS)[0] for rows in (first, second)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


class Texts(RowBatch):
    """A batch of answers that Arrow itself could not hold, such as lone surrogates."""

    def __init__(self, *texts: str) -> None:
        super().__init__(pa.table({"row": list(range(len(texts)))}))
        for column in ("response_text", "prompt_text", "reference_answer"):
            self._lists[column] = list(texts)


N = 1_000_000
HOSTILE = {
    "one letter": "a" * N,
    "blanks": " " * N,
    "newlines": "\n" * N,
    "backticks": "`" * N,
    "fences": "```\na\n```\n" * (N // 10),
    "open fences": "```json\n" * (N // 8),
    "fence and blanks": "```" + " " * N + "`",
    "brackets": "[" * N,
    "braces": "{" * N,
    "quoted keys": '{"' * (N // 2),
    "bullets": "- " * (N // 2),
    "list lines": "- \n" * (N // 3),
    "stars": "*" * N,
    "apostrophes": "'" * N,
    "curly": "’" * N,
    "refusal words": "i can't not " * (N // 12),
    "while i": "while i cannot " * (N // 15),
    "answers": "answer is " * (N // 10),
    "answer quotes": 'answer: "' * (N // 9),
    "han": "哈" * N,
    "surrogates": "\ud800" * N,
    "nul": "\x00" * N,
    "class": "```\nclass " + "a" * 49_000 + "\n```",
    "def": "```\n" + "def a(" * 8_000 + "\n```",
    "for": "```\nfor " + "a, " * 16_000 + "\n```",
    "deep python": "```python\n" + "(" * 49_000 + "\n```",
    "deep json": '{"a":' * (N // 5),
    "questions": "?" * N,
    "quotes": '"' * N,
    "links": "://" * (N // 3),
    "attributes": "a.b." * (N // 4),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_megabyte_takes_linear_time(name):
    """No text makes a signal raise or crawl."""
    batch = Texts(HOSTILE[name])
    started = time.process_time()
    numbers, _ = compute_signals(batch, SIGNALS)
    assert (1, len(SIGNALS)) == numbers.shape
    assert time.process_time() - started < 3


def test_no_rows_give_no_numbers():
    """An empty batch has a column for every signal."""
    numbers, failures = compute_signals(RowBatch(table_of([])), SIGNALS)
    assert ((0, len(SIGNALS)), {}) == (numbers.shape, failures)
