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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loopllm_cli.store import tables
from loopllm_cli.store.arrays import arrow_ints, arrow_mask, numpy_ints, one_array
from loopllm_cli.store.link_attempts import METHODS, Asked, is_one_of, link
from loopllm_cli.store.link_index import IDS, NEVER, read_named
from loopllm_cli.store.memory import give_back
from loopllm_cli.store.moments import to_moments
from loopllm_cli.store.project import Project
from loopllm_cli.store.spellings import Keys, Numbers
from loopllm_cli.store.spellings import spellings as spellings

TARGET_COLUMNS = (
    *("target_kind", "target_id", "target_span_id", "target_response_id", "target_trace_id"),
    *("target_conversation_id", "target_turn_index", "target_response_hash"),
    *("candidate_ids", "winner_id", "annotator_kind", "feedback_time"),
)

# Of all feedback together, these may hold more than the 2 GB that a column of texts takes.
_LONG = {"text", "explanation"}


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


@dataclass(frozen=True)
class Links:
    """The responses that votes are about; all arrays but `names` go by vote.

    A response is a number that stands for one of `ids`, -1 is none. `methods` are numbers of
    `METHODS`; `starts` says where a vote's candidates begin in `candidates`, whose distinct names
    are numbered in `candidate_keys` and `winner_keys`.
    """

    ids: pa.Array
    targets: Numbers
    methods: Numbers
    n_candidates: Numbers
    of_conversation: npt.NDArray[np.bool_]
    starts: Numbers
    candidates: Numbers
    candidate_keys: Numbers
    winners: Numbers
    winner_keys: Numbers
    names: tuple[Keys, Numbers] | None = None

    def of(self, vote: int) -> Link:
        """Return the link of one vote, by its place among them."""
        if self.of_conversation[vote]:
            return Link("conversation")
        n, method = int(self.n_candidates[vote]), int(self.methods[vote])
        if n == 0:
            return Link("orphan")
        status = "linked" if n == 1 else "ambiguous"
        return Link(status, self.id_of(int(self.targets[vote])), METHODS[method], n)

    def id_of(self, response: int) -> str | None:
        """Return the id of a response."""
        return None if response < 0 else str(self.ids[response].as_py())

    def resolve(self, name: str | None) -> str | None:
        """Return the one interaction that an id names, None where there is none or several.

        Args:
            name: an id that some vote names, of its answer or of a candidate.
        """
        return self.id_of(self._by_name.get(name, -1)) if name is not None else None

    @cached_property
    def _by_name(self) -> dict[str, int]:
        if self.names is None:
            return {}
        keys, responses = self.names
        own = keys.names.slice(0, len(responses)).to_pylist()
        return dict(zip(own, responses.tolist(), strict=True))


def read_votes(project: Project, columns: Iterable[str]) -> pa.Table | None:
    """Read columns of all feedback, with the columns that linking needs; None without any.

    In order of time, then of id; feedback without a time comes first.
    """
    wanted = ", ".join(dict.fromkeys(("feedback_id", *columns, *TARGET_COLUMNS)))
    votes = tables.select(project.feedback, f"SELECT {wanted} FROM rows")
    if votes is None or votes.num_rows < 2:
        return votes
    # Sorted here: the engine's own sort holds the texts several times over.
    time = votes.column("feedback_time")
    moments = numpy_ints(time.cast(pa.timestamp("us", time.type.tz), safe=False), NEVER)
    keys = pa.table({"time": arrow_ints(moments), "id": one_array(votes.column("feedback_id"))})
    order = pc.sort_indices(keys, sort_keys=[("time", "ascending"), ("id", "ascending")])
    large = [f.with_type(pa.large_string()) if f.name in _LONG else f for f in votes.schema]
    ordered = votes.cast(pa.schema(large)).take(order)
    del votes
    give_back()
    return ordered


def read_links(project: Project, votes: pa.Table | None = None) -> Links:
    """Look up the responses that the store's feedback may be about.

    Memory grows with the feedback, not with the responses.

    Args:
        votes: the feedback, where the caller has read it already (see `read_votes`).
    """
    if votes is None:
        votes = read_votes(project, ())
    if votes is None or votes.num_rows == 0:
        none, start = np.empty(0, np.int64), np.zeros(1, np.int64)
        names, of_none = pa.nulls(0, pa.large_string()), np.empty(0, bool)
        return Links(names, none, none, none, of_none, start, none, none, none, none)
    asked = Asked.read(votes)
    named = read_named(project.interactions, asked.keys, asked.wanted())
    give_back()
    answered = link(asked, named)
    resolved = np.append(answered.resolved, -1)
    return Links(
        ids=named.ids,
        targets=answered.targets,
        methods=answered.methods,
        n_candidates=answered.n_candidates,
        of_conversation=answered.of_conversation,
        starts=asked.starts,
        candidates=resolved[asked.candidates],
        candidate_keys=asked.candidates,
        winners=resolved[asked.winner],
        winner_keys=asked.winner,
        names=(asked.keys, answered.resolved),
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
    said = ~is_one_of(votes.column("source_format"), {"implicit"})
    sizes = np.diff(links.starts)
    missing = np.concatenate([np.zeros(1, np.int64), np.cumsum(links.candidates < 0)])
    whole = missing[links.starts[1:]] == missing[links.starts[:-1]]
    linked = np.where(sizes > 0, whole, links.n_candidates == 1)
    ambiguous = (sizes == 0) & (links.n_candidates > 1)
    talks = (sizes == 0) & links.of_conversation
    orphans = said & ~linked & ~ambiguous & ~talks
    return LinkCount(
        int((said & linked).sum()),
        int(orphans.sum()),
        int((said & ambiguous).sum()),
        int((said & talks).sum()),
        _explain(project, list(iter_votes(votes.filter(arrow_mask(orphans))))),
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
    sample = tables.select(project.interactions, f"SELECT {', '.join(IDS)} FROM rows LIMIT 1000")
    known: set[str] = set()
    if sample is not None:
        for column in IDS:
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
