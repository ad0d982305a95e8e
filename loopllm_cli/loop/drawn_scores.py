"""Score answers that a model gave to prompts, by what a drift run or a user holds to be good."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from loopllm_cli.config import Config
from loopllm_cli.errors import ConfigError
from loopllm_cli.loop.comparable import configured_signals
from loopllm_cli.loop.judged_rows import RIGHT, Failing, sides_of
from loopllm_cli.model import SignalInfo, SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.catalogue import compute_signals
from loopllm_cli.signals.registry import Signal
from loopllm_cli.store.project import Project


@dataclass(frozen=True, slots=True)
class Ranker:
    """A signal that ranks answers, and the segments in which it does; None for all of them.

    In the segments where it is `usual`, an answer on its bad side is no model to follow.
    """

    signal: Signal
    segments: frozenset[str] | None = None
    usual: frozenset[str] = frozenset()

    def counts_in(self, segment: str | None) -> bool:
        """Say whether the signal ranks answers in a segment."""
        return self.segments is None or segment in self.segments


@dataclass(frozen=True)
class Scores:
    """What signals say of answers.

    `values` are from 0 to 1, NaN where nothing could be measured; `is_known` says where a known
    right answer decided; `is_odd` where an answer is not as the baseline's were, and not known to
    be right; `bad` names the signals that speak against an answer; `failures` say why a user's
    signal could not be measured.
    """

    values: FloatArray
    is_known: npt.NDArray[np.bool_]
    is_odd: npt.NDArray[np.bool_]
    bad: list[tuple[str, ...]]
    failures: dict[str, str]


def failing_rankers(failing: Failing) -> dict[str, Ranker]:
    """Rank by what a drift run found to be worse, each signal where it was."""
    return {
        name: Ranker(
            signal,
            None if name == RIGHT else _segments_of(failing.by_segment, name),
            _segments_of(failing.usual, name),
        )
        for name, signal in failing.signals.items()
    }


def named_rankers(
    project: Project, config: Config, names: Sequence[str], failing: Failing
) -> dict[str, Ranker]:
    """Rank by signals that a user names, and by known right answers.

    What the drift run found to be worse ranks nothing, but still tells which answers are odd.

    Raises:
        ConfigError: there is no such signal, or it has no worse side.
    """
    known = configured_signals(project, config)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(
            f"--rank-by names no signal: {', '.join(unknown)}",
            "see docs/signals.md, or the [signals.NAME] tables of the configuration",
        )
    neutral = [name for name in names if known[name].info.worse is Worse.EITHER]
    if neutral:
        raise ConfigError(
            f"--rank-by cannot use {', '.join(neutral)}: neither more nor less of it is worse",
            "say which with worse = in the signal's table of the configuration",
        )
    wanted = dict.fromkeys((*names, *({RIGHT} & known.keys())))
    by_drift = failing_rankers(failing)
    silent = {n: replace(r, segments=frozenset()) for n, r in by_drift.items() if n not in wanted}
    found = {name: Ranker(known[name]) for name in wanted}
    usual = {n: replace(found[n], usual=by_drift[n].usual) for n in wanted if n in by_drift}
    return {**found, **usual, **silent}


def _segments_of(named: Mapping[str, frozenset[str]], name: str) -> frozenset[str]:
    return frozenset(label for label, names in named.items() if name in names)


def score_answers(
    batch: RowBatch,
    rankers: dict[str, Ranker],
    segments: Sequence[str | None],
    sizes: Sequence[int],
) -> Scores:
    """Score answers by signals; a known right answer decides alone.

    A rate counts 1 on its good side and 0 on its bad one. An amount counts from 0 to 1 between the
    worst and the best answer to the same prompt, and a half where these are within the signal's
    tolerance. The score is the mean of those that could be measured.

    Args:
        batch: the answers, one prompt after the other.
        segments: of each answer.
        sizes: how many answers each prompt has.
    """
    signals = {name: ranker.signal for name, ranker in rankers.items()}
    values, failures = compute_signals(batch, signals)
    good = np.full(values.shape, np.nan)
    for place, signal in enumerate(signals.values()):
        good[:, place] = _goodness(values[:, place], signal, sizes)
    is_odd = ((good == 0) & _table(rankers, segments, lambda r, s: s in r.usual)).any(axis=1)
    good[~_table(rankers, segments, Ranker.counts_in)] = np.nan
    n = np.isfinite(good).sum(axis=1)
    scores = np.divide(np.nansum(good, axis=1), n, out=np.full(len(n), np.nan), where=n > 0)
    is_known = np.zeros(len(n), dtype=bool)
    if RIGHT in rankers:
        right = good[:, list(rankers).index(RIGHT)]
        is_known = np.isfinite(right)
        scores, is_odd = np.where(is_known, right, scores), is_odd & ~is_known
    bad = [tuple(name for name, g in zip(rankers, row, strict=True) if g < 0.5) for row in good]
    return Scores(scores, is_known, is_odd, bad, failures)


def _table(
    rankers: dict[str, Ranker],
    segments: Sequence[str | None],
    of: Callable[[Ranker, str | None], bool],
) -> npt.NDArray[np.bool_]:
    """Say something of every answer's segment and every signal."""
    rows = {s: [of(ranker, s) for ranker in rankers.values()] for s in set(segments)}
    found = np.array([rows[segment] for segment in segments], dtype=bool)
    return found.reshape(len(segments), len(rankers))


def _goodness(values: FloatArray, signal: Signal, sizes: Sequence[int]) -> FloatArray:
    if signal.info.kind is SignalKind.RATE:
        bad, known = sides_of(values[:, None], [signal])
        return np.where(known[:, 0], np.where(bad[:, 0], 0.0, 1.0), np.nan)
    ends = np.cumsum(sizes)
    groups = np.split(values, ends[:-1]) if len(sizes) else []
    return np.concatenate([_spread(group, signal.info) for group in groups] or [values])


def _spread(group: FloatArray, info: SignalInfo) -> FloatArray:
    """Place amounts between the worst and the best one of a prompt."""
    known = np.where(np.isfinite(group), group, np.nan)
    if np.isnan(known).all():
        return known
    low, high = np.nanmin(known), np.nanmax(known)
    if high <= low * (1 + info.tolerance):
        return np.where(np.isnan(known), np.nan, 0.5)
    placed: FloatArray = (known - low) / (high - low)
    return 1 - placed if info.worse is Worse.UP else placed
