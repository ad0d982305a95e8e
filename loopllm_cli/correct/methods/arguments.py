"""What all methods share: the adapter's shape, the schedule, precision, batches, checkpoints.

Imports nothing heavy at the top, but every function here needs the training extra.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from loopllm_cli.correct.methods.reporting import reporting
from loopllm_cli.correct.processes import world_size
from loopllm_cli.correct.recipe import Recipe
from loopllm_cli.errors import ConfigError


def count_steps(n_rows: int, recipe: Recipe) -> int:
    """Return the optimizer steps of a run, as the Trainer counts them."""
    return max(1, math.ceil(count_epochs(n_rows, recipe) * _per_epoch(n_rows, recipe)))


def count_epochs(n_rows: int, recipe: Recipe) -> float:
    """Return the epochs of a run: more than asked for, where these are too few steps.

    Few pairs make few steps, in which nothing is learnt: of 37 pairs, two epochs repaired nothing.
    """
    return max(recipe.epochs, recipe.min_steps / _per_epoch(n_rows, recipe))


def _per_epoch(n_rows: int, recipe: Recipe) -> int:
    n_micro = math.ceil(n_rows / (recipe.micro_batch_size * world_size()))
    return max(1, math.ceil(n_micro / accumulation(recipe)))


def accumulation(recipe: Recipe) -> int:
    """Return the micro batches of a batch that each process computes.

    Raises:
        ConfigError: a batch does not fall into equal parts.
    """
    found, rest = divmod(recipe.batch_size, recipe.micro_batch_size * world_size())
    if rest:
        raise ConfigError(
            f"batch_size = {recipe.batch_size} cannot be shared by {world_size()} processes with "
            f"micro_batch_size = {recipe.micro_batch_size}",
            "choose sizes so that the first is a multiple of the product of the others",
        )
    return found


def save_every(n_steps: int, recipe: Recipe) -> int:
    """Return the steps between two checkpoints, which is also the guard's interval."""
    return max(1, n_steps // recipe.checkpoints)


def lora(recipe: Recipe) -> Any:
    """Return the adapter's configuration for PEFT."""
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


def common(recipe: Recipe, folder: Path, model: Any, n_rows: int) -> dict[str, Any]:
    """Return the arguments that the configuration of every TRL trainer takes."""
    dtype = str(model.dtype).removeprefix("torch.")
    return {
        "output_dir": str(folder),
        "max_length": recipe.max_length,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.schedule,
        "warmup_steps": _warmup(recipe.warmup),
        "num_train_epochs": count_epochs(n_rows, recipe),
        "per_device_train_batch_size": recipe.micro_batch_size,
        "gradient_accumulation_steps": accumulation(recipe),
        "activation_checkpointing": recipe.gradient_checkpointing,
        "bf16": dtype == "bfloat16",
        "fp16": dtype == "float16",
        "use_cpu": model.device.type == "cpu",
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": save_every(count_steps(n_rows, recipe), recipe),
        "save_total_limit": 2,
        **reporting(recipe, folder),
        "disable_tqdm": True,
        # Every trained weight takes part in every loss, the reference being computed beforehand.
        "ddp_find_unused_parameters": False,
        "use_liger_kernel": recipe.layer_kernels,
        "dataloader_pin_memory": model.device.type == "cuda",
    }


def with_reference(recipe: Recipe) -> dict[str, Any]:
    """Return the arguments of the methods that compare with the model as it was."""
    return {
        "beta": recipe.beta,
        "precompute_ref_log_probs": recipe.precompute_reference,
        "precompute_ref_batch_size": recipe.micro_batch_size,
        "disable_dropout": recipe.dropout == 0,
    }


def on_one_device(arguments: Any) -> Any:
    """Keep the Trainer from replicating the model over every visible GPU, which TRL refuses."""
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def _warmup(share: float) -> float:
    # The Trainer reads numbers from 1 on as steps and smaller ones as a share.
    return min(share, 0.999)
