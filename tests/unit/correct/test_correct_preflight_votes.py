"""Judged answers and better answers alone meet the same pre-flight as pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from micro import TEMPLATE, good_pairs, liked, make_tokenizer, pair, vote, write_votes

from loopllm_cli.correct.preflight import check_pairs, refuse_beyond_context
from loopllm_cli.correct.recipe import Recipe
from loopllm_cli.errors import BadPairs

pytestmark = pytest.mark.train

MakePairs = Callable[..., Path]
RECIPE = Recipe(max_length=128)
KTO = Recipe(max_length=128, method="kto", loss_type=("kto",), loss_weights=(1.0,))
SFT = Recipe(max_length=128, method="sft", loss_type=("sft",), loss_weights=(1.0,))
VOTES = [vote(f"where is {i}?", f"it is {i}", i % 2 == 0) for i in range(24)]


def refusal(folder: Path, tokenizer: Any, recipe: Recipe = RECIPE) -> BadPairs:
    """Return what the pre-flight says against a folder."""
    with pytest.raises(BadPairs) as caught:
        check_pairs(folder, tokenizer, recipe)
    assert caught.value.hint
    return caught.value


def with_votes(folder: Path, votes: list[dict[str, Any]]) -> Path:
    """Write judged answers into a pairs folder."""
    write_votes(folder / "data" / "unpaired.parquet", votes)
    return folder


def test_judged_answers_are_kept_and_counted(make_pairs: MakePairs, tokenizer: Any) -> None:
    """Judged answers and pairs are counted apart, with their lengths."""
    folder = with_votes(make_pairs(good_pairs(5), good_pairs(3, 50), liked(9)), VOTES)
    found = check_pairs(folder, tokenizer, KTO)
    report = found.report
    assert (report.n_votes, report.n_liked, report.n_train, report.n_test) == (24, 12, 5, 3)
    assert (report.n_read, report.n_retention, report.dropped) == (29, 9, {})
    assert len(found.lengths) == 24 + 5 + 9
    assert report.tokens["context max"] < report.tokens["longest max"] == report.tokens_max
    alone = check_pairs(folder, tokenizer, replace(KTO, mix_pairs=False))
    assert (alone.report.n_train, alone.report.n_votes) == (0, 24)
    assert alone.contexts[0].prompt[0]["content"] == "where is 0?"


@pytest.mark.parametrize(("label", "word"), [(True, "liked"), (False, "disliked")])
def test_thumbs_that_all_go_one_way_are_refused(
    make_pairs: MakePairs, tokenizer: Any, label: bool, word: str
) -> None:
    """Thumbs of one kind say nothing of the other; pairs beside them do."""
    votes = [{**one, "label": label} for one in VOTES]
    said = refusal(with_votes(make_pairs([]), votes), tokenizer, KTO)
    assert f"all 24 judged answers are {word}" in said.message
    mixed = with_votes(make_pairs(good_pairs(5), name="mixed"), votes)
    assert check_pairs(mixed, tokenizer, KTO).report.n_votes == 24


def test_a_folder_without_judged_answers_is_refused(make_pairs: MakePairs, tokenizer: Any) -> None:
    """Neither a missing file nor an empty one can be trained on."""
    folder = make_pairs(good_pairs(24))
    assert "no data/unpaired.parquet" in refusal(folder, tokenizer, KTO).message
    assert "no judged answer (0 rows)" in refusal(with_votes(folder, []), tokenizer, KTO).message


def test_too_few_judged_answers_are_refused(make_pairs: MakePairs, tokenizer: Any) -> None:
    said = refusal(with_votes(make_pairs([]), VOTES[:19]), tokenizer, KTO)
    assert "only 19 of 19 judged answers are usable, 20 are needed" in said.message


@pytest.mark.parametrize(
    "bad", [vote("a", "", True), vote("a", None, False), vote("a", "b", None)],
    ids=["empty", "none", "no label"],
)  # fmt: skip
def test_judged_answers_that_are_not_whole_are_refused(
    make_pairs: MakePairs, tokenizer: Any, bad: dict[str, Any]
) -> None:
    said = refusal(with_votes(make_pairs([]), [*VOTES, bad]), tokenizer, KTO)
    assert "1 of 25 judged answers have an empty or missing" in said.message


def test_answers_judged_both_ways_or_twice_are_counted_once(
    make_pairs: MakePairs, tokenizer: Any
) -> None:
    """The majority is kept, a tie is left out."""
    more = [vote("x", "y", True), vote("x", " y", False), vote("z", "z", False)]
    more += [vote("z", "z", True), vote("z", "z", False)]
    found = check_pairs(with_votes(make_pairs([]), [*VOTES, *more]), tokenizer, KTO)
    assert found.report.dropped == {
        "answer judged both ways equally often": 2, "repeated answer": 2,
    }  # fmt: skip
    assert [one.label for one in found.votes if one.row.chosen == "z"] == [False]


def test_light_signs_are_left_out(make_pairs: MakePairs, tokenizer: Any) -> None:
    """TRL counts every row in full, so what is no vote is not handed to it."""
    light = [{**vote(f"l {i}", "x", False), "weight": 0.35} for i in range(6)]
    folder = with_votes(make_pairs([]), [*VOTES, *light])
    dropped = check_pairs(folder, tokenizer, KTO).report.dropped
    assert dropped == {"sign that counts less than min_vote_weight": 6}
    heard = check_pairs(folder, tokenizer, replace(KTO, min_vote_weight=0.3))
    assert heard.report.n_votes == 30


def test_judged_answers_meet_the_same_checks_of_length_and_template(
    make_pairs: MakePairs, tokenizer: Any
) -> None:
    """Cut answers, long contexts, missing stop tokens and other contexts stop kto as well."""
    long = [vote(f"p {i}", "yes " * 200, True) for i in range(3)]
    said = refusal(with_votes(make_pairs([], name="cut"), [*VOTES, *long]), tokenizer, KTO)
    assert "3 of 27 rows have an answer that is cut at max_length = 128" in said.message
    folder = with_votes(make_pairs([]), VOTES)
    endless = make_tokenizer(TEMPLATE.replace("{{ eos_token }}", ""))
    assert "stop token" in refusal(folder, endless, KTO).message
    assert "stop token" in refusal(make_pairs(good_pairs(24), name="sft"), endless, SFT).message


def test_a_template_that_refuses_messages_is_named(make_pairs: MakePairs) -> None:
    """What a template says of messages it was not written for is passed on, with the count."""
    strict = "{% if messages|length > 2 %}{{ raise_exception('two turns only') }}{% endif %}"
    tokenizer = make_tokenizer(strict + TEMPLATE)
    rows = good_pairs(24)
    for row in rows[:3]:
        row["prompt"] = [*row["prompt"], *row["chosen"], *row["prompt"]]
    said = refusal(make_pairs(rows), tokenizer)
    assert "refuses the messages of 3 of 24 rows" in said.message
    assert "two turns only" in said.message


def test_sft_looks_at_better_answers_only(make_pairs: MakePairs, tokenizer: Any) -> None:
    """A worse answer that is too long stops nobody, and one better answer counts once."""
    rows = [*good_pairs(24), pair("p", "yes", "no " * 200), pair("p", "yes", "never")]
    folder = make_pairs(rows)
    assert check_pairs(folder, tokenizer, SFT).report.dropped == {"repeated answer": 1}
    assert check_pairs(folder, tokenizer, SFT).report.n_train == 25


def test_rows_beyond_the_context_of_the_model_are_refused(
    make_pairs: MakePairs, tokenizer: Any
) -> None:
    """max_length may be larger than the model's context as long as no row is."""
    found = check_pairs(make_pairs(good_pairs(24), retention=liked(9)), tokenizer, RECIPE)
    refuse_beyond_context(found, None)
    refuse_beyond_context(found, max(row.longest for row in found.lengths))
    with pytest.raises(BadPairs, match=r"of 33 rows are longer than the model's context of 12"):
        refuse_beyond_context(found, 12)
