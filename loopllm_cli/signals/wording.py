"""Signals about how answers are worded: refusals, hedges, apologies.

Why these tolerances: one more refusal in a hundred answers is what users report first; hedges
and apologies are manner, where two points is a change of tone.
"""

from __future__ import annotations

import numpy as np

from loopllm_cli.model import SignalKind, Worse
from loopllm_cli.signals.apologies import opens_with_apology
from loopllm_cli.signals.batch import FloatArray, RowBatch, each
from loopllm_cli.signals.hedges import hedges
from loopllm_cli.signals.refusals import heads, refusals
from loopllm_cli.signals.registry import signal
from loopllm_cli.signals.texts import answer_words, answers_lowered


@signal("refusal", SignalKind.RATE, Worse.UP, 0.01, version=2)
def refusal(batch: RowBatch) -> FloatArray:
    """Answers that open by declining to do what was asked (first 300 characters).

    Fifteen languages: English, Arabic, Chinese, Dutch, French, German, Hindi, Italian, Japanese,
    Korean, Polish, Portuguese, Russian, Spanish, Turkish. An opening caveat followed by an answer
    ("I can't be sure, but here is …") is none, nor is a reply that corrects the question without
    declining.

    Blind spots: refusals in unusual words, outside English above all; lectures that avoid the
    request without declining it; an offer of something else in place of what was asked ("I can't
    do X, but I can do Y") counts as an answer; refusals after the first 300 characters; other
    languages.
    """
    return refusals(heads(batch))


@signal("hedging", SignalKind.RATE, Worse.EITHER, 0.02, version=2)
def hedging(batch: RowBatch) -> FloatArray:
    """Answers with a stock caveat such as "as an AI", "it depends on" or "please note that".

    The fifteen languages of `refusal`.

    Blind spots: doubt in other than stock words ("I'd double-check this"), modal verbs (may,
    might), irony; "it depends on" counts too where it is a plain fact.
    """
    texts = zip(answers_lowered(batch), answer_words(batch), strict=True)
    found = (np.nan if t is None or w is None else hedges(t, w) for t, w in texts)
    return np.fromiter(found, np.float64, len(batch))


@signal("apology", SignalKind.RATE, Worse.UP, 0.02, version=2)
def apology(batch: RowBatch) -> FloatArray:
    """Answers that apologise in their first 300 characters; sympathy ("sorry to hear") is none.

    The fifteen languages of `refusal`.

    Blind spots: an answer that drafts an apology for the user, unless in quotation marks, counts;
    sympathy in unusual words counts; regret without a word of apology does not.
    """
    return each(heads(batch), opens_with_apology)
