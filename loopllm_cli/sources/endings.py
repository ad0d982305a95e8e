"""Signs that only whole conversations show: an answer asked for again, a user who gave up.

Looked at are the conversations that an ingest touched, from all their rows in the store. Both
signs are weak: asking again may be curiosity, and silence may be contentment elsewhere.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from loopllm_cli.sources.implicit import NAME
from loopllm_cli.sources.rows import Origin, Row, feedback
from loopllm_cli.store import tables
from loopllm_cli.store.arrays import arrow_strings
from loopllm_cli.store.moments import to_moments
from loopllm_cli.store.project import Project

# The same context once more within this time is a wish for another answer, not a daily job.
AGAIN_WITHIN = timedelta(minutes=30)
# A conversation may go on the next day; one that rests longer beside newer logs has ended.
ENDED_AFTER = timedelta(hours=24)
_REGENERATED = ("regenerated", 0.5)
_ABANDONED = ("abandoned", 0.5)


@dataclass(slots=True)
class _Turn:
    time: datetime
    interaction_id: str
    context_hash: str | None
    user_id: str | None
    failed: bool


def mine_endings(project: Project, conversations: set[str], origin: Origin) -> list[Row]:
    """Return implicit feedback about answers asked for again, and about abandoned conversations.

    An answer is `regenerated` when the same context was sent again within half an hour, unless
    the first call failed or both belong to one request. A conversation is `abandoned` when its
    last question was a complaint about the answer before it, and a day of newer logs brought
    nothing more.
    """
    if not conversations:
        return []
    turns = _read_turns(project, conversations)
    unhappy = _read_unhappy(project, conversations)
    newest = _newest(project)
    found: list[Row] = []
    for name, listed in turns.items():
        listed.sort(key=lambda turn: (turn.time, turn.interaction_id))
        for again in _asked_again(listed):
            found.append(_sign(origin, again, name, *_REGENERATED))
        last = listed[-1]
        if last.time in unhappy.get(name, ()) and newest and newest - last.time > ENDED_AFTER:
            found.append(_sign(origin, last, name, *_ABANDONED))
    return found


def _asked_again(turns: Sequence[_Turn]) -> Iterator[_Turn]:
    for turn, later in itertools.pairwise(turns):
        same = turn.context_hash is not None and turn.context_hash == later.context_hash
        if same and not turn.failed and timedelta(0) < later.time - turn.time <= AGAIN_WITHIN:
            yield turn


def _sign(origin: Origin, turn: _Turn, conversation: str, name: str, confidence: float) -> Row:
    values: Row = {
        "name": name,
        "polarity": -1,
        "score_value": confidence,
        "annotator_kind": "HUMAN",
        "annotator_role": "end_user",
        "annotator_id": turn.user_id,
        "feedback_time": turn.time,
        "target_kind": "response",
        "target_id": turn.interaction_id,
        "target_key": "interaction_id",
        "target_conversation_id": conversation,
    }
    return feedback(origin, NAME, NAME, values)


def _read_turns(project: Project, conversations: set[str]) -> dict[str, list[_Turn]]:
    sql = (
        "SELECT conversation_id, interaction_id, context_hash, user_id, error_type, request_time "
        "FROM rows WHERE conversation_id IS NOT NULL AND request_time IS NOT NULL "
        "AND choice_index = 0"
    )
    turns: dict[str, list[_Turn]] = defaultdict(list)
    for rows in _matching(project.interactions, sql, "conversation_id", conversations):
        times = to_moments(rows.column("request_time"))
        for row, time in zip(rows.drop_columns(["request_time"]).to_pylist(), times, strict=True):
            assert time is not None
            turns[row["conversation_id"]].append(
                _Turn(
                    time,
                    row["interaction_id"],
                    row["context_hash"],
                    row["user_id"],
                    row["error_type"] is not None,
                )
            )
    return turns


def _read_unhappy(project: Project, conversations: set[str]) -> dict[str, set[datetime]]:
    """Return when, per conversation, a question was also a complaint about the answer before."""
    sql = (
        "SELECT target_conversation_id, feedback_time FROM rows WHERE kind = 'implicit' "
        "AND polarity < 0 AND target_response_hash IS NOT NULL AND feedback_time IS NOT NULL"
    )
    found: dict[str, set[datetime]] = defaultdict(set)
    for rows in _matching(project.feedback, sql, "target_conversation_id", conversations):
        names = rows.column("target_conversation_id").to_pylist()
        for name, time in zip(names, to_moments(rows.column("feedback_time")), strict=True):
            if time is not None:
                found[name].add(time)
    return found


def _matching(
    location: tables.Location, sql: str, column: str, wanted: set[str]
) -> Iterator[pa.Table]:
    names = arrow_strings(sorted(wanted))
    for batch in tables.iter_select(location, sql):
        if isinstance(batch, pa.Schema) or not batch.num_rows:
            continue
        rows = tables.plain_strings(pa.Table.from_batches([batch]))
        held = rows.column(column).cast(pa.large_string())
        yield rows.filter(pc.is_in(held, value_set=names))


def _newest(project: Project) -> datetime | None:
    found = tables.select(project.interactions, "SELECT MAX(request_time) AS t FROM rows")
    return to_moments(found.column("t"))[0] if found is not None else None
