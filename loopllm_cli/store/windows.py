"""Read a window of the store: its rows, with what users said about each of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loopllm_cli.errors import ConfigError, EmptyWindow, StoreUnavailable
from loopllm_cli.model import Window, WindowSummary
from loopllm_cli.store import tables
from loopllm_cli.store.arrays import (
    arrow_floats,
    numpy_floats,
    numpy_ints,
    numpy_mask,
    one_array,
)
from loopllm_cli.store.link_attempts import is_one_of
from loopllm_cli.store.linking import Links, read_links, read_votes
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
_UNSAID = -128
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
    votes = read_votes(project, _VOTE_COLUMNS)
    if votes is None or votes.num_rows == 0:
        return rows
    links = read_links(project, votes)
    place = numpy_ints(pc.index_in(links.ids, value_set=one_array(rows.column("interaction_id"))))
    sums = _sums(votes, links, np.append(place, -1), rows.num_rows)
    for name in FEEDBACK_SUMS:
        rows = rows.append_column(name, arrow_floats(sums[name]))
    return rows


def _sums(
    votes: pa.Table, links: Links, place: npt.NDArray[np.int64], n_rows: int
) -> dict[str, npt.NDArray[np.float64]]:
    """Add up what votes, in order of time, say of each row.

    Args:
        place: the row of each linked response, and -1 at the end.
    """
    polarity = numpy_ints(votes.column("polarity"), _UNSAID)
    at = place[links.targets]

    def kind(*names: str) -> npt.NDArray[np.bool_]:
        return is_one_of(votes.column("kind"), set(names)) & (at >= 0)

    def count(said: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        return np.bincount(said[said >= 0], minlength=n_rows).astype(float)

    low, high, score = (
        numpy_floats(votes.column(name)) for name in ("scale_min", "scale_max", "score_value")
    )
    # Of a vote that counts as an event, or was mined, the polarity says nothing more.
    other = ~kind("comparison", "implicit", "correction", "regeneration", "escalation")
    rated = kind("rating") & (high > low) & ~np.isnan(score)
    with np.errstate(invalid="ignore", divide="ignore"):
        rating = (score - low) / (high - low)
    # What is mined is never mixed with what people said outright.
    mined = kind("implicit")
    return {
        "polarity": _last(at, other & (at >= 0) & (polarity != _UNSAID), polarity, n_rows),
        "rating": _last(at, rated, rating, n_rows),
        "n_corrections": count(at[kind("correction")]),
        "n_comparisons_lost": count(place[_losers(votes, links)]),
        "n_regenerations": count(at[kind("regeneration")]),
        "n_escalations": count(at[kind("escalation")]),
        "n_implicit_bad": count(at[mined & (polarity == -1)]),
        "n_implicit_good": count(at[mined & (polarity == 1)]),
    }


def _last(
    at: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.bool_],
    values: npt.NDArray[Any],
    n_rows: int,
) -> npt.NDArray[np.float64]:
    """Keep the last word on each row, NaN where there is none."""
    found = np.full(n_rows, np.nan)
    rows, words = at[chosen][::-1], values[chosen][::-1]
    first, place = np.unique(rows, return_index=True)
    found[first] = words[place]
    return found


def _losers(votes: pa.Table, links: Links) -> npt.NDArray[np.int64]:
    """Return the responses that lost a comparison, once for every time."""
    played = is_one_of(votes.column("kind"), {"comparison"}) & ~numpy_mask(votes.column("tie"))
    owner = np.repeat(np.arange(votes.num_rows), np.diff(links.starts))
    lost = played[owner] & (links.candidate_keys != links.winner_keys[owner])
    lost_by: npt.NDArray[np.int64] = links.candidates[lost]
    return lost_by
