"""Signals about the size and texture of answers: length, emptiness, loops, variety of words.

Why these tolerances: a mean length that moves by a tenth is what a reader or an invoice
notices; an empty or looping answer is a plain failure, so one more in two hundred matters; the
variety of words moves slowly, and a tenth of it is a change of style.
"""

from __future__ import annotations

import numpy as np

from loopllm_cli.model import SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch, each
from loopllm_cli.signals.registry import signal
from loopllm_cli.signals.texts import answer_words

# Sixteen words in a row recur in loops; ten still recur in lists whose lines begin alike
# ("who is the most likely to have …") and in step-by-step sums.
RUN_WORDS = 16
MIN_LOOP_WORDS = 40
MAX_LOOP_WORDS = 10_000  # counted from the end, where loops are
LONG_WORD = 60
MAX_PERIOD = 16
VARIETY_WORDS = 100
MIN_VARIETY_WORDS = 20


@signal("response_chars", SignalKind.AMOUNT, Worse.EITHER, 0.10, unit="characters")
def response_chars(batch: RowBatch) -> FloatArray:
    """Length of the answer in characters.

    Blind spots: where the length comes from: a longer answer may be a better one, padding, or a
    quoted prompt. Characters are code points, so an emoji may count as several.
    """
    return each(batch.responses, len)


@signal("response_words", SignalKind.AMOUNT, Worse.EITHER, 0.10, unit="words")
def response_words(batch: RowBatch) -> FloatArray:
    """Length of the answer in words (in scripts without spaces, each character is a word).

    Blind spots: words of unspaced scripts (Chinese, Japanese, Thai) are characters, so a change of
    language moves the mean.
    """
    return each(answer_words(batch), len)


@signal("empty_answer", SignalKind.RATE, Worse.UP, 0.005)
def empty_answer(batch: RowBatch) -> FloatArray:
    """Answers that came back without an error, with no text and no tool call.

    A row whose content was not logged does not apply, nor does a call that failed: that is
    counted once, under `error`.

    Blind spots: an answer of one full stop, or of markup without content, has text.
    """
    texts = batch.values("response_text")
    states = batch.values("content_state")
    called = batch.numbers("n_tool_calls") > 0
    reasons = batch.values("finish_reason")
    out = np.full(len(batch), np.nan)
    for i, (text, state, reason) in enumerate(zip(texts, states, reasons, strict=True)):
        judged = state == "full" or (state is None and text is not None)
        if judged and reason != "error":
            out[i] = not (text and text.strip()) and not called[i] and reason != "tool_call"
    out[[error is not None for error in batch.values("error_type")]] = np.nan
    return out


@signal("repetition", SignalKind.RATE, Worse.UP, 0.005)
def repetition(batch: RowBatch) -> FloatArray:
    """Answers stuck in a loop: at least half of the words repeat an earlier run of 16 words.

    Blind spots: a loop of paraphrases, a repeated paragraph that fills less than half of the
    answer, loops shorter than 40 words, and loops before the last 10,000 words. Poems and tables
    with identical rows may count.
    """
    return each(answer_words(batch), is_looping)


def is_looping(words: list[str]) -> bool:
    """Say whether a text mostly repeats itself, by words or inside one endless word."""
    words = words[-MAX_LOOP_WORDS:]
    n = len(words)
    if n and max(map(len, words)) >= LONG_WORD and any(map(_is_periodic, words)):
        return True
    # A word in a repeated run is never the first of its kind, so that a text with many
    # different words cannot be half repeated; this spares most texts the count below.
    if n < MIN_LOOP_WORDS or len(set(words)) > n / 2:
        return False
    runs = list(zip(*(words[i:] for i in range(RUN_WORDS)), strict=False))
    if (len(runs) - len(set(runs))) * RUN_WORDS < n / 2:
        return False
    return _n_repeated_words(runs) >= n / 2


def _n_repeated_words(runs: list[tuple[str, ...]]) -> int:
    seen: set[tuple[str, ...]] = set()
    n_repeated, covered_to = 0, 0
    for start, run in enumerate(runs):
        if run in seen:
            n_repeated += start + RUN_WORDS - max(start, covered_to)
            covered_to = start + RUN_WORDS
        seen.add(run)
    return n_repeated


def _is_periodic(word: str) -> bool:
    return len(word) >= LONG_WORD and any(word[p:] == word[:-p] for p in range(1, MAX_PERIOD + 1))


@signal("distinct_words", SignalKind.AMOUNT, Worse.EITHER, 0.10)
def distinct_words(batch: RowBatch) -> FloatArray:
    """Share of different words among the first 100 words of answers of 20 words or more.

    The count stops at 100 because the share falls with length: a longer answer would look
    poorer.

    Blind spots: what comes after the first 100 words, and answers under 20. Code and tables have
    fewer different words than prose, so a change of task moves it.
    """
    return each(answer_words(batch), _variety)


def _variety(words: list[str]) -> float:
    first = words[:VARIETY_WORDS]
    return len(set(first)) / len(first) if len(first) >= MIN_VARIETY_WORDS else np.nan
