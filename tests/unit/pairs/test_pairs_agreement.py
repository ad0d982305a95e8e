"""What becomes of several votes on the same two answers, and how sure the pair is."""

from __future__ import annotations

import math
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Pair
from loopllm_cli.pairs.agreement.weigh import (
    BEATEN,
    CHANCE,
    CIRCLE,
    CONTRADICT,
    MACHINES_DIFFER,
    OUTVOTED,
    REPLACED,
    UNRELIABLE,
    UNSURE,
    Weighed,
    weigh,
)
from loopllm_cli.sources.rows import digest, normalise

START = datetime(2026, 10, 1, tzinfo=UTC)
_names = iter(range(1_000_000))


def said(
    better: str, worse: str, *, by: str = "", to: str = "q", at: int = 0, **fields: Any
) -> Pair:
    """Return one vote event as a pair: who prefers which text, on which context."""
    known: dict[str, Any] = {
        "pair_id": digest(to, normalise(better), normalise(worse)),
        "prompt": ({"role": "user", "content": to},),
        "chosen": better,
        "rejected": worse,
        "rule": "comparison",
        "feedback_ids": (f"f{next(_names)}",),
        "interaction_ids": (better, worse),
        "user_id": None,
        "conversation_id": None,
        "context_hash": to,
        "prompt_hash": to,
        "segment": None,
        "chosen_model": None,
        "rejected_model": None,
        "margin": 1.0,
        "feedback_time": START + timedelta(minutes=at),
        "annotator_ids": (by,),
    }
    return Pair(**known | fields)


def weighed(*pairs: Pair, **settings: Any) -> Weighed:
    """Weigh pairs, and check that every piece of feedback is kept or left out, never both."""
    result = weigh(pairs, PairsConfig(**settings))
    kept = [name for pair in result.pairs for name in pair.feedback_ids]
    left = [name for _, names in result.dropped for name in names]
    assert Counter(n for pair in pairs for n in set(pair.feedback_ids)) == Counter(kept + left)
    return result


def reasons(result: Weighed) -> dict[str, int]:
    """Count what was left out."""
    return dict(Counter(reason for reason, _ in result.dropped))


def sides(result: Weighed) -> list[tuple[str, str]]:
    """Return what was chosen and what was rejected."""
    return [(pair.chosen, pair.rejected) for pair in result.pairs]


def crowd(n_items: int, *, wrong: float, voters: int = 3, seed: int = 0) -> list[Pair]:
    """Return votes of ten people on items whose better answer is "good N"."""
    rng = random.Random(seed)
    votes = []
    for k in range(n_items):
        for person in rng.sample(range(10), voters):
            ends = (f"good {k}", f"bad {k}")
            better, worse = ends if rng.random() >= wrong else ends[::-1]
            place = rng.randrange(2)
            votes.append(said(better, worse, by=f"p{person}", to=f"c{k}", chosen_place=place))
    return votes


def test_votes_for_the_same_pair_are_one_pair_of_all_of_them() -> None:
    votes = [said("a", "b", by=name) for name in ("ann", "bob", "cid")]
    result = weighed(*votes)
    assert [("a", "b")] == sides(result)
    (pair,) = result.pairs
    assert tuple(v.feedback_ids[0] for v in votes) == pair.feedback_ids
    assert ("ann", "bob", "cid") == pair.annotator_ids


@pytest.mark.parametrize("rule", ["comparison", "correction", "rating", "votes"])
def test_people_who_contradict_each_other_make_no_pair(rule: str) -> None:
    """So it is by default, however many stand on one side."""
    votes = [
        said("a", "b", by="ann"),
        said("a", "b", by="bob"),
        said("b", "a", by="cid", rule=rule),
    ]
    result = weighed(*votes)
    assert ([], {CONTRADICT: 3}) == (result.pairs, reasons(result))


def test_the_same_texts_on_two_contexts_do_not_meet() -> None:
    result = weighed(said("a", "b", by="ann"), said("b", "a", by="bob", to="elsewhere"))
    assert ([("a", "b"), ("b", "a")], {}) == (sides(result), reasons(result))


def test_a_later_vote_of_the_same_person_replaces_the_earlier() -> None:
    votes = [said("a", "b", by="ann", at=1), said("b", "a", by="ann", at=2, rule="rating")]
    result = weighed(*votes)
    assert ([("b", "a")], {REPLACED: 1}) == (sides(result), reasons(result))


@pytest.mark.parametrize("times", [(None, None), (START, None), (START, START)])
def test_without_times_nobody_knows_which_vote_was_the_last(
    times: tuple[datetime | None, datetime | None],
) -> None:
    first = said("a", "b", by="ann", feedback_time=times[0])
    second = said("b", "a", by="ann", feedback_time=times[1])
    assert {CONTRADICT: 2} == reasons(weighed(first, second))


def test_votes_of_nobody_known_do_not_replace_each_other() -> None:
    assert {CONTRADICT: 2} == reasons(weighed(said("a", "b", at=1), said("b", "a", at=2)))


def test_what_one_person_took_back_contradicts_nobody() -> None:
    votes = [
        said("a", "b", by="ann", at=1),
        said("b", "a", by="ann", at=2),
        said("b", "a", by="bob", at=0),
    ]
    result = weighed(*votes)
    assert ([("b", "a")], {REPLACED: 1}) == (sides(result), reasons(result))


def test_preferences_that_go_in_a_circle_are_left_out() -> None:
    circle = [said("a", "b", by="ann"), said("b", "c", by="bob"), said("c", "a", by="cid")]
    outside = [said("a", "d", by="ann"), said("a", "b", to="elsewhere", by="ann")]
    result = weighed(*circle, *outside)
    assert ([("a", "d"), ("a", "b")], {CIRCLE: 3}) == (sides(result), reasons(result))


def test_a_long_circle_is_found_and_a_long_chain_is_none() -> None:
    chain = [said(f"{k}", f"{k + 1}", by="ann") for k in range(3000)]
    assert 3000 == len(weighed(*chain).pairs)
    result = weighed(*chain, said("3000", "0", by="bob"))
    assert ([], {CIRCLE: 3001}) == (result.pairs, reasons(result))


def test_people_come_before_judges_and_judges_before_what_nobody_said() -> None:
    person, judge = said("a", "b", by="ann"), said("b", "a", rule="judge comparison")
    replay = said("b", "a", rule="replay", feedback_ids=(), annotator_ids=())
    result = weighed(judge, replay, person)
    assert ([("a", "b")], {BEATEN: 2}) == (sides(result), reasons(result))
    assert [("b", "a")] == sides(weighed(replay, judge))
    assert [("b", "a")] == sides(weighed(replay))


def test_a_judge_never_joins_a_pair_of_people() -> None:
    person, judge = said("a", "b", by="ann"), said("a", "b", by="gpt", rule="judge rating")
    (pair,) = weighed(judge, person).pairs
    assert ("comparison", ("ann",)) == (pair.rule, pair.annotator_ids)


def test_people_who_contradict_each_other_leave_nothing_to_the_judge() -> None:
    people = [said("a", "b", by="ann"), said("b", "a", by="bob")]
    result = weighed(*people, said("a", "b", by="gpt", rule="judge comparison"))
    assert ([], {CONTRADICT: 2, BEATEN: 1}) == (result.pairs, reasons(result))


def test_judges_who_contradict_each_other_make_no_pair() -> None:
    votes = [said("a", "b", by=f"gpt-{k}", rule="judge comparison") for k in range(5)]
    result = weighed(*votes, said("b", "a", by="other", rule="judge comparison"))
    assert ([], {MACHINES_DIFFER: 6}, None) == (result.pairs, reasons(result), result.agreement)


def test_a_circle_that_a_judge_closes_costs_people_nothing() -> None:
    people = [said("a", "b", by="ann"), said("b", "c", by="ann")]
    result = weighed(*people, said("c", "a", rule="judge comparison"))
    assert ([("a", "b"), ("b", "c")], {CIRCLE: 1}) == (sides(result), reasons(result))


def test_without_overlap_nothing_is_claimed() -> None:
    result = weighed(*(said("a", "b", by="ann", to=f"c{k}") for k in range(200)))
    assert 200 == len(result.pairs)
    assert {None} == {pair.confidence for pair in result.pairs}
    assert result.agreement is not None
    assert 0 == result.agreement.n_shared
    assert math.isnan(result.agreement.noise)


def test_a_little_overlap_is_measured_but_decides_nothing() -> None:
    """Ten items with a quarter of contradictions do not say how often single votes are wrong."""
    singles = [said("a", "b", by="ann", to=f"s{k}") for k in range(50)]
    result = weighed(*singles, *crowd(10, wrong=0.25, voters=2))
    assert result.agreement is not None
    assert 10 == result.agreement.n_shared
    assert 50 <= len(result.pairs)
    assert {None} == {pair.confidence for pair in result.pairs}


def test_where_the_noise_is_known_pairs_are_as_right_as_asked_for() -> None:
    result = weighed(*crowd(400, wrong=0.2), min_precision=0.97)
    right = sum(pair.chosen.startswith("good") for pair in result.pairs)
    assert result.agreement is not None
    assert result.agreement.noise_low < 0.2 < result.agreement.noise_high
    assert 150 < len(result.pairs)
    assert right >= 0.95 * len(result.pairs)
    assert all(0.6 < (pair.confidence or 0) < 1 for pair in result.pairs)


def test_a_single_vote_is_too_uncertain_where_one_in_five_is_wrong() -> None:
    """The surest pairs stay; how many more do is a setting."""
    singles = [said("good", "bad", by=f"p{k % 10}", to=f"s{k}") for k in range(300)]
    strict = weighed(*crowd(300, wrong=0.2), *singles)
    assert 250 < sum(ids[0] in {s.feedback_ids[0] for s in singles} for r, ids in strict.dropped)
    assert UNSURE in reasons(strict)
    lenient = weighed(*crowd(300, wrong=0.2), *singles, min_precision=0.7)
    assert 300 == sum(pair.context_hash.startswith("s") for pair in lenient.pairs)


def test_who_is_right_no_more_than_half_of_the_time_does_not_count() -> None:
    """Votes of an adversary neither make a pair nor spoil one."""
    rng = random.Random(1)
    adverse = [
        said(f"bad {k}", f"good {k}", by="adverse", to=f"c{k}", chosen_place=rng.randrange(2))
        for k in range(200)
    ]
    alone = said("x", "y", by="adverse", to="alone")
    correction = said("x", "y", by="adverse", to="corrected", rule="correction")
    result = weighed(*crowd(200, wrong=0.05), *adverse, alone, correction)
    assert 202 == reasons(result)[UNRELIABLE]
    assert 0.7 * 200 < len(result.pairs)
    assert all(pair.chosen.startswith("good") for pair in result.pairs)
    assert result.agreement is not None
    worst = result.agreement.annotators[0]
    assert ("adverse", True) == (worst.annotator_id, worst.high < 0.2)


def test_who_always_takes_the_first_answer_does_not_count() -> None:
    """Two who do agree with each other on every item, which proves nothing."""
    rng = random.Random(2)
    votes = crowd(300, wrong=0.1)
    for k in range(300):
        ends = (f"good {k}", f"bad {k}")
        better, worse = ends if rng.random() < 0.5 else ends[::-1]
        for name in ("one", "two"):
            votes.append(said(better, worse, by=name, to=f"c{k}", chosen_place=0))
    result = weighed(*votes)
    assert 600 == reasons(result)[UNRELIABLE]
    assert result.agreement is not None
    blind = [a for a in result.agreement.annotators if a.annotator_id in ("one", "two")]
    assert [0.5, 0.5] == [a.reliability for a in blind]


def test_nobody_votes_by_place_where_the_better_answer_always_stands_there() -> None:
    votes = [said("a", "b", by=f"p{k % 5}", to=f"c{k // 3}", chosen_place=0) for k in range(300)]
    assert 100 == len(weighed(*votes).pairs)


def test_a_clear_majority_outvotes_a_lone_voice_where_the_noise_is_known() -> None:
    votes = [said("good", "bad", by=f"p{k}", to="torn") for k in range(7)]
    against = said("bad", "good", by="p7", to="torn")
    assert CONTRADICT in reasons(weighed(*votes, against))
    result = weighed(*votes, against, *crowd(400, wrong=0.1))
    (pair,) = [pair for pair in result.pairs if pair.context_hash == "torn"]
    assert ("good", against.feedback_ids, 7) == (
        pair.chosen,
        pair.votes_against,
        len(pair.feedback_ids),
    )
    assert (OUTVOTED, against.feedback_ids) in result.dropped


def test_a_correction_is_no_vote_and_is_never_outvoted() -> None:
    votes = [said("good", "bad", by=f"p{k}", to="torn") for k in range(7)]
    correction = said("bad", "good", by="p7", to="torn", rule="correction")
    alone = said("x", "y", by="p1", to="alone", rule="correction")
    result = weighed(*votes, correction, alone, *crowd(400, wrong=0.2))
    assert not [pair for pair in result.pairs if pair.context_hash == "torn"]
    assert [None] == [pair.confidence for pair in result.pairs if pair.context_hash == "alone"]


def test_votes_that_agree_no_better_than_chance_make_no_pair() -> None:
    result = weighed(*crowd(300, wrong=0.5), said("x", "y", by="p1", to="z", rule="correction"))
    assert {CHANCE} == set(reasons(result))
    assert [("x", "y")] == sides(result)


def test_thumbs_of_several_people_are_no_sign_that_they_agree() -> None:
    """A rule pairs only thumbs that fit each other, so their fit says nothing of noise."""
    thumbs = [
        said("a", "b", to=f"c{k}", rule="votes", feedback_ids=(f"u{k}", f"d{k}"))
        for k in range(100)
    ]
    fits = [
        Pair(**{n: getattr(t, n) for n in t.__slots__} | {"annotator_ids": ("ann", "bob")})
        for t in thumbs
    ]
    result = weighed(*fits)
    assert (100, None) == (len(result.pairs), result.agreement)


def test_the_order_of_mention_is_kept_and_the_result_is_the_same_again() -> None:
    votes = crowd(200, wrong=0.2, seed=5)
    first, again = weighed(*votes), weighed(*votes)
    assert first == again
    place = {pair.context_hash: k for k, pair in reversed(list(enumerate(votes)))}
    order = [place[pair.context_hash] for pair in first.pairs]
    assert sorted(order) == order


def test_twenty_thousand_votes_of_one_person_are_one_vote() -> None:
    votes = [said("a", "b", by="spam", at=k) for k in range(20_000)]
    result = weighed(*votes, said("b", "a", by="ann"))
    assert {CONTRADICT: 20_001} == reasons(result)


def test_nothing_makes_nothing() -> None:
    assert Weighed([], [], None) == weighed()
