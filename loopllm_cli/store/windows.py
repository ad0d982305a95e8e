"""Read a window of the store: its rows, with what users said about each of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from loopllm_cli.errors import ConfigError, EmptyWindow, StoreUnavailable
from loopllm_cli.model import Window, WindowSummary
from loopllm_cli.store import tables
from loopllm_cli.store.arrays import arrow_floats
from loopllm_cli.store.linking import Links, iter_votes, read_links, read_votes
from loopllm_cli.store.moments import to_moments
from loopllm_cli.store.project import Project

_AGE = re.compile(r"(\d+)\s*([smhdw])")
_AGE_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
FEEDBACK_SUMS = (
    "polarity",
    "rating",
    "n_corrections",
    "n_comparisons_lost",
    "n_regenerations",
    "n_escalations",
    "n_implicit_bad",
    "n_implicit_good",
)
_VOTE_COLUMNS = (
    *("kind", "polarity", "score_value", "scale_min", "scale_max", "candidate_ids"),
    *("winner_id", "tie"),
)


def parse_moment(text: str, now: datetime) -> datetime:
    """Read an ISO date or time (UTC unless it says otherwise), or an age such as `7d`.

    Raises:
        ConfigError: it is neither.
    """
    age = _AGE.fullmatch(text.strip())
    if age:
        try:
            return now - timedelta(seconds=int(age[1]) * _AGE_SECONDS[age[2]])
        except OverflowError:
            raise ConfigError(f"{text!r} is longer ago than the calendar", "try 30d") from None
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigError(
            f"{text!r} is neither a date, a time nor an age",
            "write 2026-10-01, 2026-10-01T06:00 or an age such as 7d or 12h",
        ) from None


def where_clause(window: Window) -> str:
    """Write a window as a SQL condition on the interactions table."""
    parts = []
    if window.since:
        parts.append(f"request_time >= TIMESTAMP '{_sql_time(window.since)}'")
    if window.until:
        parts.append(f"request_time < TIMESTAMP '{_sql_time(window.until)}'")
    if window.model:
        parts.append(f"COALESCE(response_model, request_model) = {_quoted(window.model)}")
    if window.where:
        parts.append(f"({window.where})")
    return " AND ".join(parts) or "TRUE"


def read_window(project: Project, window: Window, what: str) -> pa.Table:
    """Read a window's rows in a fixed order, with the sums of their feedback as columns.

    Args:
        what: how to call the window in an error, such as "the current window".

    Raises:
        StoreUnavailable: nothing has been ingested yet.
        EmptyWindow: no row fits.
        ConfigError: `where` is no valid condition.
    """
    sql = f"SELECT * FROM rows WHERE {where_clause(window)} ORDER BY request_time, interaction_id"
    rows = tables.select(project.interactions, sql)
    if rows is None:
        raise StoreUnavailable(
            f"nothing has been ingested into {project.place} yet", "begin with: loopllm ingest FILE"
        )
    if rows.num_rows == 0:
        raise EmptyWindow(f"{what} holds no rows", _span_hint(project))
    return _with_feedback(project, rows)


def summarise_window(rows: pa.Table, cluster_keys: Iterable[str]) -> WindowSummary:
    """Count what a window holds."""
    times = [t for t in to_moments(rows.column("request_time")) if t is not None]
    users = {u for u in rows.column("user_id").to_pylist() if u is not None}
    named = zip(
        rows.column("response_model").to_pylist(),
        rows.column("request_model").to_pylist(),
        strict=True,
    )
    models = {m for response, request in named if (m := response or request)}
    return WindowSummary(
        n_rows=rows.num_rows,
        n_users=len(users),
        n_clusters=len(set(cluster_keys)),
        first_time=min(times, default=None),
        last_time=max(times, default=None),
        models=tuple(sorted(models)),
    )


def _sql_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _span_hint(project: Project) -> str:
    span = tables.select(
        project.interactions, "SELECT MIN(request_time) AS a, MAX(request_time) AS b FROM rows"
    )
    first, last = (to_moments(span.column(c))[0] for c in "ab") if span else (None, None)
    if first is None:
        return "the store's rows carry no times: choose by --model or --where"
    return f"the store holds {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC: widen the window"


def _with_feedback(project: Project, rows: pa.Table) -> pa.Table:
    votes = read_votes(project, _VOTE_COLUMNS, "feedback_time NULLS FIRST, feedback_id")
    if votes is None or votes.num_rows == 0:
        return rows
    ids = rows.column("interaction_id").to_pylist()
    position = {interaction_id: i for i, interaction_id in enumerate(ids)}
    sums = {name: np.zeros(len(ids)) for name in FEEDBACK_SUMS}
    sums["polarity"][:] = np.nan
    sums["rating"][:] = np.nan
    links = read_links(project, votes)
    for vote in iter_votes(votes):
        for target, name, value in _contributions(vote, links):
            at = position.get(target or "")
            if at is None:
                continue
            # The last word counts for polarity and rating; events are counted.
            sums[name][at] = value if name in ("polarity", "rating") else sums[name][at] + value
    for name, values in sums.items():
        rows = rows.append_column(name, arrow_floats(values))
    return rows


def _contributions(vote: dict[str, Any], links: Links) -> list[tuple[str | None, str, float]]:
    """Say which sums of which responses a vote adds to."""
    kind = vote["kind"]
    if kind == "comparison":
        losers = [] if vote["tie"] else [c for c in vote["candidate_ids"] if c != vote["winner_id"]]
        return [(links.resolve(loser), "n_comparisons_lost", 1.0) for loser in losers]
    target = links.of(vote).interaction_id
    if target is None:
        return []
    if kind == "implicit":
        # What is mined is never mixed with what people said outright.
        sign = {-1: "n_implicit_bad", 1: "n_implicit_good"}.get(vote["polarity"])
        return [(target, sign, 1.0)] if sign else []
    found: list[tuple[str | None, str, float]] = []
    counted = {"correction": "n_corrections", "regeneration": "n_regenerations"}
    counted["escalation"] = "n_escalations"
    if kind in counted:
        found.append((target, counted[kind], 1.0))
    elif vote["polarity"] is not None:
        found.append((target, "polarity", float(vote["polarity"])))
    low, high, score = vote["scale_min"], vote["scale_max"], vote["score_value"]
    if kind == "rating" and None not in (low, high, score) and high > low:
        found.append((target, "rating", (score - low) / (high - low)))
    return found
