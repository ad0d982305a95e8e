"""Corrections and expert rewrites: the text that somebody wrote is better than the answer.

Whether it is a whole answer is seen by the guards, which read it (`pairs/rewrites.py`).

Source: Principled fine-tuning of LLMs from user-edits (2026), https://arxiv.org/abs/2601.19055:
an edit is a preference and a supervised label at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.candidates import Candidate, Dropped, Outcome
from loopllm_cli.pairs.evidence.answer import Answer, Turn
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import REPLACED, Vote, last_words
from loopllm_cli.pairs.judges import by_people

EDITED = "edited"
"""The name that programs with an edit button give to an edit in place."""


def build(evidence: Evidence, config: PairsConfig) -> Iterator[Outcome]:
    """Pair every correction with the answer it corrects; of one person's, the last one."""
    votes = [vote for vote in by_people(evidence, "correction") if vote.name != EDITED]
    later = _later_turns(evidence, votes)
    for vote in standing(votes):
        if isinstance(vote, Dropped):
            yield vote
            continue
        answer = evidence.answers.get(vote.target or "")
        if answer is None:
            yield Dropped("correction of an answer that is not in the window", (vote,))
        elif vote.text is None:
            yield Dropped("correction without text", (vote,))
        elif _turns_since(answer, vote, later) > 1:
            yield Dropped("correction that came more than one turn later", (vote,))
        else:
            rule = "expert rewrite" if vote.role == "expert" else "correction"
            yield Candidate(rule, answer, None, vote.text, (vote,))


def standing(votes: list[Vote]) -> Iterator[Vote | Dropped]:
    """Yield the written texts that stand, and those that the same person replaced later."""
    by_target: dict[str | None, list[Vote]] = defaultdict(list)
    for vote in votes:
        by_target[vote.target].append(vote)
    for target, said in by_target.items():
        last, replaced = (tuple(said), ()) if target is None else last_words(said)
        yield from last
        if replaced:
            yield Dropped(REPLACED, replaced)


def _later_turns(evidence: Evidence, votes: list[Vote]) -> dict[str, list[Turn]]:
    """Return the turns of the conversations in which users corrected something."""
    wanted = set()
    for vote in votes:
        answer = evidence.answers.get(vote.target or "")
        if answer is not None and vote.role != "expert" and answer.turn_index is not None:
            wanted.add(answer.conversation_id)
    return evidence.turns_of({talk for talk in wanted if talk is not None})


def _turns_since(answer: Answer, vote: Vote, later: dict[str, list[Turn]]) -> int:
    """Count the turns between an answer and its correction by a user, who saw them.

    An expert who reads a log corrects a turn as it was; what a user writes after two more turns
    may hold what came up in them.
    """
    if vote.role == "expert" or vote.feedback_time is None or answer.turn_index is None:
        return 0
    turns = {
        turn
        for turn, time in later.get(answer.conversation_id or "", ())
        if turn is not None
        and turn > answer.turn_index
        and time is not None
        and time < vote.feedback_time
    }
    return len(turns)
