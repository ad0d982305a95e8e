"""Preference pairs with TRL's DPOTrainer; its reference is the model with the adapter off.

Imports nothing heavy at the top, but every function here needs the training extra.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loopllm_cli.correct.methods.arguments import common, lora, on_one_device, with_reference
from loopllm_cli.correct.methods.losses import trl_terms
from loopllm_cli.correct.recipe import Recipe


def make_dpo(model: Any, tokenizer: Any, dataset: Any, recipe: Recipe, folder: Path) -> Any:
    """Construct a DPOTrainer.

    Source: TRL documentation, "DPO Trainer" and "PEFT integration".
    """
    from trl import DPOConfig, DPOTrainer

    names, weights = trl_terms(recipe.loss_type, recipe.loss_weights, recipe.label_smoothing)
    arguments = DPOConfig(
        **common(recipe, folder, model, len(dataset)),
        **with_reference(recipe),
        loss_type=names,
        loss_weights=weights,
        label_smoothing=recipe.label_smoothing,
    )
    return DPOTrainer(
        model=model,
        args=on_one_device(arguments),
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=lora(recipe),
    )
