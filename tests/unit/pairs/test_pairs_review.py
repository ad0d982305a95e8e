"""What reviewers' decisions make of pairs, and in which order pairs are asked about."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from pair_evidence import BAD, GOOD, answer, comparison
from reviewed_pairs import pair, said

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Choice, ReviewDecision
from loopllm_cli.pairs.build import build_pairs
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.review.apply import apply_reviews, as_voted, exchanged, mirror_id
from loopllm_cli.pairs.review.log import ReviewLog, read_decisions, read_log
from loopllm_cli.pairs.review.queue import (
    RANDOM,
    RANDOM_EVERY,
    Candidate,
    draw,
    order_questions,
    shows_rejected_first,
)
from loopllm_cli.pairs.review.tally import (
    cohen_kappa,
    compare_reviewers,
    estimate_noise,
    rate,
    tally_reviewers,
)
from loopllm_cli.pairs.untouched import Untouched
from loopllm_cli.store.project import Project

CHOSEN, REJECTED = Choice.CHOSEN, Choice.REJECTED


def test_without_decisions_pairs_stay_as_they_are() -> None:
    pairs = [pair(1), pair(2)]
    assert (pairs, []) == apply_reviews(pairs, [])


def test_a_confirmed_pair_becomes_surer_and_stays_the_same_otherwise() -> None:
    before = pair(confidence=0.8)
    (after,), dropped = apply_reviews([before], [said(before, CHOSEN)])
    assert [] == dropped
    assert before == replace(after, confidence=0.8)
    # Bayes: odds of 4 that the votes are right, times 0.89/0.11 from the reviewer.
    assert pytest.approx(4 * 0.89 / (4 * 0.89 + 0.11)) == after.confidence


@pytest.mark.parametrize(("known", "expected"), [(None, 0.89), (0.2, 0.89), (1.0, 1.0)])
def test_a_confirmed_pair_is_at_least_as_sure_as_its_reviewer(
    known: float | None, expected: float
) -> None:
    before = pair(confidence=known)
    (after,), _ = apply_reviews([before], [said(before, CHOSEN)])
    assert pytest.approx(expected) == after.confidence


def test_of_a_rejected_order_everything_that_belongs_to_a_side_changes_places() -> None:
    before = pair(chosen_calls=None, rejected_calls='[{"function": {"name": "f"}}]')
    (after,), dropped = apply_reviews([before], [said(before, REJECTED)])
    assert [] == dropped
    assert ("review", before.rejected, before.chosen) == (after.rule, after.chosen, after.rejected)
    assert ("m-bad", "m-good") == (after.chosen_model, after.rejected_model)
    assert (before.rejected_calls, None) == (after.chosen_calls, after.rejected_calls)
    assert ("bad-0", "good-0") == after.interaction_ids
    assert ("talk-bad", "talk-good") == (after.chosen_conversation_id, after.conversation_id)
    assert ("asked-bad", "asked-good") == (after.chosen_user_id, after.user_id)
    assert before.feedback_ids == after.feedback_ids
    assert after.pair_id == mirror_id(before) != before.pair_id
    assert before == replace(as_voted(after), rule=before.rule, confidence=before.confidence)


def test_a_rejected_correction_keeps_its_one_conversation() -> None:
    before = pair(interaction_ids=("bad-0",), chosen_conversation_id=None, chosen_user_id=None)
    after = exchanged(before, 1)
    assert {"talk-bad"} == {after.conversation_id, after.chosen_conversation_id}
    assert ("bad-0",) == after.interaction_ids


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        (Choice.BOTH_GOOD, "reviewed: both sides are good"),
        (Choice.BOTH_BAD, "reviewed: both sides are bad"),
    ],
)
def test_a_pair_without_a_better_side_is_dropped_with_its_reason(
    choice: Choice, reason: str
) -> None:
    before = pair()
    assert ([], [(reason, ("f-0",))]) == apply_reviews([before], [said(before, choice)])


@pytest.mark.parametrize("other", [REJECTED, Choice.BOTH_BAD])
def test_reviewers_who_contradict_each_other_leave_no_pair(other: Choice) -> None:
    before = pair()
    decisions = [said(before, CHOSEN, "ana"), said(before, other, "ben")]
    expected: tuple[list[object], list[object]] = (
        [],
        [("reviewers contradict each other", ("f-0",))],
    )
    assert expected == apply_reviews([before], decisions)


def test_a_reviewers_last_word_counts_whatever_the_order_of_the_lines() -> None:
    before = pair()
    decisions = [said(before, CHOSEN, at=2), said(before, REJECTED, at=1)]
    for some in (decisions, decisions[::-1]):
        (after,), _ = apply_reviews([before], some)
        assert before.chosen == after.chosen


def test_what_was_taken_back_or_skipped_says_nothing() -> None:
    before = pair()
    taken_back = [said(before, REJECTED, at=1), said(before, Choice.UNDONE, at=2)]
    skipped = [said(before, Choice.SKIPPED)]
    for decisions in (taken_back, skipped):
        assert ([before], []) == apply_reviews([before], decisions)


def test_a_decision_holds_when_later_votes_turn_the_pair_round() -> None:
    before = pair()
    turned = replace(exchanged(before, 1), rule="comparison")
    (after,), _ = apply_reviews([turned], [said(before, CHOSEN)])
    assert (before.chosen, "review") == (after.chosen, after.rule)
    (after,), _ = apply_reviews([turned], [said(before, REJECTED)])
    assert (turned.chosen, "comparison") == (after.chosen, after.rule)


def test_a_decision_on_other_texts_counts_for_nothing() -> None:
    before = pair()
    decision = said(before, REJECTED, content="of another text")
    assert ([before], []) == apply_reviews([before], [decision])


def test_reviews_take_effect_in_a_build_and_the_account_adds_up() -> None:
    answers = [answer("good", GOOD), answer("bad", BAD)]
    votes = (comparison("good", "bad"),)
    config = PairsConfig(heldout_share=0.0)

    def build(reviews: list[ReviewDecision]) -> tuple[list[tuple[str, str]], dict[str, int]]:
        evidence = Evidence({a.interaction_id: a for a in answers}, votes)
        built = build_pairs(evidence, config, Untouched(), reviews=reviews)
        n_used = sum(len(p.feedback_ids) for p in built.train)
        assert built.n_feedback == n_used + sum(built.dropped.values())
        return [(p.chosen, p.rule) for p in built.train], dict(built.dropped)

    evidence = Evidence({a.interaction_id: a for a in answers}, votes)
    (made,) = build_pairs(evidence, config, Untouched()).train
    assert ([(BAD, "review")], {}) == build([said(made, REJECTED)])
    both_bad = build([said(made, Choice.BOTH_BAD)])
    assert ([], {"reviewed: both sides are bad": 1}) == both_bad


def candidate(name: object, **fields: object) -> Candidate:
    plain = Candidate(f"p-{name}", "comparison", 0.99, 1.0)
    return replace(plain, **fields)  # type: ignore[arg-type]


def test_the_least_certain_of_every_kind_come_first() -> None:
    asked = order_questions(
        [
            candidate("sure"),
            candidate("unknown", confidence=None),
            candidate("judge", rule="judge"),
            candidate("close", margin=0.5),
            candidate("flagged", flagged=True),
            candidate("contested", confidence=0.6),
            candidate("more contested", confidence=0.55),
        ]
    )
    queues = [a.queue for a in asked if a.queue != RANDOM]
    kinds = ["low confidence", "audit", "machine", "small margin", "unknown confidence"]
    assert kinds == list(dict.fromkeys(queues))
    assert 6 == asked[0].place
    assert sorted(range(7)) == sorted(a.place for a in asked)


def test_a_kind_of_doubt_with_many_pairs_does_not_hide_the_others() -> None:
    many = [candidate(k, confidence=None) for k in range(500)]
    asked = order_questions([*many, candidate("contested", confidence=0.6)])
    assert "low confidence" == asked[0].queue


def test_every_fifth_question_is_drawn_at_random_and_the_rest_after_the_doubtful() -> None:
    sure = [candidate(f"sure {k}") for k in range(50)]
    doubtful = [candidate(f"doubtful {k}", confidence=0.6) for k in range(40)]
    asked = order_questions([*sure, *doubtful])
    drawn = [k for k, a in enumerate(asked) if a.queue == RANDOM]
    fifths = set(range(RANDOM_EVERY - 1, len(asked), RANDOM_EVERY))
    assert fifths <= set(drawn)
    last_doubtful = max(k for k in range(90) if k not in drawn)
    assert set(range(last_doubtful)) - fifths == set(range(last_doubtful)) - set(drawn)
    assert list(range(90)) == sorted(a.place for a in asked)


def test_the_order_of_the_draw_stays_when_pairs_are_added() -> None:
    some = [candidate(k) for k in range(20)]
    more = [*some, *(candidate(k) for k in range(20, 40))]
    before = [some[a.place].pair_id for a in order_questions(some)]
    after = [more[a.place].pair_id for a in order_questions(more)]
    assert before == [name for name in after if name in set(before)]


def test_either_side_stands_first_by_a_chance_of_its_own_for_every_reviewer() -> None:
    first = [shows_rejected_first(f"p-{k}", "ana") for k in range(2000)]
    other = [shows_rejected_first(f"p-{k}", "ben") for k in range(2000)]
    # 3.3 standard errors of a fair coin.
    assert 0.463 < sum(first) / 2000 < 0.537
    assert 0.463 < sum(a == b for a, b in zip(first, other, strict=True)) / 2000 < 0.537
    assert first == [shows_rejected_first(f"p-{k}", "ana") for k in range(2000)]


def test_a_reviewer_who_always_takes_the_first_side_is_told_so() -> None:
    pairs = [pair(k) for k in range(60)]
    decisions = [
        said(p, REJECTED if shows_rejected_first(p.pair_id, "ana") else CHOSEN) for p in pairs
    ]
    (tally,) = tally_reviewers(decisions)
    assert (60, 1.0) == (tally.first_shown.n, tally.first_shown.value)
    assert 0.3 < (tally.with_votes.value or 0) < 0.7


def test_two_reviewers_are_compared_on_what_both_have_judged() -> None:
    pairs = [pair(k) for k in range(10)]
    decisions = [said(p, CHOSEN, "ana") for p in pairs[:8]]
    decisions += [said(p, CHOSEN if k % 4 else REJECTED, "ben") for k, p in enumerate(pairs)]
    (found,) = compare_reviewers(decisions)
    assert (8, 0.75) == (found.agreement.n, found.agreement.value)
    assert 0.4 < (found.kappa or 0) < 0.6


def test_kappa_and_wilsons_interval_are_what_they_are_by_hand() -> None:
    # 0.7 observed, 0.5 expected by chance.
    words = [(0, 0)] * 20 + [(0, 1)] * 5 + [(1, 0)] * 10 + [(1, 1)] * 15
    assert pytest.approx(0.4) == cohen_kappa(words)
    assert cohen_kappa([(0, 0)] * 3) is None
    found = rate(1, 20)
    assert (0.0089, 0.2361) == (round(found.low or 0, 4), round(found.high or 0, 4))


def test_the_noise_estimate_is_right_although_doubtful_pairs_are_asked_about_first() -> None:
    """One in ten labels is wrong, but nearly one in two of the doubtful pairs' labels."""
    rng = random.Random(5)
    pairs = [pair(k) for k in range(2000)]
    doubtful = {p.pair_id for p in pairs[:300]}
    wrong = {p.pair_id for p in pairs if rng.random() < (0.45 if p.pair_id in doubtful else 0.04)}
    candidates = [
        candidate(0, pair_id=p.pair_id, confidence=0.5 if p.pair_id in doubtful else 0.99)
        for p in pairs
    ]
    decisions = [
        said(
            pairs[a.place],
            REJECTED if pairs[a.place].pair_id in wrong else CHOSEN,
            queue=a.queue,
        )
        for a in order_questions(candidates)[:700]
    ]
    truth = len(wrong) / len(pairs)
    noise, neither = estimate_noise(decisions)
    assert 0.35 < sum(d.choice is REJECTED for d in decisions if d.pair_id in doubtful) / 300
    assert (noise.low or 1) < truth < (noise.high or 0)
    assert noise.n > 300
    assert 0.0 == neither.value


def test_pairs_that_were_asked_about_for_a_doubt_belong_to_the_random_sample() -> None:
    pairs = sorted((pair(k) for k in range(4)), key=lambda p: draw(p.pair_id))
    queues = ["low confidence", "random", "low confidence", "audit"]
    decisions = [
        said(p, CHOSEN if k else REJECTED, queue=queue)
        for k, (p, queue) in enumerate(zip(pairs, queues, strict=True))
    ]
    noise, _ = estimate_noise(decisions)
    assert (2, 0.5) == (noise.n, noise.value)


def test_decisions_are_read_as_they_were_written_and_by_time(tmp_path: Path) -> None:
    project = Project(tmp_path)
    first, second = said(pair(1), CHOSEN, at=1, queue=RANDOM), said(pair(2), Choice.SKIPPED, at=2)
    ReviewLog(project).append(second)
    ReviewLog(project).append(first)
    assert [first, second] == read_decisions(project)
    assert 2 == len(list((project.home / "reviews").iterdir()))


@pytest.mark.parametrize(
    "line",
    [
        '{"pair_id": "p", "choice": "cho',
        "[]",
        "null",
        '"text"',
        "\x00\x1b[31m",
        "[" * 100_000,
        json.dumps({"pair_id": 3, "choice": "chosen", "reviewer": "ana"}),
        json.dumps({"pair_id": "p", "choice": "better", "reviewer": "ana"}),
        json.dumps({"pair_id": "p", "choice": "chosen"}),
        json.dumps({"pair_id": "p", "choice": "chosen", "reviewer": "a", "time": "noon"}),
        json.dumps({"pair_id": "p", "choice": "chosen", "reviewer": "a", "feedback_ids": "f"}),
    ],
)
def test_lines_that_are_no_decision_are_counted_and_left_out(line: str, tmp_path: Path) -> None:
    project = Project(tmp_path)
    decision = said(pair(), CHOSEN)
    ReviewLog(project).append(decision)
    (path,) = (project.home / "reviews").iterdir()
    with path.open("a") as stream:
        stream.write(line)
    assert ([decision], 1) == read_log(project)
