"""The dataset folder: what others read of it, and that equal evidence gives equal bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pair_evidence import BAD, GOOD, answer, build, correction, parts, up

from loopllm_cli.pairs.build import BuiltPairs
from loopllm_cli.pairs.dataset.write import content_hash, write_dataset

ORIGIN = {"baseline_name": "march", "drift_run_id": "drift-1"}


def built_pairs(heldout_share: float = 0.3, n_liked: int = 4, text: str = GOOD) -> BuiltPairs:
    """Return ten corrections, some held out, and some liked answers."""
    wrong = [
        answer(
            f"r{i}",
            f"{BAD} {i}",
            to=f"q{i}",
            input_messages=parts(("system", "Be brief."), ("user", f"question {i}")),
            segment="refunds",
        )
        for i in range(10)
    ]
    liked = [
        answer(f"l{i}", f"{GOOD} {i}", to=f"l{i}", conversation_id="k") for i in range(n_liked)
    ]
    votes = [correction(a.interaction_id, f"{text} {a.interaction_id}", at=1) for a in wrong]
    votes += [up(a.interaction_id) for a in liked]
    return build([*wrong, *liked], votes, heldout_share=heldout_share)


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return the `datasets` package with a cache of its own, and without its progress bars."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="needs the training extra")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    return datasets


@pytest.mark.train
def test_datasets_loads_the_folder_as_it_is(tmp_path: Path, no_hub: Any) -> None:
    """Its two splits hold chat messages, in the order of the pairs."""
    built = built_pairs()
    write_dataset(tmp_path / "pairs", built, ORIGIN)
    loaded = no_hub.load_dataset(str(tmp_path / "pairs"))
    assert {"train": 8, "test": 2} == {name: len(rows) for name, rows in loaded.items()}
    assert ["prompt", "chosen", "rejected"] == loaded["train"].column_names
    first = built.train[0]
    assert {
        "prompt": list(first.prompt),
        "chosen": [{"role": "assistant", "content": first.chosen}],
        "rejected": [{"role": "assistant", "content": first.rejected}],
    } == loaded["train"][0]


@pytest.mark.train
def test_datasets_loads_the_retention_part_by_name(tmp_path: Path, no_hub: Any) -> None:
    write_dataset(tmp_path / "pairs", built_pairs(), ORIGIN)
    loaded = no_hub.load_dataset(str(tmp_path / "pairs"), "retention", split="train")
    assert (4, ["prompt", "chosen"]) == (len(loaded), loaded.column_names)
    assert [{"role": "assistant", "content": f"{GOOD} 0"}] == loaded[0]["chosen"]


@pytest.mark.train
def test_a_folder_without_held_out_or_liked_rows_still_loads(tmp_path: Path, no_hub: Any) -> None:
    """Empty splits, which the library refuses to load, are not announced."""
    write_dataset(tmp_path / "pairs", built_pairs(heldout_share=0.0, n_liked=0), ORIGIN)
    loaded = no_hub.load_dataset(str(tmp_path / "pairs"))
    assert {"train": 10} == {name: len(rows) for name, rows in loaded.items()}


@pytest.mark.train
def test_trl_takes_the_rows_as_conversational_preferences(tmp_path: Path, no_hub: Any) -> None:
    data_utils = pytest.importorskip("trl.data_utils", reason="needs the training extra")
    write_dataset(tmp_path / "pairs", built_pairs(), ORIGIN)
    row = no_hub.load_dataset(str(tmp_path / "pairs"), split="train")[0]
    assert data_utils.is_conversational(row)
    # Taking the common prompt out of a row changes only what has no explicit prompt.
    assert row == data_utils.maybe_extract_prompt(row)


def test_every_pair_and_every_liked_answer_has_its_origin_in_the_order_of_the_data(
    tmp_path: Path,
) -> None:
    built = built_pairs()
    write_dataset(tmp_path / "pairs", built, ORIGIN)
    rows = pq.read_table(tmp_path / "pairs" / "provenance.parquet").to_pylist()
    for split, pairs in (("train", built.train), ("test", built.heldout)):
        data = pq.read_table(tmp_path / "pairs" / "data" / f"{split}.parquet").to_pylist()
        origin = [row for row in rows if row["split"] == split]
        assert [pair.pair_id for pair in pairs] == [row["pair_id"] for row in origin]
        assert [pair.chosen for pair in pairs] == [row["chosen"][0]["content"] for row in data]
    pair, first = built.train[0], rows[0]
    for name in ("rule", "segment", "context_hash", "prompt_hash", "margin", "rejected_model"):
        assert getattr(pair, name) == first[name]
    assert pair.feedback_time == first["feedback_time"]
    assert (list(pair.feedback_ids), list(pair.interaction_ids)) == (
        first["feedback_ids"],
        first["interaction_ids"],
    )
    kept = [row for row in rows if row["split"] == "retention"]
    assert [["l0"], ["l1"], ["l2"], ["l3"]] == [row["interaction_ids"] for row in kept]
    assert ("prompt l0", "context l0", "k") == tuple(
        kept[0][name] for name in ("prompt_hash", "context_hash", "conversation_id")
    )


def test_the_card_holds_the_counts_and_where_the_pairs_come_from(tmp_path: Path) -> None:
    summary = write_dataset(tmp_path / "pairs", built_pairs(), ORIGIN)
    card = json.loads((tmp_path / "pairs" / "card.json").read_text())
    assert (8, 2, 4, 14, 10) == (
        summary.n_train,
        summary.n_heldout,
        summary.n_retention,
        summary.n_feedback,
        summary.n_candidates,
    )
    assert {"correction": 10} == card["by_rule"] == summary.by_rule
    assert {"refunds": 10} == card["by_segment"] == summary.by_segment
    alone = {"thumb without an opposite one on the same context": 4}
    assert alone == card["dropped"] == summary.dropped
    assert ORIGIN == {name: card[name] for name in ORIGIN}
    assert str(tmp_path / "pairs") == summary.path
    assert content_hash(built_pairs()) == card["content_hash"] == summary.content_hash


def test_equal_pairs_give_equal_bytes_wherever_they_are_written(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_dataset(tmp_path / name, built_pairs(), ORIGIN)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*"))
    assert 8 == len(files)
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.parametrize(
    "other",
    [
        built_pairs(text="Another text."),
        built_pairs(heldout_share=0.0),
        built_pairs(n_liked=3),
        replace(built_pairs(), heldout=[]),
    ],
    ids=["text", "split", "retention", "heldout"],
)
def test_what_a_training_run_reads_is_in_the_hash(other: BuiltPairs) -> None:
    assert content_hash(built_pairs()) != content_hash(other)


def test_counts_that_no_training_run_reads_are_not_in_the_hash() -> None:
    built = built_pairs()
    assert content_hash(built) == content_hash(replace(built, n_feedback=99, findings=()))


def test_a_new_dataset_replaces_the_earlier_one_whole(tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    write_dataset(folder, built_pairs(), ORIGIN)
    (folder / "leftover.txt").write_text("of the earlier one")
    write_dataset(folder, built_pairs(n_liked=0), ORIGIN)
    assert not (folder / "leftover.txt").exists()
    assert ["pairs"] == [path.name for path in tmp_path.iterdir()]


def test_a_write_that_fails_leaves_the_earlier_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pairs"
    write_dataset(folder, built_pairs(), ORIGIN)
    before = (folder / "card.json").read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "ParquetWriter", full)
    with pytest.raises(OSError, match="No space left"):
        write_dataset(folder, built_pairs(n_liked=0), ORIGIN)
    assert before == (folder / "card.json").read_bytes()
    assert (folder / "data" / "train.parquet").is_file()


def test_the_readme_names_only_parts_that_hold_rows(tmp_path: Path) -> None:
    write_dataset(tmp_path / "all", built_pairs(), ORIGIN)
    write_dataset(tmp_path / "few", built_pairs(heldout_share=0.0, n_liked=0), ORIGIN)
    every, few = ((tmp_path / name / "README.md").read_text() for name in ("all", "few"))
    head = "---\nconfigs:\n- config_name: default\n  data_files:\n"
    train = "  - split: train\n    path: data/train.parquet\n"
    test = "  - split: test\n    path: data/test.parquet\n"
    parts = {
        name: f"- config_name: {name}\n  data_files:\n" + train.replace("train.p", f"{name}.p")
        for name in ("retention", "unpaired")
    }
    assert every.startswith(f"{head}{train}{test}{parts['retention']}{parts['unpaired']}---\n")
    assert few.startswith(f"{head}{train}---\n")
