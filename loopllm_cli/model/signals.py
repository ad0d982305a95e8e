"""What a signal measures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SignalKind(StrEnum):
    """How a signal's mean is compared."""

    RATE = "rate"  # 0/1 per row; judged by the difference of the rates (in points)
    AMOUNT = "amount"  # a non-negative number per row; judged by the ratio of the means


class Worse(StrEnum):
    """Which way a signal moves when quality falls."""

    UP = "up"
    DOWN = "down"
    EITHER = "either"  # no direction is worse: such a signal informs and never pages


@dataclass(frozen=True, slots=True)
class SignalInfo:
    """What a signal measures and how much of a change matters.

    Units: `tolerance` is a difference of rates for RATE (0.01 is one percentage point) and a
    relative change of the mean for AMOUNT (0.10 is ten percent). `levels` is set for one value of
    a category: what the baseline knew of its values (see `signals.categories`). `fingerprint`
    stands for what a user's signal measures, code and files included.
    """

    name: str
    kind: SignalKind
    worse: Worse
    tolerance: float
    definition: str
    unit: str = ""
    version: int = 1
    tolerance_source: str = "default"
    levels: tuple[str, ...] = ()
    fingerprint: str = ""
