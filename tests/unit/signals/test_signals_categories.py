"""Categories become rates of the values that a baseline had."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pytest

from loopllm_cli.drift.effects import estimate
from loopllm_cli.drift.verdict import JudgeSettings, judge, judge_status
from loopllm_cli.errors import ConfigError
from loopllm_cli.model import SignalInfo, SignalKind, Status, Verdict, Worse
from loopllm_cli.profiles.measure import measure
from loopllm_cli.profiles.segments import fit_prompts
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.catalogue import compute_signals, load_signals
from loopllm_cli.signals.categories import (
    MAX_KNOWN,
    MAX_LABEL_CHARS,
    clean_label,
    expand_categories,
    follow_categories,
)


def batch_of(labels, users=None, column="finish_reason"):
    """Make a batch of labels; every row is its own user unless said otherwise."""
    users = [f"user {i}" for i in range(len(labels))] if users is None else users
    ids = [f"row {i}" for i in range(len(labels))]
    texts = {column: labels, "user_id": users, "prompt_text": ["Why?"] * len(ids)}
    texts["interaction_id"] = ids
    return RowBatch(pa.table({name: pa.array(v, pa.string()) for name, v in texts.items()}))


def frozen(batch, name="finish_reason"):
    """Freeze one category."""
    return expand_categories(batch, load_signals(only=[name]))


def means(batch, signals):
    """Return each signal's mean over the rows where it applies."""
    numbers, failures = compute_signals(batch, signals)
    assert {} == failures
    return {n: round(float(np.nanmean(c)), 4) for n, c in zip(signals, numbers.T, strict=True)}


def test_common_values_have_lines_of_their_own_and_rare_ones_share_one():
    """Twenty users are the least; a value of one row alone counts as never seen."""
    batch = batch_of(["stop"] * 70 + ["length"] * 24 + ["error"] * 4 + ["odd", None])
    expected = {
        "finish_reason=stop": round(70 / 99, 4),
        "finish_reason=length": round(24 / 99, 4),
        "finish_reason=(other)": round(4 / 99, 4),
        "finish_reason=(new)": round(1 / 99, 4),
    }
    assert expected == means(batch, frozen(batch))


def test_a_window_is_measured_by_the_values_of_the_baseline():
    """What the baseline's file holds is enough, and it holds rare values without their text."""
    signals = frozen(batch_of(["stop"] * 80 + ["error"] * 4 + ["odd"]))
    stored = tuple(SignalInfo(**asdict(s.info)) for s in signals.values())
    followed = follow_categories(load_signals(only=["finish_reason"]), stored)
    assert [s.info for s in signals.values()] == [s.info for s in followed.values()]
    now = batch_of(["stop"] * 5 + ["error", "odd", "new one", "newer one", None, None])
    expected = {
        "finish_reason=stop": round(5 / 9, 4),
        "finish_reason=(other)": round(2 / 9, 4),
        "finish_reason=(new)": round(2 / 9, 4),
    }
    assert expected == means(now, followed)
    assert all("odd" not in level for info in stored for level in info.levels)
    assert {Worse.EITHER} == {info.worse for info in stored}


def test_a_value_of_one_user_has_no_line_of_its_own():
    """One user's habit is not the service's; without users the rows alone decide."""
    labels = ["stop"] * 20 + ["length"] * 20
    mixed = batch_of(labels, [f"user {i}" for i in range(20)] + ["user 0"] * 20)
    assert ["finish_reason=stop", "finish_reason=(other)", "finish_reason=(new)"] == list(
        frozen(mixed)
    )
    unknown = batch_of(labels, [None] * 40)
    assert "finish_reason=length" in frozen(unknown)


def test_a_label_with_endless_values_has_no_new_ones():
    """An identifier always has new values: what is not named is the rest."""
    batch = batch_of(["stop"] * 50 + [f"id {i}" for i in range(MAX_KNOWN)])
    assert ["finish_reason=stop", "finish_reason=(rest)"] == list(frozen(batch))


def test_a_category_without_labels_and_an_old_baseline_give_nothing():
    """No lines rather than empty ones."""
    assert {} == frozen(batch_of([None, None]))
    old = [SignalInfo("refusal", SignalKind.RATE, Worse.UP, 0.01, "Refusals.")]
    assert {} == follow_categories(load_signals(only=["finish_reason"]), old)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("stop", "stop"),
        ("a\x1b[31m\nb\u202e\u200b", "a [31m b"),
        ("(new)", "[new]"),
        ("", "[empty]"),
        ("\x00", "[empty]"),
        ("x" * 10_000, "x" * MAX_LABEL_CHARS),
    ],
)
def test_labels_are_log_text_and_are_cleaned(label, expected):
    """No control characters, no line breaks, no names of ours, no length."""
    assert expected == clean_label(label)


def test_what_rows_are_labelled_with():
    """The class of a status, the first tool, a language or script."""
    batch = RowBatch(pa.table({"http_status": pa.array([200, 404, None, 7], pa.int64())}))
    assert ["2xx", "4xx", None, None] == load_signals()["http_status"].labels(batch)
    call = '[{"role":"assistant","parts":[{"type":"tool_call","name":"find","arguments":{}}]}]'
    labels = load_signals()["first_tool"].labels(batch_of([call, None], column="output_messages"))
    assert ["find", None] == labels
    texts = ["The parcel is on the way to you.", "Посылка уже в пути к вам.", "{}", "42"]
    answers = batch_of(texts, column="response_text")
    assert ["en", "cyrillic", None, None] == load_signals()["answer_language"].labels(answers)


TOPIC = {"kind": "attribute", "key": "topic", "as": "category"}


def test_a_users_attribute_may_be_a_category():
    """Texts, numbers and truth values are labels; the definition is kept."""
    rows = ['{"topic": "a"}'] * 40 + ['{"topic": 3}'] * 30 + ['{"topic": true}'] * 30 + ["{}"]
    batch = batch_of(rows, column="attributes_json")
    signals = expand_categories(batch, load_signals({"topic": TOPIC}, only=["topic"]))
    expected = {"topic=a": 0.4, "topic=3": 0.3, "topic=true": 0.3, "topic=(new)": 0.0}
    assert expected == means(batch, signals)


def test_no_value_of_a_category_is_worse():
    """A category informs; a direction is a mistake in the settings."""
    with pytest.raises(ConfigError, match="worse"):
        load_signals({"topic": {**TOPIC, "worse": "up"}})


def test_labels_that_fail_say_why(tmp_path):
    """A category that cannot be computed stays, so that its reason is reported."""
    (tmp_path / "mine.py").write_text("def f(row):\n    return [row]\n")
    table = {"kind": "python", "function": "mine.py:f", "as": "category"}
    signals = load_signals({"mine": table}, only=["mine"], root=tmp_path)
    batch = batch_of(["stop"])
    _, failures = compute_signals(batch, expand_categories(batch, signals))
    assert "returned list" in failures["mine"]


def zipf_runs(n_runs, n_current, share_new=0.0):
    """Compare windows of Zipf-200 topics and count what was said of any of their values."""
    weights = 1 / np.arange(1, 201)
    signals = load_signals(only=["finish_reason"])
    degraded = changed = new = 0
    for run in range(n_runs):
        rng = np.random.default_rng((4, run))
        before, now = (
            rng.choice(200, n, p=weights / weights.sum()).astype(str) for n in (2000, n_current)
        )
        now[rng.random(n_current) < share_new] = "never seen"
        base = batch_of(before.tolist())
        model = fit_prompts(base)
        levels = expand_categories(base, signals)
        infos = tuple(s.info for s in levels.values())
        window = batch_of(now.tolist(), [f"later {i}" for i in range(n_current)])
        profiles = (
            measure(base, levels, model).profile,
            measure(window, follow_categories(signals, infos), model).profile,
        )
        found = judge(estimate(*profiles), infos, JudgeSettings())
        moved = {c.signal.name for c in found if c.verdict is Verdict.CHANGED}
        degraded += judge_status(found, JudgeSettings()) is Status.DEGRADED
        changed += bool(moved)
        new += "finish_reason=(new)" in moved
    return degraded, changed, new


def test_many_rare_values_are_no_change_and_a_common_new_one_is():
    """Values that a baseline happened to miss do not alarm; a tenth of new rows does."""
    assert (0, 0, 0) == zipf_runs(3, 500)
    assert (0, 0, 0) == zipf_runs(2, 1000, share_new=0.001)
    assert (0, 2, 2) == zipf_runs(2, 500, share_new=0.10)


@pytest.mark.slow
def test_zipf_categories_keep_quiet_in_95_of_100_clean_runs():
    """200 runs of 2,000 rows against 500."""
    degraded, changed, _ = zipf_runs(200, 500)
    assert 0 == degraded
    assert changed <= 10
