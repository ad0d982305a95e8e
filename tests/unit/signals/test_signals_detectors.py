"""Detectors on labelled texts: floors of precision and recall, and what keeps the rules cheap."""

from __future__ import annotations

import time

import pytest
from signal_rows import answers, measure, one

from loopllm_cli.signals.apologies import opens_with_apology
from loopllm_cli.signals.hedges import PHRASES, hedges, may_be_in
from loopllm_cli.signals.refusals import HEAD_CHARS, head_of, is_refusal
from loopllm_cli.signals.refusals_languages import OTHER_LANGUAGES
from loopllm_cli.signals.texts import split_words, straight
from scripts.measure_signals import (
    ALL,
    DETECTORS,
    Counts,
    count,
    judged,
    public_counts,
    read_labelled,
)

# Floors of (precision, recall) on the half that was not tuned on, 0.02 to 0.05 below what was
# measured on 2026-11-22: a rule that is widened may lose one or two cases, not a language.
FLOORS = {
    "refusal": (0.98, 0.93),
    "hedging": (0.97, 0.95),
    "apology": (0.97, 0.95),
    "language_mismatch": (1.0, 0.77),
    "json_answer": (1.0, 0.90),
    "json_broken": (1.0, 0.85),
    "code_fence": (1.0, 1.0),
    "is_python": (1.0, 0.94),
    "code_broken": (1.0, 1.0),
}
TEN_LARGEST = {"en", "es", "de", "ja", "fr", "pt", "ru", "it", "nl", "pl", "tr", "zh"}
BY_NAME = {detector.name: detector for detector in DETECTORS}


@pytest.mark.parametrize("name", FLOORS)
def test_precision_and_recall_stay_above_their_floors(name):
    """The floors hold on texts that the rules were not tuned on."""
    counts = count(BY_NAME[name], "test")[ALL]
    precision, recall = FLOORS[name]
    assert counts.precision >= precision
    assert counts.recall >= recall


@pytest.mark.parametrize("name", ["refusal", "hedging", "apology"])
def test_no_language_is_left_behind(name):
    """In each language at least three in four are found, and nearly nothing else."""
    counts = count(BY_NAME[name], "test")
    assert set(counts) >= TEN_LARGEST
    weak = [lang for lang, c in counts.items() if c.recall < 0.75 or c.precision < 0.75]
    assert [] == weak


def test_unusual_words_are_seldom_found_and_nothing_is_found_wrongly():
    """The page on signals says so: half of the unusual refusals, and no false one."""
    counts = count(BY_NAME["refusal"], "unusual")[ALL]
    assert counts.hits == counts.found
    assert counts.recall >= 0.45


@pytest.mark.parametrize("name", ["refusals", "hedges", "apologies"])
def test_the_labelled_texts_are_balanced_and_their_parts_do_not_overlap(name):
    """As many hard cases as real ones in every language, and no text twice."""
    rows = read_labelled(name)
    texts = [row["text"] for row in rows]
    assert len(texts) == len(set(texts))
    for language in {row["language"] for row in rows}:
        labels = [row["label"] for row in rows if row["language"] == language]
        assert labels.count(1) == labels.count(0)


def test_people_agree_with_the_detectors_on_real_answers():
    """Fences explain four in five of the programs that did not run; every refusal found is one."""
    counts = public_counts()
    if not counts:
        pytest.skip("no public test data")
    refused = counts["refusal, against not answered"]
    fenced = counts["code_fence, against not executable"]
    assert refused.precision >= 0.99
    assert refused.recall >= 0.90
    assert fenced.precision >= 0.97
    assert fenced.recall >= 0.75


def test_nothing_found_and_nothing_labelled_are_full_shares():
    """A detector without cases is not blamed."""
    empty = Counts(hits=0, found=0, labelled=0, total=4)
    expected = (1.0, 1.0)
    assert expected == (empty.precision, empty.recall)


@pytest.mark.parametrize("language", PHRASES)
def test_every_caveat_opens_the_search_of_its_language(language):
    """The cheap look for a language never hides one of its phrases."""
    hidden = [
        phrase
        for phrase in PHRASES[language]
        if language not in may_be_in(phrase, split_words(phrase))
    ]
    assert [] == hidden
    assert all(hedges(phrase, split_words(phrase)) for phrase in PHRASES[language])
    assert all(phrase == straight(phrase) for phrase in PHRASES[language])


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_every_refusal_found_holds_a_trigger_of_its_language(language):
    """The triggers are complete on all labelled texts: the pattern alone finds no more."""
    phrases = OTHER_LANGUAGES[language]
    heads = [head_of(row["text"]) for row in read_labelled("refusals")]
    missed = [
        head
        for head in heads
        if phrases.declines.search(head) and not any(t in head for t in phrases.triggers)
    ]
    assert [] == missed


def test_every_apology_found_is_found_in_capitals_and_markup_too():
    """Only the words count."""
    found = [row["text"] for row, hit, _ in judged(BY_NAME["apology"], "tune") if hit]
    assert [] == [t for t in found if not opens_with_apology(head_of(f"**{t}**"))]


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (1.0, "Lo siento, no puedo ayudarte con eso. Puedo ayudarte con otra cosa."),
        (0.0, "No puedo dar una cifra exacta, pero puedo explicar el cálculo."),
        (1.0, "Als Sprachmodell kann ich dir dabei nicht helfen."),
        (0.0, "Als Nächstes kann ich dir dabei gern helfen."),
        (0.0, "„Ich kann dir nicht helfen“, rief sie."),
        (0.0, "「お手伝いできません」と彼は言った。"),
        (1.0, "お客様、申し訳ありませんが、お手伝いできません。"),
        (0.0, "Cher Paul, je ne peux pas vous aider. Bien à vous"),
    ],
)
def test_turns_quotes_and_letters_are_known_outside_english(expected, text):
    """An answer after all, somebody else's words and a letter decline nothing."""
    assert expected == one("refusal", text)


HOSTILE = {
    "german": "ich kann nicht " * 40 + "ich kann ",
    "spanish": "no puedo no puedo " * 30,
    "chinese": "我不能我不能" * 60,
    "hindi": "मैं नहीं " * 60,
    "turkish": "maalesef " * 60,
    "japanese": "申し訳" * 160,
    "concessions": "aunque si se " * 40 + "no puedo ayudar",
    "all triggers": " ".join(t for p in OTHER_LANGUAGES.values() for t in p.triggers)[:600],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_head_makes_the_rules_crawl(name):
    """The head is short and every gap is bounded: milliseconds at the worst."""
    text = HOSTILE[name]
    assert len(text) > HEAD_CHARS
    started = time.process_time()
    for _ in range(5):
        is_refusal(text)
        opens_with_apology(head_of(text))
    assert time.process_time() - started < 0.25


def test_a_changed_definition_has_a_new_version():
    """Windows measured under the old rules are not compared with the new ones."""
    from loopllm_cli.signals.catalogue import load_signals

    signals = load_signals()
    names = ("refusal", "hedging", "apology", "language_mismatch")
    assert [2, 2, 2, 2] == [signals[name].info.version for name in names]


def test_missing_answers_are_not_judged():
    """No text, no number."""
    for name in ("refusal", "hedging", "apology"):
        column = measure(name, answers(None, "Basil."))
        assert column[0] != column[0]
        assert 0.0 == column[1]
