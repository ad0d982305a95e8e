"""Every method and every loss trains, on the right rows, with the weights that it says."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from micro import RECIPE, good_pairs, liked, make_model, pair, vote, write_rows, write_votes

from loopllm_cli.correct import Progress, TrainRequest
from loopllm_cli.correct.methods.kto import BALANCE_HIGH, BALANCE_LOW, balance
from loopllm_cli.correct.methods.losses import LOSSES, NEEDS_SMOOTHING, trl_terms
from loopllm_cli.correct.pair_rows import PairRow, VoteRow, to_row
from loopllm_cli.correct.preflight import CheckedPairs, check_pairs
from loopllm_cli.correct.quiet import quiet
from loopllm_cli.correct.recipe import Recipe, load_recipe
from loopllm_cli.correct.train import build_adapter
from loopllm_cli.correct.trainer import build_training_set, make_trainer, to_dataset

pytestmark = pytest.mark.train

MakePairs = Callable[..., Path]
KTO = replace(RECIPE, method="kto", loss_type=("kto",), loss_weights=(1.0,), micro_batch_size=4)
SFT = replace(RECIPE, method="sft", loss_type=("sft",), loss_weights=(1.0,))
ONE_STEP = 8


def rows_of(n: int) -> list[PairRow]:
    """Return good pairs as they come out of the pre-flight."""
    return [row for row in map(to_row, good_pairs(n)) if row is not None]


def train(tokenizer: Any, rows: Sequence[Any], recipe: Recipe, folder: Path) -> Any:
    """Train on the micro model and return the trainer."""
    with quiet():
        trainer = make_trainer(make_model(tokenizer), tokenizer, rows, recipe, folder)
        trainer.train()
    return trainer


def moved(trainer: Any) -> float:
    """Return how far the adapter's second matrices, which start at zero, have come."""
    return sum(
        float(value.detach().abs().sum())
        for name, value in trainer.model.named_parameters()
        if "lora_B" in name
    )


def logged(trainer: Any, key: str = "loss") -> list[float]:
    """Return what was logged under a name, step by step."""
    return [entry[key] for entry in trainer.state.log_history if key in entry]


def recipe_for(method: str, loss: str, **changes: Any) -> Recipe:
    """Return a one-epoch recipe with a single loss, valid as the reader of recipes sees it."""
    smoothing = 0.1 if loss in NEEDS_SMOOTHING else 0.0
    given = {
        "method": method, "loss_type": [loss], "loss_weights": [1.0],
        "label_smoothing": smoothing, "epochs": 1.0, "retention_ratio": 0.0,
        "warmup": 0.0, "schedule": "constant_with_warmup",
    }  # fmt: skip
    base = {k: v for k, v in RECIPE.as_dict().items() if k not in given}
    return load_recipe(None, {**base, **given, **changes})


@pytest.mark.parametrize("loss", LOSSES["dpo"])
def test_every_pair_loss_trains_a_step(tmp_path: Path, tokenizer: Any, loss: str) -> None:
    trainer = train(tokenizer, rows_of(ONE_STEP), recipe_for("dpo", loss), tmp_path)
    assert trainer.state.global_step == 1
    assert math.isfinite(logged(trainer)[0])
    assert moved(trainer) > 0


@pytest.mark.parametrize("loss", LOSSES["sft"])
def test_every_answer_loss_trains_a_step(tmp_path: Path, tokenizer: Any, loss: str) -> None:
    trainer = train(tokenizer, rows_of(ONE_STEP), recipe_for("sft", loss), tmp_path)
    assert trainer.state.global_step == 1
    assert math.isfinite(logged(trainer)[0])
    assert moved(trainer) > 0


@pytest.mark.parametrize("loss", LOSSES["kto"])
def test_every_vote_loss_trains_a_step(tmp_path: Path, tokenizer: Any, loss: str) -> None:
    votes = [VoteRow(row, i % 2 == 0) for i, row in enumerate(rows_of(ONE_STEP))]
    trainer = train(tokenizer, votes, recipe_for("kto", loss), tmp_path)
    assert trainer.state.global_step == 1
    assert math.isfinite(logged(trainer)[0])
    assert moved(trainer) > 0


def test_conservative_dpo_is_the_sum_that_its_formula_says(tmp_path: Path, tokenizer: Any) -> None:
    """(1 - e) L+ + e L-, computed by hand from the rewards that TRL logs at every step."""
    share, beta = 0.2, RECIPE.beta
    recipe = recipe_for("dpo", "cdpo", label_smoothing=share, epochs=6.0, batch_size=1,
                        micro_batch_size=1)  # fmt: skip
    trainer = train(tokenizer, rows_of(1), recipe, tmp_path)
    margins = logged(trainer, "rewards/margins")
    assert max(margins) > 10 * beta * 0.01
    expected = [
        (1 - share) * math.log1p(math.exp(-m)) + share * math.log1p(math.exp(m)) for m in margins
    ]
    assert expected == pytest.approx(logged(trainer), rel=1e-4)


def test_conservative_dpo_keeps_the_other_terms() -> None:
    names, weights = trl_terms(("cdpo", "sft"), (2.0, 0.5), 0.1)
    assert names == ["sigmoid", "robust", "sft"]
    assert weights == pytest.approx([3.6, -1.6, 0.5])


def test_sft_and_the_likelihood_term_of_dpo_go_the_same_way(tmp_path: Path, tokenizer: Any) -> None:
    """On whole batches both trainers log the same losses, step by step."""
    rows = rows_of(16)
    left, right = (
        train(tokenizer, rows, recipe_for(method, "sft", epochs=2.0), tmp_path / method)
        for method in ("sft", "dpo")
    )
    assert logged(left) == pytest.approx(logged(right), rel=1e-4)
    assert moved(left) == pytest.approx(moved(right), rel=1e-3)


def test_sft_never_learns_the_context(tmp_path: Path, tokenizer: Any) -> None:
    """The labels of every row are its answer and the stop token, and nothing of its context."""
    with quiet():
        trainer = make_trainer(make_model(tokenizer), tokenizer, rows_of(4), SFT, tmp_path)
    batch = next(iter(trainer.get_train_dataloader()))
    learnt = {tokenizer.decode(row[row != -100]) for row in batch["labels"]}
    assert learnt == {f"yes {i}<|end|>" for i in range(4)}


def test_the_likelihood_of_the_better_answers_rises(tmp_path: Path, tokenizer: Any) -> None:
    recipe = recipe_for("sft", "sft", epochs=6.0, learning_rate=3e-2)
    losses = logged(train(tokenizer, rows_of(16), recipe, tmp_path))
    assert losses[0] - losses[-1] > 0.2


def checked(folder: Path, tokenizer: Any, recipe: Recipe) -> CheckedPairs:
    """Return what the pre-flight keeps."""
    return check_pairs(folder, tokenizer, recipe)


def votes_folder(make_pairs: MakePairs, n_liked: int, n_disliked: int, n_pairs: int = 0) -> Path:
    """Write a folder with judged answers, liked ones first, retention rows, and pairs."""
    folder = make_pairs(good_pairs(n_pairs), retention=liked(40))
    rows = [vote(f"thumb {i}?", f"fine {i}", True) for i in range(n_liked)]
    rows += [vote(f"thumb {i}?", f"bad {i}", False) for i in range(n_disliked)]
    write_votes(folder / "data" / "unpaired.parquet", rows)
    return folder


def test_kto_mixes_votes_pairs_and_liked_answers(make_pairs: MakePairs, tokenizer: Any) -> None:
    """A pair is a liked and a disliked answer; liked answers of other traffic count as liked."""
    folder = votes_folder(make_pairs, 6, 20, n_pairs=10)
    found = build_training_set(checked(folder, tokenizer, KTO), KTO)
    labels = [row.label for row in found.rows if isinstance(row, VoteRow)]
    assert (found.n_pairs, found.n_retention, len(found.guard)) == (46, 30, 10)
    assert (len(labels), sum(labels)) == (76, 6 + 10 + 30)
    without = replace(KTO, mix_pairs=False, retention_ratio=0.5)
    alone = build_training_set(checked(folder, tokenizer, without), without)
    assert (alone.n_pairs, alone.n_retention) == (26, 13)


def test_kto_reads_liked_and_disliked_answers_mixed(make_pairs: MakePairs, tokenizer: Any) -> None:
    """The order is shuffled once, by the seed; the folder has all liked answers first."""
    folder = votes_folder(make_pairs, 20, 20)
    recipe = replace(KTO, retention_ratio=0.0)
    rows = build_training_set(checked(folder, tokenizer, recipe), recipe).rows
    labels = [row.label for row in rows if isinstance(row, VoteRow)]
    batches = [labels[i : i + 4] for i in range(0, 40, 4)]
    assert sum(0 < sum(batch) < 4 for batch in batches) >= 6
    assert rows == build_training_set(checked(folder, tokenizer, recipe), recipe).rows
    other = build_training_set(checked(folder, tokenizer, recipe), replace(recipe, seed=1)).rows
    assert rows != other


def test_a_last_micro_batch_of_one_is_left_out(make_pairs: MakePairs, tokenizer: Any) -> None:
    folder = votes_folder(make_pairs, 20, 21)
    recipe = replace(KTO, retention_ratio=0.0)
    assert len(build_training_set(checked(folder, tokenizer, recipe), recipe).rows) == 40


def test_the_trainer_reads_votes_in_the_given_order(tmp_path: Path, tokenizer: Any) -> None:
    votes = [VoteRow(row, i % 3 == 0) for i, row in enumerate(rows_of(8))]
    recipe = replace(KTO, precompute_reference=False)
    with quiet():
        trainer = make_trainer(make_model(tokenizer), tokenizer, votes, recipe, tmp_path)
    read = [bool(label) for batch in trainer.get_train_dataloader() for label in batch["label"]]
    assert [row.label for row in votes] == read


@pytest.mark.parametrize(
    ("n_liked", "n_disliked"), [(100, 100), (300, 100), (100, 300), (1, 99), (130, 100)]
)
def test_the_weights_balance_liked_and_disliked(n_liked: int, n_disliked: int) -> None:
    """The lighter side is raised until the ratio of the sums is between 1 and 4/3."""
    up, down = balance(n_liked, n_disliked, KTO)
    assert BALANCE_LOW <= up * n_liked / (down * n_disliked) <= BALANCE_HIGH
    assert min(up, down) == 1.0


def test_the_trainer_finds_the_weights_balanced(
    tmp_path: Path, tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """TRL logs a hint where weights and counts do not fit; with ours it has none to give."""
    votes = [VoteRow(row, i % 5 == 0) for i, row in enumerate(rows_of(20))]
    lopsided = replace(KTO, desirable_weight=1.0, undesirable_weight=1.0)
    hints = []
    for recipe in (KTO, lopsided):
        caplog.clear()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            make_trainer(make_model(tokenizer), tokenizer, votes, recipe, tmp_path)
        hints.append("we recommend" in caplog.text)
    assert hints == [False, True]


def test_weights_of_the_recipe_win() -> None:
    assert balance(10, 90, replace(KTO, desirable_weight=3.0)) == (3.0, 1.0)


def test_votes_with_tools_keep_their_tools() -> None:
    """Calls stay as they are; a row without tools gets none."""
    call = {"role": "assistant", "content": "", "tool_calls": [
        {"type": "function", "function": {"name": "track", "arguments": {"order": 1}}}
    ]}  # fmt: skip
    raw = {**pair("where?", "x", "y"), "chosen": [call], "tools": [{"name": "track"}]}
    row = to_row(raw)
    assert row is not None
    rows = [VoteRow(row, True), VoteRow(rows_of(1)[0], False)]
    found = list(to_dataset(rows))
    assert found[0]["completion"] == [call]
    assert found[1]["completion"] == [{"role": "assistant", "content": "yes 0"}]
    assert [one["label"] for one in found] == [True, False]
    assert [one["tools"] for one in found] == ['[{"name": "track"}]', None]


def test_only_written_answers_are_corrections(make_pairs: MakePairs, tokenizer: Any) -> None:
    """With corrections_only, pairs whose better side a model wrote are left out and counted."""
    from micro import write_provenance

    folder = make_pairs(good_pairs(40), good_pairs(3, 100))
    rules = ["correction", "comparison"] * 10 + ["expert rewrite", "user edit"] * 10
    write_provenance(folder, [("train", rule) for rule in rules] + [("test", "comparison")] * 3)
    found = check_pairs(folder, tokenizer, replace(SFT, corrections_only=True))
    assert [row.chosen for row in found.train[:11]] == [f"yes {i}" for i in [*range(0, 20, 2), 20]]
    assert found.report.dropped == {"better side not written by a person": 10}
    assert len(found.test) == 3
    write_rows(folder / "data" / "train.parquet", good_pairs(39), ("prompt", "chosen", "rejected"))
    with pytest.raises(Exception, match="40 rules for 39 pairs"):
        check_pairs(folder, tokenizer, replace(SFT, corrections_only=True))


class KilledError(Exception):
    """Stands for a kill in the middle of a run."""


def kill_at(step: int) -> Callable[[Progress], None]:
    """Return a progress function that ends the run at a step."""

    def kill(progress: Progress) -> None:
        if progress.phase == "training" and progress.step == step:
            raise KilledError

    return kill


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [KTO, SFT], ids=["kto", "sft"])
def test_a_killed_run_of_either_method_goes_on_to_the_same_weights(
    make_pairs: MakePairs, micro_model: Path, tmp_path: Path, recipe: Recipe
) -> None:
    folder = votes_folder(make_pairs, 20, 20, n_pairs=30)
    whole, cut = (
        TrainRequest(str(micro_model), folder, tmp_path / name, recipe) for name in ("a", "b")
    )
    card = build_adapter(whole)
    with pytest.raises(KilledError):
        build_adapter(cut, kill_at(card.n_steps - 1))
    resumed = build_adapter(cut)
    assert any(note.startswith("resumed at step") for note in resumed.notes)
    assert resumed.adapter_hash == card.adapter_hash


def test_thumbs_alone_train_an_adapter(
    make_pairs: MakePairs, micro_model: Path, tmp_path: Path
) -> None:
    """A folder without a single pair is enough for kto."""
    folder = votes_folder(make_pairs, 12, 12)
    request = TrainRequest(str(micro_model), folder, tmp_path / "adapter", replace(KTO, epochs=1.0))
    card = build_adapter(request)
    assert (card.method, card.n_train) == ("kto", 24)
    assert card.final_metrics["adapter_effect"] > 0
