"""Texts that people wrote in place of an answer: is it a whole answer, and is it a correction?

A correction field also takes remarks on the answer, the one sentence that was wrong, the
expected value of a test, or data in another layout. Trained on as answers, these teach a model
to remark, to shorten and to forget its keys.
"""

from __future__ import annotations

import re
from typing import Any

import orjson
from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein, Prefix

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.candidates import Candidate
from loopllm_cli.sources.python_repr import from_python_repr
from loopllm_cli.sources.rows import normalise

_MAX_EDIT_CHARS = 20_000
_MAX_DATA_CHARS = 1 << 20
_FENCE = re.compile(r"\A```[a-zA-Z]{0,10}\n(.*)\n?```\Z", re.DOTALL)
_NUMBER = re.compile(r"\d+")
_NOT_A_WORD = re.compile(r"[\W_]+")

# A remark on the answer opens with what is wrong or what to do. Of 3,220 real answers of models of
# up to 200 characters (AlpacaEval, PandaLM, LLMDrift), none opens so.
_REMARK = re.compile(
    r"(?:this|that|it|the (?:answer|response|output|reply|text|summary|model|assistant|bot))"
    r" (?:should|must|needs? to|has to|ought to|is (?:wrong|incorrect|too|not correct|missing)"
    r"|was (?:wrong|incorrect|too)|does ?n[o']t (?:mention|answer|include)|forgot|failed)\b"
    r"|(?:should|must) (?:be|have|mention|say|include|contain|use|not)\b"
    r"|(?:wrong|incorrect|inaccurate|hallucinat\w*|not (?:correct|accurate|helpful|true)"
    r"|too (?:long|short|verbose|vague|formal|generic))\b[.,:;!]?"
    r"|(?:missing|forgot|mentions?|lacks|needs) (?:the|a|an|to|more|that)\b"
    r"|(?:todo|tbd|n/a|see (?:above|below|comment|ticket|docs?))\b"
)
_REMARK_CHARS = 200
# "Yes" and "no" are answers to many questions, so they count as such.
_NO_ANSWER = {"ok", "okay", "good", "bad", "correct", "fixed", "same", "wrong", "todo", "idk", ""}
_SHORT_CHARS = 20
# Tools for looking at traces keep what an annotator corrects as an object of the annotator's own
# keys, or as the expected value of a test. Elsewhere a correction is a text that somebody wrote,
# and if that is JSON where the answer is prose, the answer has lost its format.
_OBJECT_FORMATS = {"langsmith_feedback", "mlflow_trace", "langfuse_score"}
# A part of an answer: at most a third of its length, and nearly all of it stands in the answer.
# Ours; a shortening to a third that keeps the words would be taken for one, and is lost.
_PART_SHARE = 1 / 3
_PART_LIKENESS = 90.0
_PART_CHARS = 5_000


def refuse_rewrite(candidate: Candidate, config: PairsConfig) -> str | None:
    """Return why a written text is no better answer, None if it may be one."""
    what = "an edit" if candidate.rule == "user edit" else "a correction"
    better, worse = normalise(candidate.better), normalise(candidate.rejected.text)
    objects = any(vote.source_format in _OBJECT_FORMATS for vote in candidate.votes)
    return (
        _refuse_data((better, worse), what, objects)
        or _refuse_remark(better, worse, what)
        or _refuse_part(better, worse, what)
        or (_refuse_expected(candidate, better) if objects else None)
        or _refuse_edit(candidate.rule, (better, worse), what, config)
    )


def _refuse_data(sides: tuple[str, str], what: str, objects: bool) -> str | None:
    """Refuse data that says the same; of objects, also where the answer is none like it."""
    new, old = _data(sides[0]), _data(sides[1])
    if new is None:
        return None
    if not objects:
        return f"{what} of the data's layout only" if old == new else None
    if old is None or type(old) is not type(new):
        return f"{what} that is data, of an answer that is not"
    if old == new:
        return f"{what} of the data's layout only"
    if isinstance(new, dict) and set(new) != set(old):
        return f"{what} with other keys than the answer"
    return None


def _data(text: str) -> Any | None:
    """Read a text that is an object or a list, in JSON or in Python's notation, fenced or not."""
    fenced = _FENCE.match(text)
    inner = fenced[1].strip() if fenced else text
    if inner[:1] not in ("{", "[") or inner[-1:] not in ("}", "]") or len(text) > _MAX_DATA_CHARS:
        return None
    try:
        return orjson.loads(inner)
    except orjson.JSONDecodeError:
        value = from_python_repr(inner)
        return value if isinstance(value, dict | list) else None


def _refuse_remark(better: str, worse: str, what: str) -> str | None:
    is_word = len(better) <= _SHORT_CHARS < len(worse) and better.isascii()
    if is_word and _bare(better) in _NO_ANSWER:
        return f"{what} that is a remark, not an answer"
    is_short = len(better) <= min(_REMARK_CHARS, len(worse))
    if is_short and _REMARK.match(better.lower().lstrip("-*#>\"'( ")):
        return f"{what} that is a remark, not an answer"
    return None


def _refuse_part(better: str, worse: str, what: str) -> str | None:
    if len(better) > _PART_CHARS or len(better) > _PART_SHARE * len(worse):
        return None
    likeness = fuzz.partial_ratio(better, worse[:_MAX_EDIT_CHARS], score_cutoff=_PART_LIKENESS)
    # A word or two stand in most texts by chance.
    if likeness and len(better) >= _SHORT_CHARS:
        return f"{what} of a part of the answer"
    return None


def _refuse_expected(candidate: Candidate, better: str) -> str | None:
    expected = candidate.rejected.reference_answer
    if expected is not None and normalise(expected) == better:
        return "a correction that repeats the expected value of a dataset"
    return None


def _refuse_edit(rule: str, sides: tuple[str, str], what: str, config: PairsConfig) -> str | None:
    better, worse = sides
    distance = edit_distance(better, worse)
    # A digit is a small edit of a text and may be the whole of what was wrong.
    if distance < config.min_edit and _NUMBER.findall(better) == _NUMBER.findall(worse):
        return f"{what} of a typo only"
    if rule == "user edit" and _bare(better) == _bare(worse):
        return f"{what} of the layout only"
    most = config.max_user_edit if rule == "user edit" else config.max_edit
    return f"{what} that is a new text" if distance > most else None


def _bare(text: str) -> str:
    """Return the letters and digits of a text alone."""
    return _NOT_A_WORD.sub("", text).casefold()


def edit_distance(a: str, b: str) -> float:
    """Return the share of the longer text that was edited.

    Of long texts, only so much is compared from the first difference on: the time grows with
    the square of the length.
    """
    start = Prefix.similarity(a, b)
    end = start + _MAX_EDIT_CHARS
    edits = Levenshtein.distance(a[start:end], b[start:end])
    longer = max(len(a[:end]), len(b[:end]))
    return edits / longer if longer else 0.0
