"""What is odd about a window, in words: rows of the baseline in it, clocks that jump, one user.

None of it ends a comparison: the signals that can be judged are, and the reader is told what to
make of them. (Times before 2018 or in the future are left out when logs are read.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from loopllm_cli.model import Window
from loopllm_cli.profiles.baseline import Baseline
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project
from loopllm_cli.store.windows import where_clause

_GAP = timedelta(days=30)
_FAR_SHARE = 0.05


def window_notes(
    project: Project, baseline: Baseline, window: Window, batch: RowBatch
) -> tuple[str, ...]:
    """Return what a reader must know of a window before believing its verdict.

    Args:
        window: the current window, as read.
        batch: its rows.
    """
    times = [t for t in batch.values("request_time") if t is not None]
    return (
        *_shared(project, baseline, window, len(batch)),
        *_clocks(times, len(batch)),
    )


def frozen_window(baseline: Baseline) -> Window:
    """Return the window that holds a baseline's rows and no later ones.

    A baseline of "all there is" was asked for without an end; rows that came after it are not its
    own. Rows without a time are only kept where none of the baseline's had one.
    """
    first, last = baseline.summary.first_time, baseline.summary.last_time
    if first is None or last is None:
        return baseline.window
    return replace(baseline.window, since=first, until=last + timedelta(microseconds=1))


def count_shared(project: Project, baseline: Baseline, window: Window) -> int:
    """Count the stored rows that are in a baseline's window and in another one."""
    if baseline.summary.last_time is None:
        return 0
    both = f"({where_clause(frozen_window(baseline))}) AND ({where_clause(window)})"
    found = tables.select(project.interactions, f"SELECT COUNT(*) AS n FROM rows WHERE {both}")
    return int(found.column("n").to_pylist()[0]) if found else 0


def _shared(project: Project, baseline: Baseline, window: Window, n_rows: int) -> Iterator[str]:
    n_shared = count_shared(project, baseline, window)
    if n_shared:
        yield (
            f"{n_shared:,} of {n_rows:,} rows lie in the baseline's own window: "
            "they hide a change; begin after it with --since"
        )


def _clocks(times: Sequence[datetime], n_rows: int) -> Iterator[str]:
    if not times:
        return
    if len(times) < n_rows:
        yield f"{n_rows - len(times):,} of {n_rows:,} rows carry no time, or an impossible one"
    lonely = _before_a_gap(sorted(times))
    if lonely:
        n_far, days = lonely
        yield (
            f"{n_far:,} of {n_rows:,} rows are {days:,} days or more away from all others: "
            "a clock that jumped, or two windows in one"
        )


def _before_a_gap(times: Sequence[datetime]) -> tuple[int, int] | None:
    """Find few rows that a long gap divides from the rest: how many, and its days."""
    gaps = [(b - a, k + 1) for k, (a, b) in enumerate(pairwise(times))]
    if not gaps:
        return None
    widest, n_before = max(gaps)
    n_far = min(n_before, len(times) - n_before)
    if widest < _GAP or n_far > max(1, _FAR_SHARE * len(times)):
        return None
    return n_far, widest.days
