"""Rank answers that a model gave to one prompt, and pair the best with the worst.

On-policy pairs: both sides are the model's own words, so that training moves it towards what it
can already say (Tajwar et al. 2024, "Preference fine-tuning of LLMs should leverage suboptimal,
on-policy data", arXiv 2404.14367).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from loopllm_cli.pairs.candidates import Candidate
from loopllm_cli.pairs.evidence import Answer
from loopllm_cli.pairs.guards import is_failure
from loopllm_cli.signals.refusals import is_refusal
from loopllm_cli.sources.rows import normalise

SAMPLED, JUDGED = "sampled", "judge sampled"


@dataclass(frozen=True, slots=True)
class Scored:
    """An answer and how good it is, 0 to 1; NaN where nothing tells.

    `bad` names what speaks against it.
    """

    answer: Answer
    score: float
    bad: tuple[str, ...] = ()


def pair_extremes(
    groups: Iterable[Sequence[Scored]], min_margin: float, rule: str = SAMPLED
) -> Iterator[Candidate]:
    """Pair the best answer to each prompt with the worst one.

    Nothing is made of a prompt whose answers are all about equally good. Of equally good answers
    the one that was given most often is taken, then the shorter one: a longer one would teach
    length.

    Args:
        min_margin: how far apart the scores must be.
    """
    for group in groups:
        known = [one for one in group if math.isfinite(one.score)]
        good = [one for one in known if _is_presentable(one.answer)]
        if not good:
            continue
        often: dict[str, int] = {}
        for one in known:
            text = normalise(one.answer.text)
            often[text] = often.get(text, 0) + 1

        def place(one: Scored, often: dict[str, int] = often) -> tuple[int, int, str]:
            text = normalise(one.answer.text)
            return -often[text], len(text), text

        best = min(good, key=lambda one: (-one.score, *place(one)))
        worst = min(known, key=lambda one: (one.score, *place(one)))
        margin = best.score - worst.score
        if margin >= min_margin and margin > 0:
            told = tuple(name for name in worst.bad if name not in best.bad)
            yield Candidate(rule, worst.answer, best.answer, None, (), margin, told)


def _is_presentable(answer: Answer) -> bool:
    text = answer.text
    whole = answer.finish_reason == "stop" and bool(text.strip())
    return whole and not is_refusal(text) and not is_failure(text)
