"""Refuse a set of rows as a whole, with counts, the reason and the remedy.

Must not import: torch and its relatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopllm_cli.correct.pair_rows import PairRow, VoteRow
from loopllm_cli.correct.row_checks import (
    CUT_ANSWER,
    LONG_CONTEXT,
    REFUSED,
    UNSHOWN,
    Tally,
    key_of,
)
from loopllm_cli.errors import BadPairs

# Twelve pairs per problem repaired about 80% of it in the method study, 25 about 93%; below 20 in
# all, a result says more about the draw than about the data.
MIN_TRAIN_PAIRS = 20
# A few over-long rows are an accident and are dropped; more means that max_length is wrong.
MAX_SHARE_TOO_LONG = 0.05


def refuse_failed_audit(card: dict[str, Any]) -> None:
    """Refuse pairs whose audit says that training on them is a mistake."""
    found = card.get("findings")
    failed = [
        one
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict) and one.get("severity") == "fail" and not one.get("accepted")
    ]
    if failed:
        said = "; ".join(f"{one.get('name')}: {one.get('text')}" for one in failed)
        raise BadPairs(
            f"the audit of these pairs says that training on them is a mistake ({said})",
            "mend the pairs, or name what is meant to be so in accept = [...] of [pairs], and "
            "build them again",
        )


def refuse_contradictions(rows: Sequence[PairRow]) -> None:
    """Refuse pairs of which others say the opposite."""
    keys = {key_of(row) for row in rows}
    n_both = sum((prompt, worse, better) in keys for prompt, better, worse in keys) // 2
    if n_both:
        raise BadPairs(
            f"{n_both} pair(s) appear in both directions (A over B and B over A)",
            "decide each of them or remove both, for example with: loopllm pairs",
        )


def refuse_one_sided(votes: Sequence[VoteRow], n_pairs: int) -> None:
    """Refuse judged answers that are all liked or all disliked: nothing says what is wrong.

    TRL trains on them without a word; on thumbs down alone the model only unlearns.
    """
    n_liked = sum(vote.label for vote in votes)
    if n_pairs or 0 < n_liked < len(votes):
        return
    which = "liked" if n_liked else "disliked"
    raise BadPairs(
        f"all {len(votes)} judged answers are {which}: kto learns from the difference between "
        f"liked and disliked ones",
        "widen the window of loopllm pairs until it holds both, or train on corrections with "
        'method = "sft"',
    )


def judge(tally: Tally, n_read: int, n_kept: int, max_length: int, what: str) -> None:
    """Refuse what cannot be repaired by leaving rows out.

    Args:
        tally: what was left out.
        n_read: rows before anything was left out.
        n_kept: rows after.
        max_length: of the recipe.
        what: "training pairs" or "judged answers".
    """
    _refuse_too_long(tally, n_read, max_length)
    _refuse_template(tally, n_read)
    _refuse_unshown(tally.dropped[UNSHOWN], n_read, n_kept, what)
    _refuse_too_few(tally, n_read, n_kept, what)
    if tally.n_no_stop:
        raise BadPairs(
            f"the chat template does not end {tally.n_no_stop} of {n_kept} chosen answers with a "
            f"stop token",
            "trained so, the model would not learn to stop; fix the template or the tokenizer's "
            "eos_token",
        )
    if tally.n_not_prefix:
        raise BadPairs(
            f"the chat template renders {tally.n_not_prefix} of {n_kept} contexts differently "
            f"once an answer follows",
            "training would see another context than serving; fix the template's generation prompt",
        )


def _refuse_too_long(tally: Tally, n_read: int, max_length: int) -> None:
    n_long, n_cut = tally.dropped[LONG_CONTEXT], tally.dropped[CUT_ANSWER]
    if n_long > MAX_SHARE_TOO_LONG * n_read:
        raise BadPairs(
            f"{n_long} of {n_read} contexts are longer than max_length = {max_length} "
            f"tokens, which leaves no room for an answer",
            f"raise max_length in the recipe: {tally.needed} tokens hold every row",
        )
    if n_cut > MAX_SHARE_TOO_LONG * n_read:
        raise BadPairs(
            f"{n_cut} of {n_read} rows have an answer that is cut at max_length = {max_length} "
            f"tokens, so that it loses its end",
            f"raise max_length in the recipe: {tally.needed} tokens hold every row",
        )


def _refuse_template(tally: Tally, n_read: int) -> None:
    n_refused = tally.dropped[REFUSED]
    if n_refused > MAX_SHARE_TOO_LONG * n_read:
        raise BadPairs(
            f"the chat template refuses the messages of {n_refused} of {n_read} rows "
            f"({tally.refusal})",
            "use the template that the model is served with, or leave such conversations out of "
            "the pairs",
        )


def _refuse_unshown(n_unshown: int, n_read: int, n_kept: int, what: str) -> None:
    if n_unshown and n_kept < MIN_TRAIN_PAIRS:
        raise BadPairs(
            f"{n_unshown} of {n_read} {what} have {UNSHOWN}, and only {n_kept} are left",
            "use a model whose chat template renders tools, or build pairs without them: "
            'loopllm pairs --where "tool_definitions IS NULL"',
        )


def _refuse_too_few(tally: Tally, n_read: int, n_kept: int, what: str) -> None:
    reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(tally.dropped.items()))
    if not n_kept:
        raise BadPairs(
            f"nothing to learn: none of {n_read} {what} is left ({reasons})",
            "a pair needs two different answers to the same context",
        )
    if n_kept < MIN_TRAIN_PAIRS:
        left_out = f" ({reasons})" if reasons else ""
        raise BadPairs(
            f"only {n_kept} of {n_read} {what} are usable, {MIN_TRAIN_PAIRS} are needed{left_out}",
            "collect more corrections or comparisons, or widen the window of loopllm pairs",
        )
