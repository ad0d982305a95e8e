"""The signal about answers in another language than the prompt's.

Two tests, both silent without evidence: the script most letters belong to (Latin, Cyrillic,
Han, …), and, where both sides are Latin, a vote of the commonest small words of nine
languages. Requests for a translation count as mismatches in both windows alike.

Why this tolerance: an answer in the wrong language is useless, so one in a hundred matters.
"""

from __future__ import annotations

import re

import numpy as np

from loopllm_cli.model import SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.registry import signal
from loopllm_cli.signals.texts import (
    Fence,
    answer_fences,
    answer_words,
    prompt_words,
    without_fences,
)

SAMPLE_CHARS = 2000
MIN_LETTERS = 8
MIN_SHARE = 0.6  # of the letters, for a script to be the text's
CJK_WEIGHT = 3  # a Han character says about as much as three letters
MIN_KANA_SHARE = 0.1
SAMPLE_WORDS = 200
MIN_VOTES = 3
CLEAR_LEAD = 2  # the winning language needs this many times the votes of the next
JSON_OPENS = ("{", "[")

_SCRIPTS = {
    "cyrillic": re.compile("[\u0400-\u052f]+"),
    "greek": re.compile("[\u0370-\u03ff\u1f00-\u1fff]+"),
    "hebrew": re.compile("[\u0590-\u05ff]+"),
    "arabic": re.compile("[\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff]+"),
    "devanagari": re.compile("[\u0900-\u097f]+"),
    "other indic": re.compile("[\u0980-\u0dff]+"),
    "thai": re.compile("[\u0e00-\u0e7f]+"),
    "hangul": re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]+"),
}
# Letters of other scripts; punctuation such as curly quotes (U+2000 to U+2BFF) is not among them.
_FOREIGN = re.compile("[\u0370-\u1fff\u2e80-\u2fff\u3040-\ufaff\ufb50-\uffdc\U00020000-\U0003ffff]")
_ENOUGH_LATIN = re.compile("(?:[^A-Za-z\u00c0-\u024f]*[A-Za-z\u00c0-\u024f]){8}")
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]+")
_KANA = re.compile("[\u3040-\u30ff]+")
_LATIN = re.compile("[A-Za-z\u00c0-\u024f]+")

# Small words that seldom occur in the other eight; shared ones are left out on purpose.
_SMALL_WORDS = {
    "en": "the and of to is that it for with are this be was have not you can what how your from"
    " they which would about my write give please make i by if but not when who why where some two"
    " there their has should could than then into only its best need think our does did any these",
    "es": "el los las del y una por para está qué cómo más pero muy ser hay este esta son"
    " puede sobre cuando también escribe explica cuál"
    " al eso porque donde hacer mi tu sus hasta desde",
    "fr": "le les des et une est dans pour qui sur pas vous nous avec plus ce cette sont être"
    " comment quel quelle je écris peut au aux ou mais du"
    " ne cela ses leur ont faire puis petit",
    "de": "der die das und ist nicht ein eine zu den mit von auf für sich dem des wie ich sie"
    " werden auch kann oder wird sind bei aus schreibe einen"
    " im zum zur nur noch wenn aber hat haben diese einem einer mich mir dich dir darf wir man",
    "pt": "os um uma não em do da dos das mais são você é ao pelo pela também como"
    " muito escreva ou isso foi ser qual às"
    " aos na nas eu seu sua ele ela tem posso",
    "it": "il di che gli della del per è sono una nel alla anche più dei delle come perché"
    " questo questa cosa scrivi essere può qual"
    " ho hai dei dai nei sul quale quali posso io dare ma",
    "nl": "het een van en dat niet zijn op voor met aan ook je maar worden bij wordt naar"
    " hoe deze wat kan schrijf geef over dit"
    " ik mag kun heb heeft welk nog geen deze te",
    "pl": "nie się jest że czy jak jako który która które dla aby są być może tym przez oraz"
    " ponieważ bo od dlaczego jakie jaki jaka kiedy gdzie mogę bardzo więc tego ich jego przed",
    "tr": "bir bu için ile nasıl neden gibi çok daha değil olarak ne kadar hangi kadar olan ve"
    " mi mı var yok sonra önce ama veya çünkü en olduğunu olur bana şu",
}
_LANGUAGES = {name: frozenset(words.split()) for name, words in _SMALL_WORDS.items()}
_ALL_SMALL_WORDS = frozenset().union(*_LANGUAGES.values())


@signal("language_mismatch", SignalKind.RATE, Worse.UP, 0.01, version=2)
def language_mismatch(batch: RowBatch) -> FloatArray:
    """Answers in another script or language than their prompt, where both can be told.

    Nine languages are told apart within the Latin script (de, en, es, fr, it, nl, pl, pt, tr);
    code blocks are left out, and answers that are JSON do not apply.

    Blind spots: prompts or answers with fewer than three different small words are left
    undecided, so that many one-line questions in the Latin script do not apply. Languages that
    share a script are one outside these nine (Russian and Ukrainian, Hindi and Marathi), and a
    tenth Latin one (Swedish, Vietnamese) is undecided. Requested translations count.
    """
    rows = zip(
        batch.prompts,
        batch.responses,
        answer_fences(batch),
        prompt_words(batch),
        answer_words(batch),
        strict=True,
    )
    return np.array([_mismatch(*row) for row in rows], dtype=np.float64)


def _mismatch(
    prompt: str | None,
    answer: str | None,
    fences: list[Fence] | None,
    words_asked: list[str] | None,
    words_given: list[str] | None,
) -> float:
    if not prompt or not answer or answer.lstrip()[:1] in JSON_OPENS:
        return np.nan
    prose = without_fences(answer, fences) if fences else answer
    asked, given = guess_script(prompt), guess_script(prose)
    if asked is None or given is None:
        return np.nan
    if asked != given:
        return 1.0
    if asked != "latin":
        return 0.0
    tongue_asked = guess_language(words_asked or [])
    tongue_given = guess_language(words_given or [])
    if tongue_asked is None or tongue_given is None:
        return np.nan
    return float(tongue_asked != tongue_given)


def guess_script(text: str) -> str | None:
    """Return the script that most letters of a text's opening belong to, None if unclear."""
    sample = text[:SAMPLE_CHARS]
    if sample.isascii() or not _FOREIGN.search(sample):
        return "latin" if _ENOUGH_LATIN.match(sample) else None
    counts = {name: _count(pattern, sample) for name, pattern in _SCRIPTS.items()}
    counts["latin"] = _count(_LATIN, sample)
    n_han, n_kana = _count(_HAN, sample), _count(_KANA, sample)
    # Japanese writes Han among Kana; a stray の in a Chinese text makes no Japanese.
    east = "japanese" if n_kana > MIN_KANA_SHARE * (n_han + n_kana) else "han"
    counts[east] = CJK_WEIGHT * (n_han + n_kana)
    name = max(counts, key=lambda script: counts[script])
    n_letters = sum(counts.values())
    clear = counts[name] >= MIN_LETTERS and counts[name] >= MIN_SHARE * n_letters
    return name if clear else None


def _count(pattern: re.Pattern[str], sample: str) -> int:
    return sum(map(len, pattern.findall(sample)))


def guess_language(words: list[str]) -> str | None:
    """Return the Latin-script language whose small words a text uses most, None if unclear."""
    used = _ALL_SMALL_WORDS.intersection(words[:SAMPLE_WORDS])
    if len(used) < MIN_VOTES:
        return None
    votes = {name: len(used & small) for name, small in _LANGUAGES.items()}
    first, second, *_ = sorted(votes, key=lambda name: -votes[name])
    clear = votes[first] >= MIN_VOTES and votes[first] >= CLEAR_LEAD * votes[second]
    return first if clear else None
