"""Where a change sits: slices of traffic, ranked by how much of the whole change they make up.

Looks at every one-sided signal, moved or not (a drop in a twentieth of the traffic hides in the
whole), and at the others where they changed. Slices explain a verdict; they never make one, and
never page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from loopllm_cli.drift.effects import estimate
from loopllm_cli.drift.search import Found, Question, score_all_rows, search_slices, seed_of
from loopllm_cli.drift.slices import (
    MIN_ROWS,
    Slice,
    Sums,
    Table,
    attributes_of,
    enumerate_slices,
    rows_of,
    sum_slices,
    to_table,
)
from loopllm_cli.drift.verdict import JudgeSettings, judge
from loopllm_cli.model import Comparison, SignalKind, SliceChange, Verdict, Worse
from loopllm_cli.profiles.clusters import N_BUCKETS as PROFILE_BUCKETS
from loopllm_cli.profiles.profile import Profile, build_profile
from loopllm_cli.profiles.sample import RowSample

IntArray = npt.NDArray[np.int64]

MAX_SLICES = 8
_QUANTILE = 1.645
"""Standard errors (one-sided 95%) by which a slice's change must exceed the tolerance, and by
which it must still stand apart outside of the slices named before it."""


@dataclass(frozen=True)
class Segmentation:
    """What segments are: their basis ("prompts" or a column), and their words in order."""

    basis: str
    labels: tuple[str, ...]


def find_slices(
    samples: tuple[RowSample, RowSample],
    comparisons: tuple[Comparison, ...],
    segmentation: Segmentation,
    settings: JudgeSettings,
) -> tuple[SliceChange, ...]:
    """Name the slices where behaviour changed more than elsewhere, the most telling first.

    Args:
        samples: of the baseline and of the current window, with the same signals.
        comparisons: what was said of whole windows.
    """
    questions = _to_questions(samples[0].signal_names, comparisons)
    if not questions or min(map(len, samples)) < 2 * MIN_ROWS:
        return ()
    before, after = (attributes_of(s, segmentation.basis, segmentation.labels) for s in samples)
    slices = enumerate_slices(before, after)
    if not slices:
        return ()
    table = to_table(*samples)
    sums = sum_slices(table, slices)
    seed = seed_of(np.concatenate([s.clusters for s in samples]))
    found = search_slices(slices, sums, questions, seed, settings.alpha)
    windows = _Windows(samples, table, segmentation, comparisons, settings)
    named = _distinct(found, slices, table, (sums, questions))[:MAX_SLICES]
    described = [_describe(one, slices[one.number], (sums, questions), windows) for one in named]
    return tuple(sorted(described, key=lambda s: (-s.share_of_change, s.share_current, s.name)))


def pick_examples(
    found: SliceChange, current: RowSample, segmentation: Segmentation, n: int = 3
) -> IntArray:
    """Return the positions (in the window) of the rows that show a slice's leading change best.

    Args:
        current: the sample of the current window, with its positions.
    """
    lead = found.comparisons[0]
    column = current.values[:, current.signal_names.index(lead.signal.name)]
    attributes = attributes_of(current, segmentation.basis, segmentation.labels)
    inside = np.flatnonzero(rows_of(found.parts, attributes) & np.isfinite(column))
    order = np.argsort(-column[inside] if lead.behaviour > 0 else column[inside], kind="stable")
    return np.asarray(current.positions[inside[order[:n]]])


def _to_questions(
    names: tuple[str, ...], comparisons: tuple[Comparison, ...]
) -> tuple[Question, ...]:
    found = []
    for c in comparisons:
        info = c.signal
        if c.note or info.name not in names:
            continue
        bad = {Worse.UP: 1, Worse.DOWN: -1, Worse.EITHER: 0}[info.worse]
        moved = 1 if c.behaviour > 0 else -1
        column, is_rate = names.index(info.name), info.kind is SignalKind.RATE
        if bad:
            found.append(Question(column, bad, info.tolerance, is_rate))
        if c.verdict in (Verdict.CHANGED, Verdict.BETTER):
            found.append(Question(column, -bad or moved, info.tolerance, is_rate))
    return tuple(found)


def _distinct(
    found: list[Found],
    slices: tuple[Slice, ...],
    table: Table,
    asked: tuple[Sums, tuple[Question, ...]],
) -> list[Found]:
    """Leave out changes within the tolerance, and slices that show nothing outside of others.

    This only removes names, so it cannot add false ones.
    """
    sums, questions = asked
    if not found:
        return []
    scores = score_all_rows(sums, questions)
    lead = {f.number: next(iter(f.p_adjusted)) for f in found}
    large = [f for f in found if scores.beyond[f.number, lead[f.number]] > _QUANTILE]
    found = sorted(large, key=lambda f: -scores.apart[f.number, lead[f.number]])
    kept: list[Found] = []
    for one in found:
        rows = slices[one.number].rows
        covered = [slices[k.number].rows for k in kept if lead[k.number] == lead[one.number]]
        left = np.setdiff1d(rows, np.concatenate(covered)) if covered else rows
        if len(left) < len(rows):
            n_current = int(table.is_current[left].sum())
            if min(n_current, len(left) - n_current) < MIN_ROWS // 2:
                continue
            rest = sum_slices(table, (Slice((), left),))
            if score_all_rows(rest, questions).apart[0, lead[one.number]] < _QUANTILE:
                continue
        kept.append(one)
    return kept


@dataclass(frozen=True)
class _Windows:
    """What describing a slice needs to know of both windows."""

    samples: tuple[RowSample, RowSample]
    table: Table
    segmentation: Segmentation
    comparisons: tuple[Comparison, ...]
    settings: JudgeSettings


def _describe(
    one: Found, where: Slice, asked: tuple[Sums, tuple[Question, ...]], windows: _Windows
) -> SliceChange:
    sums, questions = asked
    n_before = len(windows.samples[0])
    n_current = int((where.rows >= n_before).sum())
    lead = questions[next(iter(one.p_adjusted))]
    return SliceChange(
        name=where.name,
        parts=where.parts,
        n_baseline=len(where.rows) - n_current,
        n_current=n_current,
        share_current=n_current / len(windows.samples[1]),
        share_of_change=_share(sums, one.number, lead.column),
        comparisons=_compare(one, where, questions, windows),
    )


def _share(sums: Sums, number: int, column: int) -> float:
    """Return which part of the signal's whole behaviour change the slice makes up."""
    n, total = sums.n[..., column].sum(axis=2), sums.total[..., column].sum(axis=2)
    change = total[1] / np.maximum(n[1], 1) - total[0] / np.maximum(n[0], 1)
    weight = n[0] * n[1] / np.maximum(n[0] + n[1], 1)
    part, whole = weight[number] * change[number], weight[-1] * change[-1]
    return float(np.clip(part / whole, 0.0, 1.0)) if part * whole > 0 else 0.0


def _compare(
    one: Found, where: Slice, questions: tuple[Question, ...], windows: _Windows
) -> tuple[Comparison, ...]:
    """Compare the slice's rows in both windows on the clusters that judged it."""
    rows = where.rows[one.judged_on[windows.table.buckets[where.rows]]]
    n_before = len(windows.samples[0])
    profiles = (
        _profile(windows.samples[0], rows[rows < n_before], windows.segmentation),
        _profile(windows.samples[1], rows[rows >= n_before] - n_before, windows.segmentation),
    )
    known = {c.signal.name: c.signal for c in windows.comparisons}
    names = windows.samples[0].signal_names
    at = list(dict.fromkeys(questions[q].column for q in one.p_adjusted))
    kept = tuple(names[j] for j in at)
    effects = estimate(profiles[0].columns(kept), profiles[1].columns(kept))
    judged = judge(effects, tuple(known[name] for name in kept), windows.settings)
    by_column = {
        questions[q].column: (questions[q], p) for q, p in reversed(one.p_adjusted.items())
    }
    return tuple(
        replace(c, p_adjusted=by_column[j][1], verdict=_verdict(by_column[j][0], c))
        for j, c in zip(at, judged, strict=True)
    )


def _verdict(question: Question, c: Comparison) -> Verdict:
    bad = {Worse.UP: 1, Worse.DOWN: -1, Worse.EITHER: 0}[c.signal.worse]
    if not bad:
        return Verdict.CHANGED
    return Verdict.WORSE if question.side == bad else Verdict.BETTER


def _profile(sample: RowSample, rows: IntArray, segmentation: Segmentation) -> Profile:
    return build_profile(
        sample.signal_names,
        sample.values[rows].astype(np.float64),
        sample.segments[rows].astype(np.int64),
        (sample.clusters[rows] % np.uint64(PROFILE_BUCKETS)).astype(np.int64),
        len(segmentation.labels),
    )
