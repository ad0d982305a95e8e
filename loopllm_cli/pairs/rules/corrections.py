"""Corrections: the corrected text is better than the answer it corrects.

Source: Principled fine-tuning of LLMs from user-edits (2026), https://arxiv.org/abs/2601.19055:
an edit is a preference and a supervised label at once.
"""

from __future__ import annotations

from collections.abc import Iterator

from loopllm_cli.pairs.candidates import Candidate, Dropped, Outcome
from loopllm_cli.pairs.evidence import Evidence


def build(evidence: Evidence, min_margin: float) -> Iterator[Outcome]:
    """Pair every correction with the answer it corrects."""
    for vote in evidence.of_kind("correction"):
        answer = evidence.answers.get(vote.target or "")
        if answer is None:
            yield Dropped("correction of an answer that is not in the window", (vote,))
        elif vote.text is None:
            yield Dropped("correction without text", (vote,))
        else:
            yield Candidate("correction", answer, None, vote.text, (vote,))
