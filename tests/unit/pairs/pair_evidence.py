"""Answers and votes for the tests of pairs, built by hand, and the account that must add up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Pair
from loopllm_cli.pairs.build import BuiltPairs, build_pairs
from loopllm_cli.pairs.candidates import Candidate
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import Vote
from loopllm_cli.pairs.untouched import Untouched

START = datetime(2026, 10, 1, tzinfo=UTC)
GOOD = "The refund of your order has been started and arrives within five days."
BAD = "Please see the help pages for anything that concerns refunds of orders."


def parts(*messages: tuple[str, str]) -> str:
    """Lay out (role, text) messages as the store keeps them."""
    return json.dumps(
        [{"role": r, "parts": [{"type": "text", "content": text}]} for r, text in messages]
    )


def answer(name: str, text: str = BAD, *, to: str = "q", **fields: Any) -> Answer:
    """Return an answer that everything may be made of; `to` names its context and prompt."""
    plain = Answer(
        interaction_id=name,
        context_hash=f"context {to}",
        prompt_hash=f"prompt {to}",
        prompt_text=to,
        input_messages=parts(("user", to)),
        output_messages=parts(("assistant", text)),
        text=text,
        content_state="full",
        finish_reason="stop",
        error_type=None,
        model="m-1",
        user_id=None,
        conversation_id=None,
        has_tools=False,
        request_time=START,
    )
    return replace(plain, **fields)


def vote(
    kind: str, target: str | None, *, by: str | None = "ann", at: int = 0, **fields: Any
) -> Vote:
    """Return a vote of somebody at some minute."""
    plain = Vote(
        feedback_id="",
        kind=kind,
        target=target,
        polarity=None,
        rating=None,
        text=None,
        annotator_id=by,
        annotator_kind="HUMAN",
        feedback_time=START + timedelta(minutes=at),
    )
    made = plain._replace(**fields)
    return made._replace(feedback_id=made.feedback_id or str(hash_of(made)))


def hash_of(made: Vote) -> str:
    """Name a vote by its content, so that two votes are one only when nothing tells them apart."""
    said = (made.kind, made.target, made.annotator_id, made.feedback_time, made.text)
    return "|".join(map(str, (*said, made.polarity, made.rating, made.candidates, made.winner)))


def up(target: str, **fields: Any) -> Vote:
    """Return a thumb up."""
    return vote("thumbs", target, polarity=1, **fields)


def down(target: str, **fields: Any) -> Vote:
    """Return a thumb down."""
    return vote("thumbs", target, polarity=-1, **fields)


def rating(target: str, share: float | None, **fields: Any) -> Vote:
    """Return a rating, as a share of its scale."""
    return vote("rating", target, rating=share, **fields)


def correction(target: str | None, text: str | None = GOOD, **fields: Any) -> Vote:
    """Return a correction."""
    return vote("correction", target, text=text, polarity=-1, **fields)


def comparison(winner: str | None, *losers: str | None, **fields: Any) -> Vote:
    """Return a comparison that the first answer won."""
    return vote("comparison", None, candidates=(winner, *losers), winner=winner, **fields)


def build(
    answers: Iterable[Answer],
    votes: Sequence[Vote],
    *,
    keep: Callable[[Answer], bool] = lambda _: True,
    untouched: Untouched | None = None,
    extra: Sequence[Candidate] = (),
    **settings: Any,
) -> BuiltPairs:
    """Build pairs, nothing held out unless asked for, and check that the account adds up."""
    config = PairsConfig(**{"heldout_share": 0.0, **settings})
    evidence = Evidence({a.interaction_id: a for a in answers}, tuple(votes))
    built = build_pairs(evidence, config, untouched or Untouched(keeps=keep), extra)
    check_account(built, votes)
    return built


def check_account(built: BuiltPairs, votes: Sequence[Vote]) -> None:
    """Every piece of feedback stands in a pair, or is counted once with a reason."""
    used = {name for pair in (*built.train, *built.heldout) for name in pair.feedback_ids}
    assert used <= {v.feedback_id for v in votes}
    assert built.n_feedback + built.n_mined == len(votes)
    assert built.n_feedback == len(used) + sum(built.dropped.values())


def sides(pairs: Iterable[Pair]) -> list[tuple[str, str]]:
    """Return what was chosen and what was rejected."""
    return [(pair.chosen, pair.rejected) for pair in pairs]
