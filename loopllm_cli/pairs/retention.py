"""Choose good answers on traffic that a correction must leave alone.

What people liked comes first. Where that is little, answers that are surely still good fill up:
mixing liked traffic in is what preserves the rest, more than any other means (measured on tiny
models: docs/pairs-from-drift.md).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Pair, Retained
from loopllm_cli.pairs.chat import calls_of
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.guards import refuse_answer
from loopllm_cli.pairs.selection.split import Seen
from loopllm_cli.pairs.selection.wording import canonical_words, last_user_text
from loopllm_cli.pairs.untouched import TODAY, Untouched
from loopllm_cli.sources.rows import normalise

LIKED = "liked answer"
FEWEST = 150
"""Retained answers where pairs are few. With 24 pairs and 72 of them one untouched intent of the
sample world fell to 87% and 92% (two seeds), with 144 to 95% and 95%; the steps were the same."""


def choose_retained(
    evidence: Evidence,
    split: tuple[Sequence[Pair], Sequence[Pair]],
    config: PairsConfig,
    untouched: Untouched,
) -> list[Retained]:
    """Choose answers that must not change, spread over the segments.

    Liked ones up to `retention`; settled ones as far as these are fewer than `retention_share` of
    the training pairs, or than `FEWEST`. None shares a user, a conversation or nearly its prompt
    with a held-out pair, and none is what a pair calls the worse. Of those whose only reason is
    that they are given today, none says what any pair calls the worse: the borders of segments are
    not those of topics. What is right of old stays, though it be wrong elsewhere.

    Args:
        split: training and held-out pairs.
    """
    train, heldout = split
    gate = _Gate(Seen(heldout), {_said(pair.context_hash, pair.rejected) for pair in train})
    most = config.retention
    liked = _in_turns(_liked(evidence, untouched, gate, most))[:most]
    share = math.ceil(config.retention_share * len(train))
    wanted = min(config.retention, max(FEWEST, share) if share else 0)
    worse = {normalise(pair.rejected) for pair in train}
    settled = _in_turns(
        _retained(answer, (), why)
        for answer, why in untouched.settled
        if not (why == TODAY and normalise(answer.text) in worse) and gate.takes(answer)
    )
    return liked + settled[: max(0, wanted - len(liked))]


def _liked(evidence: Evidence, untouched: Untouched, gate: _Gate, most: int) -> Iterator[Retained]:
    """Yield liked answers, of each segment no more than can be used."""
    found: Counter[str] = Counter()
    for answer in evidence.answers.values():
        votes = evidence.by_target.get(answer.interaction_id, [])
        said = {vote.polarity for vote in votes}
        if 1 not in said or -1 in said or not untouched.keeps(answer):
            continue
        segment = answer.segment or ""
        if found[segment] >= most:
            gate.put_off(answer)
        elif gate.takes(answer):
            found[segment] += 1
            ups = tuple(vote.feedback_id for vote in votes if vote.polarity == 1)
            yield _retained(answer, ups, LIKED)


class _Gate:
    """Keeps clear of what is held out, of what is worse, and of contexts that are taken."""

    def __init__(self, heldout: Seen, worse: set[tuple[str, str]]) -> None:
        self._heldout = heldout
        self._worse = worse
        self._contexts: set[str] = set()
        self._put_off: dict[str, list[Answer]] = {}

    def put_off(self, answer: Answer) -> None:
        """Look at an answer only if another one on its context comes, which it may stand before."""
        self._put_off.setdefault(answer.context_hash or "", []).append(answer)

    def takes(self, answer: Answer) -> bool:
        """Take an answer, once per context, if nothing speaks against it."""
        for earlier in self._put_off.pop(answer.context_hash or "", ()):
            self._takes(earlier)
        return self._takes(answer)

    def _takes(self, answer: Answer) -> bool:
        context = answer.context_hash or ""
        if context in self._contexts or not answer.text.strip():
            return False
        if _said(context, answer.text) in self._worse or refuse_answer(answer):
            return False
        keys = [("prompt", answer.prompt_hash or context)]
        keys += [("user", answer.user_id)] if answer.user_id else []
        keys += [("conversation", answer.conversation_id)] if answer.conversation_id else []
        if self._heldout.touches(keys, canonical_words(last_user_text(answer.prompt() or ()))):
            return False
        self._contexts.add(context)
        return True


def _said(context: str, text: str) -> tuple[str, str]:
    return context, normalise(text)


def _in_turns(retained: Iterable[Retained]) -> list[Retained]:
    """Let the segments take turns, so that no busy one crowds out the others."""
    queues: dict[str, list[Retained]] = {}
    for one in retained:
        queues.setdefault(one.segment or "", []).append(one)
    turns = zip_longest(*(queues[name] for name in sorted(queues)))
    return [one for turn in turns for one in turn if one is not None]


def _retained(answer: Answer, feedback_ids: tuple[str, ...], source: str) -> Retained:
    context = answer.context_hash or ""
    return Retained(
        prompt=answer.prompt() or (),
        chosen=answer.text.strip(),
        source=source,
        feedback_ids=feedback_ids,
        interaction_ids=(answer.interaction_id,),
        user_id=answer.user_id,
        conversation_id=answer.conversation_id,
        context_hash=context,
        prompt_hash=answer.prompt_hash or context,
        segment=answer.segment,
        model=answer.model,
        tools=answer.tools,
        chosen_calls=calls_of(answer.output_messages),
    )
