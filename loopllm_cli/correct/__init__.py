"""Preference pairs in, a LoRA adapter out: the only room that may know torch and its relatives.

Importing this package costs next to nothing. The entry points live in modules of their own and
are imported by the command that needs them:

    recipe      how to train (light)
    request     what to train on, and progress (light)
    pair_rows   the pairs folder as rows (light)
    preflight   what is refused before a model is loaded
    loading     tokenizer, model, adapter
    train       build_adapter
    generate    answers of a model, with its adapter on or off
    score       log-probabilities, KL, and whether the adapter does anything at all

Must not import: typer, rich, pandas, commands, render.
"""

from __future__ import annotations

from loopllm_cli.correct.recipe import Recipe, load_recipe
from loopllm_cli.correct.request import Progress, TrainRequest

__all__ = ["Progress", "Recipe", "TrainRequest", "load_recipe"]
