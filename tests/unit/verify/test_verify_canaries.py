"""Canaries: what a file of golden prompts may say, and what becomes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loopllm_cli.errors import ConfigError
from loopllm_cli.model import Gate
from loopllm_cli.verify.canaries import Canary, read_canaries
from loopllm_cli.verify.canary_check import check_canaries

SCHEMA = {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}


def write(folder: Path, *entries: Any, name: str = "canaries.jsonl") -> Path:
    """Write a file, one entry per line."""
    path = folder / name
    lines = (entry if isinstance(entry, str) else json.dumps(entry) for entry in entries)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def one(folder: Path, **fields: Any) -> Canary:
    """Read the only canary of a file."""
    (canary,) = read_canaries(write(folder, {"prompt": "q", **fields}))
    return canary


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        ({"contains": "DE02"}, "It is de02 1203.", "It is DE03."),
        ({"contains": ["a", "b"]}, "a and b", "a alone"),
        ({"not_contains": ["sorry", "cannot"]}, "Yes.", "I CANNOT."),
        ({"regex": r"^\d{3}$"}, "123", "1234"),
        ({"equals": "Monday  to\nFriday"}, " Monday to Friday ", "monday to friday"),
        ({"json": True}, '```json\n{"a": 1}\n```', '{"a": '),
        ({"json_schema": SCHEMA}, '{"city": "Ulm"}', '{"city": 3}'),
        ({"json_schema": {"pattern": "x"}}, '["no text, so no pattern"]', "no JSON"),
        ({"json_schema": {"items": {"pattern": "^a"}}}, '["ab"]', '["ba"]'),
        ({"max_length": 4}, "four", "fives"),
        ({"refusal": True}, "I'm sorry, but I cannot help with that request.", "Yes."),
        ({"refusal": False}, "Yes.", "I'm sorry, but I cannot help with that request."),
        ({"contains": "a", "max_length": 3}, "abc", "abcd"),
    ],
)
def test_every_check_tells_good_answers_from_bad_ones(
    tmp_path: Path, check: dict[str, Any], good: str, bad: str
) -> None:
    canary = one(tmp_path, **check)
    assert "" == canary.broken_by(good)
    assert canary.broken_by(bad).split(" ")[0] in check


def test_a_prompt_may_be_a_conversation(tmp_path: Path) -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "q"}]
    assert tuple(chat) == one(tmp_path, prompt=chat, json=True).messages
    assert ({"role": "user", "content": "q"},) == one(tmp_path, json=True).messages


def test_toml_says_the_same_as_json_lines(tmp_path: Path) -> None:
    text = '[[canary]]\nid = "a"\nprompt = "q"\ncontains = ["x"]\n\n'
    text += '[[canary]]\nprompt = "r"\njson = true'
    found = read_canaries(write(tmp_path, text, name="canaries.toml"))
    lines = ({"id": "a", "prompt": "q", "contains": "x"}, {"prompt": "r", "json": True})
    assert read_canaries(write(tmp_path, *lines)) == found
    assert ["a", "canary 2"] == [canary.name for canary in found]


FINE = {"prompt": "q", "json": True}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "no JSON"),
        ("[1]", "a canary is an object"),
        ("[" * 100_000, "no JSON"),
        ({"prompt": "q"}, "nothing is checked"),
        ({**FINE, "contians": "x"}, "unknown key 'contians'"),
        ({**FINE, "prompt": ""}, "neither a text nor a list"),
        ({**FINE, "prompt": [{"role": "robot", "content": "q"}]}, "neither a text nor a list"),
        ({"prompt": "q", "regex": "("}, "no regular expression"),
        ({"prompt": "q", "json_schema": {"pattern": "("}}, "no regular expression"),
        ({"prompt": "q", "json_schema": {"if": {}}}, "keyword 'if'"),
        ({"prompt": "q", "json_schema": "object"}, "wants a JSON schema"),
        ({"prompt": "q", "max_length": 0}, "a number of characters above 0"),
        ({"prompt": "q", "max_length": True}, "a number of characters above 0"),
        ({"prompt": "q", "refusal": "no"}, "wants true or false"),
        ({"prompt": "q", "json": False}, "wants true"),
        ({"prompt": "q", "contains": []}, "is empty"),
        ({"prompt": "q", "contains": ["a", ""]}, "not empty"),
        ({**FINE, "samples": 0}, "no number from 1 to 100"),
        ({**FINE, "samples": 2, "at_least": 3}, "no number from 1 to 2"),
        ({**FINE, "id": 7}, "is no text"),
        ({**FINE, "id": "same"}, "is taken by"),
    ],
)
def test_a_bad_line_is_one_error_that_names_it(tmp_path: Path, line: Any, said: str) -> None:
    path = write(tmp_path, {**FINE, "id": "same"}, "", line)
    with pytest.raises(ConfigError, match="line 3") as caught:
        read_canaries(path)
    assert said in caught.value.message
    assert "\n" not in caught.value.message


def test_a_bad_table_of_toml_is_named_by_its_line(tmp_path: Path) -> None:
    text = '# golden\n[[canary]]\nprompt = "q"\njson = true\n[[canary]]\nprompt = "r"'
    with pytest.raises(ConfigError, match="line 5: nothing is checked"):
        read_canaries(write(tmp_path, text, name="c.toml"))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("c.jsonl", "\n\n", "holds no canary"),
        ("c.toml", "[[canary", "not valid TOML"),
        ("c.toml", "[canaries]", "something else"),
        ("gone/c.jsonl", None, "cannot read"),
    ],
)
def test_a_file_without_canaries_is_one_error(
    tmp_path: Path, name: str, text: str | None, said: str
) -> None:
    if text is not None:
        write(tmp_path, text, name=name)
    with pytest.raises(ConfigError, match=said):
        read_canaries(tmp_path / name)


def test_a_file_that_is_no_text_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "c.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="no UTF-8"):
        read_canaries(tmp_path / "c.jsonl")


YES = Canary("yes", ({"role": "user", "content": "q"},), (("contains", ("yes",)),))


def judged(before: list[str], after: list[str]) -> tuple[Gate, str]:
    """Judge one canary per answer."""
    canaries = (YES,) * len(before)
    check = check_canaries(canaries, [[a] for a in before], [[a] for a in after])
    return check.gate, check.text


def test_a_canary_that_breaks_fails_and_says_what_is_missing() -> None:
    gate, text = judged(["yes", "yes"], ["yes", "no"])
    assert Gate.FAIL is gate
    assert '1 of 2 that held as served hold with it; broken: yes (not contains ["yes"])' == text


def test_canaries_that_failed_before_are_reported_and_not_blamed() -> None:
    gate, text = judged(["yes", "no", "no"], ["yes", "no", "yes"])
    assert Gate.PASS is gate
    assert text.endswith("; 1 hold only with it; 1 hold neither way")


def test_canaries_of_which_none_held_before_prove_nothing() -> None:
    assert Gate.INCONCLUSIVE is judged(["no"], ["yes"])[0]


def test_gains_do_not_make_up_for_a_broken_canary() -> None:
    assert Gate.FAIL is judged(["yes", "no", "no"], ["no", "yes", "yes"])[0]


@pytest.mark.parametrize(("n_right", "holds"), [(3, False), (4, True), (5, True)])
def test_of_several_samples_enough_must_hold(n_right: int, holds: bool) -> None:
    canary = Canary("c", YES.messages, YES.checks, samples=5, at_least=4)
    answers = ["yes"] * n_right + ["no"] * (5 - n_right)
    assert holds is canary.holds(answers)
