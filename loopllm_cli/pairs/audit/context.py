"""What an audit is given: the pairs, and what is known of the drift they are to repair."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Comparison, DriftResult, Pair, Verdict, Worse
from loopllm_cli.pairs.audit.measured import measure_sides
from loopllm_cli.signals.registry import Signal

if TYPE_CHECKING:
    from loopllm_cli.pairs.build import BuiltPairs

MAX_SAMPLE = 2_500
"""Pairs whose texts are read at most: the interval of a share is then within two points."""

MIN_JUDGED = 8
"""Below so many pairs that tell, nothing is held against a set: one slip would be an eighth."""

DEFAULT_MAX_LENGTH = 1_024

Tokenize = Callable[[str], Sequence[int]]


@dataclass(frozen=True, slots=True)
class BaselineRows:
    """The rows of a baseline's window, by what a pair may share with them."""

    interaction_ids: frozenset[str] = frozenset()
    prompt_hashes: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AuditContext:
    """What an audit knows beside the pairs; all of it may be missing.

    `references` are right answers by context hash, `thumbs` what people's thumbs say of answers, as
    (feedback id, 1 or -1) by interaction id, `signals` those that got worse in `drift`, by
    name, as they are computed. `tokenize` turns a text into token ids; without it, tokens are
    estimated from characters. `max_length` is the recipe's, in tokens.
    """

    drift: DriftResult | None = None
    signals: Mapping[str, Signal] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    thumbs: Mapping[str, Sequence[tuple[str, int]]] = field(default_factory=dict)
    baseline: BaselineRows | None = None
    tokenize: Tokenize | None = None
    max_length: int = DEFAULT_MAX_LENGTH


@dataclass(frozen=True)
class Case:
    """A set of pairs before its auditors."""

    built: BuiltPairs
    context: AuditContext
    config: PairsConfig

    @property
    def train(self) -> Sequence[Pair]:
        """The pairs that are trained on."""
        return self.built.train

    @cached_property
    def sample(self) -> tuple[Pair, ...]:
        """The training pairs whose texts are read, in their order; all unless there are many.

        Pair ids are digests, so that the smallest ones are a random choice that stays the same.
        """
        train = self.built.train
        if len(train) <= MAX_SAMPLE:
            return tuple(train)
        ids = {p.pair_id for p in heapq.nsmallest(MAX_SAMPLE, train, key=lambda p: p.pair_id)}
        return tuple(pair for pair in train if pair.pair_id in ids)

    @cached_property
    def worse(self) -> dict[str, Comparison]:
        """The signals that got worse anywhere, in all traffic or in a segment, by name."""
        run = self.context.drift
        if run is None:
            return {}
        segments = (c for segment in run.segments for c in segment.comparisons)
        return {
            c.signal.name: c
            for c in (*segments, *run.comparisons)
            if c.verdict is Verdict.WORSE and c.signal.worse is not Worse.EITHER
        }

    @cached_property
    def signal_names(self) -> tuple[str, ...]:
        """The signals that got worse and can be computed anew."""
        return tuple(name for name in self.context.signals if name in self.worse)

    @cached_property
    def _sides(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        empty = np.zeros((len(self.sample), len(self.signal_names)))
        if not empty.size:
            return empty, empty
        return measure_sides(self.sample, {n: self.context.signals[n] for n in self.signal_names})

    @property
    def measured(self) -> npt.NDArray[np.bool_]:
        """Which signals apply to both sides of a pair; shape (n_sample, n_signals)."""
        chosen, rejected = self._sides
        result: npt.NDArray[np.bool_] = np.isfinite(chosen) & np.isfinite(rejected)
        return result

    @property
    def better(self) -> npt.NDArray[np.int64]:
        """1 where the chosen side is better by a signal that got worse, -1 where it is worse."""
        chosen, rejected = self._sides
        up = np.array([self.worse[n].signal.worse is Worse.UP for n in self.signal_names], bool)
        difference = np.where(self.measured, chosen - rejected, 0.0)
        return (np.where(up, -1, 1) * np.sign(difference)).astype(np.int64)

    @cached_property
    def drifted(self) -> dict[str, int]:
        """The segments where something got worse: their label, and their rows in the window."""
        run = self.context.drift
        return {} if run is None else {s.label: s.n_current for s in run.segments}

    @property
    def located(self) -> float:
        """The part of the whole change that these segments make up, from 0 to 1."""
        run = self.context.drift
        shares = [] if run is None else [s.share_of_change for s in run.segments]
        return min(1.0, float(np.nansum(shares)))


def user_of(pair: Pair) -> str:
    """Name whose pair it is; rows of nobody known are each their own."""
    return pair.user_id or f"row:{pair.pair_id}"


def chosen_answer(pair: Pair) -> str | None:
    """Return the id of the answer that was chosen, None where a person wrote it."""
    return pair.interaction_ids[0] if len(pair.interaction_ids) > 1 else None


def rejected_answer(pair: Pair) -> str | None:
    """Return the id of the answer that was rejected."""
    return pair.interaction_ids[-1] if pair.interaction_ids else None
