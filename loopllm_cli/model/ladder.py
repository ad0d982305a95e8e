"""A ladder of learning rates: which rates were tried, how each one ended, which one is kept."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from loopllm_cli.model.correction import AdapterCard, Gate
from loopllm_cli.model.display import Displayed


class RungEnd(StrEnum):
    """How a rate turned out, in the only terms that decide where to go next."""

    PASSED = "passed"
    TOO_LITTLE = "too little"
    TOO_MUCH = "too much"
    UNCLEAR = "unclear"
    HOPELESS = "no rate helps"


@dataclass(frozen=True, slots=True)
class Rung:
    """One rate that was tried.

    `recovered` is the share of the lost quality that came back, of the signal that came back
    least; `kept` is the share of right answers on untouched traffic that stayed right;
    `held_out` is the share of held-out pairs whose better answer is the likelier one after
    training. None where it was not measured: a verification is not run when training itself has
    shown that it cannot pass.
    """

    learning_rate: float
    end: RungEnd
    why: str
    folder: str
    seconds: float
    retention_kl: float | None = None
    held_out: float | None = None
    recovered: float | None = None
    kept: float | None = None
    unrepaired: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LadderResult(Displayed):
    """Every rung that was tried, lowest first, and the adapter that is kept.

    `adapter` is None where no rate passed; `stopped` says why no further rate was tried, and
    `advice` what to do about it.
    """

    ladder_id: str
    model: str
    pairs: str
    gate: Gate
    rungs: tuple[Rung, ...]
    stopped: str
    seconds: float
    advice: tuple[str, ...] = ()
    adapter: AdapterCard | None = None
    learning_rate: float | None = None
