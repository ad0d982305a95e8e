"""Look up the feedback and the answers behind some pairs, and the feedback that is against them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from loopllm_cli.model import Pair, ShownAnswer, ShownFeedback
from loopllm_cli.pairs.dataset.stored import logged_id
from loopllm_cli.pairs.review.apply import REVIEWED
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project

_ANSWER_KEYS = ("interaction_id", "source_record_id", "response_id", "request_id", "span_id")
_ANSWER_COLUMNS = (
    *("request_time", "request_model", "response_model", "finish_reason", "user_id"),
    *("conversation_id", "source_format", "source_path", "source_line"),
)
_TARGETS = ("target_id", "target_span_id", "target_response_id", "winner_id")
_VOTE_COLUMNS = (
    *("feedback_id", "kind", "name", "score_value", "score_label", "scale_min", "scale_max"),
    *("text", "explanation", "polarity", "annotator_id", "annotator_kind", "annotator_role"),
    *("feedback_time", "candidate_ids", "tie", "source_format", "source_path", "source_line"),
)
_THUMBS = {1: "up", -1: "down", 0: "neutral"}
Row = dict[str, Any]


class ShownRows:
    """Rows of a project's tables, by id; what the tables do not hold (any more) is forgotten.

    Args:
        feedback_ids: the feedback to look up.
        interaction_ids: the answers to look up, and all feedback that names one of them.

    Raises:
        StoreUnavailable: a table cannot be read.
    """

    def __init__(
        self, project: Project, feedback_ids: Sequence[str], interaction_ids: Sequence[str]
    ) -> None:
        self._answers = _read_answers(project, [logged_id(name) for name in interaction_ids])
        self._names = {name: _names_of(row) for name, row in self._answers.items()}
        every = {name for names in self._names.values() for name in names}
        self._votes = _read_votes(project, feedback_ids, every)

    def feedback(self, feedback_id: str, pair: Pair | None) -> ShownFeedback:
        """Show a piece of feedback, and what it says of a pair."""
        row = self._votes.get(feedback_id)
        if row is None:
            return ShownFeedback(feedback_id, "other", forgotten=True)
        return ShownFeedback(
            feedback_id=feedback_id,
            says=self._says(row, pair) if pair else "other",
            kind=row["kind"],
            annotator=row["annotator_id"],
            annotator_kind=" ".join(filter(None, (row["annotator_kind"], row["annotator_role"]))),
            time=row["feedback_time"],
            score=_score(row),
            text=row["text"],
            explanation=row["explanation"],
            source=_source(row),
        )

    def votes_on(self, pair: Pair) -> tuple[ShownFeedback, ...]:
        """Show the feedback that a pair was made of, then all else on the same two answers."""
        # Of a pair whose sides a reviewer has exchanged, it is against the order they have now.
        says = "against" if pair.rule == REVIEWED else "for"
        made_of = [replace(self.feedback(name, None), says=says) for name in pair.feedback_ids]
        names = {name for answer in pair.interaction_ids for name in self._names.get(answer, ())}
        others = [
            self.feedback(name, pair)
            for name, row in sorted(self._votes.items())
            if name not in pair.feedback_ids and not names.isdisjoint(_targets(row))
        ]
        return (*made_of, *others)

    def answers_of(self, pair: Pair) -> tuple[ShownAnswer, ...]:
        """Show where the two sides of a pair were said."""
        sides: tuple[str, ...] = ("chosen", "rejected")
        if len(pair.interaction_ids) == 1:
            # The other side is a correction, which is the worse one where a reviewer says so.
            sides = ("chosen",) if pair.rule == REVIEWED else ("rejected",)
        return tuple(
            self._answer(name, side, pair)
            for name, side in zip(pair.interaction_ids, sides, strict=False)
        )

    def _answer(self, name: str, side: str, pair: Pair) -> ShownAnswer:
        row = self._answers.get(logged_id(name))
        if row is None:
            return ShownAnswer(name, side, forgotten=True)
        if name != logged_id(name):
            model = pair.chosen_model if side == "chosen" else pair.rejected_model
            place = f"sampled for {logged_id(name)}"
            return ShownAnswer(name, side, model, user_id=row["user_id"], source=place)
        return ShownAnswer(
            interaction_id=name,
            side=side,
            model=row["response_model"] or row["request_model"],
            time=row["request_time"],
            finish_reason=row["finish_reason"],
            user_id=row["user_id"],
            conversation_id=row["conversation_id"],
            source=_source(row),
        )

    def _says(self, row: Row, pair: Pair) -> str:
        """Say whether a piece of feedback is for or against the order of a pair's sides."""
        answers = self.answers_of(pair)
        names = {a.side: self._names.get(a.interaction_id, set()) for a in answers}
        chosen, rejected = names.get("chosen", set()), names.get("rejected", set())
        if row["kind"] == "comparison" or row["candidate_ids"]:
            both = {"for": chosen, "against": rejected}
            return next((word for word, side in both.items() if row["winner_id"] in side), "other")
        polarity, targets = row["polarity"], _targets(row)
        if not polarity:
            return "other"
        on_chosen = not chosen.isdisjoint(targets)
        return "for" if on_chosen == (polarity > 0) else "against"


def _read_answers(project: Project, ids: Sequence[str]) -> dict[str, Row]:
    if not ids:
        return {}
    columns = ", ".join(dict.fromkeys((*_ANSWER_KEYS, *_ANSWER_COLUMNS)))
    sql = f"SELECT {columns} FROM rows WHERE interaction_id IN ({_listed(ids)})"
    found = tables.select(project.interactions, sql)
    return {row["interaction_id"]: row for row in found.to_pylist()} if found else {}


def _read_votes(project: Project, ids: Sequence[str], names: set[str]) -> dict[str, Row]:
    conditions = [f"feedback_id IN ({_listed(ids)})"] if ids else []
    if names:
        conditions += [f"{column} IN ({_listed(names)})" for column in _TARGETS]
        listed = f"make_array({_listed(names)})"
        conditions.append(f"array_has_any(candidate_ids, {listed})")
    if not conditions:
        return {}
    columns = ", ".join(dict.fromkeys((*_VOTE_COLUMNS, *_TARGETS)))
    sql = f"SELECT {columns} FROM rows WHERE {' OR '.join(conditions)}"
    found = tables.select(project.feedback, sql)
    return {row["feedback_id"]: row for row in found.to_pylist()} if found else {}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(tables.quoted(name) for name in sorted(set(names)))


def _names_of(row: Row) -> set[str]:
    return {row[key] for key in _ANSWER_KEYS if row[key] is not None}


def _targets(row: Row) -> set[str]:
    named = {row[column] for column in _TARGETS if row[column] is not None}
    return named | {name for name in row["candidate_ids"] or () if name is not None}


def _score(row: Row) -> str:
    """Write what was said as a word or a number with its scale."""
    if row["tie"]:
        return "tie"
    value, low, high = row["score_value"], row["scale_min"], row["scale_max"]
    if value is not None and None not in (low, high):
        return f"{value:g} of {low:g} to {high:g}"
    known = (row["score_label"], None if value is None else f"{value:g}")
    said = next((word for word in known if word is not None), None)
    return said if said is not None else _THUMBS.get(row["polarity"], "")


def _source(row: Row) -> str:
    place = row["source_path"] or ""
    line = f":{row['source_line']}" if row["source_line"] is not None else ""
    return f"{row['source_format']} {place}{line}".strip()
