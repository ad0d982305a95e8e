"""Exports of pairs, tool by tool: the layout, and what the tool cannot express."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from exported_pairs import (
    ASKED,
    CALL,
    CALLED,
    OTHER,
    RESULT,
    TOOL,
    answering,
    calling,
    exported,
    lines,
    one,
)
from pair_evidence import GOOD, answer, build, correction, down, up
from reviewed_pairs import pair

from loopllm_cli.loop.exports import ExportRequest, export_pairs
from loopllm_cli.model import Choice, Message, Pair
from loopllm_cli.pairs.dataset.write import write_dataset
from loopllm_cli.pairs.review.argilla import choice_of, pair_id_of
from loopllm_cli.store.project import Project

# TRL


def test_trl_gets_conversations_with_calls_and_definitions(tmp_path: Path) -> None:
    answer = {"role": "assistant", "content": ""}
    expected = {
        "prompt": [ASKED],
        "chosen": [{**answer, "tool_calls": [CALL]}],
        "rejected": [{**answer, "tool_calls": [OTHER]}],
        "tools": [TOOL],
    }
    assert expected == one(tmp_path, "trl", calling())
    plain = one(tmp_path, "trl", pair(1))
    assert ["prompt", "chosen", "rejected"] == list(plain)


def test_trl_gets_single_judged_answers_with_their_labels(tmp_path: Path) -> None:
    answers = [answer(f"a{i}", f"{GOOD} {i}", to=f"q{i}", user_id=f"u{i}") for i in range(6)]
    votes = [(up if i % 2 else down)(f"a{i}", by=f"ann{i}") for i in range(6)]
    built = build([*answers, answer("w", to="w")], [*votes, correction("w")])
    folder = tmp_path / "pairs"
    write_dataset(folder, built, {})
    summary = export_pairs(Project(tmp_path), ExportRequest("trl", pairs=folder))
    assert {"pairs_train.jsonl": 1, "unpaired_train.jsonl": 6} == summary.n_rows
    rows = lines(Path(summary.path) / "unpaired_train.jsonl")
    labels = {row["completion"][0]["content"]: row["label"] for row in rows}
    assert {f"{GOOD} {i}": bool(i % 2) for i in range(6)} == labels
    assert {("prompt", "completion", "label")} == {tuple(row) for row in rows}


@pytest.mark.train
def test_datasets_loads_the_trl_export_with_every_call_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the first call stands behind what the library looks at to guess columns."""
    datasets = pytest.importorskip("datasets", reason="needs the training extra")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    plain = [pair(i, chosen=f"{i} " + "word " * 60_000) for i in range(36)]  # 10.8 MB
    _, out = exported(tmp_path, "trl", [*plain, calling(), answering()])
    loaded = datasets.load_dataset(str(out), split="train")
    rows = lines(out / "pairs_train.jsonl")
    assert [{**row, "tools": row.get("tools")} for row in rows] == list(loaded)


# OpenAI


def test_openai_gets_one_message_per_side_with_arguments_as_text(tmp_path: Path) -> None:
    row = one(tmp_path, "openai", calling())
    assert [ASKED] == row["input"]["messages"]
    assert [TOOL] == row["input"]["tools"]
    (preferred,), (other,) = row["preferred_output"], row["non_preferred_output"]
    assert {"order": 7} == json.loads(preferred["tool_calls"][0]["function"]["arguments"])
    assert ("assistant", "c2") == (other["role"], other["tool_calls"][0]["id"])
    assert {"input", "preferred_output", "non_preferred_output"} == set(row)
    assert {"messages"} == set(one(tmp_path, "openai", pair(1))["input"])


def test_openai_gets_results_by_the_id_of_their_call(tmp_path: Path) -> None:
    row = one(tmp_path, "openai", answering())
    call, result = row["input"]["messages"][1:]
    assert {"role": "tool", "content": "on its way", "tool_call_id": "c1"} == result
    assert "c1" == call["tool_calls"][0]["id"]


NO_ID = {"type": "function", "function": CALL["function"]}
LONE: Message = {"role": "assistant", "content": "", "tool_calls": [NO_ID]}
SEARCH = json.dumps([TOOL, {"type": "web_search"}])


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (answering(prompt=(ASKED, LONE, RESULT)), "a tool call without an id"),
        (answering(prompt=(ASKED, CALLED)), "a tool call without its result"),
        (answering(prompt=(ASKED, RESULT)), "a tool's result without the id of its call"),
        (answering(prompt=(ASKED, CALLED, ASKED)), "a tool call without its result"),
        (answering(tools=SEARCH), "a tool that is no function"),
        (answering(tools=json.dumps([TOOL] * 129)), "more than 128 tools"),
    ],
)
def test_what_openai_refuses_is_left_out_and_counted(
    tmp_path: Path, made: Pair, reason: str
) -> None:
    summary, _ = exported(tmp_path, "openai", [pair(1), made])
    assert ({"pairs_train.jsonl": 1}, {reason: 1}) == (summary.n_rows, summary.skipped)


# Axolotl


def test_axolotl_gets_texts_and_the_configuration_that_reads_them(tmp_path: Path) -> None:
    made = pair(1)
    row = one(tmp_path, "axolotl", made)
    assert {
        "messages": list(made.prompt),
        "chosen": {"role": "assistant", "content": made.chosen},
        "rejected": {"role": "assistant", "content": made.rejected},
    } == row
    _, out = exported(tmp_path, "axolotl", [made], [pair(2)], split="all")
    config = (out / "axolotl.yaml").read_text()
    assert ["pairs_train.jsonl", "pairs_test.jsonl"] == [
        line.split()[-1] for line in config.splitlines() if "path:" in line
    ]
    assert "type: chat_template.default" in config
    assert config.index("test_datasets:") > config.index("pairs_train.jsonl")


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (calling(), "a context with tools"),
        (calling(tools=None), "a message with tool calls or results"),
        (answering(tools=None), "a message with tool calls or results"),
        (pair(2, chosen="cut off at the end \n"), "an answer that begins or ends with white space"),
        (pair(2, rejected="user"), "an answer that Axolotl takes for a part of its own message"),
    ],
)
def test_what_axolotl_would_change_is_left_out_and_counted(
    tmp_path: Path, made: Pair, reason: str
) -> None:
    summary, _ = exported(tmp_path, "axolotl", [pair(1), made])
    assert ({"pairs_train.jsonl": 1}, {reason: 1}) == (summary.n_rows, summary.skipped)


# LLaMA-Factory


def test_llamafactory_gets_turns_with_ranked_answers_and_their_description(tmp_path: Path) -> None:
    system: Message = {"role": "system", "content": "Be brief."}
    summary, out = exported(tmp_path, "llamafactory", [pair(1, prompt=(system, ASKED))])
    (row,) = lines(out / "pairs_train.jsonl")
    assert {
        "conversations": [{"from": "human", "value": "Where is order 7?"}],
        "system": "Be brief.",
        "tools": "",
        "chosen": {"from": "gpt", "value": "Good 1."},
        "rejected": {"from": "gpt", "value": "Bad."},
    } == row
    info = json.loads((out / "dataset_info.json").read_text())["loopllm_pairs_train"]
    assert ("pairs_train.jsonl", "sharegpt", True) == (
        info["file_name"],
        info["formatting"],
        info["ranking"],
    )
    assert set(info["columns"].values()) == set(row)
    assert {} == summary.skipped


def test_llamafactory_gets_calls_and_results_as_turns(tmp_path: Path) -> None:
    row = one(tmp_path, "llamafactory", answering())
    assert ["human", "function_call", "observation"] == [t["from"] for t in row["conversations"]]
    assert {"name": "track", "arguments": {"order": 7}} == json.loads(
        row["conversations"][1]["value"]
    )
    assert [TOOL["function"]] == json.loads(row["tools"])
    assert "function_call" == one(tmp_path, "llamafactory", calling())["chosen"]["from"]


BESIDE: Message = {**CALLED, "content": "Let me look."}
AS_TEXT = {"type": "function", "function": {"name": "track", "arguments": "order seven"}}


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (pair(2, prompt=(ASKED, ASKED)), "turns that do not alternate"),
        (pair(2, prompt=(ASKED, {"role": "assistant", "content": "x"})), "a context that does not"),
        (pair(2, prompt=({"role": "system", "content": "Say hello."},)), "a context that does not"),
        (answering(prompt=(ASKED, BESIDE, RESULT)), "a message with both text and tool calls"),
        (answering(prompt=(ASKED, CALLED, RESULT, RESULT)), "turns that do not alternate"),
        (pair(2, prompt=(ASKED, {"role": "system", "content": "x"})), "a system message in"),
        (calling(chosen_calls=json.dumps([AS_TEXT])), "a tool call with arguments that are no"),
        (answering(tools=SEARCH), "a tool that is no function with listed arguments"),
    ],
)
def test_what_llamafactory_would_drop_in_silence_is_left_out_and_counted(
    tmp_path: Path, made: Pair, reason: str
) -> None:
    summary, _ = exported(tmp_path, "llamafactory", [pair(1), made])
    assert {"pairs_train.jsonl": 1} == summary.n_rows
    ((told, n),) = summary.skipped.items()
    assert (True, 1) == (told.startswith(reason), n)


# Argilla


def test_argilla_gets_the_sides_in_an_order_that_tells_nothing(tmp_path: Path) -> None:
    pairs = [pair(i) for i in range(200)]
    _, out = exported(tmp_path, "argilla", pairs)
    records = json.loads((out / "records.json").read_text())
    first = [record["fields"]["response_a"].startswith("Good") for record in records]
    assert 70 < sum(first) < 130  # of 200 fair tosses: four standard deviations
    assert not any(record["suggestions"] for record in records)
    text = (out / "records.json").read_text()
    assert ("m-good" in text, "chosen" in text) == (False, False)


def test_argilla_shows_what_the_votes_say_only_when_asked(tmp_path: Path) -> None:
    pairs = [pair(i) for i in range(20)]
    _, out = exported(tmp_path, "argilla", pairs, suggest=True)
    for record in json.loads((out / "records.json").read_text()):
        suggested = record["suggestions"]["preference"]
        assert record["fields"][suggested["value"]].startswith("Good")
        assert 0.9 == suggested["score"]


def test_answers_from_argilla_are_understood_as_the_sides_they_name(tmp_path: Path) -> None:
    """What `pairs import` reads of an exported record, whichever side stands first."""
    pairs = {p.pair_id: p for p in (pair(i) for i in range(20))}
    _, out = exported(tmp_path, "argilla", list(pairs.values()))
    for record in json.loads((out / "records.json").read_text()):
        made = pairs[pair_id_of(record) or ""]
        for name in ("response_a", "response_b"):
            good = record["fields"][name] == made.chosen
            assert (Choice.CHOSEN if good else Choice.REJECTED) == choice_of(name, record, made)
        assert Choice.BOTH_BAD == choice_of("both_bad", record, made)
        assert Choice.BOTH_GOOD == choice_of("both_good", record, made)


def test_argilla_shows_definitions_but_no_calls(tmp_path: Path) -> None:
    spoken = pair(2, tools=json.dumps([TOOL]))
    summary, out = exported(tmp_path, "argilla", [spoken, calling()])
    (record,) = json.loads((out / "records.json").read_text())
    assert [TOOL] == json.loads(record["fields"]["tools"])
    assert {"a message with tool calls or results": 1} == summary.skipped


def test_argillas_settings_name_every_field_and_key_of_the_records(tmp_path: Path) -> None:
    _, out = exported(tmp_path, "argilla", [pair(1, tools=json.dumps([TOOL]), segment="refunds")])
    settings = json.loads((out / ".argilla" / "settings.json").read_text())
    (record,) = json.loads((out / "records.json").read_text())
    assert set(record["fields"]) <= {field["name"] for field in settings["fields"]}
    assert set(record["metadata"]) <= {one["name"] for one in settings["metadata"]}
    hidden = {m["name"] for m in settings["metadata"] if not m["visible_for_annotators"]}
    assert {"margin", "confidence"} == hidden
