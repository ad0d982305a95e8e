"""Which losses each method knows, which settings they read, and what TRL is told to sum.

TRL notices a misspelt loss only inside the first training step, after the model is loaded, and
ignores settings that a loss does not read (`label_smoothing` beside `sigmoid` gives the very same
digits); so both are refused here.

Must not import: torch and its relatives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LOSSES: dict[str, tuple[str, ...]] = {
    "dpo": (
        "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "cdpo", "bco_pair",
        "sppo_hard", "aot", "aot_unpaired", "apo_zero", "apo_down", "discopop", "sigmoid_norm",
        "sft",
    ),
    "kto": ("kto", "apo_zero_unpaired"),
    "sft": ("sft", "dft"),
}  # fmt: skip
"""What `loss_type` may name, by method: TRL 1.16's names, and `cdpo` (see `trl_terms`)."""

DEFAULT_LOSSES: dict[str, tuple[tuple[str, ...], tuple[float, ...]]] = {
    "dpo": (("sigmoid", "sft"), (1.0, 1.0)),
    "kto": (("kto",), (1.0,)),
    "sft": (("sft",), (1.0,)),
}
"""Losses and weights of a method where the recipe names none."""

# Without a share of mistaken labels `robust` and `cdpo` are `sigmoid`, and `exo_pair` is infinite.
NEEDS_SMOOTHING = ("robust", "cdpo", "exo_pair")
READS_SMOOTHING = (*NEEDS_SMOOTHING, "aot", "aot_unpaired")
# They compare the sorted margins of a micro batch; of a single pair that is `sigmoid`.
COMPARES_WITHIN_BATCH = ("aot", "aot_unpaired")
# TRL's SFTTrainer and KTOTrainer take one loss, not a weighted sum.
TAKES_ONE_LOSS = ("kto", "sft")


@dataclass(frozen=True, slots=True)
class LossChoice:
    """The part of a recipe that says what is minimised."""

    method: str
    loss_type: tuple[str, ...]
    loss_weights: tuple[float, ...]
    label_smoothing: float
    retention_ratio: float
    micro_batch_size: int


def trl_terms(
    loss_type: Sequence[str], loss_weights: Sequence[float], label_smoothing: float
) -> tuple[list[str], list[float]]:
    """Return the losses and weights that DPOTrainer is told to sum.

    TRL has no conservative DPO, `(1 - e) L+ + e L-` with `L+ = -log s(b d)` and
    `L- = -log s(-b d)`. But its `robust` is `((1 - e) L+ - e L-) / (1 - 2 e)` and its `sigmoid`
    is `L+`, so `2 (1 - e) sigmoid - (1 - 2 e) robust` is conservative DPO exactly.

    Source: Mitchell (2023), "A note on DPO with noisy preferences & relationship to IPO", eq. 3;
    Chowdhury, Kini, Natarajan (2024) arXiv 2403.00409, eq. 8 (`robust`).
    """
    names, weights = [], []
    for name, weight in zip(loss_type, loss_weights, strict=True):
        if name == "cdpo":
            names += ["sigmoid", "robust"]
            weights += [2 * (1 - label_smoothing) * weight, -(1 - 2 * label_smoothing) * weight]
        else:
            names.append(name)
            weights.append(weight)
    return names, weights


def find_conflict(choice: LossChoice) -> tuple[str, str] | None:
    """Return what is wrong with a choice of losses and the remedy, or None.

    The names are known and their number is that of the weights.
    """
    if choice.method in TAKES_ONE_LOSS and len(choice.loss_type) > 1:
        return (
            f"method {choice.method} takes one loss, not {len(choice.loss_type)}",
            f"name one of: {', '.join(LOSSES[choice.method])}",
        )
    return _find_smoothing_conflict(choice) or _find_row_conflict(choice)


def _find_smoothing_conflict(choice: LossChoice) -> tuple[str, str] | None:
    smoothing = choice.label_smoothing
    used = _used(choice)
    if smoothing and not any(name in READS_SMOOTHING for name in used):
        return (
            f"label_smoothing = {smoothing:g} is read by none of the losses {', '.join(used)}",
            f"set it to 0, or name a loss that reads it: {', '.join(READS_SMOOTHING)}",
        )
    needing = [name for name in used if name in NEEDS_SMOOTHING]
    if needing and not smoothing:
        return (
            f"the loss {needing[0]} needs the share of mistaken labels, and label_smoothing is 0",
            "set label_smoothing to that share, for example 0.1, or use sigmoid",
        )
    return None


def _find_row_conflict(choice: LossChoice) -> tuple[str, str] | None:
    used = _used(choice)
    comparing = [name for name in used if name in COMPARES_WITHIN_BATCH]
    if comparing and choice.micro_batch_size == 1:
        return (
            f"the loss {comparing[0]} compares the pairs of a micro batch, and "
            "micro_batch_size is 1",
            "raise micro_batch_size, or use sigmoid, which is the same on single pairs",
        )
    if choice.method == "kto" and choice.micro_batch_size == 1:
        return (
            "kto compares each answer with another one of its micro batch, and "
            "micro_batch_size is 1",
            "set micro_batch_size to 2 or more",
        )
    if "apo_down" in used and choice.retention_ratio > 0:
        return (
            "the loss apo_down lowers the better answers too, also those of retention rows",
            "set retention_ratio = 0, or use apo_zero",
        )
    return None


def _used(choice: LossChoice) -> tuple[str, ...]:
    return tuple(_with_weight(choice.loss_type, choice.loss_weights))


def _with_weight(names: Iterable[str], weights: Iterable[float]) -> Iterable[str]:
    return (name for name, weight in zip(names, weights, strict=True) if weight > 0)
