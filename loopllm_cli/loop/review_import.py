"""Bring decisions on pairs home from the tool in which people made them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loopllm_cli.errors import EmptyInput
from loopllm_cli.model import Pair, ReviewDecision, ReviewImport
from loopllm_cli.pairs.dataset.stored import StoredPairs, latest_pairs
from loopllm_cli.pairs.review.apply import as_voted, content_of
from loopllm_cli.pairs.review.argilla import (
    SUBMITTED,
    Answered,
    Record,
    answers_of,
    choice_of,
    pair_id_of,
)
from loopllm_cli.pairs.review.log import ReviewLog, read_decisions
from loopllm_cli.sources.identity import UserHasher
from loopllm_cli.store.project import Project
from loopllm_cli.store.secret import read_key

MAX_BYTES = 256 << 20
_SOURCE = "argilla"
_LISTS = ("items", "records", "data")


def import_reviews(
    project: Project, content: bytes, folder: Path | None = None, question: str | None = None
) -> ReviewImport:
    """Keep the decisions in exported Argilla records.

    What was imported before is left out, so that a file may be read again with more answers.

    Args:
        content: a JSON list of records, or JSON Lines.
        folder: the dataset whose pairs were reviewed; the newest, if None.
        question: the question to read; the first whose answers name a side, if None.

    Raises:
        UsageError: there is no dataset.
        EmptyInput: there is no record at all.
        StoreUnavailable: the decisions cannot be written.
    """
    stored = StoredPairs(folder or latest_pairs(project))
    reader = _Reader(stored, UserHasher(read_key(project)), question)
    n_records = 0
    found: list[ReviewDecision] = []
    for record in _records(content, reader.skipped):
        n_records += 1
        found += reader.read(record)
    if not n_records:
        raise EmptyInput("there is no record in it", "export records with their responses")
    known = {_mark(decision) for decision in read_decisions(project)}
    new = [decision for decision in found if _mark(decision) not in known]
    if new:
        ReviewLog(project).append(*new)
    return ReviewImport(
        path=project.shown(stored.folder),
        n_records=n_records,
        n_decisions=len(new),
        n_known=len(found) - len(new),
        n_reviewers=len({decision.reviewer for decision in found}),
        skipped=dict(reader.skipped.most_common()),
    )


class _Reader:
    """Turn records into decisions, and count what is none."""

    def __init__(self, stored: StoredPairs, pseudonym: UserHasher, question: str | None) -> None:
        self._stored = stored
        self._places = {name: place for place, name in enumerate(stored.ids)}
        self._pseudonym = pseudonym
        self._question = question
        self.skipped: Counter[str] = Counter()

    def read(self, record: Record) -> Iterator[ReviewDecision]:
        """Yield one decision per annotator who answered."""
        place = self._places.get(pair_id_of(record) or "")
        if place is None:
            self.skipped["records on pairs that the dataset does not hold"] += 1
            return
        pair = as_voted(self._stored.pair(place))
        decided: set[str] = set()
        for answered in answers_of(record):
            decision = self._decision(record, pair, answered)
            # A second question about the same two sides is no second opinion.
            if decision is not None and decision.reviewer not in decided:
                decided.add(decision.reviewer)
                yield decision

    def _decision(self, record: Record, pair: Pair, answered: Answered) -> ReviewDecision | None:
        if self._question not in (None, answered.question):
            return None
        choice = choice_of(answered.value, record, pair)
        if choice is None:
            self.skipped["answers that are no judgement of the two sides"] += 1
            return None
        if answered.status != SUBMITTED:
            untold = answered.status is None
            reason = (
                "responses whose status the layout does not tell"
                if untold
                else ("responses that were not submitted")
            )
            self.skipped[reason] += 1
            return None
        return ReviewDecision(
            pair_id=pair.pair_id,
            choice=choice,
            reviewer=self._pseudonym(answered.user) if answered.user else "somebody unknown",
            time=answered.time,
            content=content_of(pair),
            source=_SOURCE,
            feedback_ids=pair.feedback_ids,
            interaction_ids=pair.interaction_ids,
        )


def _mark(decision: ReviewDecision) -> tuple[Any, ...]:
    return (decision.reviewer, decision.pair_id, decision.choice, decision.time, decision.source)


def _records(content: bytes, skipped: Counter[str]) -> Iterator[Record]:
    """Yield the records of a JSON list or of JSON Lines."""
    text = content.decode("utf-8-sig", "replace")
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        whole = None
    if isinstance(whole, dict):
        lists = [whole[name] for name in _LISTS if isinstance(whole.get(name), list)]
        whole = lists[0] if lists else [whole]
    if not isinstance(whole, list):
        whole = [_parse(line) for line in text.split("\n") if line.strip()]
    for record in whole:
        if isinstance(record, dict):
            yield record
        else:
            skipped["lines that are no record"] += 1


def _parse(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
