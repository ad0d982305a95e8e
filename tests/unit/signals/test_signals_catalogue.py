"""Loading signals, the user's own signals, and computing them all."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from signal_rows import answers, batch_of

from loopllm_cli.errors import ConfigError
from loopllm_cli.model import SignalKind, Worse
from loopllm_cli.signals.catalogue import compute_signals, load_signals
from loopllm_cli.signals.registry import BUILT_IN, signal
from loopllm_cli.signals.user import settle_kinds

NAN = float("nan")
REGEX = {"kind": "regex", "pattern": "refund"}


def compute(config, batch, **options):
    """Compute one user signal and return its column and the failures."""
    signals = load_signals({"mine": config}, only=["mine"], **options)
    numbers, failures = compute_signals(batch, signals)
    return numbers[:, 0].tolist(), failures


def test_every_built_in_signal_explains_itself():
    """A definition is one sentence, a tolerance a number between 0 and 1."""
    infos = [one.info for one in load_signals().values()]
    assert all(info.definition.endswith(".") or ")." in info.definition for info in infos)
    assert all(0 < info.tolerance < 1 for info in infos)
    assert all(info.tolerance_source == "default" for info in infos)
    assert len(infos) >= 50


def test_every_built_in_signal_says_what_it_cannot_see():
    """After the definition comes a paragraph on blind spots."""
    silent = [
        name
        for name, one in BUILT_IN.items()
        if "\n\n    Blind spots: " not in str((one.labels or one.compute).__doc__)
    ]
    assert [] == silent


def test_a_name_is_registered_once():
    """Two signals of one name are a mistake in the program."""
    with pytest.raises(ValueError, match="registered twice"):
        signal("refusal", SignalKind.RATE, Worse.UP, 0.1)(BUILT_IN["refusal"].compute)


def test_a_tolerance_from_the_configuration_says_so():
    """An override replaces the number and its source, and nothing else."""
    info = load_signals(tolerances={"refusal": 0.05})["refusal"].info
    expected = (0.05, "config")
    assert expected == (info.tolerance, info.tolerance_source)
    expected = (0.01, "default")
    untouched = BUILT_IN["refusal"].info
    assert expected == (untouched.tolerance, untouched.tolerance_source)


def test_only_the_named_signals_are_kept_in_their_order():
    """A selection is the caller's order."""
    expected = ["latency", "refusal"]
    assert expected == list(load_signals(only=expected))


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"only": ["refusals"]}, "'refusals'", "'refusal'"),
        ({"tolerances": {"latancy": 0.1}}, "'latancy'", "'latency'"),
        ({"tolerances": {"refusal": 0}}, "0", "above 0"),
        ({"tolerances": {"refusal": True}}, "True", "above 0"),
        ({"tolerances": {"refusal": 5}}, "5", "0.01"),
        ({"user_config": {"refusal": REGEX}}, "built-in", "own"),
        ({"user_config": {"My Signal": REGEX}}, "'My Signal'", "lower-case"),
        ({"user_config": {"mine": {**REGEX, "patern": "x"}}}, "'patern'", "'pattern'"),
        ({"user_config": {"mine": {**REGEX, "key": "x"}}}, "'key'", "known"),
        ({"user_config": {"mine": {"kind": "regx"}}}, "'regx'", "regex"),
        ({"user_config": {"mine": {}}}, "kind is missing", "regex"),
        ({"user_config": {"mine": {"kind": "regex"}}}, "pattern is missing", "text"),
        ({"user_config": {"mine": {**REGEX, "pattern": "("}}}, "regular expression", "quotes"),
        ({"user_config": {"mine": {**REGEX, "target": "user"}}}, "'user'", "prompt"),
        ({"user_config": {"mine": {**REGEX, "worse": "left"}}}, "'left'", "either"),
        ({"user_config": {"mine": {**REGEX, "tolerance": "1%"}}}, "'1%'", "above 0"),
        ({"user_config": {"mine": {**REGEX, "ignore_case": 1}}}, "ignore_case", "true"),
        ({"user_config": {"mine": "refund"}}, "not a table", "[signals.mine]"),
        ({"user_config": {"mine": {"kind": "attribute", "key": 3}}}, "3", "text"),
        ({"user_config": {"mine": {"kind": "python", "function": "x"}}}, "no function", "module"),
        ({"user_config": {"mine": {"kind": "python", "function": "no_such:f"}}}, "no_such", "path"),
        ({"user_config": {"mine": {"kind": "python", "function": "x.py:f"}}}, "no file", "path"),
        (
            {"user_config": {"mine": {"kind": "python", "function": "math:sqrtt"}}},
            "sqrtt",
            "'sqrt'",
        ),
    ],
)
def test_what_the_configuration_gets_wrong_is_named(options, message, hint):
    """The message holds the wrong value, the hint the way out."""
    with pytest.raises(ConfigError) as caught:
        load_signals(**options)
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, [1.0, 0.0, NAN]),
        ({"ignore_case": True}, [1.0, 1.0, NAN]),
        ({"target": "prompt"}, [0.0, 1.0, 0.0]),
    ],
)
def test_a_pattern_is_searched_in_answers_or_prompts(more, expected):
    """A pattern gives a rate."""
    batch = batch_of(response_text=["refund", "Refund", None], prompt_text=["a", "refund", "b"])
    np.testing.assert_equal(compute({**REGEX, **more}, batch), (expected, {}))


def test_an_attribute_is_followed_along_its_dots():
    """Nested keys and keys that hold dots are both found; words are no numbers."""
    rows = ['{"a": {"b.c": 3}}', '{"a.b.c": 2.5}', '{"a": {"b": {"c": true}}}', '{"a": {"b": 1}}',
            '{"a.b.c": "high"}', "not json", None]  # fmt: skip
    column, failures = compute(
        {"kind": "attribute", "key": "a.b.c"}, batch_of(attributes_json=rows)
    )
    np.testing.assert_equal(column, [3.0, 2.5, 1.0, NAN, NAN, NAN, NAN])
    assert not failures


def test_a_function_in_a_file_gets_each_row(tmp_path):
    """The function sees the row's columns and may pass with None; its docstring defines it."""
    (tmp_path / "mine.py").write_text(
        'def short(row):\n    """Answers of one word."""\n'
        '    text = row["response_text"]\n    return None if text is None else " " not in text\n'
    )
    config = {"kind": "python", "function": "mine.py:short", "as": "rate", "worse": "down"}
    batch = answers("one", "two words", None)
    np.testing.assert_equal(compute(config, batch, root=tmp_path), ([1.0, 0.0, NAN], {}))
    info = load_signals({"mine": config}, root=tmp_path)["mine"].info
    expected = ("Answers of one word.", SignalKind.RATE, Worse.DOWN)
    assert expected == (info.definition, info.kind, info.worse)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("'yes'", "returned str"),
        ("-1", "0 or more"),
        ("float('inf')", "0 or more"),
    ],
)
def test_a_failing_function_costs_its_own_signal_only(tmp_path, body, reason):
    """Its column is missing with a reason, and the others stand."""
    (tmp_path / "bad.py").write_text(f"def f(row):\n    return {body}\n")
    signals = load_signals(
        {"bad": {"kind": "python", "function": "bad.py:f"}},
        only=["bad", "response_chars"],
        root=tmp_path,
    )
    numbers, failures = compute_signals(answers("abc", "de"), signals)
    np.testing.assert_equal(numbers, [[NAN, 3.0], [NAN, 2.0]])
    assert reason in failures["bad"]


def test_a_rate_of_other_numbers_fails_with_the_value():
    """A rate is 0 or 1 in every row."""
    config = {"kind": "attribute", "key": "x", "as": "rate"}
    _, failures = compute(config, batch_of(attributes_json=['{"x": 0.5}', '{"x": 1}']))
    assert "value 0.5 in 1 of 2 rows" in failures["mine"]


def test_computing_signals_imports_no_heavy_library(tmp_path):
    """A nightly run starts quickly: no pandas, no torch, no terminal library."""
    path = tmp_path / "rows.arrow"
    table = batch_of(response_text=["a", None], duration_s=[1.0, None]).table
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    program = (
        "import sys, pyarrow as pa\n"
        "from loopllm_cli.signals.catalogue import RowBatch, compute_signals, load_signals\n"
        f"table = pa.ipc.open_file({str(path)!r}).read_all()\n"
        "compute_signals(RowBatch(table), load_signals())\n"
        "print({'pandas', 'torch', 'transformers', 'typer', 'rich'} & set(sys.modules) or 'none')"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    expected = "none"
    assert expected == result.stdout.strip()


def test_a_failing_built_in_signal_is_a_bug():
    """Built-in signals have no excuse."""
    broken = batch_of(response_text=["a"])
    broken.values = None  # type: ignore[method-assign,assignment]
    with pytest.raises(TypeError):
        compute_signals(broken, load_signals(only=["refusal"]))


@pytest.mark.parametrize(
    ("rows", "kind", "tolerance"),
    [
        (['{"x": true}', '{"x": 0}', None], SignalKind.RATE, 0.02),
        (['{"x": 2}', '{"x": 1}'], SignalKind.AMOUNT, 0.10),
        ([None], SignalKind.AMOUNT, 0.10),
    ],
)
def test_a_kind_left_open_is_settled_by_a_baselines_rows(rows, kind, tolerance):
    """Values that are all 0 or 1 make a rate."""
    signals = load_signals({"mine": {"kind": "attribute", "key": "x"}}, only=["mine"])
    settled = settle_kinds(batch_of(attributes_json=rows), signals)["mine"].info
    assert (kind, tolerance) == (settled.kind, settled.tolerance)
