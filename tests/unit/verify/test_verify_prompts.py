"""On which prompts an adapter has to show itself, and how its answers are laid out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loopllm_cli.pairs.selection.near import NearPrompts
from loopllm_cli.pairs.selection.wording import canonical_words
from loopllm_cli.profiles.clusters import cluster_keys
from loopllm_cli.profiles.measure import measure
from loopllm_cli.profiles.segments import SegmentModel
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.catalogue import load_signals
from loopllm_cli.verify.prompts import (
    Chosen,
    Prompt,
    Trained,
    choose_prompts,
    measure_answers,
    read_trained,
    to_rows,
)
from tests.unit.profiles.profile_rows import baseline_of

EMPTY = np.zeros((0, 0), dtype=np.float32)
BY_NAME = SegmentModel("prompt_name", ("bills", "parcels", "refunds"), EMPTY, EMPTY, EMPTY)
UNTRAINED = Trained(frozenset(), frozenset())
COLUMNS = (
    *("input_messages", "context_hash", "prompt_hash", "prompt_text", "user_id", "conversation_id"),
    *("tool_definitions", "error_type", "reference_answer", "prompt_name", "content_state"),
)


def row(name: str, segment: str = "bills", **fields: Any) -> dict[str, Any]:
    """Return a row of the store with what the choice looks at."""
    parts = [{"type": "text", "content": name}]
    return {
        **dict.fromkeys(COLUMNS),
        "input_messages": json.dumps([{"role": "user", "parts": parts}]),
        "context_hash": f"context {name}",
        "prompt_hash": f"prompt {name}",
        "prompt_text": name,
        "prompt_name": segment,
        "content_state": "full",
        **fields,
    }


def choose(
    rows: list[dict[str, Any]],
    drifted: tuple[int, ...] = (0,),
    trained: Trained = UNTRAINED,
    limit: int = 100,
) -> Chosen:
    """Choose among rows."""
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    table = pa.Table.from_pylist(rows, schema=schema)
    return choose_prompts(table, BY_NAME, frozenset(drifted), trained, limit)


def texts(prompts: list[Prompt]) -> list[str]:
    """Return the prompts' texts."""
    return [prompt.prompt_text for prompt in prompts]


def test_prompts_go_to_the_drifted_or_the_untouched_group_by_their_segment() -> None:
    chosen = choose([row("a"), row("b", "parcels"), row("c", "something new")])
    assert (["a"], {"b", "c"}) == (texts(chosen.drifted), set(texts(chosen.untouched)))
    assert [0] == [prompt.segment for prompt in chosen.drifted]
    assert {1, 3} == {prompt.segment for prompt in chosen.untouched}
    assert ({"role": "user", "content": "a"},) == chosen.drifted[0].messages


def test_nothing_that_was_trained_on_is_asked() -> None:
    """Neither a trained prompt, nor any other turn of a trained conversation."""
    rows = [row("a"), row("b", conversation_id="k"), row("c", conversation_id="l"), row("d")]
    chosen = choose(rows, trained=Trained(frozenset({"k"}), frozenset({"prompt a"})))
    assert ({"c", "d"}, 2) == (set(texts(chosen.drifted)), chosen.n_seen_in_training)


def test_nothing_in_nearly_the_words_of_what_was_trained_on_is_asked() -> None:
    """Another order is another prompt; politeness and typing errors make none."""
    like = NearPrompts()
    like.add(canonical_words("Where is my order 123?"))
    rows = [
        row("Hello, where is my ordre 123? Thanks!"),
        row("Where is my order 124?"),
        row("Where is my order?"),
    ]
    chosen = choose(rows, trained=Trained(frozenset(), frozenset(), like=like))
    assert {"Where is my order 124?", "Where is my order?"} == set(texts(chosen.drifted))
    assert 1 == chosen.n_seen_in_training


def test_other_prompts_of_a_trained_user_are_asked() -> None:
    """Without them too few would be left to verify on: docs/pairs-splits.md."""
    rows = [row("a", user_id="u"), row("b", user_id="u")]
    chosen = choose(rows, trained=Trained(frozenset(), frozenset({"prompt a"})))
    assert ["b"] == texts(chosen.drifted)


def test_a_context_is_asked_once() -> None:
    chosen = choose([row("a"), row("a", user_id="u"), row("b")])
    assert ["a", "b"] == sorted(texts(chosen.drifted))


@pytest.mark.parametrize(
    "fields",
    [
        {"input_messages": None, "context_hash": None},
        {"tool_definitions": "[]"},
        {"error_type": "timeout"},
        {"content_state": "redacted"},
        {"input_messages": '[{"role": "user", "parts": [{"type": "blob"}]}]'},
    ],
)
def test_what_a_text_model_cannot_be_asked_alone_is_left_out(fields: dict[str, Any]) -> None:
    assert ["b"] == texts(choose([row("a", **fields), row("b")]).drifted)


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_definitions": '[{"name": "f"}]'},
        {"input_messages": '[{"role": "assistant", "parts": [{"type": "tool_call", "name": "f", '
         '"arguments": {}}]}, {"role": "user", "parts": [{"type": "text", "content": "q"}]}]'},
    ],
)  # fmt: skip
def test_prompts_with_tools_are_left_out_and_counted(fields: dict[str, Any]) -> None:
    chosen = choose([row("a", **fields), row("b")])
    assert (["b"], 1) == (texts(chosen.drifted), chosen.n_with_tools)


def test_what_was_answered_in_production_comes_with_the_prompt() -> None:
    schema = pa.schema([(name, pa.string()) for name in (*COLUMNS, "response_text")])
    table = pa.Table.from_pylist([row("a", response_text="Logged.")], schema=schema)
    chosen = choose_prompts(table, BY_NAME, frozenset((0,)), UNTRAINED, 9)
    assert ["Logged."] == [prompt.logged for prompt in chosen.drifted]


def test_several_answers_to_one_prompt_are_one_cluster_whoever_asked() -> None:
    nameless = prompt(0, user_id=None, prompt_hash=None)
    other = prompt(1, user_id=None, prompt_hash=None)
    keys = cluster_keys(RowBatch(to_rows([nameless, other] * 2, list("abcd"), ["stop"] * 4)))
    assert keys[0] == keys[2] != keys[1] == keys[3]


def test_segments_take_turns_up_to_the_limit_of_each_group() -> None:
    """A large segment does not crowd out the small ones."""
    sizes = {"bills": 20, "parcels": 2, "refunds": 20}
    rows = [row(f"{name} {i}", name) for name, n in sizes.items() for i in range(n)]
    chosen = choose(rows, drifted=(0, 1), limit=9)
    drifted = [prompt.segment for prompt in chosen.drifted]
    assert [0, 1, 0, 1, 0, 0, 0, 0, 0] == drifted
    assert [2] * 9 == [prompt.segment for prompt in chosen.untouched]
    everything = choose(rows, drifted=(0, 1))
    assert (22, 20) == (len(everything.drifted), len(everything.untouched))


def test_prompts_with_a_known_right_answer_come_first() -> None:
    known = {3, 7, 11}
    rows = [row(f"q{i}", reference_answer="yes" if i in known else None) for i in range(20)]
    chosen = choose(rows, limit=5).drifted
    assert {f"q{i}" for i in known} == set(texts(chosen[:3]))
    assert ["yes"] * 3 + [None] * 2 == [prompt.reference for prompt in chosen]


def test_a_held_out_correction_is_the_right_answer_of_its_context() -> None:
    trained = Trained(frozenset(), frozenset(), {"context a": "Corrected.", "context b": "Never."})
    chosen = choose([row("a"), row("b", reference_answer="Logged.")], trained=trained)
    assert {"a": "Corrected.", "b": "Logged."} == {
        p.prompt_text: p.reference for p in chosen.drifted
    }


def test_a_right_answer_that_only_a_later_row_of_the_context_logs_is_known() -> None:
    chosen = choose([row("a"), row("a", reference_answer="yes")]).drifted
    assert ["yes"] == [prompt.reference for prompt in chosen]


def test_a_trained_context_without_a_users_text_is_known_again() -> None:
    trained = Trained(frozenset(), frozenset({"context a"}))
    assert 1 == choose([row("a", prompt_hash=None)], trained=trained).n_seen_in_training


def test_the_choice_does_not_depend_on_the_order_of_the_rows() -> None:
    rows = [row(f"q{i}", "bills" if i % 2 else "parcels") for i in range(40)]
    first, second = choose(rows, limit=5), choose(rows[::-1], limit=5)
    assert (texts(first.drifted), texts(first.untouched)) == (
        texts(second.drifted),
        texts(second.untouched),
    )


def chat(text: str) -> list[dict[str, str]]:
    """Return a conversation's first message."""
    return [{"role": "user", "content": f"What is {text} good for?"}]


def pairs_folder(folder: Path) -> Path:
    """Write what is read of a pairs folder: training pairs, held-out ones, a liked answer."""
    origin = [
        ("train", "correction", "k", None, "prompt t", "context t"),
        ("train", "comparison", None, "k2", "prompt u", "context u"),
        ("test", "correction", "l", None, "prompt h", "context h"),
        ("test", "comparison", "m", None, "prompt i", "context i"),
        ("test", "correction", None, None, "prompt j", "context j"),
        ("retention", "liked answer", "k3", None, "prompt r", "context r"),
    ]
    sides = ("conversation_id", "chosen_conversation_id")
    names = ("split", "rule", *sides, "prompt_hash", "context_hash")
    provenance = [dict(zip(names, values, strict=True)) for values in origin]
    held_out = [{"chosen": [{"role": "assistant", "content": f"better {i}"}]} for i in range(3)]
    asked = {name: [{"prompt": chat(text)}] for name, text in (("train", "T"), ("retention", "R"))}
    (folder / "data").mkdir(parents=True)
    for name, rows in asked.items():
        pq.write_table(pa.Table.from_pylist(rows), folder / "data" / f"{name}.parquet")
    pq.write_table(pa.Table.from_pylist(provenance), folder / "provenance.parquet")
    pq.write_table(pa.Table.from_pylist(held_out), folder / "data" / "test.parquet")
    return folder


def test_a_pairs_folder_says_what_was_trained_on_and_what_is_known_to_be_right(
    tmp_path: Path,
) -> None:
    """Held-out corrections say what is right; comparisons only say what is better.

    Trained on are both sides of the training pairs and the liked answers that are retained.
    """
    trained = read_trained(pairs_folder(tmp_path / "pairs"))
    assert frozenset({"k", "k2", "k3"}) == trained.conversations
    assert frozenset({"prompt t", "prompt u", "prompt r"}) == trained.prompts
    assert {"context h": "better 0", "context j": "better 2"} == trained.corrections
    assert 1 == len(trained.like)
    assert not trained.like.find(canonical_words("Please, what is R good for?"))


def prompt(number: int, **fields: Any) -> Prompt:
    """Return a prompt."""
    values = {
        "messages": ({"role": "user", "content": f"q{number}"},),
        "prompt_text": f"q{number}",
        "segment": 0,
        "user_id": "u",
        "conversation_id": None,
        "prompt_hash": f"p{number}",
        "reference": None,
        **fields,
    }
    return Prompt(**values)


def test_new_answers_are_measured_by_the_signals_that_text_can_show() -> None:
    prompts = [prompt(0, reference="yes"), prompt(1), prompt(2)]
    refusal = "I'm sorry, but I cannot help with that request."
    rows = to_rows(prompts, ["Yes.", refusal, "Yes, and so on"], ["stop", "stop", "length"])
    names = ("right_answer", "refusal", "cut_off", "latency", "cost", "thumbs_down")
    signals = {name: signal for name, signal in load_signals().items() if name in names}
    everywhere = SegmentModel("prompts", (), EMPTY, EMPTY, EMPTY)
    measured = measure(rows, signals, everywhere)
    values = dict(zip(signals, measured.values.T.tolist(), strict=True))
    nan = float("nan")
    np.testing.assert_equal(values["right_answer"], [1.0, nan, nan])
    np.testing.assert_equal(values["refusal"], [0.0, 1.0, 0.0])
    np.testing.assert_equal(values["cut_off"], [0.0, 0.0, 1.0])
    for name in ("latency", "cost", "thumbs_down"):
        np.testing.assert_equal(values[name], [nan] * 3)


def test_new_answers_stay_in_the_segment_of_their_prompt_where_a_column_names_it() -> None:
    signals = {"refusal": load_signals()["refusal"]}
    baseline = baseline_of("march", BY_NAME)
    prompts = [prompt(0, segment=2), prompt(1, segment=3), prompt(2, segment=2)]
    found = measure_answers(prompts, ["a", "b", "c"], ["stop"] * 3, signals, baseline)
    assert [2, 3, 2] == found.segments.tolist()
    assert [0, 0, 2, 1] == found.profile.n.sum(axis=(1, 2)).tolist()


def test_every_signal_of_the_catalogue_takes_new_answers_without_failing() -> None:
    rows = to_rows([prompt(i) for i in range(3)], ["a", "", "c" * 500], ["stop"] * 3)
    everywhere = SegmentModel("prompts", (), EMPTY, EMPTY, EMPTY)
    assert {} == measure(rows, load_signals(), everywhere).failures


def test_new_answers_keep_who_asked_and_what_was_asked() -> None:
    """So that errors are clustered as they are in the log, and both windows are paired."""
    talk = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "q"})
    first = prompt(0, messages=talk, user_id="u1", conversation_id="k")
    batch = RowBatch(to_rows([first, prompt(1)], ["a", "b"], ["stop", "stop"]))
    assert ["u1", "u"] == batch.values("user_id")
    assert ["k", None] == batch.values("conversation_id")
    stored = json.loads(batch.values("input_messages")[0])
    assert ["system", "user"] == [message["role"] for message in stored]
    assert [{"type": "text", "content": "Be brief."}] == stored[0]["parts"]


def test_as_many_answers_as_prompts_are_needed() -> None:
    with pytest.raises(ValueError, match="zip"):
        to_rows([prompt(0)], ["a", "b"], ["stop", "stop"])
