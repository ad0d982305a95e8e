"""A run that goes wrong is stopped while it trains, goes back to what was good, and says why."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from micro import RECIPE, good_pairs, liked, pair

from loopllm_cli.correct import Progress, Recipe, TrainRequest, load_recipe
from loopllm_cli.correct.conditions import smaller_micro_batch
from loopllm_cli.correct.partial import last_checkpoint
from loopllm_cli.correct.train import build_adapter, plan_run
from loopllm_cli.errors import BadPairs, ConfigError, OutOfMemory, StoreUnavailable, Terminated
from loopllm_cli.model import AdapterCard

pytestmark = pytest.mark.train

MakePairs = Callable[..., Path]
Change = Callable[[Any, Any], None]


@pytest.fixture
def change_trainer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Change], None]:
    """Return a function that changes every trainer before its first step."""
    from loopllm_cli.correct import steps

    make = steps.make_trainer

    def use(change: Change) -> None:
        def made(model: Any, tokenizer: Any, rows: Any, recipe: Any, folder: Path) -> Any:
            trainer = make(model, tokenizer, rows, recipe, folder)
            change(trainer, recipe)
            return trainer

        monkeypatch.setattr(steps, "make_trainer", made)

    return use


def scale_loss(factor: float) -> Change:
    """Return a change that multiplies every loss, and so every gradient."""

    def change(trainer: Any, recipe: Any) -> None:
        compute = trainer.compute_loss

        def scaled(*args: Any, **kwargs: Any) -> Any:
            return compute(*args, **kwargs) * factor

        trainer.compute_loss = scaled

    return change


def test_a_loss_that_is_no_number_ends_the_run_at_once(
    tmp_path: Path, micro_model: Path, pairs: Path, change_trainer: Callable[[Change], None]
) -> None:
    change_trainer(scale_loss(float("nan")))
    request = TrainRequest(str(micro_model), pairs, tmp_path / "out", RECIPE)
    with pytest.raises(ConfigError, match="diverged at step 1 of"):
        build_adapter(request)
    assert not request.adapter_out.exists()


def test_gradients_that_are_zero_from_the_start_end_the_run(
    tmp_path: Path, micro_model: Path, pairs: Path, change_trainer: Callable[[Change], None]
) -> None:
    change_trainer(scale_loss(0.0))
    request = TrainRequest(str(micro_model), pairs, tmp_path / "out", RECIPE)
    with pytest.raises(BadPairs, match="exactly zero"):
        build_adapter(request)


def contrary(make_pairs: MakePairs) -> Path:
    """Return pairs whose held-out part asks for the opposite of what is trained."""
    opposite = [pair(f"where is my city {i}?", "no, never 7", f"yes {i}") for i in range(12)]
    return make_pairs(good_pairs(30), opposite, liked(40))


def test_better_answers_that_become_unlikely_while_margins_grow_stop_the_run(
    tmp_path: Path, micro_model: Path, make_pairs: MakePairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loopllm_cli.correct.guards import watch

    folder = contrary(make_pairs)
    recipe = replace(RECIPE, epochs=6.0, learning_rate=3e-2)
    # An untrained model of two layers cannot fall as far as one that knew something.
    monkeypatch.setattr(watch, "MAX_FALL", 0.1)
    card = build_adapter(TrainRequest(str(micro_model), folder, tmp_path / "out", recipe))
    assert card.final_metrics["guard_stopped_at_step"] <= card.n_steps
    note = next(note for note in card.notes if "guard stopped" in note)
    assert "the displacement guard stopped the run" in note
    assert "both sides are pushed down" in note
    assert "--auto" in note


def test_a_run_whose_held_out_pairs_only_get_worse_ends_early_with_the_best_weights(
    tmp_path: Path, micro_model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the first look at step 2 every pair is preferred rightly, afterwards none is."""
    import numpy as np
    import torch
    from safetensors.torch import load_file

    from loopllm_cli.correct.guards.kept import KeptWeights
    from loopllm_cli.correct.guards.watch import Watch

    n_asked = [0]
    remembered: dict[int, dict[str, Any]] = {}
    remember = KeptWeights.remember

    def preferred(self: Watch, model: Any, better: Any) -> Any:
        n_asked[0] += 1
        return np.ones(10) if n_asked[0] == 2 else np.zeros(10)

    def noted(self: KeptWeights, model: Any, step: int, held_out: list[float]) -> None:
        remember(self, model, step, held_out)
        remembered[step] = self._weights

    monkeypatch.setattr(Watch, "_preferred", preferred)
    monkeypatch.setattr(KeptWeights, "remember", noted)
    recipe = replace(RECIPE, checkpoints=8)
    card = build_adapter(TrainRequest(str(micro_model), pairs, tmp_path / "out", recipe))
    assert (8, 2.0) == (card.n_steps, card.final_metrics["kept_from_step"])
    assert "ended early at step 8 of 16: the better answer was the likelier one in 100%" in (
        " ".join(card.notes)
    )
    assert [0, 2] == sorted(remembered)
    written = load_file(tmp_path / "out" / "adapter_model.safetensors")
    wanted = {key.replace(".default", ""): value for key, value in remembered[2].items()}
    assert sorted(wanted) == sorted(written)
    assert all(torch.equal(wanted[key], written[key]) for key in wanted)


def no_room_above(limit: int) -> Change:
    """Return a change that lets memory run out in every step with larger micro batches."""

    def change(trainer: Any, recipe: Recipe) -> None:
        import torch

        step = trainer.training_step

        def fail(*args: Any, **kwargs: Any) -> Any:
            # The seventh step: a checkpoint has been written before it.
            if recipe.micro_batch_size > limit and trainer.state.global_step >= 6:
                raise torch.OutOfMemoryError("out of memory, as a test wants it")
            return step(*args, **kwargs)

        trainer.training_step = fail

    return change


def test_when_memory_runs_out_micro_batches_shrink_and_the_batch_stays(
    tmp_path: Path,
    micro_model: Path,
    pairs: Path,
    trained: AdapterCard,
    change_trainer: Callable[[Change], None],
) -> None:
    change_trainer(no_room_above(2))
    said: list[str] = []
    request = TrainRequest(str(micro_model), pairs, tmp_path / "out", RECIPE)
    card = build_adapter(request, lambda progress: said.append(progress.said))
    ran = load_recipe(tmp_path / "out" / "recipe.toml")
    assert (2, 8) == (ran.micro_batch_size, ran.batch_size)
    assert trained.n_steps == card.n_steps
    told = [note for note in card.notes if "memory ran out" in note]
    assert 2 == len(told), card.notes
    assert set(told) <= set(said)
    assert any(note.startswith("resumed at step") for note in card.notes)
    for name in ("adapter_effect", "train_loss", "retention_kl"):
        assert card.final_metrics[name] == pytest.approx(trained.final_metrics[name], rel=0.2)


def test_when_nothing_smaller_is_left_the_run_says_what_to_do(
    tmp_path: Path, micro_model: Path, pairs: Path, change_trainer: Callable[[Change], None]
) -> None:
    change_trainer(no_room_above(0))
    with pytest.raises(OutOfMemory, match="micro_batch_size = 1") as caught:
        build_adapter(TrainRequest(str(micro_model), pairs, tmp_path / "out", RECIPE))
    assert "gradient_checkpointing" in caught.value.hint


@pytest.mark.parametrize(
    ("method", "batch", "micro", "smaller"),
    [("dpo", 16, 16, 8), ("dpo", 12, 4, 2), ("dpo", 9, 9, 3), ("dpo", 8, 1, None),
     ("kto", 16, 2, None), ("kto", 6, 6, 3)],
)  # fmt: skip
def test_a_smaller_micro_batch_divides_the_batch(
    method: str, batch: int, micro: int, smaller: int | None
) -> None:
    recipe = replace(Recipe(), method=method, batch_size=batch, micro_batch_size=micro)
    assert smaller == smaller_micro_batch(recipe)


def test_sigterm_saves_a_checkpoint_and_the_run_goes_on_to_the_same_weights(
    tmp_path: Path, micro_model: Path, pairs: Path, trained: AdapterCard
) -> None:
    def terminate(progress: Progress) -> None:
        if progress.phase == "training" and progress.step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    request = TrainRequest(str(micro_model), pairs, tmp_path / "out", RECIPE)
    with pytest.raises(Terminated, match="stopped after step") as caught:
        build_adapter(request, terminate)
    assert 143 == caught.value.exit_code
    assert "run the same command again" in caught.value.hint
    assert before == signal.getsignal(signal.SIGTERM)
    kept = last_checkpoint(tmp_path / "out.partial" / "checkpoints")
    assert kept is not None
    assert kept.name in ("checkpoint-4", "checkpoint-5")
    assert trained.adapter_hash == build_adapter(request).adapter_hash


def test_a_full_disk_is_one_error_and_leaves_the_checkpoint(
    tmp_path: Path,
    micro_model: Path,
    pairs: Path,
    trained: AdapterCard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from transformers import Trainer

    save = Trainer._save_checkpoint

    def full(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return save(self, *args, **kwargs)

    request = TrainRequest(str(micro_model), pairs, tmp_path / "out", RECIPE)
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "_save_checkpoint", full)
        with pytest.raises(
            StoreUnavailable, match=r"no space left.*checkpoint of step \d is whole"
        ):
            build_adapter(request)
    assert trained.adapter_hash == build_adapter(request).adapter_hash


def test_a_plan_counts_chooses_and_estimates_and_writes_nothing(
    tmp_path: Path, micro_model: Path, pairs: Path, trained: AdapterCard
) -> None:
    recipe = replace(RECIPE, auto=("micro_batch_size",))
    plan = plan_run(TrainRequest(str(micro_model), pairs, tmp_path / "out", recipe))
    assert trained.n_train == plan.rows.n_pairs
    assert plan.estimate is not None
    assert trained.n_steps == plan.estimate.n_steps
    assert plan.estimate.peak_bytes > 0
    assert () == plan.recipe.auto
    assert {"dtype", "attention", "micro_batch_size"} <= {choice.name for choice in plan.choices}
    assert [] == list(tmp_path.iterdir())


def test_choices_of_an_interrupted_run_hold_for_the_rest_of_it(
    tmp_path: Path, micro_model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Free memory differs from day to day; the run that goes on is the run that began."""
    from loopllm_cli.correct import prepare

    recipe = replace(RECIPE, auto=("micro_batch_size",))
    request = TrainRequest(str(micro_model), pairs, tmp_path / "out", recipe)

    def stop(progress: Progress) -> None:
        if progress.step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_adapter(request, stop)
    read = prepare.read_device_facts
    monkeypatch.setattr(prepare, "read_device_facts", lambda device: replace(read(device), free=1))
    assert 1 == plan_run(replace(request, adapter_out=tmp_path / "x")).recipe.micro_batch_size
    card = build_adapter(request)
    assert card.recipe["micro_batch_size"] == 8
    assert any(note.startswith("resumed at step") for note in card.notes)


def test_a_run_that_is_refused_before_it_begins_leaves_nothing(
    tmp_path: Path, micro_model: Path, make_pairs: MakePairs
) -> None:
    folder = make_pairs([pair(f"q {i}", "a", "a") for i in range(20)])
    with pytest.raises(BadPairs):
        build_adapter(TrainRequest(str(micro_model), folder, tmp_path / "out", RECIPE))
    assert ["pairs"] == [path.name for path in tmp_path.iterdir()]


def test_what_the_served_adapter_has_moved_is_not_watched(
    tmp_path: Path, micro_model: Path, pairs: Path, trained: AdapterCard
) -> None:
    """A new adapter learns earlier repairs again, from the base, and may."""
    request = TrainRequest(
        str(micro_model), pairs, tmp_path / "out", replace(RECIPE, kl_limit=1e-6)
    )
    stopped = build_adapter(request)
    assert "guard_stopped_at_step" in stopped.final_metrics
    served = Path(trained.path)
    again = build_adapter(replace(request, adapter_out=tmp_path / "again", served=served))
    assert "guard_stopped_at_step" not in again.final_metrics
    assert any("adapter, which is served, has moved them" in note for note in again.notes)
    # Looking at the served adapter leaves nothing of it behind.
    for name in ("adapter_effect", "train_loss"):
        assert again.final_metrics[name] == trained.final_metrics[name]


def test_an_adapter_that_is_served_on_another_base_is_passed_over(
    tmp_path: Path, micro_model: Path, pairs: Path, trained: AdapterCard
) -> None:
    served = Path(shutil.copytree(trained.path, tmp_path / "served"))
    lineage = json.loads((served / "lineage.json").read_text())
    (served / "lineage.json").write_text(json.dumps({**lineage, "model_hash": "sha256:other"}))
    request = TrainRequest(str(micro_model), pairs, tmp_path / "out", RECIPE, served=served)
    assert not any("is served" in note for note in build_adapter(request).notes)


def test_the_few_answers_that_moved_most_do_not_stop_a_run() -> None:
    import numpy as np

    from loopllm_cli.correct.score import KlPerToken

    few = KlPerToken(np.array([1.0, 1.2, *[0.001] * 18]), np.full(20, 10))
    all_of_them = KlPerToken(np.full(20, 0.06), np.full(20, 10))
    fewer_than_ten = KlPerToken(np.array([0.9, *[0.0] * 7]), np.full(8, 10))
    assert few.mean > 0.05 > few.usual
    assert all_of_them.usual == pytest.approx(0.06)
    assert fewer_than_ten.usual == fewer_than_ten.mean
