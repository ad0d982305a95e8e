"""What users wrote may raise, hang or die; the run goes on and says so."""

from __future__ import annotations

import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from signal_rows import answers

from loopllm_cli.errors import ConfigError
from loopllm_cli.signals.catalogue import compute_signals, load_signals
from loopllm_cli.signals.categories import expand_categories, follow_categories
from loopllm_cli.signals.limits import Stuck, Task, interrupted, run_limited
from loopllm_cli.signals.user import settle_kinds

SECONDS = 0.3
CATASTROPHE = {"kind": "regex", "pattern": "(a+)+$"}
ENDLESS = {
    "a loop": "while True:\n        pass",
    "a loop that swallows what interrupts it": (
        "while True:\n        try:\n            x = 1\n        except BaseException:\n"
        "            pass"
    ),
    "a loop in C": "import itertools\n    return sum(itertools.repeat(1))",
    "sleep": "import time\n    time.sleep(1000)",
}


def user_signals(tmp_path, seconds=SECONDS, **bodies):
    """Load users' functions of the given bodies, with one built-in signal and a good one."""
    bodies = {**bodies, "good": "return len(row['response_text'])"}
    for name, body in bodies.items():
        (tmp_path / f"{name}.py").write_text(f"def f(row):\n    {body}\n")
    tables = {name: {"kind": "python", "function": f"{name}.py:f"} for name in bodies}
    names = [*bodies, "response_chars"]
    return load_signals(tables, only=names, root=tmp_path, seconds=seconds)


@pytest.mark.parametrize("body", ENDLESS.values(), ids=ENDLESS)
def test_a_function_without_an_end_costs_its_own_signal_only(tmp_path, body):
    """After its time it is missing with a reason; those before and after it are judged."""
    signals = user_signals(tmp_path, stuck=body, also="return 1")
    started = time.monotonic()
    numbers, failures = compute_signals(answers("abc", "de"), signals)
    assert time.monotonic() - started < SECONDS + 5
    expected = {"stuck": "took longer than 0.3 s"}
    assert expected == failures
    nan = float("nan")
    np.testing.assert_equal(numbers, [[nan, 1, 3, 3], [nan, 1, 2, 2]])


def test_a_pattern_that_backtracks_for_ever_is_ended():
    """The row that does it costs the signal, not the night."""
    signals = load_signals({"mine": CATASTROPHE}, only=["mine", "refusal"], seconds=SECONDS)
    numbers, failures = compute_signals(answers("a" * 50 + "!", "a"), signals)
    assert {"mine": "took longer than 0.3 s"} == failures
    np.testing.assert_equal(numbers, [[float("nan"), 0], [float("nan"), 0]])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("import os; os._exit(3)", "its process ended early"),
        ("raise SystemExit(4)", "its process ended early"),
        ("raise KeyboardInterrupt", "its process ended early"),
        ("raise ValueError('no ' + 'x' * 1000)", "ValueError: no xxx"),
        ("return (x for x in 'ab')", "TypeError: returned generator"),
        ("return row", "TypeError: returned dict"),
        ("return 1 + 2j", "TypeError: returned complex"),
    ],
)
def test_a_function_that_dies_or_misbehaves_says_how(tmp_path, body, reason):
    """Every end is a reason of one line."""
    _, failures = compute_signals(answers("abc"), user_signals(tmp_path, bad=body))
    assert ["bad"] == list(failures)
    assert failures["bad"].startswith(reason)
    assert len(failures["bad"]) <= 300


def test_a_plug_in_of_the_wrong_shape_says_so():
    """A column of another length, or of more dimensions, is refused."""
    one = load_signals(only=["response_chars"])["response_chars"]
    for returned, said in ((np.ones(3), "shape (3,)"), (np.ones((2, 2)), "shape (2, 2)")):
        bad = replace(one, compute=lambda batch, r=returned: r, user_defined=True, seconds=9.0)
        _, failures = compute_signals(answers("a", "b"), {"bad": bad})
        assert f"ValueError: {said} instead of (2,)" == failures["bad"]


def test_settling_kinds_and_freezing_categories_do_not_hang_either(tmp_path):
    """A hanging signal keeps its kind; a hanging category is measured once, not once a value."""
    signals = user_signals(tmp_path, stuck=ENDLESS["a loop"])
    assert signals["stuck"] == settle_kinds(answers("a"), signals)["stuck"]
    (tmp_path / "topic.py").write_text(
        "def f(row):\n    while row['response_text'] == 'bad':\n        pass\n    return 'x'\n"
    )
    table = {"topic": {"kind": "python", "function": "topic.py:f", "as": "category"}}
    category = load_signals(table, only=["topic"], root=tmp_path, seconds=SECONDS)
    frozen = [s.info for s in expand_categories(answers(*["a"] * 25), category).values()]
    assert ["topic=x", "topic=(new)"] == [info.name for info in frozen]
    started = time.monotonic()
    _, failures = compute_signals(answers("bad"), follow_categories(category, frozen))
    assert ["topic=x", "topic=(new)"] == list(failures)
    assert time.monotonic() - started < 2 * SECONDS + 2


def test_no_child_is_left_behind():
    """Children are ended and waited for, also those that hang."""
    if not Path("/proc/self/task").is_dir():
        pytest.skip("needs a list of processes")
    before = children()
    run_limited([Task("a", lambda: time.sleep(100), 0.05), Task("b", lambda: 1, 5.0)])
    assert before == children()


def children() -> set[str]:
    """Return the ids of this process's children, those not waited for included."""
    lists = Path("/proc/self/task").glob("*/children")
    return {number for each in lists for number in each.read_text().split()}


def test_large_results_come_back_whole():
    """More than a pipe holds at once."""
    done, failures = run_limited([Task("a", lambda: np.arange(500_000.0), 30.0)])
    np.testing.assert_array_equal(done["a"], np.arange(500_000.0))
    assert {} == failures


def test_importing_a_module_that_hangs_is_an_error(tmp_path):
    """The settings name a file that cannot be imported."""
    (tmp_path / "slow.py").write_text("while True:\n    pass\n")
    table = {"mine": {"kind": "python", "function": "slow.py:f"}}
    with pytest.raises(ConfigError, match=r"took longer than 0\.3 s"):
        load_signals(table, root=tmp_path, seconds=SECONDS)


def swallow_the_first():
    """Sleep on after an interruption."""
    try:
        time.sleep(5)
    except Stuck:
        time.sleep(5)


def test_an_interruption_rings_again_and_then_no_more():
    """Code that swallows the first one meets the second; afterwards no alarm is left."""
    with pytest.raises(Stuck), interrupted(0.05, "it"):
        swallow_the_first()
    expected = (0.0, 0.0)
    assert expected == signal.getitimer(signal.ITIMER_REAL)


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), float("inf")])
def test_a_time_limit_is_above_zero(seconds):
    """The settings' error names the key."""
    with pytest.raises(ConfigError, match="signal_seconds"):
        load_signals({"mine": CATASTROPHE}, seconds=seconds)
