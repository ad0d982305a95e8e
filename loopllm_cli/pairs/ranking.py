"""Rank answers that a model gave to one prompt, and pair the best with the worst.

On-policy pairs: both sides are the model's own words, so that training moves it towards what it
can already say (Tajwar et al. 2024, "Preference fine-tuning of LLMs should leverage suboptimal,
on-policy data", arXiv 2404.14367).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from loopllm_cli.pairs.candidates import Candidate
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.guards import is_failure
from loopllm_cli.signals.refusals import is_refusal
from loopllm_cli.sources.rows import normalise

SAMPLED, JUDGED = "sampled", "judge sampled"


@dataclass(frozen=True, slots=True)
class Scored:
    """An answer and how good it is, 0 to 1; NaN where nothing tells.

    `bad` names what speaks against it; an `odd` one is not chosen, however good it is otherwise.
    """

    answer: Answer
    score: float
    bad: tuple[str, ...] = ()
    odd: bool = False


def pair_extremes(
    groups: Iterable[Sequence[Scored]], min_margin: float, rule: str = SAMPLED
) -> Iterator[Candidate]:
    """Pair the best answer to each prompt with the worst one.

    Nothing is made of a prompt whose answers are all about equally good. Of equally good answers
    the one that was given most often is taken, then the one that says most of what the others say
    and least else: what a model says in one way or another each time is likelier right than what
    it says once (Wang et al. 2023, "Self-consistency improves chain of thought reasoning in
    language models", ICLR, arXiv 2203.11171).

    Args:
        min_margin: how far apart the scores must be.
    """
    for group in groups:
        known = [one for one in group if math.isfinite(one.score)]
        good = [one for one in known if not one.odd and _is_presentable(one.answer)]
        if not good:
            continue
        high, low = max(one.score for one in good), min(one.score for one in known)
        best = _commonest([one for one in good if one.score == high])
        worst = _commonest([one for one in known if one.score == low])
        margin = best.score - worst.score
        if margin >= min_margin and margin > 0:
            told = tuple(name for name in worst.bad if name not in best.bad)
            yield Candidate(rule, worst.answer, best.answer, None, (), margin, told)


def _is_presentable(answer: Answer) -> bool:
    text = answer.text
    whole = answer.finish_reason == "stop" and bool(text.strip())
    return whole and not is_refusal(text) and not is_failure(text)


def _commonest(group: Sequence[Scored]) -> Scored:
    """Return the answer that stands for a group of equally good ones, in whichever order."""
    texts = [normalise(one.answer.text) for one in group]
    often = Counter(texts)
    words = {text: frozenset(text.split()) for text in often}
    # Of how many answers each word is: a mean overlap with all answers, without comparing any two.
    shared = Counter(word for text in texts for word in words[text])
    total = sum(shared.values())

    def place(k: int) -> tuple[int, float, str, str]:
        mine = words[texts[k]]
        overlap = 2 * sum(shared[word] for word in mine) / (len(mine) * len(texts) + total or 1)
        return -often[texts[k]], -round(overlap, 6), texts[k], group[k].answer.text

    return group[min(range(len(group)), key=place)]
