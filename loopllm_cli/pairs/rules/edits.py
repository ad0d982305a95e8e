"""User edits: the answer as its reader left it is better than the answer as it came.

They are corrections with bounds of their own (`pairs/rewrites.py`): people also edit to try
things, or to put in what only they know.
"""

from __future__ import annotations

from collections.abc import Iterator

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.candidates import Candidate, Dropped, Outcome
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.judges import by_people
from loopllm_cli.pairs.rules.corrections import EDITED, standing


def build(evidence: Evidence, config: PairsConfig) -> Iterator[Outcome]:
    """Pair every edited answer with what it was before."""
    votes = [vote for vote in by_people(evidence, "correction") if vote.name == EDITED]
    for vote in standing(votes):
        if isinstance(vote, Dropped):
            yield vote
            continue
        answer = evidence.answers.get(vote.target or "")
        if answer is None:
            yield Dropped("edit of an answer that is not in the window", (vote,))
        elif vote.text is None:
            yield Dropped("edit without text", (vote,))
        else:
            yield Candidate("user edit", answer, None, vote.text, (vote,))
