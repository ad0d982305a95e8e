"""The better answers alone, with TRL's SFTTrainer.

DPOTrainer with nothing but its `sft` loss has the same gradient, but runs the worse answers and
the reference through the model as well.

Imports nothing heavy at the top, but every function here needs the training extra.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loopllm_cli.correct.methods.arguments import common, lora, on_one_device
from loopllm_cli.correct.recipe import Recipe

_TRL_NAMES = {"sft": "nll", "dft": "dft"}


def make_sft(model: Any, tokenizer: Any, dataset: Any, recipe: Recipe, folder: Path) -> Any:
    """Construct an SFTTrainer that learns the answers and never the contexts.

    Source: TRL documentation, "SFT Trainer", "Train on completion only".
    """
    from trl import SFTConfig, SFTTrainer
    from trl.trainer.utils import disable_dropout_in_model

    if recipe.dropout == 0:
        disable_dropout_in_model(model)
    arguments = SFTConfig(
        **common(recipe, folder, model, len(dataset)),
        loss_type=_TRL_NAMES[recipe.loss_type[0]],
        completion_only_loss=True,
        packing=False,
    )
    return SFTTrainer(
        model=model,
        args=on_one_device(arguments),
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=lora(recipe),
    )
