"""Repair pairs: what was answered well before beside what is answered badly now."""

from __future__ import annotations

from typing import Any

from pair_evidence import BAD, GOOD, answer, build, comparison, parts

from loopllm_cli.pairs.candidates import Candidate
from loopllm_cli.pairs.replay import Judged, key_of, replay

REFUSED = "I'm sorry, but I cannot help with that."


def judged(name: str, text: str, *, bad: int = 0, opinion: int = 0, **fields: Any) -> Judged:
    """Return an answer that two signals have judged."""
    return Judged(answer(name, text, **fields), ("refusal", "apology")[:bad], 2, opinion)


def found(baseline: list[Judged], current: list[Judged], limit: int = 100) -> list[Candidate]:
    """Return the candidates."""
    return list(replay(baseline, current, limit))


def told(candidates: list[Candidate]) -> list[tuple[str, str, str]]:
    """Return rule, better and worse side."""
    return [(c.rule, c.better, c.rejected.text) for c in candidates]


def test_the_baselines_answer_is_better_than_a_bad_one_to_the_same_question() -> None:
    (made,) = found([judged("v1", GOOD)], [judged("v2", BAD, bad=1)])
    assert ("replay", GOOD, BAD) == (made.rule, made.better, made.rejected.text)
    assert (0.5, (), ("refusal",)) == (made.margin, made.votes, made.signals)
    assert made.chosen is not None
    assert ("v1", made.rejected.context_hash) == (
        made.chosen.interaction_id,
        made.chosen.context_hash,
    )


def test_a_good_answer_of_today_serves_where_the_baseline_has_none() -> None:
    current = [judged("v2", BAD, bad=2), judged("v2b", GOOD)]
    assert [("recovered", GOOD, BAD)] == told(found([], current))
    assert [("replay", f"{GOOD}!", BAD)] == told(found([judged("v1", f"{GOOD}!")], current))


def test_what_failed_then_or_was_disliked_or_unknown_is_no_model() -> None:
    bad = [judged("v2", BAD, bad=1)]
    assert [] == found([judged("v1", GOOD, bad=1)], bad)
    assert [] == found([judged("v1", GOOD, opinion=-1)], bad)
    assert [] == found([Judged(answer("v1", GOOD), (), 0)], bad)
    assert [] == found([Judged(answer("v1", GOOD), (), 2, odd=True)], bad)
    assert [] == found([judged("v1", REFUSED)], bad)
    assert [] == found([judged("v1", GOOD, finish_reason="length")], bad)


def test_a_bad_answer_that_somebody_liked_is_not_called_the_worse() -> None:
    assert [] == found([judged("v1", GOOD)], [judged("v2", BAD, bad=2, opinion=1)])
    assert 1 == len(found([judged("v1", GOOD)], [judged("v2", BAD, bad=2, opinion=-1)]))


def test_where_people_compared_the_same_two_answers_they_count() -> None:
    """A replay that says the same adds nothing, and one that says the opposite is not heard."""
    then, now = answer("v1", GOOD), answer("v2", BAD)
    replayed = found([judged("v1", GOOD)], [judged("v2", BAD, bad=1)])
    for votes, better in (([], GOOD), ([comparison("v1", "v2")], GOOD)):
        (pair,) = build([then, now], votes, extra=replayed).train
        assert (better, len(votes)) == (pair.chosen, len(pair.feedback_ids))
    (pair,) = build([then, now], [comparison("v2", "v1")], extra=replayed).train
    assert (BAD, "comparison") == (pair.chosen, pair.rule)


def test_liked_answers_come_before_frequent_ones_and_these_before_others() -> None:
    often = [judged(f"v1-{i}", GOOD) for i in range(3)]
    rare, liked = judged("rare", "Rare."), judged("liked", "Liked.", opinion=1)
    bad = [judged("v2", BAD, bad=1)]
    assert GOOD == found([*often, rare], bad)[0].better
    assert "Liked." == found([*often, liked], bad)[0].better


def test_the_same_question_in_other_case_or_with_a_please_is_the_same() -> None:
    asked = {"to": "x", "input_messages": parts(("user", "Where is my parcel 12?"))}
    again = {"to": "y", "input_messages": parts(("user", "where is my parcel 12, please"))}
    other = {"to": "z", "input_messages": parts(("user", "Where is my parcel 13?"))}
    bad = [judged("v2", BAD, bad=1, **again)]
    assert [("replay", GOOD, BAD)] == told(found([judged("v1", GOOD, **asked)], bad))
    assert [] == found([judged("v1", GOOD, **other)], bad)


def test_another_system_message_or_an_earlier_turn_makes_another_question() -> None:
    plain = answer("a", input_messages=parts(("user", "Hello there")))
    told_so = answer("b", input_messages=parts(("system", "Be rude."), ("user", "Hello there")))
    later = answer(
        "c", input_messages=parts(("user", "Hello there"), ("assistant", "Hi"), ("user", "Again"))
    )
    assert 3 == len({key_of(plain), key_of(told_so), key_of(later)})
    assert key_of(later) == ("context", later.context_hash)
    assert key_of(answer("d", context_hash=None)) is None


def test_one_bad_text_to_one_question_makes_one_pair_and_segments_take_turns() -> None:
    baseline = [judged(f"v1-{i}", GOOD, to=f"q{i}") for i in range(6)]
    current = [
        judged(f"v2-{i}-{k}", BAD, bad=1, to=f"q{i}", segment="big" if i < 5 else "small")
        for i in range(6)
        for k in range(3)
    ]
    made = found(baseline, current)
    assert 6 == len(made)
    assert ["big", "small", "big"] == [c.rejected.segment for c in found(baseline, current, 3)]
