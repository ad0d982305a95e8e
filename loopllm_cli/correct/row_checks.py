"""Look at rows one at a time, as the model would see them, and count what cannot be used.

Must not import: torch and its relatives (a tokenizer is handed in).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jinja2

from loopllm_cli.correct.encoding import EncodedAnswer, encode_answer, ends_properly
from loopllm_cli.correct.pair_rows import PairRow, VoteRow
from loopllm_cli.correct.tool_rendering import shows_tools
from loopllm_cli.model import Message

UNSHOWN = "tools or calls that the chat template does not show"
REFUSED = "messages that the chat template refuses"
LONG_CONTEXT = "context longer than max_length"
CUT_ANSWER = "answer cut at max_length"
SAME_AFTER_CUT = "same after truncation to max_length"
SAME_SIDES = "chosen and rejected are the same"
REPEATED_PAIR = "repeated pair"
REPEATED_ANSWER = "repeated answer"
BOTH_WAYS = "answer judged both ways equally often"

Key = tuple[tuple[tuple[str, str], ...], str, str]

# What a template raises over messages that it was not written for.
_TEMPLATE_ERRORS = (jinja2.TemplateError, TypeError, KeyError, AttributeError)


@dataclass(frozen=True, slots=True)
class RowTokens:
    """Tokens of a row: its context, its better answer and its worse one (0 where none is read)."""

    context: int
    better: int
    worse: int = 0

    @property
    def longest(self) -> int:
        """Tokens of the context with the longer answer."""
        return self.context + max(self.better, self.worse)


@dataclass(frozen=True, slots=True)
class Reading:
    """How rows are read: by which tokenizer, up to which length, with or without worse sides."""

    tokenizer: Any
    max_length: int
    stop_ids: frozenset[int]
    worse_sides: bool = True


@dataclass(slots=True)
class Tally:
    """What was left out and why, and what the kept rows look like."""

    dropped: Counter[str] = field(default_factory=Counter)
    tokens: list[RowTokens] = field(default_factory=list)
    needed: int = 0
    n_not_prefix: int = 0
    n_no_stop: int = 0
    refusal: str = ""

    def drop(self, reason: str) -> None:
        """Count a row that is left out."""
        self.dropped[reason] += 1


def is_trainable(row: PairRow, reading: Reading, tally: Tally) -> bool:
    """Say whether a row can be trained on as it is, and count why not."""
    encoded = _encode(row, reading, tally)
    if encoded is None:
        return False
    chosen, rejected = encoded
    tokens = RowTokens(
        len(chosen.prompt), len(chosen.answer), len(rejected.answer) if rejected else 0
    )
    tally.needed = max(tally.needed, tokens.longest)
    room = reading.max_length - tokens.context
    reason = ""
    if room <= 0:
        reason = LONG_CONTEXT
    elif rejected is not None and chosen.answer[:room] == rejected.answer[:room]:
        reason = SAME_AFTER_CUT
    elif max(tokens.better, tokens.worse) > room:
        reason = CUT_ANSWER
    if reason:
        tally.drop(reason)
        return False
    tally.n_not_prefix += not (chosen.is_prefix and (rejected is None or rejected.is_prefix))
    tally.n_no_stop += not ends_properly(reading.tokenizer, chosen.answer, reading.stop_ids)
    tally.tokens.append(tokens)
    return True


def _encode(
    row: PairRow, reading: Reading, tally: Tally
) -> tuple[EncodedAnswer, EncodedAnswer | None] | None:
    if not shows_tools(row, reading.tokenizer):
        tally.drop(UNSHOWN)
        return None
    try:
        chosen = encode_answer(reading.tokenizer, row.prompt, row.chosen_message, row.tools)
        if not reading.worse_sides:
            return chosen, None
        return chosen, encode_answer(reading.tokenizer, row.prompt, row.rejected_message, row.tools)
    except _TEMPLATE_ERRORS as error:
        tally.drop(REFUSED)
        tally.refusal = tally.refusal or f"{type(error).__name__}: {error}"[:200]
        return None


def distinct(rows: Sequence[PairRow], tally: Tally, *, worse_sides: bool = True) -> list[PairRow]:
    """Leave out pairs with the same sides and repeated ones.

    Args:
        rows: pairs.
        tally: counts what is left out.
        worse_sides: whether pairs that share context and better side differ by the worse one.
    """
    kept, seen = [], set()
    for row in rows:
        prompt, better, worse = key_of(row)
        key = (prompt, better, worse if worse_sides else "")
        if better == worse:
            tally.drop(SAME_SIDES)
        elif key in seen:
            tally.drop(REPEATED_PAIR if worse_sides else REPEATED_ANSWER)
        else:
            seen.add(key)
            kept.append(row)
    return kept


def distinct_votes(votes: Sequence[VoteRow], tally: Tally) -> list[VoteRow]:
    """Leave one vote on every answer: what most said of it, and none where that is undecided."""
    said: dict[Key, list[VoteRow]] = defaultdict(list)
    for vote in votes:
        said[key_of(vote.row)].append(vote)
    kept = []
    for same in said.values():
        n_liked = sum(vote.label for vote in same)
        if 2 * n_liked == len(same):
            tally.dropped[BOTH_WAYS] += len(same)
            continue
        kept.append(VoteRow(same[0].row, 2 * n_liked > len(same)))
        if len(same) > 1:
            tally.dropped[REPEATED_ANSWER] += len(same) - 1
    return kept


def key_of(row: PairRow) -> Key:
    """Return what makes a row the same as another: its words, without spacing and call ids."""
    prompt = tuple((message["role"], _said(message)) for message in row.prompt)
    return prompt, _said(row.chosen_message), _said(row.rejected_message)


def _said(message: Message) -> str:
    calls = [call.get("function", call) for call in message.get("tool_calls") or []]
    text = " ".join(message["content"].split())
    # Ids differ from one drawing to the next, and say nothing.
    return text + json.dumps(calls, sort_keys=True) if calls else text
