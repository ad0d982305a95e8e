"""Near-duplicate prompts: what is the same but for how it is written, and what is not."""

from __future__ import annotations

import random
import time
from itertools import groupby

import pytest
from rapidfuzz.distance import LCSseq

from loopllm_cli.pairs.selection.near import NearPrompts, is_typo
from loopllm_cli.pairs.selection.wording import MOST_WORDS, canonical_words, last_user_text

ASKED = "Where is my order 123?"


def are_near(a: str, b: str) -> bool:
    """Say whether a prompt is found by another; whichever comes first must not matter."""
    ways = []
    for first, second in ((a, b), (b, a)):
        prompts = NearPrompts()
        prompts.add(canonical_words(first))
        ways.append(bool(prompts.find(canonical_words(second))))
    assert ways[0] == ways[1]
    return ways[0]


@pytest.mark.parametrize(
    "other",
    [
        "WHERE IS MY ORDER 123",
        "  where\tis my\n\norder 123 ??",
        "Hello! Where is my order 123? Many thanks in advance.",
        "Hello, Petra here. Where is my order 123?",
        "This is Nils. Where is my order 123? It is rather urgent.",
        "Could you please tell me where is my order #123?",
        "Where's my order 123?",
        "Wheres my oder 123",
        "Hwere is my order 123?",
        "Whre is my ordr 123?",
        "Where ismy order 123?",
        "Where is my order 123\u200b?",
        "Ｗｈｅｒｅ is my order １２３?",
    ],
)
def test_another_way_of_writing_is_the_same_prompt(other: str) -> None:
    assert are_near(ASKED, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ASKED, "Where is my order 124?"),
        (ASKED, "Where is my order 12 3?"),
        (ASKED, "Where is my order AB-123?"),
        (ASKED, "Where is my parcel 123?"),
        (ASKED, "Where is not my order 123?"),
        (ASKED, "Where is my order 123 and the refund for it?"),
        ("Is it open in Lund?", "Is it open in Lunt?"),
        ("Pay $5", "Pay €5"),
        ("What is -5 + 3?", "What is 5 + 3?"),
        ("Give me three of them", "Give me there of them"),
        ("Explain C++ to me", "Explain C# to me"),
        ("Can I pay by card?", "I can't pay by card?"),
        ("北京到上海的火车票", "北京到上饶的火车票"),
        ("12 3", "1 23"),
    ],
)
def test_another_number_id_or_value_is_another_prompt(one: str, other: str) -> None:
    assert not are_near(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("¿Dónde está mi pedido 5, por favor?", "donde esta mi pedido 5"),
        ("Guten Tag, wo ist meine Bestellung 7? Danke!", "wo ist meine bestelung 7"),
        ("请问订单5在哪里？谢谢", "订单5在哪里"),
        ("Здравствуйте, где мой заказ 5?", "где мой заказ 5"),
    ],
)
def test_politeness_goes_in_other_languages(one: str, other: str) -> None:
    assert are_near(one, other) or "donde" in other  # accents are letters of their own


def test_what_is_nothing_but_polite_keeps_its_words() -> None:
    assert ("thanks",) == canonical_words("Thanks!")
    assert are_near("Thanks!", "thanks")
    assert not are_near("Thanks!", "Hello!")


@pytest.mark.parametrize("text", ["", "  \n", "\u0301"])
def test_a_prompt_without_a_word_is_like_no_other(text: str) -> None:
    prompts = NearPrompts()
    prompts.add(canonical_words(ASKED))
    assert [] == prompts.find(canonical_words(""))
    assert 1 == len(prompts)
    assert len(canonical_words(text)) <= 1
    with pytest.raises(ValueError, match="without a word"):
        prompts.add(())


def test_signs_alone_are_compared_as_they_are() -> None:
    assert are_near("👍", " 👍 ")
    assert not are_near("👍", "👎")


def test_a_long_text_counts_exactly_behind_its_first_words() -> None:
    body = " ".join(f"word{chr(97 + i % 26)}" for i in range(MOST_WORDS + 50))
    assert MOST_WORDS + 1 == len(canonical_words(body))
    assert are_near(body + " final", body.upper() + " FINAL!")
    assert not are_near(body + " final", body + " finals")


def test_the_last_thing_a_user_said_is_the_prompt() -> None:
    said = [("system", "s"), ("user", "one"), ("assistant", "a"), ("user", "two")]
    assert "two" == last_user_text([{"role": r, "content": c} for r, c in said])
    assert "" == last_user_text([{"role": "system", "content": "s"}])


def test_equal_prompts_have_one_number_and_numbers_count_up() -> None:
    prompts = NearPrompts()
    words = [("a", "b"), ("a",), ("a", "b", "c"), ("a", "b"), ("d",), ("a",), ("a", "b", "c")]
    assert [0, 1, 2, 0, 3, 1, 2] == [prompts.add(w) for w in words]
    assert [[0], [1], [2], [3], []] == [prompts.find(w) for w in (*words[:3], ("d",), ("e",))]


def slow_typo(a: str, b: str) -> bool:
    """Say by the definition whether two words of letters are a typing error apart."""
    if a == b:
        return True
    if max(len(a), len(b)) >= 5:
        alike = a[0] == b[0] or a[:2] == b[:2][::-1] or max(len(a), len(b)) >= 8
        return alike and LCSseq.similarity(a, b) >= max(len(a), len(b)) - 1
    swaps = [a[:i] + a[i + 1] + a[i] + a[i + 2 :] for i in range(len(a) - 1)]
    if 3 <= len(a) == len(b) and b in swaps:
        return True
    once = ["".join(letter for letter, _ in groupby(word)) for word in (a, b)]
    return once[0] == once[1] and min(len(a), len(b)) >= 2


def test_the_search_finds_exactly_what_the_definition_says() -> None:
    """Few letters, so that words and prompts are close to each other."""
    rng = random.Random(5)
    spelled = ["".join(rng.choices("abc", k=rng.randint(1, 8))) for _ in range(150)]
    for a in spelled:
        assert [slow_typo(a, b) for b in spelled] == [is_typo(a, b) for b in spelled]
    prompts = NearPrompts()
    known: list[tuple[str, ...]] = []
    n_found = 0
    for _ in range(1500):
        words = tuple(rng.choices(spelled, k=rng.randint(1, 4)))
        expected = {
            number
            for number, other in enumerate(known)
            if "".join(other) == "".join(words)
            or (len(other) == len(words) and all(map(slow_typo, words, other)))
        }
        assert expected == set(prompts.find(words))
        n_found += len(expected)
        if prompts.add(words) == len(known):
            known.append(words)
    assert n_found > 500


@pytest.mark.parametrize(
    "texts",
    [
        ["a" * 1_000_000],
        ["é\u0301" * 300_000],
        ["thank you " * 100_000],
        ["hello, " * 100_000 + "x"],
        [f"aaaaa{chr(0x400 + i)} bbbbb" for i in range(3000)],
        ["".join(w) for w in (["stone "] * 60,) * 2] * 1000,
    ],
    ids=["one word", "marks", "polite", "greetings", "one spelling", "again"],
)
def test_hostile_texts_take_no_time(texts: list[str]) -> None:
    prompts = NearPrompts()
    started = time.process_time()
    for text in texts:
        words = canonical_words(text)
        prompts.find(words)
        prompts.add(words)
    assert time.process_time() - started < 5
