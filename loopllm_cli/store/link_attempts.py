"""Ask for the responses of many votes at once, one kind of key after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loopllm_cli.store.arrays import numpy_ints
from loopllm_cli.store.link_index import IDS, NEVER, Found, Groups, Named, Pairs
from loopllm_cli.store.spellings import Keys, Numbers, number_keys

TIME_WINDOW = timedelta(minutes=30)
METHODS = (*IDS, "turn_index", "response_hash", "time")
_METHOD = {name: number for number, name in enumerate(METHODS)}
_WINDOW_US = int(TIME_WINDOW.total_seconds() * 1e6)
_MACHINES = {"LLM", "CODE"}


@dataclass(frozen=True)
class Asked:
    """What votes say of the responses they are about; ids are numbers of `keys`."""

    keys: Keys
    own: Numbers
    span: Numbers
    response: Numbers
    trace: Numbers
    conversation: Numbers
    said: Numbers
    candidates: Numbers
    winner: Numbers
    starts: Numbers
    turn: Numbers
    time: Numbers
    is_machine: npt.NDArray[np.bool_]
    is_span: npt.NDArray[np.bool_]
    is_conversation: npt.NDArray[np.bool_]
    has_text: npt.NDArray[np.bool_]

    @classmethod
    def read(cls, votes: pa.Table) -> Asked:
        """Number the ids in some votes."""
        lists = votes.column("candidate_ids")
        flat = pa.chunked_array([chunk.flatten() for chunk in lists.chunks], pa.string())
        columns = ["target_id", "target_span_id", "target_response_id", "target_trace_id"]
        columns += ["target_conversation_id", "target_response_hash"]
        keys, numbers = number_keys(
            [*(votes.column(c) for c in columns), flat, votes.column("winner_id")]
        )
        lengths = numpy_ints(pc.list_value_length(lists), 0)
        time = votes.column("feedback_time")
        said = votes.column("target_response_hash")
        own, span, response, trace, conversation, hashed, candidates, winner = numbers
        return cls(
            keys=keys,
            own=own,
            span=span,
            response=response,
            trace=trace,
            conversation=conversation,
            said=hashed,
            candidates=candidates,
            winner=winner,
            starts=np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
            turn=numpy_ints(votes.column("target_turn_index"), NEVER),
            time=numpy_ints(time.cast(pa.timestamp("us", time.type.tz), safe=False), NEVER),
            is_machine=is_one_of(votes.column("annotator_kind"), _MACHINES),
            is_span=is_one_of(votes.column("target_kind"), {"span", "response"}),
            is_conversation=is_one_of(votes.column("target_kind"), {"conversation"}),
            has_text=numpy_ints(pc.binary_length(said), 0) > 0,
        )

    def wanted(self) -> dict[str, Numbers]:
        """Return, per key column of the responses, the spellings that votes name."""
        ids = np.concatenate([self.own, self.candidates, self.winner])
        named = dict.fromkeys(IDS, ids) | {
            "span_id": np.concatenate([ids, self.span]),
            "response_id": np.concatenate([ids, self.response]),
            "trace_id": np.concatenate([ids, self.trace]),
            "conversation_id": self.conversation,
            "response_hash": self.said,
        }
        found = {column: self.keys.wanted(numbers) for column, numbers in named.items()}
        return {column: numbers for column, numbers in found.items() if len(numbers)}


def is_one_of(column: pa.ChunkedArray, values: set[str]) -> npt.NDArray[np.bool_]:
    """Say of each text whether it is one of a few."""
    parts = [np.empty(0, bool)]
    for chunk in column.dictionary_encode().chunks:
        hit = np.array([*(value in values for value in chunk.dictionary.to_pylist()), False])
        parts.append(hit[numpy_ints(chunk.indices)])
    return np.concatenate(parts)


@dataclass(frozen=True)
class Answered:
    """The responses that votes are about: what `link` finds, see `linking.Links`."""

    targets: Numbers
    methods: Numbers
    n_candidates: Numbers
    of_conversation: npt.NDArray[np.bool_]
    resolved: Numbers


def link(asked: Asked, named: Named) -> Answered:
    """Try every kind of key on all votes that are not linked yet."""
    look = _Look(asked.keys, named)
    n_votes = len(asked.own)
    n_found, targets = np.zeros(n_votes, np.int64), np.full(n_votes, -1)
    methods = np.full(n_votes, -1)
    own = look.by_id(np.arange(len(asked.keys.spelled[0])))
    whole = asked.is_conversation & (asked.turn == NEVER)
    for attempt in _attempts(asked, look, own):
        (n, who), method = attempt()
        better = (n_found != 1) & ((n == 1) | (n > n_found)) & ~whole
        n_found = np.where(better, n, n_found)
        targets = np.where(better, who, targets)
        methods = np.where(better, method, methods)
    targets = np.where(n_found == 1, targets, -1)
    (n, who), _ = own
    return Answered(targets, methods, n_found, whole, np.where(n == 1, who, -1))


_Attempt = Callable[[], tuple[Found, Numbers | int]]


def _attempts(asked: Asked, look: _Look, own: tuple[Found, Numbers]) -> Iterator[_Attempt]:
    (n, who), methods = own
    first = np.append(n, 0)[asked.own], np.append(who, -1)[asked.own]
    yield lambda: (first, np.append(methods, -1)[asked.own])
    yield lambda: (look.by("span_id", asked.span), _METHOD["span_id"])
    yield lambda: (look.by("response_id", asked.response), _METHOD["response_id"])
    # A judge's score of a tool's or retriever's span says nothing of the trace's answer.
    elsewhere = (asked.span >= 0) & asked.is_span & asked.is_machine
    trace = np.where(elsewhere, -1, asked.trace)
    yield lambda: (look.by_trace(trace), _METHOD["trace_id"])
    talks = look.talks(asked.conversation)
    yield lambda: (look.by_turn(talks, asked.turn), _METHOD["turn_index"])
    anywhere = np.where(asked.conversation < 0, asked.said, -1)
    yield lambda: (look.by("response_hash", anywhere), _METHOD["response_hash"])
    yield lambda: (look.by_text(talks, asked.said), _METHOD["response_hash"])
    said_when = ~asked.is_machine & ~asked.has_text & (asked.time != NEVER)
    yield lambda: (look.by_time(np.where(said_when, talks, -1), asked.time), _METHOD["time"])


class _Look:
    """Look up responses, for many votes at a time."""

    def __init__(self, keys: Keys, named: Named) -> None:
        self._keys = keys
        self._named = named

    def by(self, column: str, keys: Numbers) -> Found:
        """Find responses by one of their ids, in the first spelling that there is."""
        return self._by(self._named.by_key(column), keys)[1]

    def _by(self, groups: Groups, keys: Numbers) -> tuple[Numbers, Found]:
        n, who = np.zeros(len(keys), np.int64), np.full(len(keys), -1)
        names = np.full(len(keys), -1)
        for spelled in self._keys.spelled:
            if not (spelled >= 0).any():
                continue
            spelling = np.append(spelled, -1)[keys]
            more, one = groups.find(spelling)
            new = (n == 0) & (more > 0)
            n, who = np.where(new, more, n), np.where(new, one, who)
            names = np.where(new, spelling, names)
        return names, (n, who)

    def by_id(self, keys: Numbers) -> tuple[Found, Numbers]:
        """Find responses by any of their own ids, the first column that has it; else the trace."""
        n, who = np.zeros(len(keys), np.int64), np.full(len(keys), -1)
        methods = np.full(len(keys), -1)
        for column in IDS:
            missing = np.where(n == 0, keys, -1)
            if column == "trace_id":
                more, one = self.by_trace(missing)
            else:
                more, one = self.by(column, missing)
            n, who = np.where(more > 0, more, n), np.where(more > 0, one, who)
            methods = np.where(more > 0, _METHOD[column], methods)
        return (n, who), methods

    def by_trace(self, keys: Numbers) -> Found:
        """Find a trace's only answer, its only visible one, or its only root."""
        named = self._named
        names, (n, who) = self._by(named.by_key("trace_id"), keys)
        for keep in (named.is_visible, named.is_root):
            some, one = named.by_key("trace_id", keep).find(names)
            new = (n > 1) & (some == 1)
            n, who = np.where(new, 1, n), np.where(new, one, who)
        return n, who

    def talks(self, keys: Numbers) -> Numbers:
        """Return the spellings under which conversations are stored, -1 for those unknown."""
        return self._by(self._named.by_key("conversation_id"), keys)[0]

    def by_turn(self, talks: Numbers, turns: Numbers) -> Found:
        """Find the answer of a turn."""
        return self._within(self._named.turn, talks, turns)

    def by_text(self, talks: Numbers, said: Numbers) -> Found:
        """Find an answer of a conversation by the hash of its text."""
        return self._within(self._named.said, talks, np.where(said < 0, NEVER, said))

    def _within(self, facts: Numbers, talks: Numbers, wanted: Numbers) -> Found:
        names, rows = self._named.hits["conversation_id"]
        known = facts[rows] != NEVER
        names, rows = names[known], rows[known]
        pairs = Pairs(facts[rows])
        groups = Groups(pairs.number(names, facts[rows]), self._named.response[rows])
        return groups.find(pairs.number(talks, wanted))

    def by_time(self, talks: Numbers, times: Numbers) -> Found:
        """Find the newest visible answer of a conversation that is at most half an hour old."""
        named = self._named
        names, rows = named.hits["conversation_id"]
        shown = named.is_visible[rows] & (named.time[rows] != NEVER)
        names, rows = names[shown], rows[shown]
        pairs = Pairs(named.time[rows])
        numbers = pairs.number(names, named.time[rows])
        order = np.argsort(numbers, kind="stable")
        numbers, rows = numbers[order], rows[order]
        if not len(numbers):
            return np.zeros(len(talks), np.int64), np.full(len(talks), -1)
        at = np.searchsorted(numbers, pairs.number_below(talks, times), side="right") - 1
        newest = rows[np.maximum(at, 0)]
        near = (at >= 0) & (names[order][np.maximum(at, 0)] == talks) & (talks >= 0)
        near &= times - np.where(near, named.time[newest], times) <= _WINDOW_US
        groups = Groups(numbers, named.response[rows])
        return groups.find(np.where(near, numbers[np.maximum(at, 0)], -1))
