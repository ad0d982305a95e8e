"""Estimate the time of a training step from its floating point operations.

Must not import: torch and its relatives at the top.
"""

from __future__ import annotations

import time

from loopllm_cli.correct.device_facts import DeviceFacts
from loopllm_cli.correct.lengths import Lengths
from loopllm_cli.correct.model_facts import ModelFacts
from loopllm_cli.correct.recipe import Recipe

# Share of a card's data-sheet rate that training reaches. An assumption until a card has been
# measured: published runs lie between 0.2 and 0.6 (Chowdhery et al. 2022, arXiv 2204.02311,
# table 3).
ASSUMED_USE = 0.4
# Seconds per block and pass that no arithmetic explains: starting operations one by one.
# Orders of magnitude, not measurements; they matter for models of a few million parameters only.
BLOCK_SECONDS = {"cpu": 4e-3, "cuda": 5e-4, "mps": 1e-3}


def forward_flops(facts: ModelFacts, rank: int, length: float, answer_share: float = 1.0) -> float:
    """Return the operations of one token's forward pass.

    Args:
        length: padded tokens of its row.
        answer_share: share of the tokens that the output layer is computed for.

    Source: Kaplan et al. (2020) arXiv 2001.08361, section 2.1: two per parameter; Chowdhery et
    al. (2022) arXiv 2204.02311, appendix B: 4 L H Q T for the attention matrix and its use.
    """
    attention = 4 * facts.n_layers * facts.n_heads * facts.head_dim * length
    weights = facts.n_linear + facts.lora_parameters(rank)
    return 2 * (weights + answer_share * facts.n_head) + attention


def training_flops(facts: ModelFacts, recipe: Recipe, length: float) -> float:
    """Return the operations of one token: forward, backward, and what is computed again.

    The rule of 6 N for a token becomes 4 N for the frozen weights, which need no gradient of
    their own; the adapter keeps 6. A checkpointed block, and a live reference, cost one more
    forward pass each.

    Source: Kaplan et al. (2020), section 2.1 (backward is twice the forward pass).
    """
    once = forward_flops(facts, recipe.rank, length)
    attention = 4 * facts.n_layers * facts.n_heads * facts.head_dim * length
    backward = once + 2 * facts.lora_parameters(recipe.rank) + attention
    again = int(recipe.gradient_checkpointing) + int(not recipe.precompute_reference)
    return once * (1 + again) + backward


def step_seconds(
    recipe: Recipe, facts: ModelFacts, lengths: Lengths, rate: float, device: DeviceFacts
) -> float:
    """Return the seconds of one optimizer step on each of the run's processes.

    Args:
        rate: FLOP/s that matrix products reach.
    """
    per_process = max(1, recipe.batch_size // max(1, device.n_processes))
    sorted_rows = per_process if getattr(recipe, "batching", "random") == "balanced" else 0
    length = lengths.padded(recipe.micro_batch_size, sorted_rows)
    tokens = 2 * per_process * length
    n_passes = max(1, per_process // recipe.micro_batch_size)
    started = BLOCK_SECONDS.get(device.kind, 1e-3) * facts.n_layers * n_passes
    return tokens * training_flops(facts, recipe, length) / rate + started


def expected_rate(device: DeviceFacts) -> float | None:
    """Return the rate to reckon with on a card in the table, None elsewhere."""
    return device.peak_flops * ASSUMED_USE if device.peak_flops else None


def measured_rate(facts: ModelFacts, kind: str = "cpu", seconds: float = 0.2) -> float:
    """Measure the FLOP/s of matrix products of the model's own sizes.

    Args:
        facts: of the model.
        kind: device.
        seconds: how long to measure.
    """
    import torch

    number = torch.bfloat16 if kind == "cuda" else torch.float32
    left = torch.ones((512, facts.hidden_size), device=kind, dtype=number)
    right = torch.ones((facts.hidden_size, facts.intermediate_size), device=kind, dtype=number)
    _synchronize(kind, left @ right)
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for _ in range(4):
            last = left @ right
        _synchronize(kind, last)
        done += 4
    flops = 2.0 * 512 * facts.hidden_size * facts.intermediate_size
    return flops * done / (time.perf_counter() - started)


def _synchronize(kind: str, _: object) -> None:
    if kind == "cuda":
        import torch

        torch.cuda.synchronize()
