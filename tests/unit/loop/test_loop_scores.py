"""How answers drawn from a model are scored: rates, amounts, known right answers, segments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopllm_cli.config import Config
from loopllm_cli.errors import ConfigError
from loopllm_cli.loop.drawn_scores import (
    Ranker,
    Scores,
    failing_rankers,
    named_rankers,
    score_answers,
)
from loopllm_cli.loop.judged_rows import RIGHT, Failing
from loopllm_cli.model import SignalInfo, SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.catalogue import load_signals
from loopllm_cli.signals.registry import Signal
from loopllm_cli.store.project import Project

SIGNALS = load_signals()


def rows(*answers: tuple[str, str | None]) -> RowBatch:
    """Return answers with their right answers, where these are known."""
    texts, references = zip(*answers, strict=True)
    return RowBatch(pa.table({"response_text": texts, "reference_answer": pa.array(references)}))


def amount(worse: Worse, compute: Callable[[RowBatch], FloatArray]) -> Signal:
    """Return a signal that counts something, with a tolerance of a tenth."""
    info = SignalInfo("amount", SignalKind.AMOUNT, worse, 0.1, "An amount.")
    return Signal(info, compute)


def words(batch: RowBatch) -> FloatArray:
    """Count words; of an empty answer none are known."""
    return np.array([len((t or "").split()) or np.nan for t in batch.responses], dtype=float)


def scored(batch: RowBatch, sizes: list[int], **rankers: Ranker) -> Scores:
    """Score answers in one segment."""
    return score_answers(batch, rankers, ["refund"] * len(batch), sizes)


FAILED = {"refund": frozenset({"refusal"}), "track": frozenset[str]()}
REFUSED = "I'm sorry, but I cannot help with that."


def test_a_rate_is_good_or_bad_and_says_so() -> None:
    found = scored(rows((REFUSED, None), ("Done.", None)), [2], refusal=Ranker(SIGNALS["refusal"]))
    assert [0.0, 1.0] == found.values.tolist()
    assert [("refusal",), ()] == found.bad


def test_a_known_right_answer_decides_alone() -> None:
    batch = rows(("yes", "yes"), ("no", "yes"), ("no", None))
    rankers = {RIGHT: Ranker(SIGNALS[RIGHT]), "refusal": Ranker(SIGNALS["refusal"])}
    found = scored(batch, [2, 1], **rankers)
    assert [1.0, 0.0, 1.0] == found.values.tolist()
    assert [True, True, False] == found.is_known.tolist()


@pytest.mark.parametrize(
    ("worse", "expected"), [(Worse.UP, [1, 0, 0.5]), (Worse.DOWN, [0, 1, 0.5])]
)
def test_an_amount_lies_between_the_worst_and_the_best_answer_to_its_prompt(
    worse: Worse, expected: list[float]
) -> None:
    batch = rows(("one", None), ("one two three four five", None), ("one two three", None))
    found = scored(batch, [3], length=Ranker(amount(worse, words)))
    assert expected == found.values.tolist()


def test_amounts_within_the_tolerance_and_unknown_ones_tell_nothing() -> None:
    long = " ".join(["word"] * 100)
    batch = rows((long, None), (f"{long} more", None), ("one two", None), ("", None), ("", None))
    found = scored(batch, [2, 2, 1], length=Ranker(amount(Worse.UP, words)))
    assert [0.5, 0.5, 0.5] == found.values[:3].tolist()
    assert np.isnan(found.values[3:]).all()


def test_a_signal_counts_where_it_got_worse_only() -> None:
    batch = rows((REFUSED, None), (REFUSED, None))
    only = {"refusal": Ranker(SIGNALS["refusal"], frozenset({"refund"}))}
    found = score_answers(batch, only, ["refund", "track"], [1, 1])
    assert (0.0, True) == (found.values[0], bool(np.isnan(found.values[1])))


def test_no_answers_give_no_scores() -> None:
    empty = RowBatch(pa.table({"response_text": pa.array([], pa.string())}))
    assert 0 == len(score_answers(empty, {"refusal": Ranker(SIGNALS["refusal"])}, [], []).values)


def test_the_drifts_signals_rank_where_they_failed_and_right_answers_everywhere() -> None:
    signals = {"refusal": SIGNALS["refusal"], RIGHT: SIGNALS[RIGHT]}
    rankers = failing_rankers(Failing(FAILED, signals))
    assert (True, False) == tuple(rankers["refusal"].counts_in(s) for s in ("refund", "track"))
    assert rankers[RIGHT].counts_in("track")


@pytest.mark.parametrize(
    ("name", "why"), [("refusals", "names no signal: refusals"), ("link", "neither more nor less")]
)
def test_what_cannot_rank_is_refused(project_dir: Any, name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        named_rankers(Project(project_dir), Config(), [name], Failing({}, {}))


def test_a_users_own_signal_ranks_beside_known_right_answers(project_dir: Any) -> None:
    tone = {"kind": "regex", "pattern": "[Rr]egards", "worse": "down"}
    failing = Failing(FAILED, {"refusal": SIGNALS["refusal"]}, {"refund": frozenset({"refusal"})})
    config = Config(signals={"tone": tone})
    rankers = named_rankers(Project(project_dir), config, ["tone"], failing)
    assert ["tone", RIGHT, "refusal"] == list(rankers)
    batch = rows(("Done. Kind regards", None), ("Done.", None), (f"{REFUSED} Regards", None))
    found = scored(batch, [3], **rankers)
    assert [1.0, 0.0, 1.0] == found.values.tolist()
    assert [False, False, True] == found.is_odd.tolist()


def test_what_nearly_all_of_the_baselines_answers_were_is_asked_of_a_model_answer() -> None:
    """It ranks nothing; a known right answer may be as it likes."""
    usual = Ranker(SIGNALS["json_answer"], frozenset(), frozenset({"refund"}))
    rankers = {"json_answer": usual, RIGHT: Ranker(SIGNALS[RIGHT])}
    batch = rows(('{"a": 1}', None), ("Done.", None), ("yes", "yes"))
    found = scored(batch, [2, 1], **rankers)
    assert [False, True, False] == found.is_odd.tolist()
    assert np.isnan(found.values[:2]).all()


def test_a_users_signal_that_fails_ranks_nothing_and_is_named() -> None:
    def broken(batch: RowBatch) -> FloatArray:
        raise ValueError("no such thing")

    info = SignalInfo("mine", SignalKind.RATE, Worse.UP, 0.01, "Mine.")
    found = scored(rows(("a", None)), [1], mine=Ranker(Signal(info, broken, user_defined=True)))
    assert {"mine"} == found.failures.keys()
    assert np.isnan(found.values).all()
