"""Pairs and reviewers' decisions on them, built by hand, for the tests of reviews."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from loopllm_cli.model import Choice, Pair, ReviewDecision
from loopllm_cli.pairs.build import BuiltPairs
from loopllm_cli.pairs.chat import side_key
from loopllm_cli.pairs.dataset.write import write_dataset
from loopllm_cli.pairs.review.apply import content_of
from loopllm_cli.sources.rows import digest
from loopllm_cli.store.project import Project

START = datetime(2026, 11, 1, tzinfo=UTC)


def pair(number: int = 0, **fields: Any) -> Pair:
    """Return a pair of which every field tells which side it belongs to."""
    chosen, rejected = fields.get("chosen", f"Good {number}."), fields.get("rejected", "Bad.")
    made = Pair(
        pair_id="",
        prompt=({"role": "user", "content": f"Question {number}?"},),
        chosen=chosen,
        rejected=rejected,
        rule="comparison",
        feedback_ids=(f"f-{number}",),
        interaction_ids=(f"good-{number}", f"bad-{number}"),
        user_id="asked-bad",
        conversation_id="talk-bad",
        context_hash=f"context {number}",
        prompt_hash=f"prompt {number}",
        segment=None,
        chosen_model="m-good",
        rejected_model="m-bad",
        margin=1.0,
        feedback_time=START,
        chosen_conversation_id="talk-good",
        chosen_user_id="asked-good",
        annotator_ids=("ann",),
        confidence=0.9,
    )
    made = replace(made, **fields)
    sides = (side_key(made.chosen, made.chosen_calls), side_key(made.rejected, made.rejected_calls))
    return replace(made, pair_id=digest(made.context_hash, *sides))


def said(
    about: Pair, choice: Choice, by: str = "ana", *, at: int = 0, **fields: Any
) -> ReviewDecision:
    """Return what a reviewer says of a pair at some minute."""
    plain = ReviewDecision(
        pair_id=about.pair_id,
        choice=choice,
        reviewer=by,
        time=START + timedelta(minutes=at),
        content=content_of(about),
        feedback_ids=about.feedback_ids,
        interaction_ids=about.interaction_ids,
    )
    return replace(plain, **fields)


def stored(project: Project, pairs: Sequence[Pair], heldout: Sequence[Pair] = ()) -> Path:
    """Write pairs as the newest dataset of a project."""
    n_feedback = sum(len(p.feedback_ids) for p in (*pairs, *heldout))
    built = BuiltPairs(
        train=list(pairs),
        heldout=list(heldout),
        retention=[],
        unpaired=[],
        dropped=Counter(),
        n_candidates=len(pairs) + len(heldout),
        n_feedback=n_feedback,
    )
    folder = project.folder("pairs") / "made-by-hand"
    write_dataset(folder, built, {"drift_run_id": None})
    (project.folder("pairs") / "latest").write_text(folder.name, encoding="utf-8")
    return folder
