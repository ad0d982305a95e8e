"""From an exporter's score to a judgement: its kind, and a polarity only by an explicit rule.

A thumb, or a rating whose scale is known, has a polarity. A bare number, or a label that is no
thumb, is kept as it is and stays without one: 0 may mean "bad", "no" or "not set".
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import to_number, to_text
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Row

_UP = {
    *("up", "thumbs_up", "thumbsup", "thumb_up", "like", "liked", "good", "positive"),
    *("upvote", "+1", "1", "true", "yes", "👍", ":thumbs_up:", ":+1:"),
}
_DOWN = {
    *("down", "thumbs_down", "thumbsdown", "thumb_down", "dislike", "disliked", "bad"),
    *("negative", "downvote", "-1", "0", "false", "no", "👎", ":thumbs_down:", ":-1:"),
}
# A score of 0 or 1 is a thumb only where its name says so, or its type does.
_THUMB_NAMES = ("thumb", "user-feedback", "user_feedback", "user feedback", "user_score", "like")
# Words that say something of anything; only thumbs as such are thumbs under any name.
_NOT_WORDS = {
    *("1", "0", "-1", "+1", "true", "false", "yes", "no", "good", "bad"),
    *("positive", "negative", "up", "down"),
}


def thumb(value: Any) -> Row:
    """Read a thumb.

    Raises:
        BadLine: it is neither up nor down.
    """
    polarity = _thumb_polarity(value)
    if polarity is None:
        raise BadLine("a thumb that is neither up nor down")
    return {"polarity": polarity, "score_label": to_text(value) or str(value).lower()}


def rating(value: Any, low: Any = None, high: Any = None) -> Row:
    """Read a rating; the outer three eighths of a known scale are good and bad.

    Raises:
        BadLine: it is no number, or outside its scale.
    """
    score, low, high = to_number(value), to_number(low), to_number(high)
    if score is None:
        raise BadLine("a rating that is no number")
    polarity = None
    if low is not None and high is not None and high > low:
        if not low <= score <= high:
            raise BadLine("a rating outside its scale")
        share = (score - low) / (high - low)
        polarity = 1 if share > 0.625 else -1 if share < 0.375 else 0
    return {"score_value": score, "scale_min": low, "scale_max": high, "polarity": polarity}


def correction(text: Any) -> Row:
    """Read the text that should have been the answer.

    Raises:
        BadLine: there is none.
    """
    if not isinstance(text, str) or not text.strip():
        raise BadLine("a correction without text")
    return {"text": text, "polarity": -1}


def score(
    name: str | None, value: Any, label: Any = None, *, is_boolean: bool = False
) -> tuple[str, Row]:
    """Read an exporter's named score, whose kind and scale nothing else tells.

    Args:
        name: the score's name, such as "user-feedback" or "relevance".
        value: a number, a boolean or nothing.
        label: a category, or nothing.
        is_boolean: whether the exporter says that the score is a yes or no of a person.

    Returns:
        The kind (thumbs, score or label) and its columns.

    Raises:
        BadLine: there is neither a value nor a label.
    """
    number = float(value) if isinstance(value, bool) else to_number(value)
    word = to_text(label)
    named = name is not None and any(part in name.lower() for part in _THUMB_NAMES)
    if word is not None and (named or word.strip().lower() not in _NOT_WORDS):
        polarity = _thumb_polarity(word)
        if polarity is not None:
            return "thumbs", {"polarity": polarity, "score_label": word, "score_value": number}
    if (named or is_boolean) and number in (0.0, 1.0, -1.0):
        up = number == 1.0
        return "thumbs", {
            "polarity": 1 if up else -1,
            "score_label": word or ("up" if up else "down"),
            "score_value": number,
        }
    if number is not None:
        return "score", {"score_value": number, "score_label": word}
    if word:
        return "label", {"score_label": word}
    raise BadLine("a score without a value")


def _thumb_polarity(value: Any) -> int | None:
    if not isinstance(value, str | int | float):
        return None
    word = str(value).strip().lower().removesuffix(".0")
    return 1 if word in _UP else -1 if word in _DOWN else None
