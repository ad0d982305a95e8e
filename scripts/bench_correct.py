"""Measure training: useful tokens per second, peak memory and use of the arithmetic, beside TRL.

Both sides train the same LoRA adapter on the same pairs with the same loss and batch, each in a
fresh process, in turns. "trl" is DPOTrainer with its own defaults; "ours" is what `fit.choose`
sets. Every line also compares our estimate with the truth.

    python scripts/bench_correct.py --shapes 1m 5m --repeats 3
    python scripts/bench_correct.py --shapes 0.5b 1.5b 8b --pairs 200     # needs a CUDA card
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
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TOKENIZER = ROOT / "sample_data" / "models" / "v2"
# hidden, feed-forward, layers, heads, key-value heads, vocabulary, tied; real ones are the shapes
# of Qwen2.5-0.5B and 1.5B and Llama-3.1-8B (their config.json).
SHAPES = {
    "micro": (64, 128, 2, 2, 2, 700, False),
    "1m": (128, 384, 4, 4, 4, 700, False),
    "5m": (256, 768, 6, 4, 4, 2_000, False),
    "20m": (384, 1_152, 8, 6, 6, 8_000, False),
    "50m": (512, 1_536, 12, 8, 8, 16_000, True),
    "0.5b": (896, 4_864, 24, 14, 2, 151_936, True),
    "1.5b": (1_536, 8_960, 28, 12, 2, 151_936, True),
    "8b": (4_096, 14_336, 32, 32, 8, 128_256, False),
}
NEEDS_CARD = ("0.5b", "1.5b", "8b")
SIDES = ("ours", "trl")


def main() -> int:
    """Parse the options, run every case in a process of its own, and print the table."""
    options = _options()
    if options.worker:
        print(json.dumps(measure(options)))
        return 0
    import torch

    if set(options.shapes) & set(NEEDS_CARD) and not torch.cuda.is_available():
        named = ", ".join(shape for shape in options.shapes if shape in NEEDS_CARD)
        print(f"bench_correct: {named} need a CUDA card, and there is none here", file=sys.stderr)
        return 2
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for shape in options.shapes:
            model = Path(folder) / shape
            save_model(shape, model)
            for repeat in range(options.repeats):
                # Turns are swapped, so that a slow spell of the machine hits both sides.
                for side in SIDES[:: 1 if repeat % 2 == 0 else -1]:
                    if side in options.sides:
                        one = _in_a_process(options, shape, side, model)
                        found.setdefault((shape, side), []).append(one)
    for line in table(found):
        print(line)
    if options.json:
        named_rows = [{"shape": s, "side": d, "runs": runs} for (s, d), runs in found.items()]
        options.json.write_text(json.dumps(named_rows, indent=2))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["1m"])
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--median", type=int, default=0, help="median tokens of a row")
    parser.add_argument("--max-length", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--micro", type=int, default=0, help="fix our micro batch size")
    parser.add_argument("--checkpointing", choices=("auto", "on", "off"), default="auto")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", choices=SIDES)
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    real = bool(set(options.shapes) & set(NEEDS_CARD))
    options.median = options.median or (700 if real else 120)
    options.max_length = options.max_length or (2048 if real else 512)
    return options


def _in_a_process(options: argparse.Namespace, shape: str, side: str, model: Path) -> Any:
    command = [
        sys.executable, __file__, "--worker", side, "--shapes", shape, "--model", str(model),
        "--pairs", str(options.pairs), "--median", str(options.median),
        "--max-length", str(options.max_length), "--batch-size", str(options.batch_size),
        "--micro", str(options.micro), "--checkpointing", options.checkpointing,
    ]  # fmt: skip
    env = {**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1", "TQDM_DISABLE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    if done.returncode:
        sys.exit(f"bench_correct: {shape} {side} failed\n{done.stderr[-3000:]}")
    one = json.loads(done.stdout.splitlines()[-1])
    print(f"# {shape} {side}: {one['tokens_per_second']:.0f} tokens/s", file=sys.stderr)
    return one


def save_model(shape: str, folder: Path) -> None:
    """Write a model of a shape with random weights, and the sample tokenizer beside it."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    hidden, wide, layers, heads, kv_heads, vocabulary, tied = SHAPES[shape]
    tokenizer = AutoTokenizer.from_pretrained(str(TOKENIZER))
    config = LlamaConfig(
        hidden_size=hidden,
        intermediate_size=wide,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        vocab_size=vocabulary,
        tie_word_embeddings=tied,
        max_position_embeddings=8192,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def make_rows(options: argparse.Namespace) -> list[Any]:
    """Return pairs whose lengths are log-normal, as conversations' are, with a long tail."""
    import numpy as np
    from transformers import AutoTokenizer

    from loopllm_cli.correct.pair_rows import PairRow

    random = np.random.default_rng(0)
    tokenizer = AutoTokenizer.from_pretrained(str(TOKENIZER))
    words = [tokenizer.decode([i]) for i in range(300, 700)]
    words = [word for word in words if word.strip().isalpha()]

    def text(n_tokens: float) -> str:
        said = "".join(random.choice(words, max(2, int(n_tokens))))
        ids = tokenizer(said)["input_ids"][: max(2, int(n_tokens))]
        return str(tokenizer.decode(ids)).strip() or "a"

    rows = []
    # A standard deviation of 0.6 on the log scale makes the longest of a thousand rows about six
    # times the median.
    for whole in np.exp(random.normal(np.log(options.median), 0.6, options.pairs)):
        share = random.uniform(0.2, 0.6)
        prompt = ({"role": "user", "content": text(whole * (1 - share))},)
        rows.append(PairRow(prompt, text(whole * share), text(whole * share * 0.8)))
    return rows


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Train once and return what it took; runs in a process of its own."""
    # All imports are done before memory is looked at: they are not the model's.
    import datasets  # noqa: F401
    import peft  # noqa: F401
    import torch
    import trl.trainer.dpo_trainer  # noqa: F401

    from loopllm_cli.correct.peak_memory import PeakMemory
    from loopllm_cli.correct.quiet import quiet

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    rows = make_rows(options)
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    make = our_trainer if options.worker == "ours" else trl_trainer
    with quiet(), PeakMemory(kind) as peak, tempfile.TemporaryDirectory() as folder:
        trainer, told = make(options, rows, Path(folder))
        times = StepTimes()
        trainer.add_callback(times.callback())
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
    return report(options, trainer, {**told, "train_seconds": seconds}, times.seconds, peak.bytes)


class StepTimes:
    """Collect the seconds of every optimizer step."""

    def __init__(self) -> None:
        """Start with none."""
        self.seconds: list[float] = []

    def callback(self) -> Any:
        """Return the callback that collects them."""
        from transformers import TrainerCallback

        outer = self

        class _Times(TrainerCallback):  # type: ignore[misc]
            def on_step_begin(self, *_: Any, **__: Any) -> None:
                self.started = time.perf_counter()

            def on_step_end(self, *_: Any, **__: Any) -> None:
                _synchronize()
                outer.seconds.append(time.perf_counter() - self.started)

        return _Times()


def our_trainer(options: argparse.Namespace, rows: list[Any], folder: Path) -> tuple[Any, Any]:
    """Return the trainer that `loopllm correct` would use, and our estimate."""
    from loopllm_cli.correct.batching import balance_batches, row_lengths
    from loopllm_cli.correct.device_facts import read_device_facts
    from loopllm_cli.correct.encoding import encode_answer
    from loopllm_cli.correct.estimate import estimate
    from loopllm_cli.correct.fit import choose
    from loopllm_cli.correct.lengths import Lengths
    from loopllm_cli.correct.loading import load_model, load_tokenizer
    from loopllm_cli.correct.model_facts import read_model_facts
    from loopllm_cli.correct.recipe import Recipe
    from loopllm_cli.correct.reference_cache import attach_reference
    from loopllm_cli.correct.step_time import measured_rate
    from loopllm_cli.correct.trainer import make_trainer

    tokenizer = load_tokenizer(str(options.model))
    encoded = [encode_answer(tokenizer, row.prompt, row.chosen_message) for row in rows]
    lengths = Lengths.of(
        [len(one.prompt) + len(one.answer) for one in encoded],
        options.max_length,
        [len(one.answer) for one in encoded],
    )
    facts, device = read_model_facts(str(options.model)), read_device_facts()
    opened = ("gradient_checkpointing", "micro_batch_size", "precompute_reference")
    fixed: dict[str, Any] = {}
    if options.micro:
        fixed["micro_batch_size"] = options.micro
    if options.checkpointing != "auto":
        fixed["gradient_checkpointing"] = options.checkpointing == "on"
    recipe = Recipe(
        batch_size=options.batch_size,
        max_length=options.max_length,
        epochs=1.0,
        min_steps=0,
        kl_limit=0.0,
        auto=tuple(key for key in opened if key not in fixed),
        **fixed,
    )
    fitted = choose(recipe, facts, device, lengths)
    rate = measured_rate(facts, device.kind)
    # Nothing is scored here, so the logits of the measurements are left out.
    told = estimate(fitted.recipe, facts, device, replace(lengths, answer_longest=1), rate)
    model = load_model(str(options.model), "auto", fitted.recipe.dtype)
    bare = replace(fitted.recipe, precompute_reference=False)
    trainer = make_trainer(model, tokenizer, rows, bare, folder)
    started = time.perf_counter()
    attach_reference(trainer, None, "bench")
    _synchronize()
    reference = time.perf_counter() - started
    balance_batches(trainer, 0)
    longest = max(row_lengths(trainer.train_dataset, options.max_length))
    return trainer, {
        "reference_seconds": reference, "estimate_bytes": told.peak_bytes,
        "estimate_step": told.step_seconds, "longest": longest, "rate": rate,
        "micro": fitted.recipe.micro_batch_size,
        "checkpointing": fitted.recipe.gradient_checkpointing, "parts": dict(told.parts),
    }  # fmt: skip


def trl_trainer(options: argparse.Namespace, rows: list[Any], folder: Path) -> tuple[Any, Any]:
    """Return a DPOTrainer with TRL's own settings; batch, loss and adapter are the same as ours."""
    import torch
    from peft import LoraConfig
    from transformers import PrinterCallback
    from trl import DPOConfig, DPOTrainer

    from loopllm_cli.correct.recipe import Recipe
    from loopllm_cli.correct.trainer import to_dataset

    recipe = Recipe()
    # Eight rows are TRL's micro batch; accumulation brings it to our batch.
    micro = min(8, options.batch_size)
    arguments = DPOConfig(
        output_dir=str(folder),
        max_length=options.max_length,
        num_train_epochs=1.0,
        loss_type=list(recipe.loss_type),
        loss_weights=list(recipe.loss_weights),
        learning_rate=recipe.learning_rate,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=options.batch_size // micro,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
    )
    lora = LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    trainer = DPOTrainer(
        model=str(options.model), args=arguments, train_dataset=to_dataset(rows), peft_config=lora
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, {"reference_seconds": 0.0, "micro": micro, "checkpointing": True}


def report(
    options: argparse.Namespace,
    trainer: Any,
    told: dict[str, Any],
    steps: list[float],
    peak: int | None,
) -> dict[str, Any]:
    """Return the figures of one run."""
    from loopllm_cli.correct.device_facts import read_device_facts
    from loopllm_cli.correct.lengths import Lengths
    from loopllm_cli.correct.model_facts import read_model_facts
    from loopllm_cli.correct.recipe import Recipe
    from loopllm_cli.correct.step_time import measured_rate, training_flops

    data, limit = trainer.train_dataset, options.max_length
    useful = sum(
        min(limit, len(prompt) + len(answer))
        for side in ("chosen_ids", "rejected_ids")
        for prompt, answer in zip(data["prompt_ids"], data[side], strict=True)
    )
    facts, device = read_model_facts(str(options.model)), read_device_facts()
    # The first step pays for compiling and allocating once.
    step = statistics.fmean(steps[1:] or steps)
    whole = step * len(steps) + told["reference_seconds"]
    mean = Lengths.of([useful // (2 * len(data))]).mean
    bare = Recipe(gradient_checkpointing=False, precompute_reference=True)
    flops = training_flops(facts, bare, mean) * useful
    ceiling = device.peak_flops or measured_rate(facts, device.kind)
    return {
        **told,
        "tokens_per_second": useful / whole,
        "training_tokens_per_second": useful / (step * len(steps)),
        "step_seconds": step,
        "n_steps": len(steps),
        "peak_bytes": peak,
        "flops_use": flops / whole / ceiling,
        "device": device.name or device.kind,
        "losses": [row["loss"] for row in trainer.state.log_history if "loss" in row],
    }


def table(found: dict[tuple[str, str], list[dict[str, Any]]]) -> list[str]:
    """Return the figures as lines: medians over repetitions, and the span of the speed."""
    lines = [
        f"{'shape':6} {'side':5} {'tokens/s':>9} {'span':>15} {'peak MB':>8} {'use':>5} "
        f"{'s/step':>7} {'micro':>5} {'ckpt':>5} {'est. MB':>8} {'error':>6} "
        f"{'est. s':>7} {'error':>6}"
    ]
    for (shape, side), runs in found.items():
        speed = [run["tokens_per_second"] for run in runs]
        middle = {key: _median(runs, key) for key in ("peak_bytes", "flops_use", "step_seconds")}
        lines.append(
            f"{shape:6} {side:5} {statistics.median(speed):9.0f} "
            f"{min(speed):7.0f}-{max(speed):<7.0f} {middle['peak_bytes'] / 1e6:8.0f} "
            f"{middle['flops_use']:5.0%} {middle['step_seconds']:7.3f} {runs[0]['micro']:5d} "
            f"{'on' if runs[0]['checkpointing'] else 'off':>5} " + _errors(runs, middle)
        )
    return lines


def _errors(runs: list[dict[str, Any]], middle: dict[str, float]) -> str:
    if "estimate_bytes" not in runs[0]:
        return ""
    told, step = _median(runs, "estimate_bytes"), _median(runs, "estimate_step")
    return (
        f"{told / 1e6:8.0f} {told / middle['peak_bytes'] - 1:+6.0%} "
        f"{step:7.3f} {step / middle['step_seconds'] - 1:+6.0%}"
    )


def _median(runs: list[dict[str, Any]], key: str) -> float:
    return statistics.median(run[key] or float("nan") for run in runs)


def _synchronize() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    raise SystemExit(main())
