"""The signal about right answers, for rows that carry a reference answer.

Why this tolerance: three points is near what a few hundred test questions can show at all.

Source: on the primality task of Chen, Zaharia and Zou (2023), "How is ChatGPT's behavior
changing over time?", arXiv 2307.09009, these rules give the published shares to the decimal.
"""

from __future__ import annotations

import re

import numpy as np
import orjson

from loopllm_cli.model import SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.registry import signal
from loopllm_cli.signals.structure import find_json, parse_container
from loopllm_cli.signals.texts import find_fences, split_words

# From this many words on, a reference in running text cannot stand there by chance.
MIN_PHRASE_WORDS = 3
_ANSWER_MARK = re.compile(r"\banswer(?:\s+is)?\s?:\s?|\banswer\s+is\s+")
_QUOTES = "\"'`“”‘’«»"
_WRAPPED = re.compile(r"\[([^\[\]]+)\]|\*\*([^*]+)\*\*|\\boxed\{([^{}]+)\}")


@signal("right_answer", SignalKind.RATE, Worse.DOWN, 0.03)
def right_answer(batch: RowBatch) -> FloatArray:
    """Right answers among rows with a reference answer (equal, equal as JSON, or so marked).

    Blind spots: right answers in other words than the reference's, unless they share three words in
    a row; a wrong answer that quotes the reference counts as right.
    """
    rows = zip(batch.responses, batch.values("reference_answer"), batch.prompts, strict=True)
    return np.array(
        [
            np.nan
            if text is None or not reference or not reference.strip()
            else float(is_right(text, reference, prompt or ""))
            for text, reference, prompt in rows
        ],
        dtype=np.float64,
    )


def is_right(answer: str, reference: str, prompt: str = "") -> bool:
    """Say whether an answer gives the reference.

    It does when both are equal but for case, white space and a final full stop; when both are
    equal as JSON; when it marks the reference as its answer (`[yes]`, `**yes**`,
    `\\boxed{yes}`, `answer: yes`); or when a reference of three words or more stands in it
    word for word. A bare "yes" in running text says nothing.

    A prompt that dictates the form in quotation marks (answer "[Yes]" or "[No]") is taken at
    its word: there only the bracketed reference counts.
    """
    text, wanted = _plain(answer), _plain(reference)
    wrapped = _WRAPPED.fullmatch(wanted)
    core = next(part for part in wrapped.groups() if part) if wrapped else wanted
    if _dictates_brackets(_plain(prompt), core):
        return f"[{core}]" in text
    bare = _trimmed(text)
    return (
        bare in (_trimmed(wanted), _trimmed(core))
        or _is_marked(text, core)
        or _same_json(answer, reference)
        or _holds_phrase(text, wanted)
    )


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _trimmed(text: str) -> str:
    return text.strip(_QUOTES + " .")


def _dictates_brackets(prompt: str, core: str) -> bool:
    mark = f"[{core}]"
    at = prompt.find(mark)
    return at > 0 and prompt[at - 1] in _QUOTES and prompt[at + len(mark) :][:1] in tuple(_QUOTES)


def _is_marked(text: str, core: str) -> bool:
    if any(mark in text for mark in (f"[{core}]", f"**{core}**", f"boxed{{{core}}}")):
        return True
    unstarred = text.replace("*", "")
    for mark in _ANSWER_MARK.finditer(unstarred):
        start = mark.end()
        while unstarred[start : start + 1] in tuple(_QUOTES + "$("):
            start += 1
        if unstarred.startswith(core, start):
            after = unstarred[start + len(core) : start + len(core) + 2]
            if _ends_there(after, strict=":" not in mark[0]):
                return True
    return False


def _ends_there(after: str, *, strict: bool) -> bool:
    # "answer: 42.5" is not 42; "the answer is no longer known" is not no.
    if not after:
        return True
    if after[0].isalnum() or (after[0] in ".,:/" and after[1:2].isdigit()):
        return False
    return not (strict and after[0].isspace())


def _same_json(answer: str, reference: str) -> bool:
    try:
        wanted = orjson.loads(reference)
    except orjson.JSONDecodeError:
        return False
    if isinstance(wanted, dict | list):
        try:
            return bool(find_json(answer, find_fences(answer)) == wanted)
        except RecursionError:  # nested deeper than Python compares
            return False
    if isinstance(wanted, bool) or not isinstance(wanted, int | float):
        return False
    try:
        given = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return False
    return not isinstance(given, bool) and bool(given == wanted)


def _holds_phrase(text: str, wanted: str) -> bool:
    words = split_words(wanted)
    if len(words) < MIN_PHRASE_WORDS or parse_container(wanted) is not None:
        return False
    return f" {' '.join(words)} " in f" {' '.join(split_words(text))} "
