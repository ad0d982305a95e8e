"""Signals about how answers are worded: refusals, hedges, apologies.

Why these tolerances: one more refusal in a hundred answers is what users report first; hedges
and apologies are manner, where two points is a change of tone.
"""

from __future__ import annotations

import re

from loopllm_cli.model import SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch, each
from loopllm_cli.signals.refusals import HEAD_CHARS, heads, opens_with_refusal
from loopllm_cli.signals.registry import signal
from loopllm_cli.signals.texts import answers_lowered

# Plain substrings, not one pattern: ten times as fast on whole answers.
_HEDGES = (
    "as an ai", "as a language model", "as a large language model", "i'm not sure", "i am not sure",
    "i'm not certain", "i am not certain", "i don't have access to", "i do not have access to",
    "i don't have personal", "i do not have personal", "i don't know", "i do not know",
    "i cannot guarantee", "i can't guarantee", "i cannot be certain", "i could be wrong",
    "i may be wrong", "i might be wrong", "it is important to note", "it's important to note",
    "it is worth noting", "it's worth noting", "please note that", "it depends on",
    "that depends on",
    "may or may not", "to the best of my knowledge", "my knowledge cutoff", "as of my last",
    "consult a professional", "consult with a", "seek professional", "not a substitute for",
    "hard to say", "difficult to say", "difficult to determine", "take this with a grain",
)  # fmt: skip

_APOLOGY = re.compile(
    r"\b(?:sorry(?! (?:to hear|for your loss|that you|you're|about your|for what you|state|sight))"
    r"|apologi[sz]e|(?:my|our|sincere|deepest) apolog\w+|apologies (?:for|,|but)"
    r"|(?:lo siento|mis disculpas|lamento (?:no|que|las|los|el)|d[ée]sol[ée]e?\b|je m'excuse"
    r"|tut mir leid|entschuldig\w+|desculp\w+|sinto muito|mi dispiace|mi scuso)"
    r"|извините|простите|прошу прощения)"
    r"|抱歉|对不起|對不起|申し訳|すみません|آسف|أعتذر|माफ|क्षमा"
)
_APOLOGY_TRIGGERS = (
    "sorry", "apolog", "siento", "disculpa", "lamento", "désol", "desol", "excuse", "leid",
    "entschuldig", "desculp", "sinto", "dispiace", "scuso", "извин", "прост", "прошу",
    "抱歉", "不起",
    "申し", "すみ", "سف", "عتذر", "माफ", "क्षमा",
)  # fmt: skip


@signal("refusal", SignalKind.RATE, Worse.UP, 0.01)
def refusal(batch: RowBatch) -> FloatArray:
    """Answers that open by declining to do what was asked (first 300 characters).

    Eleven languages, English best. An opening caveat followed by an answer ("I can't be sure,
    but here is …") is none, nor is a reply that corrects the question without declining.
    """
    return each(heads(batch), opens_with_refusal)


@signal("hedging", SignalKind.RATE, Worse.EITHER, 0.02)
def hedging(batch: RowBatch) -> FloatArray:
    """Answers with a caveat such as "as an AI", "it depends on" or "please note that" (English)."""
    return each(answers_lowered(batch), lambda text: any(hedge in text for hedge in _HEDGES))


@signal("apology", SignalKind.RATE, Worse.UP, 0.02)
def apology(batch: RowBatch) -> FloatArray:
    """Answers that apologise in their first 300 characters; sympathy ("sorry to hear") is none."""
    return each(heads(batch), opens_with_apology)


def opens_with_apology(head: str) -> bool:
    """Say whether the head of an answer, as `heads` gives it, holds an apology."""
    head = head[:HEAD_CHARS]
    triggered = any(trigger in head for trigger in _APOLOGY_TRIGGERS)
    return triggered and _APOLOGY.search(head) is not None
