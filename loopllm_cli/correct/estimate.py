"""Estimate the peak memory and the time of a training run before its first step.

What a block keeps is counted tensor by tensor; a test compares it with autograd's own list. How
far measured peaks lie from the sum is in docs/speed-correct.md.

Must not import: torch and its relatives at the top.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from loopllm_cli.correct.device_facts import DeviceFacts
from loopllm_cli.correct.lengths import Lengths
from loopllm_cli.correct.methods.arguments import count_steps
from loopllm_cli.correct.model_facts import ModelFacts
from loopllm_cli.correct.recipe import Recipe

# Source: TRL 1.16, `trl.kernels.chunked_logprob` and `trl.trainer.utils`: tokens and vocabulary
# entries per tile of the output layer.
TILE_TOKENS = 4096
TILE_VOCABULARY = 32768
# Rows that `correct.score` measures at once, with the adapter and without it.
MEASURED_ROWS = 8
# NF4 with double quantization. Source: Dettmers et al. (2023) arXiv 2305.14314, section 3: 4 bits
# and 0.127 bits of constants per parameter.
BYTES_4BIT = (4 + 0.127) / 8
# LoRA is on seven linear layers of a block of the Llama kind.
ADAPTED = 7
# The Trainer, the dataset and Arrow, beside the tensors. A rounded allowance, not a measurement.
PROCESS_BYTES = 60 * 2**20
# Resident bytes per byte of tensors on a CPU: the C library keeps freed blocks. Six runs lay
# between 1.6 and 2.3; with every block mapped by itself the count was 4% below the truth
# (docs/speed-correct.md). Cards have an allocator of their own.
CPU_HEAP = 2.2
# A share of memory that stays free, because an estimate may be 15% low and others use the CPU's.
BUDGET = {"cuda": 0.85, "mps": 0.6, "cpu": 0.6}


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will need.

    `parts` sums to `peak_bytes`; `step_seconds` is None where the device's speed is unknown;
    `fits` is None where its memory is.
    """

    peak_bytes: int
    parts: Mapping[str, int]
    n_steps: int
    step_seconds: float | None
    fits: bool | None

    @property
    def seconds(self) -> float | None:
        """The time of all steps, without loading and measuring."""
        return None if self.step_seconds is None else self.step_seconds * self.n_steps

    def describe(self) -> str:
        """Return the estimate as one line for people."""
        time = ""
        if self.step_seconds is not None:
            time = f", {self.n_steps} steps of about {self.step_seconds:.2g} s"
        verdict = "; this does not fit" if self.fits is False else ""
        return f"expects about {size(self.peak_bytes)} of memory{time}{verdict}"


def estimate(
    recipe: Recipe,
    facts: ModelFacts,
    device: DeviceFacts,
    lengths: Lengths,
    rate: float | None = None,
) -> Estimate:
    """Estimate peak memory and time of a run whose recipe leaves nothing open.

    Args:
        recipe: as `fit.choose` returns it.
        facts: of the model.
        device: where it will run.
        lengths: tokens of the training rows.
        rate: FLOP/s that the device reaches (`step_time.measured_rate`); None leaves the time out
            unless the card is known.
    """
    from loopllm_cli.correct.step_time import expected_rate, step_seconds

    parts = memory_parts(recipe, facts, device, lengths)
    peak = sum(parts.values())
    free = device.free * BUDGET.get(device.kind, 0.6)
    rate = rate if rate is not None else expected_rate(device)
    seconds = step_seconds(recipe, facts, lengths, rate, device) if rate else None
    return Estimate(
        peak_bytes=peak,
        parts=parts,
        n_steps=count_steps(lengths.n_rows, recipe),
        step_seconds=seconds,
        fits=peak <= free if device.free else None,
    )


def memory_parts(
    recipe: Recipe, facts: ModelFacts, device: DeviceFacts, lengths: Lengths
) -> dict[str, int]:
    """Return the bytes of everything that is held when memory is highest.

    Training and measuring do not overlap, so the larger of the two counts.

    Source: Korthikanti et al. (2022) arXiv 2205.05198, section 4.1 (what a block keeps, without
    the attention matrix, which the fused kernels never write: eq. 2 less its second term) and
    table 2 (a checkpointed block keeps its input only); Kingma and Ba (2014) arXiv 1412.6980,
    algorithm 1 (two moments).
    """
    half = number_bytes(recipe, device) == 2
    lora = facts.lora_parameters(recipe.rank)
    tokens = 2 * recipe.micro_batch_size * lengths.longest
    training = training_bytes(recipe, facts, device, tokens, lengths.longest)
    measuring = _measuring_bytes(facts, lengths, number_bytes(recipe, device))
    if device.kind == "cpu":
        training, measuring = int(training * CPU_HEAP), int(measuring * CPU_HEAP)
    return {
        "weights": weight_bytes(recipe, facts, device),
        # In float32; under mixed precision each of them is cast once more.
        "adapter": lora * (6 if half else 4),
        "gradients": lora * 4,
        "optimizer": lora * 8,
        # The retention guard keeps the last good adapter.
        "guard": lora * 4 if recipe.kl_limit > 0 else 0,
        "activations": training if training >= measuring else 0,
        "measuring": measuring if measuring > training else 0,
        "process": PROCESS_BYTES if device.kind == "cpu" else 0,
    }


def weight_bytes(recipe: Recipe, facts: ModelFacts, device: DeviceFacts) -> int:
    """Return the bytes of the base model as it is loaded."""
    wide = number_bytes(recipe, device)
    if facts.is_quantized:
        return int(facts.n_parameters * facts.bytes_per_weight)
    if getattr(recipe, "quantization", "none") == "4bit":
        rest = facts.n_parameters - facts.n_linear
        return int(facts.n_linear * BYTES_4BIT + rest * wide)
    return facts.n_parameters * wide


def number_bytes(recipe: Recipe, device: DeviceFacts) -> int:
    """Return the bytes of one number in the format that a run computes in."""
    if device.kind == "cpu" or recipe.dtype == "float32":
        return 4
    return 2 if recipe.dtype in ("bfloat16", "float16") or device.kind == "cuda" else 4


def training_bytes(
    recipe: Recipe, facts: ModelFacts, device: DeviceFacts, tokens: int, longest: int
) -> int:
    """Return what the forward pass keeps and the backward pass adds, at its highest."""
    wide = number_bytes(recipe, device)
    block = block_bytes(facts, recipe.rank, wide, longest) * tokens
    # The gradients of a block's feed-forward part while it is walked back.
    walking = 4 * facts.intermediate_size * wide * tokens
    ends = (facts.hidden_size * (4 + 2 * wide) + 8) * tokens
    head = _head_bytes(facts, tokens, wide, device.kind)
    if recipe.gradient_checkpointing:
        kept = facts.n_layers * facts.hidden_size * wide * tokens
        return kept + ends + max(block + walking, head)
    return facts.n_layers * block + ends + max(walking, head)


def block_bytes(facts: ModelFacts, rank: int, wide: int, longest: int) -> int:
    """Return the bytes per token that one block keeps for the backward pass.

    The base weights are frozen, so their inputs are kept for the adapter alone; the norms compute
    in float32. In half precision every adapted layer casts its input for itself.

    Args:
        longest: padded length; a padding mask is expanded once per block.
    """
    hidden, heads = facts.hidden_size, facts.n_heads * facts.head_dim
    inputs = (5 * hidden + heads) if wide == 2 else 2 * hidden
    kept = inputs + 4 * heads + 4 * facts.intermediate_size + ADAPTED * rank + longest
    norms = 2 * 4 * (hidden + 1)
    return kept * wide + norms + 4 * facts.n_heads


def _head_bytes(facts: ModelFacts, tokens: int, wide: int, kind: str) -> int:
    """Return what the fused output layer holds at once; it never builds all logits."""
    rows = min(tokens, TILE_TOKENS)
    columns = min(facts.vocab_size, TILE_VOCABULARY)
    if kind == "cuda":
        return rows * TILE_VOCABULARY * wide + tokens * facts.hidden_size * 4
    # Without the card's kernel the tile is also turned into probabilities and their gradient.
    return rows * columns * (wide + 3 * 4) + tokens * facts.hidden_size * 4


def _measuring_bytes(facts: ModelFacts, lengths: Lengths, wide: int) -> int:
    """Return what scoring holds: whole logits of eight rows, with the adapter and without it."""
    logits = 2 * MEASURED_ROWS * lengths.answer_longest * facts.vocab_size * wide
    row = 4 * lengths.answer_longest * facts.vocab_size * 4
    passing = (
        MEASURED_ROWS * lengths.longest * (2 * facts.intermediate_size + 6 * facts.hidden_size)
    )
    return logits + row + passing * wide


def size(n_bytes: float) -> str:
    """Return bytes for people."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.1f} {unit}"
    return f"{n_bytes / 1e3:.0f} kB"
