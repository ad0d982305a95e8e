"""Look at all stored votes at once, so that only those that may matter are made one by one.

Of a million votes most are lone thumbs, which make no pair whoever gave them. What is said of each
here is what the court (`admissible`) and the rules would say of it; they say it of all others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from loopllm_cli.pairs.agreement.weigh import Drop
from loopllm_cli.pairs.evidence.answer_columns import AnswerFacts, StoredAnswers
from loopllm_cli.pairs.evidence.columns import Mask, Numbers
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import MINED, REPLACED
from loopllm_cli.pairs.evidence.vote_columns import StoredVotes, VoteFacts
from loopllm_cli.pairs.rules import ratings, silent, votes
from loopllm_cli.store.link_index import NEVER


@dataclass(frozen=True)
class Columns:
    """Stored votes and their answers; arrays go by vote, in the order of the votes."""

    votes: StoredVotes
    answers: StoredAnswers

    @classmethod
    def of(cls, evidence: Evidence) -> Columns | None:
        """Return the columns of evidence, None where it has none."""
        if isinstance(evidence.votes, StoredVotes) and isinstance(evidence.answers, StoredAnswers):
            return cls(evidence.votes, evidence.answers)
        return None

    @property
    def said(self) -> VoteFacts:
        """The facts of the votes."""
        return self.votes.facts

    @property
    def given(self) -> AnswerFacts:
        """The facts of the answers."""
        return self.answers.facts

    def answer_rows(self) -> Numbers:
        """Return the answer of each vote, -1 where it has none."""
        return self.said.answers[self.said.targets[self.votes.rows]]

    def are_of(self, kinds: Collection[str | None]) -> Mask:
        """Say which votes are of some kinds."""
        return self.said.kinds.are(kinds)[self.votes.rows]

    def by_people(self) -> Mask:
        """Say which votes no machine gave."""
        return ~self.said.are_machines[self.votes.rows]

    def drop(self, reason: str, mask: Mask) -> Drop:
        """Say why some votes make no pair."""
        return reason, tuple(self.votes.ids_of(self.votes.rows[mask]))


def places_in_turn(columns: Columns) -> Numbers:
    """Say of every vote how many the same person gave before; 0 of machines and what is mined."""
    rows = columns.votes.rows
    people = columns.said.people
    counts = columns.by_people() & ~columns.are_of((MINED,)) & ~people.are((None, ""))[rows]
    (counted,) = np.nonzero(counts)
    who = people.numbers[rows[counted]]
    order = np.argsort(who, kind="stable")
    starts = np.flatnonzero(np.diff(who[order], prepend=-1))
    sizes = np.diff(np.append(starts, len(order)))
    places = np.zeros(len(rows), np.int64)
    places[counted[order]] = np.arange(len(order)) - np.repeat(starts, sizes)
    return places


def may_be_refused(
    columns: Columns, edited: Collection[str], wait: tuple[timedelta, timedelta]
) -> Mask:
    """Say which votes the court must look at: all that it would refuse, and a few others.

    Args:
        edited: answers that users edited in place.
        wait: how long before its answer feedback may be dated, and how long after.
    """
    said, rows = columns.said, columns.votes.rows
    answers = columns.answer_rows()
    asked = _asked(columns, answers)
    early, late = (int(span / timedelta(microseconds=1)) for span in wait)
    times = said.times[rows]
    known = (times != NEVER) & (asked != NEVER)
    gap = np.where(known, times - asked, 0)
    is_usable = np.append(columns.given.is_usable, True)[answers]
    thumbs = columns.are_of(("thumbs",))
    suspect: Mask = (
        ~columns.by_people() | said.by_time[rows] | (gap < -early) | (gap > late) | ~is_usable
    )
    suspect |= thumbs & said.explained[rows]
    if edited:
        names = columns.votes.targets_of(np.arange(len(said.answers) - 1))
        is_edited = np.array([*(name in edited for name in names), False])
        suspect |= is_edited[said.targets[rows]] | (_any_candidate(said, is_edited)[rows])
    return suspect


def _asked(columns: Columns, answers: Numbers) -> Numbers:
    """Return when each vote's answer was given, else the last of its candidates."""
    said = columns.said
    given = np.append(columns.given.times, NEVER)
    newest = np.full(len(said.targets), NEVER)
    compared = np.repeat(np.arange(len(said.targets)), np.diff(said.starts))
    np.maximum.at(newest, compared, given[said.answers[said.candidates]])
    return np.where(answers >= 0, given[answers], newest[columns.votes.rows])


def _any_candidate(said: VoteFacts, mask: Mask) -> Mask:
    compared = np.repeat(np.arange(len(said.targets)), np.diff(said.starts))
    found = np.zeros(len(said.targets), bool)
    found[compared[mask[said.candidates]]] = True
    return found


def set_aside(evidence: Evidence) -> tuple[Evidence, list[Drop]]:
    """Leave out the votes that make no pair whatever the others say.

    Returns:
        What the rules have to look at, with the answers that this concerns at hand; by their
        answers, the votes that were set aside are still found.
    """
    columns = Columns.of(evidence)
    if columns is None:
        return evidence, []
    drops: list[Drop] = []
    aside = np.zeros(len(columns.votes.rows), bool)
    people = columns.by_people()
    for reason, mask in (*_lone_thumbs(columns), *_lone_ratings(columns), *_silent(columns)):
        mask &= people & ~aside
        if mask.any():
            drops.append(columns.drop(reason, mask))
            aside |= mask
    # What is mined concerns no rule.
    hold_answers(columns, ~aside & ~columns.are_of((MINED,)))
    return replace(evidence, votes=columns.votes.without(aside)), drops


def hold_answers(columns: Columns, some: Mask) -> None:
    """Make the answers that some of the votes concern, all at once."""
    said, rows = columns.said, columns.votes.rows[some]
    looked = np.zeros(len(said.targets), bool)
    looked[rows] = True
    compared = looked[np.repeat(np.arange(len(said.targets)), np.diff(said.starts))]
    wanted = said.answers[np.append(said.targets[rows], said.candidates[compared])]
    columns.answers.hold(wanted[wanted >= 0])


def _silent(columns: Columns) -> Iterator[tuple[str, Mask]]:
    for kind, reason in silent.REASONS.items():
        yield reason, columns.are_of((kind,))


def _lone_thumbs(columns: Columns) -> Iterator[tuple[str, Mask]]:
    """Find the thumbs on contexts where all who are heard say the same (`rules/votes.py`)."""
    rows, said = columns.votes.rows, columns.said
    thumbs = columns.are_of(("thumbs",)) & columns.by_people()
    answers = columns.answer_rows()
    contexts = np.append(columns.given.contexts, -1)[answers]
    polarity = said.polarity[rows]
    yield votes.NOT_THERE, thumbs & (answers < 0)
    yield votes.NO_CONTEXT, thumbs & (answers >= 0) & (contexts < 0)
    directed = np.isin(polarity, (1, -1))
    yield votes.NO_DIRECTION, thumbs & (contexts >= 0) & ~directed
    usable = thumbs & (contexts >= 0) & directed
    both = np.ones(int(contexts.max(initial=-1)) + 2, bool)
    for direction in (1, -1):
        there = np.zeros(len(both), bool)
        there[contexts[usable & (polarity == direction)]] = True
        both &= there
    lone = usable & ~both[contexts]
    replaced = lone & _are_replaced(columns, lone)
    yield REPLACED, replaced
    yield votes.ALONE, lone & ~replaced


def _are_replaced(columns: Columns, among: Mask) -> Mask:
    """Say which votes the same person replaced by a later one on the same answer."""
    rows, said = columns.votes.rows, columns.said
    known = among & ~said.people.are((None, ""))[rows] & (said.times[rows] != NEVER)
    (places,) = np.nonzero(known)
    some = rows[places]
    groups = _numbered(said.targets[some], said.people.numbers[some])
    last = np.full(int(groups.max(initial=-1)) + 1, NEVER)
    np.maximum.at(last, groups, said.times[some])
    found = np.zeros(len(rows), bool)
    found[places] = said.times[some] < last[groups]
    return found


def _lone_ratings(columns: Columns) -> Iterator[tuple[str, Mask]]:
    """Find the ratings that are the only one by a person of a context (`rules/ratings.py`)."""
    rows, said = columns.votes.rows, columns.said
    contexts = np.append(columns.given.contexts, -1)[columns.answer_rows()]
    people = said.people.numbers[rows]
    shares = said.ratings[rows]
    scored = columns.are_of(("rating", "score")) & (contexts >= 0) & (people >= 0)
    (places,) = np.nonzero(scored)
    some = rows[places]
    names = np.where(said.names.are(("",)), -1, said.names.numbers)[some]
    groups = _numbered(_numbered(contexts[places], people[places]), names + 1)
    alone = np.zeros(len(rows), bool)
    alone[places] = np.bincount(groups, minlength=1)[groups] == 1
    with np.errstate(invalid="ignore"):
        on_scale = (shares >= -ratings.ROUNDING) & (shares <= 1 + ratings.ROUNDING)
    yield ratings.ALONE, alone & on_scale & columns.are_of(("rating",))


def _numbered(firsts: Numbers, seconds: Numbers) -> Numbers:
    """Number the distinct pairs of numbers, none of them negative."""
    width = int(seconds.max(initial=0)) + 1
    found: Numbers = np.unique(firsts.astype(np.int64) * width + seconds, return_inverse=True)[1]
    return found


def judged_answers(columns: Columns) -> tuple[list[str], list[str]]:
    """Return the answers that any vote is about, in the order of the last; and the liked ones."""
    said, rows = columns.said, columns.votes.rows
    places = np.flatnonzero(columns.answer_rows() >= 0)
    targets = said.targets[rows[places]]
    last = np.full(len(said.answers), -1)
    last[targets] = places
    (there,) = np.nonzero(last >= 0)
    liked = np.unique(targets[said.polarity[rows[places]] == 1])
    in_order = there[np.argsort(last[there])]
    return columns.votes.targets_of(in_order), columns.votes.targets_of(liked)
