"""Small windows for the tests of drift: rows written out, profiled and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from loopllm_cli.drift.compare import Findings, compare_profiles
from loopllm_cli.drift.verdict import JudgeSettings
from loopllm_cli.model import SignalInfo, SignalKind, Worse
from loopllm_cli.profiles.profile import Profile, build_profile

FloatArray = npt.NDArray[np.float64]
Numbers = Sequence[float] | npt.NDArray[np.float64]
Whole = Sequence[int] | npt.NDArray[np.int64]

BAD_RATE = SignalInfo("bad_rate", SignalKind.RATE, Worse.UP, 0.01, "Share of bad answers.")
GOOD_RATE = SignalInfo("good_rate", SignalKind.RATE, Worse.DOWN, 0.03, "Share of good answers.")
AMOUNT = SignalInfo("amount", SignalKind.AMOUNT, Worse.UP, 0.1, "An amount.")
NEUTRAL = SignalInfo("neutral", SignalKind.AMOUNT, Worse.EITHER, 0.1, "An amount of no side.")


def profile_of(
    columns: Sequence[Numbers] | FloatArray,
    segments: Whole | None = None,
    clusters: Whole | None = None,
    n_segments: int | None = None,
) -> Profile:
    """Profile columns of values; every row is its own cluster unless told otherwise."""
    values = np.array(columns, dtype=np.float64).T
    rows = len(values)
    numbers = np.zeros(rows, dtype=np.int64) if segments is None else np.asarray(segments)
    buckets = np.arange(rows) if clusters is None else np.asarray(clusters)
    count = n_segments or (int(numbers.max()) + 1 if rows else 1)
    names = tuple(f"s{j}" for j in range(values.shape[1]))
    return build_profile(names, values, numbers, buckets % 256, count)


def rate(n_rows: int, n_events: int) -> FloatArray:
    """Return rows of which some are 1, scattered: users of two windows have nothing in common."""
    order = np.random.default_rng([n_rows, n_events]).permutation(n_rows)
    return (order < n_events).astype(np.float64)


def compare(
    baseline: Profile,
    current: Profile,
    *infos: SignalInfo,
    settings: JudgeSettings | None = None,
) -> Findings:
    """Compare two windows whose segments are called "segment 0", "segment 1", ..."""
    labels = tuple(f"segment {k}" for k in range(len(baseline.n)))
    names = tuple(info.name for info in infos)
    before, after = (replace(p, signal_names=names) for p in (baseline, current))
    return compare_profiles(before, after, infos, labels, settings or JudgeSettings())
