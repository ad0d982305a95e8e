"""Train a micro model as one of the processes that torchrun started; not a test itself."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from micro import RECIPE, good_pairs, make_model, make_tokenizer

from loopllm_cli.correct.batching import balance_batches
from loopllm_cli.correct.pair_rows import to_row
from loopllm_cli.correct.processes import is_main, world_size
from loopllm_cli.correct.quiet import quiet
from loopllm_cli.correct.reference_cache import attach_reference
from loopllm_cli.correct.trainer import make_trainer


def main(folder: Path) -> None:
    """Train with eight rows per step over all processes, and write the adapter's numbers."""
    torch.set_num_threads(1)
    tokenizer = make_tokenizer()
    rows = [row for row in map(to_row, good_pairs(32)) if row is not None]
    # The likelihood term is left out: its mean over a micro batch depends on the rows in it.
    recipe = replace(
        RECIPE, batch_size=8, micro_batch_size=2, precompute_reference=False,
        loss_type=("sigmoid",), loss_weights=(1.0,),
    )  # fmt: skip
    with quiet():
        trainer = make_trainer(make_model(tokenizer), tokenizer, rows, recipe, folder / "steps")
        use = attach_reference(trainer, folder / "reference.sqlite", "model")
        balance_batches(trainer, recipe.seed)
        trainer.train()
    if is_main():
        trained = [p.detach().flatten() for p in trainer.model.parameters() if p.requires_grad]
        told = {
            "processes": world_size(), "steps": trainer.state.global_step,
            "computed": use.n_computed, "weights": torch.cat(trained).tolist(),
        }  # fmt: skip
        # Exclusive: a second writer would fail.
        with (folder / "result.json").open("x", encoding="utf-8") as stream:
            json.dump(told, stream)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
