"""Answers that are surely still good, on traffic that did not drift.

The same context, answered in the same words then and now, or an answer that is known to be right:
whatever else a correction changes, not this. Then, as nothing drifted there, what is answered today
and nobody disliked. Found in the store, so that no window has to be read whole.
"""

from __future__ import annotations

from collections import Counter
from zlib import crc32

from loopllm_cli.loop.judged_rows import to_answers
from loopllm_cli.model import DriftResult
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.untouched import RIGHT, TODAY, UNCHANGED, Settled
from loopllm_cli.profiles.baseline import Baseline
from loopllm_cli.signals.answers import is_right
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.refusals import is_refusal
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project
from loopllm_cli.store.windows import where_clause

# Five times what is retained by default: the split and the guards refuse some of them.
_MOST = 5_000
_PER_CONTEXT = "row_number() OVER (PARTITION BY context_hash ORDER BY request_time, interaction_id)"


def settled_answers(
    project: Project,
    drift: tuple[DriftResult, Baseline],
    evidence: Evidence,
) -> list[Settled]:
    """Return answers of the drift run's window that a correction must not change.

    First those that the baseline's window has in the same words to the same context, then those
    that are known to be right, then any others. One per context and reason, the first in time, of
    contexts in the order of their hash; none from a drifted segment, none that somebody disliked
    or corrected, and none for being given today where known right answers are mostly missed.
    """
    found = {why: _answers(project, drift, why) for why in _SQL}
    drifted: set[str | None] = {segment.label for segment in drift[0].segments}
    closed = {UNCHANGED: drifted, RIGHT: drifted, TODAY: drifted | _missed(found[RIGHT])}
    return [
        (answer, why)
        for why, answers in found.items()
        for answer in answers
        if answer.segment not in closed[why]
        and not _is_disliked(answer, evidence)
        and not _is_left_to_verify(answer, why)
        and (why != RIGHT or _is_right(answer))
    ]


def _answers(project: Project, drift: tuple[DriftResult, Baseline], why: str) -> list[Answer]:
    run, baseline = drift
    rows = tables.select(project.interactions, _SQL[why](run, baseline))
    if rows is None or not rows.num_rows:
        return []
    segments = baseline.segments
    return to_answers(rows, [segments.label(int(k)) for k in segments.assign(RowBatch(rows))])


def _missed(known: list[Answer]) -> set[str | None]:
    """Return the segments where more of the known right answers are missed than given."""
    balance: Counter[str | None] = Counter()
    for answer in known:
        balance[answer.segment] += 1 if _is_right(answer) else -1
    return {segment for segment, surplus in balance.items() if surplus < 0}


def _unchanged_sql(run: DriftResult, baseline: Baseline) -> str:
    then = where_clause(baseline.window)
    return (
        f"SELECT * FROM ({_first_sql(run, 'TRUE')}) AS c "
        "JOIN (SELECT DISTINCT context_hash AS old_context, response_hash AS old_response "
        f"FROM rows WHERE {then}) AS b "
        "ON c.context_hash = b.old_context AND c.response_hash = b.old_response "
        f"WHERE place = 1 ORDER BY context_hash LIMIT {_MOST}"
    )


def _right_sql(run: DriftResult, _: Baseline) -> str:
    return _any_sql(run, "reference_answer IS NOT NULL")


def _today_sql(run: DriftResult, _: Baseline) -> str:
    return _any_sql(run, "reference_answer IS NULL")


def _any_sql(run: DriftResult, condition: str) -> str:
    first = _first_sql(run, condition)
    return f"SELECT * FROM ({first}) AS c WHERE place = 1 ORDER BY context_hash LIMIT {_MOST}"


def _first_sql(run: DriftResult, condition: str) -> str:
    return (
        f"SELECT *, {_PER_CONTEXT} AS place FROM rows WHERE {where_clause(run.asked_window)} "
        "AND error_type IS NULL AND content_state = 'full' AND tool_definitions IS NULL "
        f"AND {condition}"
    )


_SQL = {UNCHANGED: _unchanged_sql, RIGHT: _right_sql, TODAY: _today_sql}


def _is_right(answer: Answer) -> bool:
    wanted = (answer.reference_answer or "").strip()
    if not wanted or is_refusal(answer.text):
        return False
    return is_right(answer.text, wanted, answer.prompt_text or "")


def _is_left_to_verify(answer: Answer, why: str) -> bool:
    """Leave some contexts to `verify`, which asks what is not trained on.

    Of known right answers three of four: with every second one taken, a good adapter of the
    sample world could not be told from one that loses more than 5% (129 of 132 were kept). Of
    today's answers every second one, so that a small log has prompts left to show that nothing
    else got worse.
    """
    draw = crc32((answer.context_hash or "").encode())
    if (answer.reference_answer or "").strip():
        return draw % 4 > 0
    return why == TODAY and draw % 2 > 0


def _is_disliked(answer: Answer, evidence: Evidence) -> bool:
    votes = evidence.by_target.get(answer.interaction_id, ())
    return any(vote.polarity == -1 for vote in votes)
