"""Measure how well a review of some pairs estimates the share of wrong labels among all.

Doubtful pairs are asked about first and are wrong far more often. Three estimates from the same
decisions: from all of them, from those alone that were drawn at random, and as the review does it
(drawn ones, and earlier ones that the draw would have reached by then).

Run: python -m scripts.simulate_review
"""

from __future__ import annotations

import argparse
import random
from datetime import UTC, datetime

from loopllm_cli.model import Choice, ReviewDecision
from loopllm_cli.pairs.review.queue import RANDOM, Candidate, order_questions
from loopllm_cli.pairs.review.tally import estimate_noise, rate

N_PAIRS, N_DOUBTFUL = 2000, 300
WRONG_DOUBTFUL, WRONG_OTHER = 0.45, 0.04
_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ("all decisions", "drawn ones alone", "as estimated")


def simulate(seed: int, n_questions: int) -> tuple[float, list[tuple[float, float, float]]]:
    """Return the true share of wrong labels, and each estimate with its interval."""
    rng = random.Random(seed)
    pairs, wrong = [], set()
    for number in range(N_PAIRS):
        doubtful = number < N_DOUBTFUL
        name = f"{rng.getrandbits(128):032x}"
        pairs.append(Candidate(name, "comparison", 0.6 if doubtful else 0.99, 1.0))
        if rng.random() < (WRONG_DOUBTFUL if doubtful else WRONG_OTHER):
            wrong.add(name)
    decisions = []
    for asked in order_questions(pairs)[:n_questions]:
        name = pairs[asked.place].pair_id
        choice = Choice.REJECTED if name in wrong else Choice.CHOSEN
        decisions.append(ReviewDecision(name, choice, "one", _MOMENT, queue=asked.queue))
    drawn = [d for d in decisions if d.queue == RANDOM]
    naive = [
        rate(sum(d.choice is Choice.REJECTED for d in some), len(some))
        for some in (decisions, drawn)
    ]
    found = [*naive, estimate_noise(decisions)[0]]
    return len(wrong) / N_PAIRS, [(r.value or 0, r.low or 0, r.high or 0) for r in found]


def main() -> None:
    """Print bias and coverage for some numbers of questions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=400)
    n_repetitions = parser.parse_args().repetitions
    for n_questions in (100, 300, 700):
        errors: list[list[float]] = [[] for _ in NAMES]
        covered = [0] * len(NAMES)
        for seed in range(n_repetitions):
            truth, estimates = simulate(seed, n_questions)
            for place, (value, low, high) in enumerate(estimates):
                errors[place].append(value - truth)
                covered[place] += low <= truth <= high
        for name, error, n_covered in zip(NAMES, errors, covered, strict=True):
            mean = sum(error) / len(error)
            spread = (sum((e - mean) ** 2 for e in error) / len(error)) ** 0.5
            print(
                f"{n_questions:4} questions  {name:17} bias {100 * mean:+.1f} pp"
                f"  spread {100 * spread:.1f} pp  covered {100 * n_covered / n_repetitions:.1f}%"
            )


if __name__ == "__main__":
    main()
