"""Refuse pairs that would train nothing, or something nobody meant, before a model is loaded.

TRL trains without a word on identical, contradictory, empty and truncated pairs, and on
templates that never say stop. Everything that is dropped here is counted; everything that
cannot be repaired by dropping is refused with the remedy.

Must not import: torch and its relatives (a tokenizer is handed in).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loopllm_cli.correct.encoding import EncodedAnswer, encode_answer, ends_properly
from loopllm_cli.correct.pair_rows import PairRow, read_pairs, to_row
from loopllm_cli.correct.recipe import Recipe
from loopllm_cli.correct.tool_rendering import shows_tools
from loopllm_cli.errors import BadPairs
from loopllm_cli.model import Message

# Twelve pairs per problem repaired about 80% of it in the method study, 25 about 93%; below 20 in
# all, a result says more about the draw than about the data.
MIN_TRAIN_PAIRS = 20
# A few over-long rows are an accident and are dropped; more means that max_length is wrong.
MAX_SHARE_TOO_LONG = 0.05
UNSHOWN = "tools or calls that the chat template does not show"

Key = tuple[tuple[tuple[str, str], ...], str, str]


@dataclass(frozen=True, slots=True)
class Preflight:
    """What the checks saw.

    `dropped` counts left-out training rows by reason. Token counts are of the kept training
    rows, context plus the longer answer.
    """

    n_read: int
    n_train: int
    n_test: int
    n_retention: int
    dropped: dict[str, int]
    tokens_mean: float
    tokens_max: int
    n_truncated: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckedPairs:
    """The rows that may be trained on and measured with, and what the checks saw."""

    train: tuple[PairRow, ...]
    test: tuple[PairRow, ...]
    retention: tuple[PairRow, ...]
    report: Preflight
    card: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class _Tally:
    dropped: Counter[str] = field(default_factory=Counter)
    lengths: list[int] = field(default_factory=list)
    n_truncated: int = 0
    n_not_prefix: int = 0
    n_no_stop: int = 0


def check_pairs(
    folder: Path, tokenizer: Any, recipe: Recipe, stop_ids: Collection[int] | None = None
) -> CheckedPairs:
    """Read a pairs folder and keep what can be trained on.

    Args:
        folder: the pairs folder.
        tokenizer: of the model that is to be corrected, with its chat template.
        recipe: only its `max_length` is used.
        stop_ids: tokens that end an answer; by default the tokenizer's end token.

    Raises:
        BadPairs: with counts and remedy; nothing was trained.
    """
    raw = read_pairs(folder)
    stops = set(stop_ids) if stop_ids else {tokenizer.eos_token_id}
    if not raw.train:
        raise BadPairs(
            f"{folder} holds no training pair (0 rows)",
            "collect corrections or comparisons, then: loopllm pairs",
        )
    _refuse_failed(raw.card)
    tally = _Tally()
    rows = _distinct(_whole_rows(raw.train, "training"), tally)
    _refuse_contradictions(rows)
    train = [row for row in rows if _is_trainable(row, tokenizer, recipe, stops, tally)]
    _judge(tally, len(raw.train), len(train), recipe)
    test = _distinct(_whole_rows(raw.test, "test"), _Tally())
    test = [row for row in test if shows_tools(row, tokenizer)]
    retention = _retention_rows(raw.retention, tokenizer, recipe)
    report = Preflight(
        n_read=len(raw.train),
        n_train=len(train),
        n_test=len(test),
        n_retention=len(retention),
        dropped=dict(sorted(tally.dropped.items())),
        tokens_mean=sum(tally.lengths) / len(tally.lengths),
        tokens_max=max(tally.lengths),
        n_truncated=tally.n_truncated,
        notes=tuple(_notes(tally, len(train), recipe)),
    )
    return CheckedPairs(tuple(train), tuple(test), tuple(retention), report, raw.card)


def _refuse_failed(card: dict[str, Any]) -> None:
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


def _whole_rows(raw: Sequence[dict[str, Any]], what: str) -> list[PairRow]:
    found = [to_row(row) for row in raw]
    rows = [row for row in found if row is not None]
    n_bad = len(found) - len(rows)
    if n_bad:
        raise BadPairs(
            f"{n_bad} of {len(raw)} {what} pairs have an empty or missing context or answer",
            "an empty chosen answer teaches silence; remove these rows and run again",
        )
    return rows


def _distinct(rows: Sequence[PairRow], tally: _Tally) -> list[PairRow]:
    kept, seen = [], set()
    for row in rows:
        key = _key(row)
        if key[1] == key[2]:
            tally.dropped["chosen and rejected are the same"] += 1
        elif key in seen:
            tally.dropped["repeated pair"] += 1
        else:
            seen.add(key)
            kept.append(row)
    return kept


def _refuse_contradictions(rows: Sequence[PairRow]) -> None:
    keys = {_key(row) for row in rows}
    n_both = sum((prompt, worse, better) in keys for prompt, better, worse in keys) // 2
    if n_both:
        raise BadPairs(
            f"{n_both} pair(s) appear in both directions (A over B and B over A)",
            "decide each of them or remove both, for example with: loopllm pairs",
        )


def _is_trainable(
    row: PairRow, tokenizer: Any, recipe: Recipe, stops: set[int], tally: _Tally
) -> bool:
    if not shows_tools(row, tokenizer):
        tally.dropped[UNSHOWN] += 1
        return False
    chosen = encode_answer(tokenizer, row.prompt, row.chosen_message, row.tools)
    rejected = encode_answer(tokenizer, row.prompt, row.rejected_message, row.tools)
    room = recipe.max_length - len(chosen.prompt)
    if room <= 0:
        tally.dropped["context longer than max_length"] += 1
        return False
    if chosen.answer[:room] == rejected.answer[:room]:
        tally.dropped["same after truncation to max_length"] += 1
        return False
    tally.n_not_prefix += not (chosen.is_prefix and rejected.is_prefix)
    tally.n_no_stop += not ends_properly(tokenizer, chosen.answer, stops)
    tally.n_truncated += len(chosen.answer) > room
    tally.lengths.append(_n_tokens(chosen, rejected))
    return True


def _n_tokens(chosen: EncodedAnswer, rejected: EncodedAnswer) -> int:
    return len(chosen.prompt) + max(len(chosen.answer), len(rejected.answer))


def _judge(tally: _Tally, n_read: int, n_kept: int, recipe: Recipe) -> None:
    n_long = tally.dropped["context longer than max_length"]
    reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(tally.dropped.items()))
    if n_long > MAX_SHARE_TOO_LONG * n_read:
        raise BadPairs(
            f"{n_long} of {n_read} contexts are longer than max_length = {recipe.max_length} "
            f"tokens, which leaves no room for an answer",
            "raise max_length in the recipe",
        )
    _refuse_unshown(tally.dropped[UNSHOWN], n_read, n_kept)
    if not n_kept:
        raise BadPairs(
            f"nothing to learn: none of {n_read} training pairs is left ({reasons})",
            "a pair needs two different answers to the same context",
        )
    if n_kept < MIN_TRAIN_PAIRS:
        left_out = f" ({reasons})" if reasons else ""
        raise BadPairs(
            f"only {n_kept} of {n_read} training pairs are usable, {MIN_TRAIN_PAIRS} are "
            f"needed{left_out}",
            "collect more corrections or comparisons, or widen the window of loopllm pairs",
        )
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


def _refuse_unshown(n_unshown: int, n_read: int, n_kept: int) -> None:
    if n_unshown and n_kept < MIN_TRAIN_PAIRS:
        raise BadPairs(
            f"{n_unshown} of {n_read} training pairs have {UNSHOWN}, and only {n_kept} are left",
            "use a model whose chat template renders tools, or build pairs without them: "
            'loopllm pairs --where "tool_definitions IS NULL"',
        )


def _retention_rows(raw: Sequence[dict[str, Any]], tokenizer: Any, recipe: Recipe) -> list[PairRow]:
    rows, seen = [], set()
    for entry in raw:
        row = to_row(entry)
        if row is None or not shows_tools(row, tokenizer):
            continue
        encoded = encode_answer(tokenizer, row.prompt, row.chosen_message, row.tools)
        fits = len(encoded.prompt) + len(encoded.answer) <= recipe.max_length
        if fits and _key(row) not in seen:
            seen.add(_key(row))
            rows.append(row)
    return rows


def _notes(tally: _Tally, n_train: int, recipe: Recipe) -> list[str]:
    notes = [f"left out {n} training pair(s): {why}" for why, n in sorted(tally.dropped.items())]
    if tally.n_truncated:
        notes.append(
            f"{tally.n_truncated} of {n_train} chosen answers are cut at max_length = "
            f"{recipe.max_length} tokens and lose their stop token"
        )
    return notes


def _key(row: PairRow) -> Key:
    prompt = tuple((message["role"], _said(message)) for message in row.prompt)
    return prompt, _said(row.chosen_message), _said(row.rejected_message)


def _said(message: Message) -> str:
    calls = [call.get("function", call) for call in message.get("tool_calls") or []]
    text = _normal(message["content"])
    # Ids differ from one drawing to the next, and say nothing.
    return text + json.dumps(calls, sort_keys=True) if calls else text


def _normal(text: str) -> str:
    return " ".join(text.split())
