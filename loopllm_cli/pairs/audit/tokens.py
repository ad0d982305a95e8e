"""Do contexts and answers fit into what training reads?"""

from __future__ import annotations

from dataclasses import replace

from loopllm_cli.model import Finding, Pair, Severity
from loopllm_cli.pairs.audit.context import Case
from loopllm_cli.pairs.audit.shares import by_user, examples, of_share, over
from loopllm_cli.pairs.audit.sides import NO_LESSON
from loopllm_cli.pairs.audit.texts import chosen_of, context_of, rejected_of

TOO_LONG = 0.05
"""Share of contexts without room for an answer above which `loopllm correct` refuses
(correct/preflight.py, MAX_SHARE_TOO_LONG)."""

CHARS_PER_TOKEN = 4
"""Of ASCII text; any other character is taken for a token of its own.

Source: OpenAI, "What are tokens and how to count them" (about four characters of English).
"""


def check_tokens(case: Case) -> list[Finding]:
    """Measure contexts and answers against the recipe's `max_length`."""
    pairs = case.sample
    fits = [_Fit(case, pair) for pair in pairs]
    limit, how = case.context.max_length, "counted" if case.context.tokenize else "estimated"
    over_limit = [fit.room <= 0 for fit in fits]
    cut = [fit.room > 0 and fit.chosen > fit.room for fit in fits]
    equal = [fit.equal_when_cut for fit in fits]
    sure = Severity.FAIL if case.context.tokenize else Severity.WARN
    remedy = "raise max_length in the recipe, or leave out the longest"
    found = []
    for name, hits, what, threshold, severity in (
        ("context-too-long", over_limit, "leave no room for an answer", TOO_LONG, sure),
        ("chosen-cut-off", cut, "have a chosen side that is cut off", TOO_LONG, Severity.WARN),
        ("equal-when-cut", equal, "have equal sides once cut", NO_LESSON, sure),
    ):
        share = by_user(pairs, hits)
        said = (f"{share} pairs {what} at {limit:,} tokens ({how})", remedy)
        bad = over(share, threshold, severity)
        if bad is Severity.OK and name == "equal-when-cut":
            bad = over(share, TOO_LONG)
        one = of_share(name, bad, share, said, threshold)
        found.append(one if bad is Severity.OK else replace(one, examples=examples(pairs, hits)))
    return found


class _Fit:
    """How one pair fits: room for an answer, tokens of the chosen one, and what cutting leaves."""

    def __init__(self, case: Case, pair: Pair) -> None:
        limit, tokenize = case.context.max_length, case.context.tokenize
        context, chosen, rejected = context_of(pair), chosen_of(pair), rejected_of(pair)
        if tokenize is not None:
            self.room = limit - len(tokenize(context))
            ids, others = tokenize(chosen), tokenize(rejected)
            self.chosen = len(ids)
            same = list(ids[: self.room]) == list(others[: self.room])
            self.equal_when_cut = self.room > 0 and same
            return
        self.room = limit - estimated_tokens(context)
        self.chosen = estimated_tokens(chosen)
        end = max(self.room, 0) * CHARS_PER_TOKEN
        self.equal_when_cut = self.room > 0 and chosen[:end] == rejected[:end]


def estimated_tokens(text: str) -> int:
    """Estimate the tokens of a text from its characters."""
    n_bytes = len(text.encode("utf-8", "ignore")) if not text.isascii() else len(text)
    if n_bytes == len(text):
        return -(-len(text) // CHARS_PER_TOKEN)
    n_ascii = sum(map(str.isascii, text))
    return n_ascii // CHARS_PER_TOKEN + len(text) - n_ascii
