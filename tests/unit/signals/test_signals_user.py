"""Signal files, schemas and packages."""

from __future__ import annotations

import json
from importlib import metadata

import numpy as np
import pytest
from signal_rows import answers

from loopllm_cli.errors import ConfigError
from loopllm_cli.model import SignalKind, Worse
from loopllm_cli.signals import plugins
from loopllm_cli.signals.catalogue import compute_signals, load_signals
from loopllm_cli.signals.signal_tables import read_signal_files

NAN = float("nan")
SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "number"}, "code": {"type": "string", "pattern": "^[A-Z]+$"}},
    "required": ["total"],
}


def test_answers_are_held_against_a_schema_file(tmp_path):
    """An answer, or its only block, parses and satisfies; all else does not."""
    (tmp_path / "order.json").write_text(json.dumps(SCHEMA))
    table = {"kind": "json_schema", "schema": "order.json", "worse": "down"}
    signals = load_signals({"order": table}, only=["order"], root=tmp_path)
    texts = ['{"total": 3}', '{"total": "3"}', "Total: 3", '```json\n{"total": 3}\n```',
             '{"total": 3, "code": "a"}', None]  # fmt: skip
    numbers, failures = compute_signals(answers(*texts), signals)
    np.testing.assert_equal(numbers[:, 0], [1.0, 0.0, 0.0, 1.0, 0.0, NAN])
    info = signals["order"].info
    assert ({}, SignalKind.RATE, Worse.DOWN) == (failures, info.kind, info.worse)


def test_a_changed_schema_is_a_changed_definition(tmp_path):
    """Two schemas of one name are told apart; a table in the settings works too."""
    said = set()
    for schema in (SCHEMA, {**SCHEMA, "required": []}):
        (tmp_path / "order.json").write_text(json.dumps(schema))
        for given in ("order.json", schema):
            table = {"kind": "json_schema", "schema": given}
            said.add(load_signals({"a": table}, root=tmp_path)["a"].info.definition)
    expected = 4
    assert expected == len(said)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("none.json", "cannot be read"),
        ("bad.json", "is no JSON"),
        ("list.json", "is no JSON Schema"),
        ({"properties": {"a": {"multipleOf": 2}}}, "'multipleOf'"),
        (3, "is 3"),
    ],
)
def test_a_schema_that_cannot_be_followed_is_refused(tmp_path, schema, message):
    """Nothing that a user asked for is passed over in silence."""
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ConfigError) as caught:
        load_signals({"a": {"kind": "json_schema", "schema": schema}}, root=tmp_path)
    assert message in caught.value.message


def write(path, name):
    """Write a signal file with one signal."""
    path.write_text(f"[signals.{name}]\nkind = 'regex'\npattern = 'x'\n")


def test_signal_files_add_to_the_settings(tmp_path):
    """The tables of all places, by name."""
    write(tmp_path / "one.toml", "first")
    write(tmp_path / "two.toml", "second")
    own = {"mine": {"kind": "regex", "pattern": "x"}}
    found = read_signal_files(own, ("one.toml", "two.toml"), tmp_path)
    assert ["mine", "first", "second"] == list(found)
    assert {"mine", "first", "second"} <= set(load_signals(found))


@pytest.mark.parametrize(
    ("files", "content", "message"),
    [
        (("one.toml",), None, "signals.mine is defined in loopllm.toml and in one.toml"),
        (("none.toml",), "", "cannot read"),
        (("two.toml",), "[signals", "not valid TOML"),
        (("two.toml",), "signals = 3", "signals is no table"),
        (("two.toml",), "[drift]\nalpha = 1", "unknown key 'drift'"),
    ],
)
def test_what_is_wrong_with_a_signal_file_is_named(tmp_path, files, content, message):
    """The place of the mistake is in the message."""
    write(tmp_path / "one.toml", "mine")
    (tmp_path / "two.toml").write_text(content or "")
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        read_signal_files({"mine": {}}, files, tmp_path)


def offer(monkeypatch, tmp_path, body):
    """Install a package's entry point that is defined by a module's text."""
    name = f"offered_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(
        "from loopllm_cli.model import SignalInfo, SignalKind, Worse\n"
        "from loopllm_cli.signals.registry import Signal\n"
        "def sig(name, compute=lambda batch: [1.0] * len(batch), tolerance=0.1):\n"
        "    info = SignalInfo(name, SignalKind.RATE, Worse.UP, tolerance, 'Ours.')\n"
        f"    return Signal(info, compute)\n{body}\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = metadata.EntryPoint("tone", f"{name}:FOUND", plugins.GROUP)
    monkeypatch.setattr(
        plugins.metadata, "entry_points", lambda group: [entry] if group == plugins.GROUP else []
    )


@pytest.mark.parametrize(
    "body",
    ["FOUND = sig('tone')", "FOUND = {'tone': sig('x')}", "def FOUND():\n    return sig('tone')"],
)
def test_a_package_offers_signals(monkeypatch, tmp_path, body):
    """A signal, a mapping or a function; it may fail as a user's own may."""
    offer(monkeypatch, tmp_path, body)
    one = load_signals()["tone"]
    assert (True, 60.0) == (one.user_defined, one.seconds)
    numbers, failures = compute_signals(answers("a", "b"), {"tone": one})
    assert ([[1.0], [1.0]], {}) == (numbers.tolist(), failures)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise RuntimeError('broken')", "RuntimeError: broken"),
        ("FOUND = 3", "int is neither a Signal nor a mapping"),
        ("FOUND = {'tone': 3}", "'tone' is a int"),
        ("FOUND = sig('Tone 1')", "'Tone 1' is not usable"),
        ("FOUND = sig('tone', tolerance=0)", "above 0|tolerance of tone is 0"),
        ("while True:\n    pass", "took longer than 0.3 s"),
    ],
)
def test_a_package_that_cannot_be_used_is_a_signal_without_values(
    monkeypatch, tmp_path, body, reason
):
    """The reason names the package; the other signals are judged."""
    offer(monkeypatch, tmp_path, body)
    signals = load_signals(only=["tone", "response_chars"], seconds=0.3)
    numbers, failures = compute_signals(answers("ab"), signals)
    np.testing.assert_equal(numbers, [[NAN, 2.0]])
    assert any(part in failures["tone"] for part in reason.split("|"))
    assert signals["tone"].unusable in failures["tone"]
    assert "offered_" in failures["tone"]


def test_a_packages_signal_that_hangs_is_ended(monkeypatch, tmp_path):
    """The time limit holds for packages too."""
    endless = "def stuck(batch):\n    while True:\n        pass\nFOUND = sig('tone', stuck)"
    offer(monkeypatch, tmp_path, endless)
    _, failures = compute_signals(answers("a"), load_signals(only=["tone"], seconds=0.3))
    assert {"tone": "took longer than 0.3 s"} == failures


def test_a_package_may_not_take_a_name(monkeypatch, tmp_path):
    """Two meanings of one name are an error that names the package."""
    offer(monkeypatch, tmp_path, "FOUND = sig('refusal')")
    with pytest.raises(ConfigError, match=r"offered_.* offers a signal 'refusal'"):
        load_signals()
