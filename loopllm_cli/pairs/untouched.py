"""What a correction must leave alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from loopllm_cli.pairs.evidence.answer import Answer

UNCHANGED = "same answer as in the baseline"
RIGHT = "known to be right"
TODAY = "answered so today"
Settled = tuple[Answer, str]
"""An answer that is still good, and why: one of the reasons above, the last the weakest."""


@dataclass(frozen=True)
class Untouched:
    """What a correction must leave alone; without a drift run, whatever people like.

    `keeps` says whether an answer stands for traffic that must not change, so that it is retained
    if people liked it; `among` are the only answers of which it may say so, None for all; `settled`
    are answers on such traffic that are good for another reason.
    """

    keeps: Callable[[Answer], bool] = lambda _: True
    settled: Sequence[Settled] = ()
    among: Collection[str] | None = None
