"""The dataset folder's tool calls, judged answers and provenance, as every reader finds them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from exported_pairs import CALL, OTHER, TOOL, answering, calling
from pair_evidence import GOOD, answer, build, correction, down, up
from reviewed_pairs import pair

from loopllm_cli.correct.pair_rows import read_pairs, to_row
from loopllm_cli.model import Pair, Retained, Unpaired
from loopllm_cli.pairs.build import BuiltPairs
from loopllm_cli.pairs.dataset.stored import StoredPairs
from loopllm_cli.pairs.dataset.stored_rows import iter_rows
from loopllm_cli.pairs.dataset.write import content_hash, write_dataset

KEPT = Retained(
    prompt=({"role": "user", "content": "What do you sell?"},),
    chosen="Hats.",
    source="thumb up",
    feedback_ids=("f-kept",),
    interaction_ids=("a-kept",),
    user_id="u-kept",
    conversation_id="c-kept",
    context_hash="x-kept",
    prompt_hash="p-kept",
    segment="shop",
    model="m-kept",
)
JUDGED = Unpaired(
    example_id="e-judged",
    prompt=({"role": "user", "content": "Where is order 7?"},),
    completion="",
    label=False,
    source="thumbs",
    weight=0.5,
    feedback_ids=("f-judged",),
    interaction_id="a-judged",
    user_id="u-judged",
    conversation_id="c-judged",
    context_hash="x-judged",
    prompt_hash="p-judged",
    segment=None,
    model="m-judged",
    feedback_time=None,
    tools=json.dumps([TOOL]),
    completion_calls=json.dumps([CALL]),
)


def built_of(
    train: Sequence[Pair],
    retention: Sequence[Retained] = (),
    unpaired: Sequence[Unpaired] = (),
    heldout: Sequence[Pair] = (),
) -> BuiltPairs:
    """Return what was built, made by hand."""
    return BuiltPairs(
        train=list(train),
        heldout=list(heldout),
        retention=list(retention),
        unpaired=list(unpaired),
        dropped=Counter(),
        n_candidates=len(train),
        n_feedback=len(train),
    )


def written(folder: Path, built: BuiltPairs) -> Path:
    """Write a dataset and return its folder."""
    write_dataset(folder / "pairs", built, {})
    return folder / "pairs"


@pytest.fixture
def datasets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return the `datasets` package with a cache of its own, and without its progress bars."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = pytest.importorskip("datasets", reason="needs the training extra")
    monkeypatch.setattr(found.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    found.disable_progress_bars()
    return found


def test_a_dataset_without_tools_has_plain_messages(tmp_path: Path) -> None:
    folder = written(tmp_path, built_of([pair(1)], [KEPT]))
    chat = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    sides = [(name, chat) for name in ("prompt", "chosen", "rejected")]
    assert pa.schema(sides) == pq.read_schema(folder / "data" / "train.parquet").remove_metadata()
    kept = pq.read_schema(folder / "data" / "retention.parquet").remove_metadata()
    assert pa.schema([sides[0], sides[1]]) == kept


@pytest.mark.train
def test_datasets_loads_every_message_with_its_own_keys_alone(
    tmp_path: Path, datasets: Any
) -> None:
    """No key of another message, filled with nothing: templates would take it for a call."""
    folder = written(tmp_path, built_of([calling(), answering(), pair(1)], [KEPT], [JUDGED]))
    tools, talk, plain = datasets.load_dataset(str(folder), split="train")
    silent = {"role": "assistant", "content": ""}
    assert [{**silent, "tool_calls": [CALL]}] == tools["chosen"]
    assert [{**silent, "tool_calls": [OTHER]}] == tools["rejected"]
    assert list(answering().prompt) == talk["prompt"]
    assert [{"role": "assistant", "content": "Good 1."}] == plain["chosen"]
    assert ([TOOL], [TOOL], None) == (tools["tools"], talk["tools"], plain["tools"])
    (judged,) = datasets.load_dataset(str(folder), "unpaired", split="train")
    assert [{**silent, "tool_calls": [CALL]}] == judged["completion"]
    (kept,) = datasets.load_dataset(str(folder), "retention", split="train")
    assert [{"role": "assistant", "content": "Hats."}] == kept["chosen"]


@pytest.mark.train
def test_trl_takes_the_judged_answers_as_unpaired_conversations(
    tmp_path: Path, datasets: Any
) -> None:
    data_utils = pytest.importorskip("trl.data_utils", reason="needs the training extra")
    folder = written(tmp_path, built_of([pair(1)], unpaired=[JUDGED]))
    (row,) = datasets.load_dataset(str(folder), "unpaired", split="train")
    assert data_utils.is_conversational(row)
    assert (False, 0.5) == (row["label"], row["weight"])
    assert {"prompt", "completion", "label", "weight", "tools"} == set(row)


def test_the_trainer_reads_calls_and_definitions(tmp_path: Path) -> None:
    raw = read_pairs(written(tmp_path, built_of([calling(), answering(), pair(1)])))
    rows = [row for row in map(to_row, raw.train) if row is not None]
    tools, talk, plain = rows
    assert ((TOOL,), (CALL,), (OTHER,)) == (tools.tools, tools.chosen_calls, tools.rejected_calls)
    assert answering().prompt == talk.prompt
    assert (True, False) == (talk.has_tools, plain.has_tools)


def test_what_is_read_back_for_a_review_is_what_was_written(tmp_path: Path) -> None:
    """Every field of a pair, whether it stands in the data or in the provenance."""
    whole = calling(
        votes_against=("f-other",),
        chosen_place=1,
        signals=("refusal",),
        segment="orders",
        tools=json.dumps([TOOL], ensure_ascii=False),
    )
    folder = written(tmp_path, built_of([whole, pair(1)], [KEPT], [JUDGED], [answering()]))
    stored = StoredPairs(folder)
    read = [stored.pair(place) for place in range(len(stored))]
    for expected, found in zip((whole, pair(1), answering()), read, strict=True):
        for field in fields(Pair):
            assert getattr(expected, field.name) == getattr(found, field.name), field.name
    assert ["train", "train", "test"] == stored.splits


def test_retained_and_judged_answers_have_their_origin(tmp_path: Path) -> None:
    folder = written(tmp_path, built_of([pair(1)], [KEPT], [JUDGED]))
    rows = pq.read_table(folder / "provenance.parquet").to_pylist()
    assert ["train", "retention", "unpaired"] == [row["split"] for row in rows]
    _, kept, judged = rows
    names = ("rule", "feedback_ids", "interaction_ids", "user_id", "conversation_id")
    assert ("thumb up", ["f-kept"], ["a-kept"], "u-kept", "c-kept") == tuple(map(kept.get, names))
    assert ("thumbs", ["f-judged"], ["a-judged"], "u-judged", "c-judged") == tuple(
        map(judged.get, names)
    )
    assert ("e-judged", 0.5, "m-judged") == (
        judged["pair_id"],
        judged["weight"],
        judged["rejected_model"],
    )


def test_judged_answers_of_a_store_are_written_in_the_order_of_their_origins(
    tmp_path: Path,
) -> None:
    answers = [answer(f"a{i}", f"{GOOD} {i}", to=f"q{i}") for i in range(6)]
    votes = [(up if i % 2 else down)(f"a{i}", by=f"ann{i}") for i in range(6)]
    built = build([*answers, answer("w", to="w")], [*votes, correction("w")])
    folder = written(tmp_path, built)
    rows = list(iter_rows(folder / "data" / "unpaired.parquet"))
    origins = pq.read_table(folder / "provenance.parquet").to_pylist()
    origins = [row for row in origins if row["split"] == "unpaired"]
    assert 6 == len(rows) == len(origins)
    for row, origin in zip(rows, origins, strict=True):
        (name,) = origin["interaction_ids"]
        assert f"{GOOD} {name[1:]}" == row["completion"][0]["content"]
        assert bool(int(name[1:]) % 2) == row["label"]


def test_rows_beyond_one_block_keep_their_order(tmp_path: Path) -> None:
    pairs = [pair(i) for i in range(5_000)] + [calling()]
    rows = list(iter_rows(written(tmp_path, built_of(pairs)) / "data" / "train.parquet"))
    assert [p.chosen for p in pairs] == [row["chosen"][0]["content"] for row in rows]
    assert [CALL] == rows[-1]["chosen"][0]["tool_calls"]


def test_numbers_of_any_size_in_a_call_are_kept(tmp_path: Path) -> None:
    huge = {"type": "function", "function": {"name": "pay", "arguments": {"cents": 10**30}}}
    built = built_of([calling(chosen_calls=json.dumps([huge])), answering()])
    asked = replace(
        built.train[1], prompt=({"role": "assistant", "content": "", "tool_calls": [huge]},)
    )
    built = replace(built, train=[built.train[0], asked])
    first, second = iter_rows(written(tmp_path, built) / "data" / "train.parquet")
    assert [huge] == first["chosen"][0]["tool_calls"] == second["prompt"][0]["tool_calls"]
    assert content_hash(built) == content_hash(built)


BASE = built_of([calling()], [KEPT], [JUDGED], [pair(1)])


@pytest.mark.parametrize(
    "other",
    [
        replace(BASE, train=[calling(tools=None)]),
        replace(BASE, train=[calling(chosen_calls=json.dumps([OTHER, CALL]))]),
        replace(BASE, train=[replace(calling(), chosen=" ")]),  # the same id
        replace(BASE, retention=[replace(KEPT, tools=json.dumps([TOOL]))]),
        replace(BASE, unpaired=[replace(JUDGED, label=True)]),
        replace(BASE, unpaired=[replace(JUDGED, weight=0.25)]),
        replace(BASE, unpaired=[replace(JUDGED, completion="Hm.")]),
        replace(BASE, train=BASE.heldout, heldout=BASE.train),
    ],
    ids=["tools", "calls", "space", "kept tools", "label", "weight", "completion", "splits"],
)
def test_whatever_training_reads_changes_the_hash(other: BuiltPairs) -> None:
    assert content_hash(BASE) != content_hash(other)


def test_what_only_the_provenance_holds_does_not_change_the_hash() -> None:
    other = replace(BASE, train=[replace(calling(), confidence=0.5, segment="elsewhere")])
    assert content_hash(BASE) == content_hash(other)
