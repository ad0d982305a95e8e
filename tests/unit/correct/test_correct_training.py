"""An adapter is trained whole or not at all, the same each time, and fits its own base only."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from micro import RECIPE, WEIGHTS, good_pairs, liked

from loopllm_cli.correct import Progress, TrainRequest, load_recipe
from loopllm_cli.correct.adapter_loading import load_with_adapter
from loopllm_cli.correct.loading import load_model
from loopllm_cli.correct.partial import last_checkpoint
from loopllm_cli.correct.score import adapter_effect, kl_per_token, score_pairs
from loopllm_cli.correct.train import build_adapter
from loopllm_cli.errors import AlreadyExists, ConfigError, ModelUnusable
from loopllm_cli.model import AdapterCard

pytestmark = pytest.mark.train

MakePairs = Callable[..., Path]


class KilledError(Exception):
    """Stands for a kill in the middle of a run."""


def kill_at(step: int) -> Callable[[Progress], None]:
    """Return a progress function that ends the run at a step."""

    def kill(progress: Progress) -> None:
        if progress.phase == "training" and progress.step == step:
            raise KilledError

    return kill


def test_the_finished_folder_holds_all_and_only_its_parts(trained: AdapterCard) -> None:
    """Weights, configuration, recipe, lineage and card are there, and no leftovers."""
    folder = Path(trained.path)
    names = {WEIGHTS, "adapter_config.json", "recipe.toml", "lineage.json", "README.md"}
    assert names == {path.name for path in folder.iterdir()}
    assert [path.name for path in folder.parent.iterdir()] == ["adapter"]
    # What was left open is written as it was chosen.
    ran = replace(RECIPE, dtype="float32", attention="sdpa")
    assert load_recipe(folder / "recipe.toml") == ran


def test_the_card_and_lineage_agree(trained: AdapterCard, micro_model: Path) -> None:
    """What the caller is told is what lies beside the weights."""
    lineage = json.loads((Path(trained.path) / "lineage.json").read_text())
    expected = (str(micro_model), trained.model_hash, trained.adapter_hash, "march", "drift-1")
    assert expected == tuple(
        lineage[key]
        for key in ("model", "model_hash", "adapter_sha256", "baseline_name", "drift_run_id")
    )
    assert (trained.n_train, lineage["counts"]["trained"]) == (30, 30)
    assert lineage["counts"]["by_rule"] == {"correction": 30}
    assert lineage["counts"]["dropped"] == {"chosen and rejected are the same": 1}
    assert {"loopllm", "torch", "transformers", "trl", "peft"} == set(trained.versions)
    assert "left out 1 training pair(s)" in trained.notes[0]
    assert trained.final_metrics["adapter_effect"] > 0
    assert trained.final_metrics["test_reward_accuracy"] == pytest.approx(1.0)
    assert 0 < trained.final_metrics["retention_kl"] < 1


def test_the_readme_says_what_it_is_and_that_it_is_not_verified(trained: AdapterCard) -> None:
    """The model card is ours, and claims nothing that was not measured."""
    text = (Path(trained.path) / "README.md").read_text()
    for part in ("drift-1", "march", "`correction` | 30", "PeftModel", "Not yet verified"):
        assert part in text


def test_progress_names_phases_and_every_step(
    tmp_path: Path, micro_model: Path, pairs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Every phase and step is reported, and nothing is written to the terminal."""
    seen: list[Progress] = []
    request = TrainRequest(str(micro_model), pairs, tmp_path / "adapter", RECIPE)
    card = build_adapter(request, seen.append)
    phases = list(dict.fromkeys(progress.phase for progress in seen))
    assert phases == ["checking", "loading", "training", "measuring", "saving"]
    steps = [progress.step for progress in seen if progress.loss is not None]
    assert list(range(1, card.n_steps + 1)) == steps
    assert capfd.readouterr() == ("", "")


def test_the_same_run_gives_the_same_weights(
    tmp_path: Path, micro_model: Path, pairs: Path, trained: AdapterCard
) -> None:
    """Seed, data and recipe decide the weights; another seed gives others."""
    request = TrainRequest(str(micro_model), pairs, tmp_path / "again", RECIPE)
    assert trained.adapter_hash == build_adapter(request).adapter_hash
    other = replace(request, adapter_out=tmp_path / "other", recipe=replace(RECIPE, seed=1))
    assert trained.adapter_hash != build_adapter(other).adapter_hash


def test_a_killed_run_goes_on_to_the_same_weights(
    tmp_path: Path, micro_model: Path, pairs: Path, trained: AdapterCard
) -> None:
    """A run that is killed and started again equals one that was not."""
    request = TrainRequest(str(micro_model), pairs, tmp_path / "adapter", RECIPE)
    with pytest.raises(KilledError):
        build_adapter(request, kill_at(trained.n_steps - 1))
    assert not request.adapter_out.exists()
    card = build_adapter(request)
    assert any(note.startswith("resumed at step") for note in card.notes)
    assert trained.adapter_hash == card.adapter_hash
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_a_half_written_checkpoint_is_passed_over(
    tmp_path: Path, micro_model: Path, pairs: Path, trained: AdapterCard
) -> None:
    """A checkpoint that was cut off by the kill is not resumed from."""
    request = TrainRequest(str(micro_model), pairs, tmp_path / "adapter", RECIPE)
    with pytest.raises(KilledError):
        build_adapter(request, kill_at(trained.n_steps - 1))
    checkpoints = tmp_path / "adapter.partial" / "checkpoints"
    newest = last_checkpoint(checkpoints)
    assert newest is not None
    (newest / "trainer_state.json").write_text('{"global_st')
    assert newest != last_checkpoint(checkpoints)
    assert trained.adapter_hash == build_adapter(request).adapter_hash


def test_saving_memory_changes_nothing(
    tmp_path: Path, micro_model: Path, pairs: Path, trained: AdapterCard
) -> None:
    """Recomputing activations gives the same adapter, without a warning."""
    recipe = replace(RECIPE, gradient_checkpointing=True)
    card = build_adapter(TrainRequest(str(micro_model), pairs, tmp_path / "adapter", recipe))
    for name in ("adapter_effect", "retention_kl", "train_loss"):
        assert card.final_metrics[name] == pytest.approx(trained.final_metrics[name], rel=1e-3)


def test_an_unfinished_run_with_other_settings_is_not_continued(
    tmp_path: Path, micro_model: Path, pairs: Path
) -> None:
    """Checkpoints of another recipe are thrown away, and the notes say so."""
    request = TrainRequest(str(micro_model), pairs, tmp_path / "adapter", RECIPE)
    with pytest.raises(KilledError):
        build_adapter(request, kill_at(5))
    card = build_adapter(replace(request, recipe=replace(RECIPE, learning_rate=5e-3)))
    assert "started fresh: an unfinished run was there with other recipe" in card.notes
    assert not any(note.startswith("resumed") for note in card.notes)


def test_an_existing_adapter_is_not_overwritten(trained: AdapterCard, pairs: Path) -> None:
    """The destination must not exist."""
    with pytest.raises(AlreadyExists, match="exists already"):
        build_adapter(TrainRequest(trained.model, pairs, Path(trained.path), RECIPE))


def test_nothing_is_asked_of_the_network(
    tmp_path: Path, micro_model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A local model is corrected without one connection or name look-up."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError(f"network: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    recipe = replace(RECIPE, epochs=1.0)
    build_adapter(TrainRequest(str(micro_model), pairs, tmp_path / "adapter", recipe))
    load_with_adapter(str(micro_model), tmp_path / "adapter", "cpu")


def test_the_guard_stops_and_goes_back(tmp_path: Path, micro_model: Path, pairs: Path) -> None:
    """When other traffic moves too far, the last good weights are kept and the notes say so."""
    recipe = replace(RECIPE, learning_rate=5e-2, kl_limit=1e-4, epochs=4.0)
    request = TrainRequest(str(micro_model), pairs, tmp_path / "adapter", recipe)
    card = build_adapter(request)
    assert card.final_metrics["guard_stopped_at_step"] >= 1
    assert card.final_metrics["retention_kl"] <= 1e-4
    assert any("retention guard stopped" in note for note in card.notes)


def test_a_run_without_retention_says_so(
    tmp_path: Path, micro_model: Path, make_pairs: MakePairs
) -> None:
    """Without liked answers nothing holds other traffic, and the notes say so."""
    recipe = replace(RECIPE, epochs=1.0)
    folder = make_pairs(good_pairs(24))
    card = build_adapter(TrainRequest(str(micro_model), folder, tmp_path / "out", recipe))
    assert "no retention answers" in card.notes[0]
    assert "retention_kl" not in card.final_metrics


def test_unknown_layers_are_refused(tmp_path: Path, micro_model: Path, pairs: Path) -> None:
    """Target modules that the model does not have are refused."""
    recipe = replace(RECIPE, target_modules=("c_attn",))
    with pytest.raises(ModelUnusable, match="no layers named c_attn"):
        build_adapter(TrainRequest(str(micro_model), pairs, tmp_path / "out", recipe))


def test_a_run_that_diverges_is_refused(
    tmp_path: Path, micro_model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that are not finite never become an adapter."""
    import torch

    from loopllm_cli.correct import train

    run_steps = train.run_steps

    def spoil(model: Any, asked: Any) -> Any:
        steps = run_steps(model, asked)
        for parameter in steps.trainer.model.parameters():
            if parameter.requires_grad:
                parameter.data.fill_(torch.nan)
        return steps

    monkeypatch.setattr(train, "run_steps", spoil)
    with pytest.raises(ConfigError, match="training diverged"):
        build_adapter(TrainRequest(str(micro_model), pairs, tmp_path / "out", RECIPE))
    assert not (tmp_path / "out").exists()


def test_the_reloaded_adapter_scores_as_it_was_measured(
    trained: AdapterCard, micro_model: Path, tokenizer: Any, pairs: Path
) -> None:
    """The adapter from disk does what the adapter in memory did; switched off it does nothing."""
    import torch

    from loopllm_cli.correct.generate import adapter_off
    from loopllm_cli.correct.preflight import check_pairs

    model = load_with_adapter(str(micro_model), Path(trained.path), "cpu")
    rows = check_pairs(pairs, tokenizer, RECIPE)
    prompts = [row.prompt for row in rows.train[:16]]
    effect = adapter_effect(model, tokenizer, prompts)
    assert trained.final_metrics["adapter_effect"] == pytest.approx(effect, rel=1e-5)
    scores = score_pairs(model, tokenizer, rows.test)
    assert trained.final_metrics["test_reward_accuracy"] == scores.reward_accuracy
    base = load_model(str(micro_model), "cpu")
    ids = torch.tensor([[3, 40, 41, 4]])
    with torch.no_grad(), adapter_off(model):
        assert torch.equal(base(ids).logits, model(ids).logits)
    liked_rows = [[*row["prompt"], *row["chosen"]] for row in liked(6)]
    assert kl_per_token(model, tokenizer, liked_rows).mean > 0
