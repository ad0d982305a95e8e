"""Set up TRL's DPOTrainer from a recipe: the one place that knows its options.

Imports nothing heavy at the top, but every function here needs the training extra.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopllm_cli.correct.encoding import EncodedAnswer, encode_answer
from loopllm_cli.correct.pair_rows import PairRow
from loopllm_cli.correct.preflight import CheckedPairs
from loopllm_cli.correct.recipe import Recipe
from loopllm_cli.errors import ModelUnusable

# Below eight answers the divergence is a matter of which ones they are; 48 take a few forward
# passes, and 60 were ample in the method study.
GUARD_ROWS_MIN = 8
GUARD_ROWS_MAX = 48


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What is trained on, and the liked answers kept out of it to watch over other traffic."""

    rows: tuple[PairRow, ...]
    guard: tuple[PairRow, ...]
    n_pairs: int
    n_retention: int


def build_training_set(checked: CheckedPairs, recipe: Recipe) -> TrainingSet:
    """Mix retention answers into the pairs and keep some of them out for the guard.

    A retention row has the liked answer on both sides. The preference loss of such a row is
    constant, so it adds nothing but the likelihood term: an anchor, with no made-up rejection.
    On the sample model, untouched intents stayed right in 98% with anchors, in 95% with another
    row's answer as the rejected side (the margin is trivial to widen), and in 95% without
    retention rows.
    """
    retention = list(checked.retention)
    random.Random(recipe.seed).shuffle(retention)
    n_guard = min(GUARD_ROWS_MAX, len(retention) // 4)
    if recipe.kl_limit <= 0 or n_guard < GUARD_ROWS_MIN:
        n_guard = 0
    anchors = retention[n_guard:]
    # Without a likelihood term an anchor would cost time and change nothing.
    n_wanted = round(recipe.retention_ratio * len(checked.train)) if has_sft(recipe) else 0
    anchors = anchors[:n_wanted]
    return TrainingSet(
        rows=(*checked.train, *anchors),
        guard=tuple(retention[:n_guard]),
        n_pairs=len(checked.train),
        n_retention=len(anchors),
    )


def has_sft(recipe: Recipe) -> bool:
    """Say whether a recipe has a likelihood term."""
    terms = zip(recipe.loss_type, recipe.loss_weights, strict=True)
    return any(name == "sft" and weight > 0 for name, weight in terms)


def count_steps(n_rows: int, recipe: Recipe) -> int:
    """Return the optimizer steps of a run, as the Trainer counts them."""
    per_epoch = math.ceil(math.ceil(n_rows / recipe.micro_batch_size) / accumulation(recipe))
    return max(1, math.ceil(recipe.epochs * per_epoch))


def accumulation(recipe: Recipe) -> int:
    """Return the micro batches in a batch."""
    return recipe.batch_size // recipe.micro_batch_size


def save_every(n_steps: int, recipe: Recipe) -> int:
    """Return the steps between two checkpoints, which is also the guard's interval."""
    return max(1, n_steps // recipe.checkpoints)


def encode_rows(tokenizer: Any, rows: Sequence[PairRow]) -> list[EncodedAnswer]:
    """Encode the chosen answers of some rows."""
    return [encode_answer(tokenizer, row.prompt, row.chosen_message, row.tools) for row in rows]


def to_dataset(rows: Sequence[PairRow]) -> Any:
    """Return rows as TRL trains on them.

    Messages with tool calls differ in their keys. As plain Arrow they would all get each other's,
    filled with None, and templates that ask whether a message has `tool_calls` would find some; as
    JSON they stay as they are.

    Source: TRL 1.16, `trl.trainer.utils.remove_none_values`.
    """
    from datasets import Dataset, Features, Json, List, Value

    found = [row.as_trl() for row in rows]
    if not any(row.has_tools for row in rows):
        return Dataset.from_list(found)
    sides = ("prompt", "chosen", "rejected")
    features = Features({**{side: List(Json()) for side in sides}, "tools": Value("string")})
    return Dataset.from_list([{"tools": None, **row} for row in found], features=features)


def make_trainer(
    model: Any, tokenizer: Any, rows: Sequence[PairRow], recipe: Recipe, folder: Path
) -> Any:
    """Construct a DPOTrainer around a loaded model; its reference is the model without adapter.

    Raises:
        ModelUnusable: the recipe's target modules are not in the model.

    Source: TRL documentation, "DPO Trainer" and "PEFT integration".
    """
    from transformers import PrinterCallback
    from trl import DPOTrainer

    n_steps = count_steps(len(rows), recipe)
    try:
        trainer = DPOTrainer(
            model=model,
            args=_arguments(recipe, folder, model, save_every(n_steps, recipe)),
            train_dataset=to_dataset(rows),
            processing_class=tokenizer,
            peft_config=_lora(recipe),
        )
    except ValueError as error:
        if "arget modules" not in str(error):
            raise
        raise ModelUnusable(
            f"the model has no layers named {', '.join(recipe.target_modules)}",
            'set target_modules = ["all-linear"] in the recipe',
        ) from error
    trainer.remove_callback(PrinterCallback)
    return trainer


def _lora(recipe: Recipe) -> Any:
    from peft import LoraConfig

    names = recipe.target_modules
    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules="all-linear" if names == ("all-linear",) else list(names),
        bias="none",
        task_type="CAUSAL_LM",
    )


def _arguments(recipe: Recipe, folder: Path, model: Any, every: int) -> Any:
    from trl import DPOConfig

    dtype = str(model.dtype).removeprefix("torch.")
    arguments = DPOConfig(
        output_dir=str(folder),
        loss_type=list(recipe.loss_type),
        loss_weights=list(recipe.loss_weights),
        beta=recipe.beta,
        max_length=recipe.max_length,
        precompute_ref_log_probs=recipe.precompute_reference,
        precompute_ref_batch_size=recipe.micro_batch_size,
        disable_dropout=recipe.dropout == 0,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=_warmup(recipe.warmup),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.micro_batch_size,
        gradient_accumulation_steps=accumulation(recipe),
        activation_checkpointing=recipe.gradient_checkpointing,
        bf16=dtype == "bfloat16",
        fp16=dtype == "float16",
        use_cpu=model.device.type == "cpu",
        seed=recipe.seed,
        data_seed=recipe.seed,
        logging_steps=1,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=model.device.type == "cuda",
    )
    if arguments.n_gpu > 1:
        # The Trainer would replicate the model over every visible GPU, which TRL refuses.
        arguments._n_gpu = 1
    return arguments


def _warmup(share: float) -> float:
    # The Trainer reads numbers from 1 on as steps and smaller ones as a share.
    return min(share, 0.999)
