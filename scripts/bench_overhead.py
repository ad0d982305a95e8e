"""Measure what a whole `loopllm correct` costs beside a bare TRL run on the same rows.

    python -m scripts.bench_overhead --repeats 3

Both sides start with the same pairs and end with an adapter on disk, each in a fresh process, in
turns, from after the imports on. "bare" is what one writes with TRL at hand: load the model, a
DPOTrainer with the settings of the recipe (reference computed beforehand, no checkpoints), train,
save. "loopllm" is `build_adapter`: hashes and checks of the pairs, the estimate, checkpoints,
guards, held-out pairs before and after, lineage and card. CPU seconds are the ones to read where
other work runs beside.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.project import ROOT, Project

SAMPLE = ROOT / "sample_data"
MODEL = SAMPLE / "models" / "v2"


def train_bare(pairs: Path, recipe_file: Path, out: Path) -> None:
    """Train on the rows that loopllm would train on, with nothing around."""
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM
    from trl import DPOConfig, DPOTrainer

    from loopllm_cli.correct.prepare import prepare
    from loopllm_cli.correct.recipe import load_recipe
    from loopllm_cli.correct.request import TrainRequest
    from loopllm_cli.correct.trainer import count_steps, to_dataset

    recipe = load_recipe(recipe_file)
    found = prepare(TrainRequest(str(MODEL), pairs, out, recipe))
    rows = found.rows.rows

    def run() -> None:
        torch.set_num_threads(1)
        model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
        arguments = DPOConfig(
            output_dir=str(out),
            max_length=recipe.max_length,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type=recipe.schedule,
            warmup_steps=recipe.warmup,
            max_steps=count_steps(len(rows), found.recipe),
            per_device_train_batch_size=found.recipe.micro_batch_size,
            gradient_accumulation_steps=recipe.batch_size // found.recipe.micro_batch_size,
            activation_checkpointing=found.recipe.gradient_checkpointing,
            loss_type=list(recipe.loss_type),
            loss_weights=list(recipe.loss_weights),
            beta=recipe.beta,
            precompute_ref_log_probs=True,
            precompute_ref_batch_size=found.recipe.micro_batch_size,
            bf16=False,
            use_cpu=True,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        lora = LoraConfig(
            r=recipe.rank,
            lora_alpha=recipe.alpha,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        trainer = DPOTrainer(
            model=model,
            args=arguments,
            train_dataset=to_dataset(rows),
            processing_class=found.tokenizer,
            peft_config=lora,
        )
        trainer.train()
        trainer.save_model(str(out / "adapter"))

    _measure(run)


def train_ours(pairs: Path, recipe_file: Path, out: Path) -> None:
    """Train as `loopllm correct` does."""
    import torch  # noqa: F401
    from trl import DPOTrainer  # noqa: F401

    from loopllm_cli.correct.recipe import load_recipe
    from loopllm_cli.correct.request import TrainRequest
    from loopllm_cli.correct.train import build_adapter

    request = TrainRequest(str(MODEL), pairs, out / "adapter", load_recipe(recipe_file))
    _measure(lambda: build_adapter(request))


SIDES = {"bare": train_bare, "loopllm": train_ours}


def _measure(run: Callable[[], Any]) -> None:
    """Run something and print its wall and CPU seconds as the last line."""
    from loopllm_cli.correct.quiet import quiet

    wall, cpu = time.perf_counter(), time.process_time()
    with quiet():
        run()
    print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))


def _in_a_process(side: str, pairs: Path, recipe: Path) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "scripts.bench_overhead", "--worker", side]
        command += ["--pairs", str(pairs), "--recipe", str(recipe), "--out", out]
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
    if done.returncode:
        sys.exit(f"bench_overhead: {side} failed\n{done.stderr[-3000:]}")
    wall, cpu = json.loads(done.stdout.splitlines()[-1])
    return wall, cpu


def make_pairs(folder: Path) -> Path:
    """Build the sample world's pairs in a project of their own."""
    project = Project(folder)
    project.run("ingest", str(SAMPLE / "logs"), str(SAMPLE / "feedback.jsonl.gz"))
    project.run("baseline", "create", "v1", "--until", "2026-09-21")
    project.run("drift", "--baseline", "v1")
    project.run("pairs", "--pairs-out", str(folder / "pairs"))
    return folder / "pairs"


def main() -> None:
    """Run both sides in turns and print their medians and the overhead."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pairs", type=Path, help="a pairs folder; the sample world's if not said")
    parser.add_argument("--recipe", type=Path, default=ROOT / "configs" / "tiny.toml")
    parser.add_argument("--worker", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        SIDES[asked.worker](asked.pairs, asked.recipe, asked.out)
        return
    with tempfile.TemporaryDirectory() as folder:
        pairs = asked.pairs or make_pairs(Path(folder))
        found: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
        for repeat in range(asked.repeats):
            # Turns are swapped, so that a slow spell of the machine hits both sides.
            for side in list(SIDES)[:: 1 if repeat % 2 == 0 else -1]:
                found[side].append(_in_a_process(side, pairs, asked.recipe))
    print("| side | wall s | CPU s |\n|---|---|---|")
    for side, runs in found.items():
        wall, cpu = (statistics.median(one) for one in zip(*runs, strict=True))
        print(f"| {side} | {wall:.1f} | {cpu:.1f} |")
    extra = [
        ours[1] / bare[1] - 1 for ours, bare in zip(found["loopllm"], found["bare"], strict=True)
    ]
    print(
        f"\noverhead, CPU: {statistics.median(extra):+.0%} ({min(extra):+.0%} … {max(extra):+.0%})"
    )


if __name__ == "__main__":
    main()
