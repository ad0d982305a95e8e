"""Answers that have not changed since the baseline, on traffic that did not drift.

The same context, answered in the same words then and now: whatever else a correction changes, not
this. Found by hashes in the store, so that no window has to be read whole.
"""

from __future__ import annotations

from loopllm_cli.loop.judged_rows import to_answers
from loopllm_cli.model import DriftResult
from loopllm_cli.pairs.evidence import Answer, Evidence
from loopllm_cli.pairs.untouched import Settled
from loopllm_cli.profiles.baseline import Baseline
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project
from loopllm_cli.store.windows import where_clause

UNCHANGED = "same answer as in the baseline"
# Five times what is retained by default: the split and the guards refuse some of them.
_MOST = 2_000
_PER_CONTEXT = "row_number() OVER (PARTITION BY context_hash ORDER BY request_time, interaction_id)"


def unchanged_answers(
    project: Project,
    drift: tuple[DriftResult, Baseline],
    evidence: Evidence,
) -> list[Settled]:
    """Return answers of the drift run's window that the baseline's window has in the same words.

    One per context, the first in time, of contexts in the order of their hash; none from a drifted
    segment, and none that somebody disliked or corrected.
    """
    run, baseline = drift
    rows = tables.select(project.interactions, _sql(run, baseline))
    if rows is None or not rows.num_rows:
        return []
    segments = baseline.segments
    labels = [segments.label(int(k)) for k in segments.assign(RowBatch(rows))]
    drifted = {segment.label for segment in run.segments}
    return [
        (answer, UNCHANGED)
        for answer in to_answers(rows, labels)
        if answer.segment not in drifted and not _is_disliked(answer, evidence)
    ]


def _sql(run: DriftResult, baseline: Baseline) -> str:
    now, then = where_clause(run.asked_window), where_clause(baseline.window)
    return (
        f"SELECT * FROM (SELECT *, {_PER_CONTEXT} AS place FROM rows WHERE {now} "
        "AND error_type IS NULL AND content_state = 'full' AND tool_definitions IS NULL) AS c "
        "JOIN (SELECT DISTINCT context_hash AS old_context, response_hash AS old_response "
        f"FROM rows WHERE {then}) AS b "
        "ON c.context_hash = b.old_context AND c.response_hash = b.old_response "
        f"WHERE place = 1 ORDER BY context_hash LIMIT {_MOST}"
    )


def _is_disliked(answer: Answer, evidence: Evidence) -> bool:
    votes = evidence.by_target.get(answer.interaction_id, ())
    return any(vote.polarity == -1 for vote in votes)
