"""Linking as plainly as it can be written: one vote after the other, every key by itself.

The oracle for the linking of all votes at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from loopllm_cli.store.link_attempts import TIME_WINDOW
from loopllm_cli.store.linking import Link
from loopllm_cli.store.spellings import spellings

_IDS = ("interaction_id", "source_record_id", "response_id", "request_id", "span_id", "trace_id")
_KEYS = (*_IDS, "conversation_id", "response_hash")
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
class SlowLinks:
    """The responses that votes may be about, by each of their keys."""

    by_key: dict[str, dict[str, list[_Found]]] = field(
        default_factory=lambda: {key: defaultdict(list) for key in _KEYS}
    )

    @classmethod
    def of_rows(cls, rows: Iterable[dict[str, Any]]) -> SlowLinks:
        """Note every response under each of its keys."""
        links = cls()
        for row in rows:
            found = _Found(
                row["interaction_id"],
                bool(row["is_visible"]),
                bool(row["is_root"]),
                row["turn_index"],
                row["request_time"],
                row["response_hash"],
            )
            for key in _KEYS:
                if row[key] is not None:
                    links.by_key[key][row[key]].append(found)
        return links

    def resolve(self, target_id: str | None) -> str | None:
        """Return the one interaction that an id names, None where there is none or several."""
        return self._by_id(target_id).interaction_id

    def of(self, vote: dict[str, Any]) -> Link:
        """Find the response of one vote.

        Args:
            vote: a feedback row.
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
