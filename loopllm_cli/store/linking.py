"""Find the response that a piece of feedback is about, each time anew.

Feedback may arrive before its response or weeks after it, so links are resolved when they are
read, never stored: there is nothing to repair. What fits several responses (a trace with many
answers, a choice that was not named) stays unlinked rather than guessed, and a vote on a whole
conversation stays a vote on the conversation.

The first of these that fits exactly one response wins: the response's own ids, its span, the
trace's one visible answer (else its root), the turn of a conversation, the text of the answer,
and last the nearest earlier answer of the conversation within half an hour.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from loopllm_cli.store import tables
from loopllm_cli.store.arrays import arrow_strings
from loopllm_cli.store.moments import to_moments
from loopllm_cli.store.project import Project

TIME_WINDOW = timedelta(minutes=30)
TARGET_COLUMNS = (
    *("target_kind", "target_id", "target_span_id", "target_response_id", "target_trace_id"),
    *("target_conversation_id", "target_turn_index", "target_response_hash"),
    *("candidate_ids", "annotator_kind", "feedback_time"),
)
_IDS = ("interaction_id", "source_record_id", "response_id", "request_id", "span_id", "trace_id")
_KEYS = (*_IDS, "conversation_id", "response_hash")
_FACTS = ("is_visible", "is_root", "turn_index", "request_time")
_HEX = re.compile(r"(0x)?[0-9a-fA-F]{16}|(0x)?[0-9a-fA-F]{32}|[0-9a-fA-F-]{36}")
_MAX_CANDIDATES = 64


@dataclass(frozen=True, slots=True)
class Link:
    """What became of one target.

    `status` is linked, ambiguous (it fits `n_candidates` responses), conversation (it is about
    the whole of one) or orphan; `method` is the key that found it.
    """

    status: str
    interaction_id: str | None = None
    method: str | None = None
    n_candidates: int = 0


ORPHAN = Link("orphan")


@dataclass(slots=True)
class _Found:
    """A response that one of the wanted keys names."""

    interaction_id: str
    is_visible: bool
    is_root: bool
    turn_index: int | None
    time: datetime | None
    response_hash: str | None


@dataclass
class Links:
    """The responses that votes may be about, by each of their keys."""

    by_key: dict[str, dict[str, list[_Found]]] = field(
        default_factory=lambda: {key: defaultdict(list) for key in _KEYS}
    )

    def resolve(self, target_id: str | None) -> str | None:
        """Return the one interaction that an id names, None where there is none or several."""
        return self._by_id(target_id).interaction_id

    def of(self, vote: dict[str, Any]) -> Link:
        """Find the response of one vote.

        Args:
            vote: a feedback row, with at least `TARGET_COLUMNS`.
        """
        if vote["target_kind"] == "conversation" and vote["target_turn_index"] is None:
            return Link("conversation")
        worst = ORPHAN
        for attempt in self._attempts(vote):
            link = attempt()
            if link.status == "linked":
                return link
            if link.n_candidates > worst.n_candidates:
                worst = link
        return worst

    def _attempts(self, vote: dict[str, Any]) -> Iterator[Callable[[], Link]]:
        yield lambda: self._by_id(vote["target_id"])
        yield lambda: self._by("span_id", vote["target_span_id"])
        yield lambda: self._by("response_id", vote["target_response_id"])
        # A judge's score of a tool's or retriever's span says nothing of the trace's answer.
        of_span = vote["target_span_id"] is not None and vote["target_kind"] in ("span", "response")
        if not (of_span and vote["annotator_kind"] in ("LLM", "CODE")):
            yield lambda: self._by_trace(vote["target_trace_id"])
        yield lambda: self._by_turn(vote)
        yield lambda: self._by_text(vote)
        yield lambda: self._by_time(vote)

    def _by_id(self, target_id: str | None) -> Link:
        for column in _IDS[:-1]:
            link = self._by(column, target_id)
            if link.n_candidates:
                return link
        return self._by_trace(target_id)

    def _by(self, column: str, key: str | None) -> Link:
        return _only(self._candidates(column, key), column)

    def _candidates(self, column: str, key: str | None) -> list[_Found]:
        if key is None:
            return []
        index = self.by_key[column]
        return next((index[k] for k in spellings(key) if k in index), [])

    def _by_trace(self, trace_id: str | None) -> Link:
        found = self._candidates("trace_id", trace_id)
        for chosen in (found, [f for f in found if f.is_visible], [f for f in found if f.is_root]):
            link = _only(chosen, "trace_id")
            if link.status == "linked":
                return link
        return _only(found, "trace_id")

    def _by_turn(self, vote: dict[str, Any]) -> Link:
        turn = vote["target_turn_index"]
        if turn is None:
            return ORPHAN
        found = self._candidates("conversation_id", vote["target_conversation_id"])
        return _only([f for f in found if f.turn_index == turn], "turn_index")

    def _by_text(self, vote: dict[str, Any]) -> Link:
        said, conversation = vote["target_response_hash"], vote["target_conversation_id"]
        if said is None:
            return ORPHAN
        if conversation is None:
            return self._by("response_hash", said)
        found = self._candidates("conversation_id", conversation)
        return _only([f for f in found if f.response_hash == said], "response_hash")

    def _by_time(self, vote: dict[str, Any]) -> Link:
        given = vote["feedback_time"]
        if (
            given is None
            or vote["annotator_kind"] in ("LLM", "CODE")
            or vote["target_response_hash"]
        ):
            return ORPHAN
        found = self._candidates("conversation_id", vote["target_conversation_id"])
        earlier = [
            f
            for f in found
            if f.is_visible and f.time and timedelta(0) <= given - f.time <= TIME_WINDOW
        ]
        if not earlier:
            return ORPHAN
        newest = max(f.time for f in earlier if f.time)
        return _only([f for f in earlier if f.time == newest], "time")


def _only(found: list[_Found], method: str) -> Link:
    """Return a link where exactly one response is found."""
    if not found:
        return ORPHAN
    ids = {f.interaction_id for f in found}
    if len(ids) == 1:
        return Link("linked", ids.pop(), method, 1)
    return Link("ambiguous", None, method, len(ids))


def spellings(key: str) -> Iterator[str]:
    """Yield the ways in which tools write one id: as it is, and hex in lower case without marks.

    Example:
        >>> list(spellings("0x5E0C9A1FB2D84736"))
        ['0x5E0C9A1FB2D84736', '5e0c9a1fb2d84736']
    """
    yield key
    if _HEX.fullmatch(key):
        plain = key.lower().removeprefix("0x").replace("-", "")
        if plain != key:
            yield plain
        if len(plain) == 32:
            uuid = "-".join((plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]))
            if uuid != key:
                yield uuid


def read_votes(
    project: Project, columns: Iterable[str], order: str = "feedback_id"
) -> pa.Table | None:
    """Read columns of all feedback, with the columns that linking needs; None without any."""
    wanted = ", ".join(dict.fromkeys((*columns, *TARGET_COLUMNS)))
    return tables.select(project.feedback, f"SELECT {wanted} FROM rows ORDER BY {order}")


def read_links(project: Project, votes: pa.Table | None = None) -> Links:
    """Look up the responses that the store's feedback may be about.

    Memory grows with the feedback, not with the responses.

    Args:
        votes: the feedback, where the caller has read it already (see `read_votes`).
    """
    links = Links()
    if votes is None:
        votes = read_votes(project, ())
    if votes is None or votes.num_rows == 0:
        return links
    wanted = _wanted_keys(votes)
    sql = f"SELECT {', '.join((*_KEYS, *_FACTS))} FROM rows"
    for batch in tables.iter_select(project.interactions, sql):
        if isinstance(batch, pa.RecordBatch) and batch.num_rows:
            _collect(links, tables.plain_strings(pa.Table.from_batches([batch])), wanted)
    return links


def _wanted_keys(votes: pa.Table) -> dict[str, pa.Array]:
    """Return, per key column of the responses, the values that votes name."""

    def values(name: str) -> set[str]:
        return {value for value in votes.column(name).to_pylist() if value is not None}

    ids = values("target_id")
    for candidates in votes.column("candidate_ids").to_pylist():
        ids.update(candidates or ())
    named = dict.fromkeys(_IDS, ids) | {
        "span_id": ids | values("target_span_id"),
        "response_id": ids | values("target_response_id"),
        "trace_id": ids | values("target_trace_id"),
        "conversation_id": values("target_conversation_id"),
        "response_hash": values("target_response_hash"),
    }
    return {
        column: arrow_strings(sorted({s for key in keys for s in spellings(key)}))
        for column, keys in named.items()
        if keys
    }


def _collect(links: Links, rows: pa.Table, wanted: dict[str, pa.Array]) -> None:
    for column, keys in wanted.items():
        held = rows.column(column).cast(pa.large_string())
        hits = pc.indices_nonzero(pc.is_in(held, value_set=keys))
        if not len(hits):
            continue
        taken = rows.take(hits)
        facts = [taken.column(name).to_pylist() for name in ("is_visible", "is_root", "turn_index")]
        times = to_moments(taken.column("request_time"))
        index = links.by_key[column]
        for key, interaction_id, said, visible, root, turn, time in zip(
            taken.column(column).to_pylist(),
            taken.column("interaction_id").to_pylist(),
            taken.column("response_hash").to_pylist(),
            *facts,
            times,
            strict=True,
        ):
            if len(index[key]) < _MAX_CANDIDATES:
                index[key].append(
                    _Found(interaction_id, bool(visible), bool(root), turn, time, said)
                )


@dataclass(frozen=True, slots=True)
class LinkCount:
    """How the store's feedback is linked; what is mined from users' turns is left out."""

    linked: int = 0
    orphans: int = 0
    ambiguous: int = 0
    of_conversations: int = 0
    why: str = ""


def count_links(project: Project) -> LinkCount:
    """Count how much of the store's feedback is linked, and say why the rest may not be."""
    votes = read_votes(project, ("source_format", "target_key"))
    if votes is None:
        return LinkCount()
    links = read_links(project, votes)
    counts = dict.fromkeys(("linked", "orphan", "ambiguous", "conversation"), 0)
    orphans: list[dict[str, Any]] = []
    for vote in iter_votes(votes):
        if vote["source_format"] == "implicit":
            continue
        candidates = vote["candidate_ids"]
        if candidates:
            whole = all(links.resolve(candidate) is not None for candidate in candidates)
            status = "linked" if whole else "orphan"
        else:
            status = links.of(vote).status
        counts[status] += 1
        if status == "orphan":
            orphans.append(vote)
    return LinkCount(
        counts["linked"],
        counts["orphan"],
        counts["ambiguous"],
        counts["conversation"],
        _explain(project, orphans),
    )


def iter_votes(votes: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield votes as dicts, their times as datetimes (without loading pandas)."""
    times = to_moments(votes.column("feedback_time"))
    plain = votes.drop_columns(["feedback_time"]).to_pylist()
    for vote, time in zip(plain, times, strict=True):
        vote["feedback_time"] = time
        yield vote


def _explain(project: Project, orphans: list[dict[str, Any]]) -> str:
    """Say of votes without a response how their ids look, and how those of the responses do."""
    named = [(v["target_key"], _id_of(v)) for v in orphans]
    shapes = {(key, _shape(value)) for key, value in named if value is not None}
    if not shapes:
        return ""
    sample = tables.select(project.interactions, f"SELECT {', '.join(_IDS)} FROM rows LIMIT 1000")
    known: set[str] = set()
    if sample is not None:
        for column in _IDS:
            known |= {_shape(v) for v in sample.column(column).to_pylist() if v is not None}
    foreign = sorted(f"{key} like {shape}" for key, shape in shapes if shape not in known)
    if foreign and sample is not None:
        return f"no response has an id of that form: {', '.join(foreign[:3])}"
    oldest = min((v["feedback_time"] for v in orphans if v["feedback_time"]), default=None)
    return (
        f"their responses have not come yet; the oldest vote is of {oldest:%Y-%m-%d}"
        if oldest
        else ""
    )


def _id_of(vote: dict[str, Any]) -> str | None:
    names = ("target_id", "target_response_id", "target_span_id", "target_trace_id")
    return next((str(vote[name]) for name in names if vote[name] is not None), None)


def _shape(value: str) -> str:
    """Describe how an id looks, without saying it: `chatcmpl-*`, `<uuid>`, `<16 hex digits>`."""
    if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value):
        return "<uuid>"
    if re.fullmatch(r"(0x)?[0-9a-fA-F]{16}|(0x)?[0-9a-fA-F]{32}", value):
        return f"<{len(value.removeprefix('0x'))} hex digits>"
    if value.isdecimal():
        return "<number>"
    lead = re.match(r"[A-Za-z]{2,12}[-_:]", value)
    return f"{lead[0]}*" if lead else "<other>"
