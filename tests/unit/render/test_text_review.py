"""Pairs as a reviewer sees them: hostile and enormous texts, pages, and differences."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from rich.cells import cell_len
from rich.console import Console

from loopllm_cli.model import (
    Choice,
    Pair,
    Rate,
    ReviewCard,
    ReviewDecision,
    ReviewerAgreement,
    ReviewerTally,
    ReviewImport,
    ReviewSummary,
    Shown,
    ShownAnswer,
    ShownFeedback,
    ShownPair,
)
from loopllm_cli.render.as_json import to_json
from loopllm_cli.render.passages import PIECE_LINES, compare, passage, piece, unmarked
from loopllm_cli.render.text_review import (
    write_card,
    write_review,
    write_review_import,
    write_shown,
)

from . import results

WIDTH = 80


def console() -> Console:
    return Console(file=io.StringIO(), width=WIDTH, highlight=False, markup=False, emoji=False)


def shown(card: ReviewCard, page: int = 0) -> tuple[str, bool]:
    """Return what one page of a question says, and whether there is another."""
    to = console()
    more = write_card(to, card, page)
    assert isinstance(to.file, io.StringIO)
    return to.file.getvalue(), more


def card(first: str = "One.", second: str = "Two.", *messages: tuple[str, str]) -> ReviewCard:
    return ReviewCard("p", messages or (("user", "Which?"),), first, second, 1, 2)


def marks(first: str, second: str) -> tuple[str, str]:
    """Return both texts with their differences marked, one line each."""
    both = compare(first, second)
    assert both
    sides = zip(both, ("added", "removed"), strict=True)
    one, two = (
        "\n".join(line.plain for line in passage(side, console(), WIDTH, sign))
        for side, sign in sides
    )
    return one, two


def test_words_that_differ_stand_in_brackets_without_any_colour() -> None:
    expected = ("  the {+red and warm+} door", "  the [-blue-] door")
    assert expected == marks("the red and warm door", "the blue door")


def test_lines_and_their_indents_stay() -> None:
    first, second = marks("def f():\n    return 1\n\n\n\nend", "def f():\n\treturn 2\nend")
    assert ["  def f():", "      return {+1+}", "", "  end"] == first.split("\n")
    assert ["  def f():", "      return [-2-]", "  end"] == second.split("\n")


@pytest.mark.parametrize(
    ("first", "second"),
    [("entirely other words here", "nothing that is alike"), ("a " * 3000, "a " * 3000)],
)
def test_texts_without_enough_in_common_or_too_long_are_not_marked(first: str, second: str) -> None:
    assert compare(first, second) is None


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b2J \u202eright\u202c [bold]b[/bold] \u2066x\u2069",
        "z\u0300\u0301\u0302\u0303\u0304 \u200b\u200d\ufeff \ud800",
        "\r\rover\r\n\v\f\b\x00",
        "字" * 300 + " " + "w" * 300,
        "\n" * 500,
        "",
    ],
)
def test_hostile_texts_are_inert_and_fit_on_every_part_of_a_question(text: str) -> None:
    said, _ = shown(card(text, f"{text}.", (text, text), ("user", text)))
    assert not set("\x1b\x07\x9b\u202e\u202c\u2066\u2069\x00\b\r\v\f\ufeff") & set(said)
    assert [] == [line for line in said.split("\n") if cell_len(line) > WIDTH]
    assert len(said.split("\n")) < 4 * PIECE_LINES


def test_an_enormous_answer_is_shown_in_pages_each_at_once() -> None:
    text = "".join(f"sentence number {k} stands here. " for k in range(30_000))
    start = time.perf_counter()
    first, more = shown(card(text, text + "!"))
    assert time.perf_counter() - start < 2
    assert more
    assert len(first.split("\n")) < 100
    assert "more text: m" in first
    second, _ = shown(card(text, text + "!"), 1)
    assert "sentence number 0 " not in second


@pytest.mark.parametrize("text", ["word " * 5000, "x\n" * 5000, "\n" * 5000, "y" * 5000, "", "a"])
def test_the_pieces_of_a_text_are_all_of_it_and_end(text: str) -> None:
    pieces, number, more = [], 0, True
    while more:
        found, more = piece(text, number)
        pieces.append(found)
        number += 1
    assert text == "".join(pieces)
    assert all(one.count("\n") <= PIECE_LINES for one in pieces)


def test_earlier_messages_are_cut_on_the_first_page_and_whole_on_the_next() -> None:
    earlier = "The order was placed in spring. " * 20
    messages = (("system", earlier), ("user", "And now?"))
    first, more = shown(card("One.", "Two.", *messages))
    assert more
    assert 5 > first.count("order was placed")
    second, last = shown(card("One.", "Two.", *messages), 1)
    assert 20 == " ".join(second.split()).count("order was placed")
    assert (False, False) == (last, "And now?" in second)


def test_an_empty_side_is_said_to_be_empty() -> None:
    assert "(empty)" in shown(card("", "Two."))[0]
    assert ["  (empty)"] == [line.plain for line in passage(unmarked(""), console(), WIDTH)]


def shown_pair(text: str) -> Shown:
    """Return a pair whose every text and name is the given one."""
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    pair = Pair(
        pair_id="0" * 32,
        prompt=(
            {"role": text, "content": text},
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": text}}]},
            {"role": "user", "content": text},
        ),
        chosen=f"{text} better",
        rejected=text,
        rule=text,
        feedback_ids=(text,),
        interaction_ids=("good", text),
        user_id=text,
        conversation_id=text,
        context_hash="c",
        prompt_hash="p",
        segment=text,
        chosen_model=text,
        rejected_model=None,
        margin=0.5,
        feedback_time=moment,
        chosen_calls=json.dumps([{"function": {"name": text}}]),
    )
    vote = ShownFeedback(text, "for", text, text, text, moment, text, text, text, text)
    answer = ShownAnswer("good", "chosen", text, moment, text, text, text, text)
    gone = ShownAnswer(text, "rejected", forgotten=True)
    decision = ReviewDecision(pair.pair_id, Choice.CHOSEN, text, moment)
    turned = ReviewDecision("of the mirror", Choice.CHOSEN, text, None)
    shown = ShownPair(
        pair=pair,
        split="held out",
        split_keys={"user": 2, "prompt": 1},
        feedback=(vote, ShownFeedback("f", "for", forgotten=True)),
        answers=(answer, gone),
        decisions=(decision, turned),
        findings=(text,),
        segment_change=results.segments()[1],
        details={text: text},
    )
    return Shown(text, "pair", text, text, text, (shown,), 3)


def test_a_pair_is_written_with_all_its_evidence(
    golden: Callable[[str, str], None], written: Callable[..., str]
) -> None:
    golden("shown_pair.txt", written(write_shown, shown_pair("plain"), verbose=False))
    golden("shown_pair.json", to_json(shown_pair("plain")))


def test_no_part_of_a_shown_pair_lets_log_text_through(written: Callable[..., str]) -> None:
    said = written(write_shown, shown_pair(results.HOSTILE), verbose=True)
    assert not set("\x1b\x07\u202e\u2028\u200b\x00") & set(said)
    assert [] == [line for line in said.split("\n") if cell_len(line) > WIDTH]
    assert not set("\x1b\u202e") & set(to_json(shown_pair(results.HOSTILE)))


def summary(name: str) -> ReviewSummary:
    share = Rate(40, 0.9, 0.77, 0.96)
    unknown = Rate(0, None, None, None)
    return ReviewSummary(
        path=name,
        reviewer=name,
        n_pairs=1200,
        n_open=1150,
        n_uncertain=70,
        n_now=1,
        n_broken=2,
        tallies=(
            ReviewerTally(name, 50, {"chosen": 36, "rejected": 4, "skipped": 10}, share, share),
            ReviewerTally("u_0", 1, {"both bad": 1}, unknown, unknown),
        ),
        agreements=(
            ReviewerAgreement(name, "u_0", share, 0.71),
            ReviewerAgreement("u_0", "u_1", share, None),
        ),
        noise=share,
        undecidable=Rate(10, 0.0, 0.0, 0.28),
    )


def test_a_review_is_summed_up_with_intervals(
    golden: Callable[[str, str], None], written: Callable[..., str]
) -> None:
    golden("review.txt", written(write_review, summary("ana")))
    golden("review.json", to_json(summary("ana")))
    said = written(write_review, summary(results.HOSTILE))
    assert not set("\x1b\u202e\x00") & set(said)


def test_an_import_is_accounted_for(
    golden: Callable[[str, str], None], written: Callable[..., str]
) -> None:
    result = ReviewImport(".loopllm/pairs/5b1f", 120, 117, 1, 2, {"lines that are no record": 2})
    golden("review_import.txt", written(write_review_import, result))
