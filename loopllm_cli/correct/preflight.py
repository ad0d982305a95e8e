"""Refuse pairs that would train nothing, or something nobody meant, before a model is loaded.

TRL trains without a word on identical, contradictory, empty and truncated pairs, on votes that
all go one way, and on templates that never say stop. Everything that is dropped here is counted;
everything that cannot be repaired by dropping is refused with the remedy.

Must not import: torch and its relatives (a tokenizer is handed in).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from loopllm_cli.correct.pair_rows import PairRow, RawPairs, VoteRow, read_pairs, to_row, to_vote
from loopllm_cli.correct.recipe import Recipe
from loopllm_cli.correct.row_checks import (
    CUT_ANSWER,
    Reading,
    RowTokens,
    Tally,
    distinct,
    distinct_votes,
    is_trainable,
    key_of,
)
from loopllm_cli.correct.row_verdicts import (
    judge,
    refuse_contradictions,
    refuse_failed_audit,
    refuse_one_sided,
)
from loopllm_cli.correct.tool_rendering import shows_tools
from loopllm_cli.errors import BadPairs
from loopllm_cli.pairs.candidates import WRITTEN

NOT_WRITTEN = "better side not written by a person"
LIGHT_VOTE = "sign that counts less than min_vote_weight"

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Preflight:
    """What the checks saw.

    `dropped` counts left-out training rows by reason. Token counts are of the kept training
    rows, context plus the longer answer; `tokens` has more of them, by name. `n_train` counts
    pairs, `n_votes` judged answers and `n_liked` those of them that were liked.
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
    n_votes: int = 0
    n_liked: int = 0
    tokens: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckedPairs:
    """The rows that may be trained on and measured with, and what the checks saw.

    `lengths` are the tokens of every row that may be trained on: pairs, votes, retention.
    """

    train: tuple[PairRow, ...]
    test: tuple[PairRow, ...]
    retention: tuple[PairRow, ...]
    report: Preflight
    card: dict[str, Any] = field(default_factory=dict)
    votes: tuple[VoteRow, ...] = ()
    lengths: tuple[RowTokens, ...] = ()

    @property
    def contexts(self) -> tuple[PairRow, ...]:
        """Rows whose contexts were trained on: the pairs, or else the judged answers."""
        return self.train or tuple(vote.row for vote in self.votes)


def check_pairs(
    folder: Path, tokenizer: Any, recipe: Recipe, stop_ids: Collection[int] | None = None
) -> CheckedPairs:
    """Read a pairs folder and keep what the recipe's method can be trained on.

    Args:
        folder: the pairs folder.
        tokenizer: of the model that is to be corrected, with its chat template.
        recipe: its method, its lengths and which rows it wants.
        stop_ids: tokens that end an answer; by default the tokenizer's end token.

    Raises:
        BadPairs: with counts and remedy; nothing was trained.
    """
    is_kto = recipe.method == "kto"
    raw = read_pairs(folder, "unpaired" if is_kto else "train")
    _refuse_empty(folder, raw, recipe)
    refuse_failed_audit(raw.card)
    stops = frozenset(stop_ids) if stop_ids else frozenset({tokenizer.eos_token_id})
    reading = Reading(tokenizer, recipe.max_length, stops, recipe.method != "sft")
    tally = Tally()
    train = _check_train(folder, raw, recipe, reading, tally)
    votes = _check_votes(raw, recipe, reading, tally) if is_kto else []
    n_read = len(raw.unpaired if is_kto else raw.train)
    if is_kto:
        refuse_one_sided(votes, len(train))
        n_read += len(raw.train) if recipe.mix_pairs else 0
    what = "judged answers" if is_kto else "training pairs"
    judge(tally, n_read, len(train) + len(votes), recipe.max_length, what)
    test = distinct(_whole(raw.test, to_row, "test pairs"), Tally())
    test = [row for row in test if shows_tools(row, tokenizer)]
    retention, retained = _retention_rows(raw.retention, reading)
    report = replace(
        _report(n_read, train, votes, tally), n_test=len(test), n_retention=len(retention)
    )
    lengths = (*tally.tokens, *retained)
    return CheckedPairs(
        tuple(train), tuple(test), tuple(retention), report, raw.card, tuple(votes), lengths
    )


def refuse_beyond_context(checked: CheckedPairs, n_positions: int | None) -> None:
    """Refuse rows that are longer than what the model was made for.

    Args:
        checked: rows within the recipe's `max_length`.
        n_positions: `max_position_embeddings` of the model, None where it names none.

    Raises:
        BadPairs: with the counts.
    """
    too_long = [row.longest for row in checked.lengths if n_positions and row.longest > n_positions]
    if too_long:
        raise BadPairs(
            f"{len(too_long)} of {len(checked.lengths)} rows are longer than the model's context "
            f"of {n_positions} tokens (the longest: {max(too_long)})",
            f"set max_length = {n_positions} in the recipe; what does not fit is then left out",
        )


def _refuse_empty(folder: Path, raw: RawPairs, recipe: Recipe) -> None:
    if recipe.method != "kto" and not raw.train:
        raise BadPairs(
            f"{folder} holds no training pair (0 rows)",
            "collect corrections or comparisons, then: loopllm pairs",
        )
    if recipe.method == "kto" and not raw.unpaired:
        raise BadPairs(
            f"{folder} holds no judged answer (0 rows)",
            "collect thumbs or ratings, then: loopllm pairs; or train on the pairs with "
            'method = "dpo"',
        )


def _check_train(
    folder: Path, raw: RawPairs, recipe: Recipe, reading: Reading, tally: Tally
) -> list[PairRow]:
    if recipe.method == "kto" and not recipe.mix_pairs:
        return []
    found = _written(folder, raw, tally) if recipe.corrections_only else raw.train
    whole = _whole(found, to_row, "training pairs")
    refuse_contradictions(distinct(whole, Tally()))
    rows = distinct(whole, tally, worse_sides=reading.worse_sides)
    return [row for row in rows if is_trainable(row, reading, tally)]


def _written(folder: Path, raw: RawPairs, tally: Tally) -> list[dict[str, Any]]:
    """Keep the pairs whose better side a person wrote, by the rule in their provenance."""
    if len(raw.train_rules) != len(raw.train):
        raise BadPairs(
            f"corrections_only needs to know which rule made each pair, and {folder} has "
            f"{len(raw.train_rules)} rules for {len(raw.train)} pairs",
            "build the pairs anew with: loopllm pairs",
        )
    both = zip(raw.train, raw.train_rules, strict=True)
    kept = [row for row, rule in both if rule in WRITTEN]
    if len(kept) < len(raw.train):
        tally.dropped[NOT_WRITTEN] += len(raw.train) - len(kept)
    return kept


def _check_votes(raw: RawPairs, recipe: Recipe, reading: Reading, tally: Tally) -> list[VoteRow]:
    heavy = [row for row in raw.unpaired if _weight(row) >= recipe.min_vote_weight]
    if len(heavy) < len(raw.unpaired):
        tally.dropped[LIGHT_VOTE] += len(raw.unpaired) - len(heavy)
    votes = distinct_votes(_whole(heavy, to_vote, "judged answers"), tally)
    alone = Reading(reading.tokenizer, reading.max_length, reading.stop_ids, worse_sides=False)
    return [vote for vote in votes if is_trainable(vote.row, alone, tally)]


def _weight(row: dict[str, Any]) -> float:
    found = row.get("weight")
    return 1.0 if found is None else float(found)


def _whole(
    raw: Sequence[dict[str, Any]], make: Callable[[dict[str, Any]], Row | None], what: str
) -> list[Row]:
    found = [make(row) for row in raw]
    rows = [row for row in found if row is not None]
    n_bad = len(found) - len(rows)
    if n_bad:
        raise BadPairs(
            f"{n_bad} of {len(raw)} {what} have an empty or missing context or answer"
            + (" or label" if what == "judged answers" else ""),
            "an empty chosen answer teaches silence; remove these rows and run again",
        )
    return rows


def _retention_rows(
    raw: Sequence[dict[str, Any]], reading: Reading
) -> tuple[list[PairRow], list[RowTokens]]:
    """Keep the liked answers that can be trained on; the others are no reason to stop."""
    alone = Reading(reading.tokenizer, reading.max_length, reading.stop_ids, worse_sides=False)
    rows, seen, tally = [], set(), Tally()
    for entry in raw:
        row = to_row(entry)
        if row is None or key_of(row) in seen or not is_trainable(row, alone, tally):
            continue
        seen.add(key_of(row))
        rows.append(row)
    return rows, tally.tokens


def _report(
    n_read: int, train: Sequence[PairRow], votes: Sequence[VoteRow], tally: Tally
) -> Preflight:
    longest = np.array([row.longest for row in tally.tokens])
    return Preflight(
        n_read=n_read,
        n_train=len(train),
        n_test=0,
        n_retention=0,
        dropped=dict(sorted(tally.dropped.items())),
        tokens_mean=float(longest.mean()),
        tokens_max=int(longest.max()),
        n_truncated=tally.dropped[CUT_ANSWER],
        notes=tuple(_notes(tally, bool(votes))),
        n_votes=len(votes),
        n_liked=sum(vote.label for vote in votes),
        tokens=_token_statistics(tally.tokens),
    )


def _token_statistics(rows: Sequence[RowTokens]) -> dict[str, float]:
    """Return median, 95% point and maximum of contexts and answers."""
    found = {}
    for name in ("context", "better", "worse", "longest"):
        counts = np.array([getattr(row, name) for row in rows])
        if counts.any():
            found[f"{name} median"] = float(np.median(counts))
            found[f"{name} 95%"] = float(np.percentile(counts, 95))
            found[f"{name} max"] = float(counts.max())
    return found


def _notes(tally: Tally, has_votes: bool) -> list[str]:
    what = "row(s)" if has_votes else "pair(s)"
    return [f"left out {n} training {what}: {why}" for why, n in sorted(tally.dropped.items())]
