"""Pairs of the best and the worst of the answers that a model gave to one prompt."""

from __future__ import annotations

import math

import pytest
from pair_evidence import BAD, GOOD, answer

from loopllm_cli.pairs.ranking import Scored, pair_extremes

REFUSED = "I'm sorry, but I cannot help with that."


def scored(*answers: tuple[str, float]) -> list[Scored]:
    """Return answers to one prompt with their scores."""
    return [Scored(answer(f"s{i}", text), score) for i, (text, score) in enumerate(answers)]


def pairs(*groups: list[Scored], min_margin: float = 0.5) -> list[tuple[str, str, float]]:
    """Return better and worse side, and how far apart they are."""
    return [(c.better, c.rejected.text, c.margin) for c in pair_extremes(groups, min_margin)]


def test_the_best_is_paired_with_the_worst_of_each_prompt() -> None:
    one = scored((BAD, 0.25), (GOOD, 1.0), ("middling", 0.5))
    two = scored(("yes", 0.5), ("no", 0.0))
    assert [(GOOD, BAD, 0.75), ("yes", "no", 0.5)] == pairs(one, two)


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [(GOOD, 1.0)],
        [(GOOD, 0.5), (BAD, 0.5)],
        [(GOOD, 0.9), (BAD, 0.5)],
        [(GOOD, math.nan), (BAD, 0.0)],
        [(REFUSED, 1.0), (BAD, 0.0)],
        [("", 1.0), (BAD, 0.0)],
    ],
)
def test_nothing_is_made_where_nothing_is_clearly_better(answers: list[tuple[str, float]]) -> None:
    assert [] == pairs(scored(*answers))


def test_equal_answers_never_pair_even_without_a_margin() -> None:
    assert [] == pairs(scored((GOOD, 0.5), (BAD, 0.5)), min_margin=0.0)


def test_of_equally_good_answers_the_commonest_is_taken() -> None:
    often = scored(("long but common", 1.0), ("short", 1.0), ("long but common ", 1.0), (BAD, 0.0))
    assert "long but common" == pairs(often)[0][0].strip()


def test_of_answers_given_once_the_one_that_says_what_the_others_say_is_taken() -> None:
    refunds = [(f"The refund of order {n} has begun.", 1.0) for n in (57, 57_000, 7)]
    garbage = [("help it.", 1.0), ("order order soon it", 1.0)]
    assert pairs(scored(*garbage, *refunds, (BAD, 0.0)))[0][0].startswith("The refund of order")


def test_an_answer_that_is_not_as_the_baselines_were_may_be_the_worse_only() -> None:
    odd = Scored(answer("odd", "Order 12 is on its way."), 1.0, odd=True)
    assert [("right", "no", 0.8)] == pairs([odd, *scored(("right", 0.8), ("no", 0.0))])
    assert [] == pairs([odd, *scored(("no", 0.0))])


def test_an_answer_that_was_cut_off_may_be_the_worse_but_not_the_better() -> None:
    cut = Scored(answer("cut", "It goes on and", finish_reason="length"), 1.0)
    assert [(GOOD, BAD, 1.0)] == pairs([cut, *scored((GOOD, 1.0), (BAD, 0.0))])


def test_a_pair_names_what_speaks_against_the_worse_answer_alone() -> None:
    group = [
        Scored(answer("good", GOOD), 0.6, ("long",)),
        Scored(answer("bad", BAD), 0.0, ("refusal", "long")),
    ]
    assert [("refusal",)] == [c.signals for c in pair_extremes([group], 0.5)]


def test_the_order_of_the_answers_does_not_matter() -> None:
    group = scored((GOOD, 1.0), ("Sure.", 1.0), (BAD, 0.0), ("No.", 0.0))
    assert pairs(group) == pairs(group[::-1])
