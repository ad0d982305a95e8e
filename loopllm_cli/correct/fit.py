"""Choose what the hardware decides, each with its reason; what the user set is left alone.

Must not import: torch and its relatives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from loopllm_cli.correct.device_facts import DeviceFacts
from loopllm_cli.correct.estimate import BUDGET, memory_parts, size
from loopllm_cli.correct.lengths import Lengths
from loopllm_cli.correct.model_facts import ModelFacts
from loopllm_cli.correct.recipe import Recipe

AUTO = "auto"
# In the order in which they are chosen: later ones depend on earlier ones.
FITTED = (
    "dtype", "attention", "quantization", "precompute_reference", "gradient_checkpointing",
    "micro_batch_size", "batching", "layer_kernels",
)  # fmt: skip

# FlashAttention 2 and bfloat16 need Ampere. Source: flash-attention README, "NVIDIA CUDA Support".
AMPERE = (8, 0)
# Tokens of a micro batch beyond which a larger one saves no time. An H100 does about 295
# operations per byte it loads (989e12 FLOP/s over 3.35e12 B/s, data sheet), so products of some
# hundred rows are bound by arithmetic already; the rest is room for short rows. On a CPU larger
# micro batches only add padding.
ENOUGH_TOKENS = {"cuda": 16_384, "mps": 8_192, "cpu": 4_096}


@dataclass(frozen=True, slots=True)
class Choice:
    """One setting, its value, and why it has this value."""

    name: str
    value: str
    reason: str

    def describe(self) -> str:
        """Return the choice as one line for people."""
        return f"{self.name} = {self.value}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Fitted:
    """A recipe with nothing left open, and every choice that was made or found."""

    recipe: Recipe
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    recipe: Recipe
    facts: ModelFacts
    device: DeviceFacts
    lengths: Lengths

    @property
    def budget(self) -> int:
        return int(self.device.free * BUDGET.get(self.device.kind, 0.6))

    def needs(self, **changes: Any) -> int:
        recipe = _changed(self.recipe, changes)
        return sum(memory_parts(recipe, self.facts, self.device, self.lengths).values())

    def fits(self, **changes: Any) -> bool:
        return not self.device.free or self.needs(**changes) <= self.budget


def choose(recipe: Recipe, facts: ModelFacts, device: DeviceFacts, lengths: Lengths) -> Fitted:
    """Set every key that a recipe leaves open to what the model, device and rows ask for.

    Args:
        recipe: keys named in its `auto`, and those whose value is "auto", are open.
        facts: of the model.
        device: where the run will be.
        lengths: tokens of the training rows.

    Returns:
        The recipe with concrete values, and one choice per key; a key that the user set is
        named with its value and never changed.
    """
    known = {field.name for field in fields(Recipe)}
    choices = []
    for name in FITTED:
        if name not in known:
            continue
        value = getattr(recipe, name)
        if name in recipe.auto or value == AUTO:
            value, reason = _CHOOSERS[name](_Case(recipe, facts, device, lengths))
            recipe = replace(
                recipe, auto=tuple(key for key in recipe.auto if key != name), **{name: value}
            )
        else:
            reason = "set in the recipe"
        choices.append(Choice(name, str(value).lower(), reason))
    return Fitted(recipe, tuple(choices))


def _dtype(case: _Case) -> tuple[str, str]:
    device = case.device
    if device.kind == "cpu":
        return "float32", "half precision is slow on a CPU, and runs would not repeat exactly"
    if device.kind == "mps":
        return "float32", "half precision training is not complete on this device"
    if device.bf16 and (device.capability or (0, 0)) >= AMPERE:
        return "bfloat16", f"{device.name or 'the card'} computes it; half the memory of float32"
    return "float16", f"{device.name or 'the card'} has no bfloat16; half the memory of float32"


def _attention(case: _Case) -> tuple[str, str]:
    device = case.device
    half = case.recipe.dtype in ("bfloat16", "float16")
    if device.kind != "cuda":
        return "sdpa", "torch's fused attention; the attention matrix is never stored"
    if "flash_attn" not in device.installed:
        return "sdpa", "torch's fused attention (flash-attn is not installed)"
    if (device.capability or (0, 0)) < AMPERE or not half:
        return "sdpa", "FlashAttention 2 needs an Ampere card and half precision"
    return "flash_attention_2", "skips padding, which torch's own kernel computes"


def _quantization(case: _Case) -> tuple[str, str]:
    small = {"micro_batch_size": 1, "gradient_checkpointing": True}
    if case.facts.is_quantized:
        return "none", "the model is stored quantized already"
    if case.device.kind != "cuda":
        return "none", "4-bit training needs a CUDA card"
    if case.fits(**small, quantization="none"):
        return "none", f"{size(case.needs(**small, quantization='none'))} at least, which fits"
    wanted = f"{size(case.needs(**small, quantization='none'))} at least in {case.recipe.dtype}"
    room = f"{size(case.budget)} may be used"
    if "bitsandbytes" not in case.device.installed:
        return "none", f"{wanted}, {room}; 4-bit storage would help: pip install bitsandbytes"
    return "4bit", f"{wanted}, {room}"


def _precompute_reference(case: _Case) -> tuple[bool, str]:
    if case.recipe.method == "sft":
        return False, "this method has no reference"
    if case.recipe.epochs >= 1.0:
        return True, f"one pass in place of {case.recipe.epochs:g}, and kept for later runs"
    return False, f"{case.recipe.epochs:g} of an epoch never asks for most rows"


def _gradient_checkpointing(case: _Case) -> tuple[bool, str]:
    micro = case.recipe.micro_batch_size
    open_micro = "micro_batch_size" in case.recipe.auto
    tried = {"micro_batch_size": 1 if open_micro else micro}
    needed = size(case.needs(**tried, gradient_checkpointing=False))
    if case.fits(**tried, gradient_checkpointing=False):
        # With frozen weights a step is two passes; computing each block again makes it three.
        return False, f"{needed} without it, which fits, and it would cost half as much time again"
    return True, f"{needed} without it, {size(case.budget)} may be used"


def _micro_batch_size(case: _Case) -> tuple[int, str]:
    per_process = max(1, case.recipe.batch_size // max(1, case.device.n_processes))
    enough = ENOUGH_TOKENS.get(case.device.kind, 4_096)
    best, why = 1, "the smallest there is"
    for micro in range(1, per_process + 1):
        if per_process % micro:
            continue
        if not case.fits(micro_batch_size=micro):
            if micro == 1:
                return 1, (
                    f"even this needs {size(case.needs(micro_batch_size=1))}, "
                    f"{size(case.budget)} may be used"
                )
            return best, f"{micro} would need {size(case.needs(micro_batch_size=micro))}"
        if micro > 1 and 2 * micro * case.lengths.quantile(0.5) > enough:
            return best, f"about {2 * best * case.lengths.quantile(0.5)} tokens keep it busy"
        best, why = micro, "the whole batch fits at once" if micro == per_process else why
    return best, why


def _batching(case: _Case) -> tuple[str, str]:
    per_process = case.recipe.batch_size // max(1, case.device.n_processes)
    micro = case.recipe.micro_batch_size
    if case.recipe.method != "dpo":
        return "random", "the trainer of this method orders rows itself"
    before = case.lengths.padding_share(micro)
    if per_process <= micro:
        return "random", f"a batch is one micro batch; {before:.0%} of its tokens are padding"
    after = case.lengths.padding_share(micro, per_process)
    return "balanced", f"{after:.0%} padding in place of {before:.0%}, in the same batches"


def _layer_kernels(case: _Case) -> tuple[bool, str]:
    if case.device.kind == "cuda" and "liger_kernel" in case.device.installed:
        return True, "liger-kernel is installed: fused norms and feed-forward parts"
    if case.device.kind == "cuda":
        return False, "liger-kernel is not installed"
    return False, "there are none for this device"


def _changed(recipe: Recipe, changes: dict[str, Any]) -> Recipe:
    known = {field.name for field in fields(Recipe)}
    return replace(recipe, **{key: value for key, value in changes.items() if key in known})


_CHOOSERS: dict[str, Callable[[_Case], tuple[Any, str]]] = {
    "dtype": _dtype,
    "attention": _attention,
    "quantization": _quantization,
    "precompute_reference": _precompute_reference,
    "gradient_checkpointing": _gradient_checkpointing,
    "micro_batch_size": _micro_batch_size,
    "batching": _batching,
    "layer_kernels": _layer_kernels,
}
