"""Choose the prompts on which an adapter has to show itself: none that it was trained on.

Nor one in nearly the same words, nor another turn of a trained conversation. Other prompts of users
who gave training pairs are asked: the model is not told who asks, and without these users two
thirds of the prompts would be gone (docs/pairs-splits.md).
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loopllm_cli.model import Message
from loopllm_cli.pairs.chat import has_calls, to_messages
from loopllm_cli.pairs.dataset.stored_rows import iter_rows
from loopllm_cli.pairs.selection.near import NearPrompts
from loopllm_cli.pairs.selection.wording import canonical_words, last_user_text
from loopllm_cli.profiles.baseline import Baseline
from loopllm_cli.profiles.clusters import to_buckets
from loopllm_cli.profiles.measure import Measured, measure
from loopllm_cli.profiles.profile import build_profile
from loopllm_cli.profiles.segments import SegmentModel
from loopllm_cli.signals.answers import is_right
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.registry import Signal


@dataclass(frozen=True, slots=True)
class Prompt:
    """One context to be answered anew, with what its row says about who asked and what is right.

    `logged` is what was answered to it in production.
    """

    messages: tuple[Message, ...]
    prompt_text: str
    segment: int
    user_id: str | None
    conversation_id: str | None
    prompt_hash: str | None
    reference: str | None
    logged: str | None = None

    @property
    def is_logged_right(self) -> bool:
        """Say whether the logged answer is known to be right."""
        if not self.reference or not self.logged:
            return False
        return is_right(self.logged, self.reference, self.prompt_text)


@dataclass(frozen=True)
class Trained:
    """What the pairs hold: what an adapter has seen, and which corrections it has not.

    `like` finds what was trained on in nearly the same words.
    """

    conversations: frozenset[str]
    prompts: frozenset[str]
    corrections: dict[str, str] = field(default_factory=dict)
    like: NearPrompts = field(default_factory=NearPrompts)

    def holds(self, row: dict[str, Any]) -> bool:
        """Say whether a row of the store was trained on, itself or in nearly the same words."""
        return (
            (row["prompt_hash"] or row["context_hash"]) in self.prompts
            or row["conversation_id"] in self.conversations
            or self.like.first(canonical_words(row["prompt_text"] or "")) is not None
        )


@dataclass(frozen=True)
class Chosen:
    """The prompts of both groups, and how many rows were left out: as trained on, or like it, and
    as served with tools (what a model writes to call one is not parsed back into a call)."""

    drifted: list[Prompt]
    untouched: list[Prompt]
    n_seen_in_training: int
    n_with_tools: int = 0


def read_trained(pairs: Path) -> Trained:
    """Read from a pairs folder what was trained on, and the held-out corrections by context.

    Liked answers that are retained are trained on too.
    """
    rows = pq.read_table(pairs / "provenance.parquet").to_pylist()
    held_out = list(iter_rows(pairs / "data" / "test.parquet"))
    train = [row for row in rows if row["split"] in ("train", "retention")]
    test = [row for row in rows if row["split"] == "test"]
    corrections = {
        origin["context_hash"]: pair["chosen"][-1]["content"]
        for origin, pair in zip(test, held_out, strict=True)
        if origin["rule"] == "correction"
    }
    sides = ("conversation_id", "chosen_conversation_id")
    return Trained(
        frozenset(row[side] for row in train for side in sides if row.get(side)),
        frozenset(row["prompt_hash"] for row in train),
        corrections,
        _trained_prompts(pairs / "data"),
    )


def _trained_prompts(data: Path) -> NearPrompts:
    """Collect the prompts of training pairs.

    Not those of retained answers: all variants of a prompt that everybody sends would be gone, and
    nobody would look whether its answer was kept.
    """
    found = NearPrompts()
    for row in iter_rows(data / "train.parquet", ["prompt"]):
        words = canonical_words(last_user_text(row["prompt"]))
        if words:
            found.add(words)
    return found


def choose_prompts(
    rows: pa.Table,
    model: SegmentModel,
    drifted: frozenset[int],
    trained: Trained,
    limit: int,
) -> Chosen:
    """Choose distinct contexts of the window, at most `limit` per group.

    Segments take turns, so that no large one crowds out the others; within a segment, contexts
    whose right answer is known come first, then the order of a hash.
    """
    batch = RowBatch(rows)
    segments = model.assign(batch)
    queues: dict[bool, dict[int, list[tuple[bool, str, Prompt]]]] = {
        True: defaultdict(list),
        False: defaultdict(list),
    }
    n_seen, n_tools, taken = 0, 0, set()
    listed = rows.to_pylist()
    known = {
        row["context_hash"]: row["reference_answer"]
        for row in listed[::-1]
        if row["reference_answer"]
    }
    for row, number in zip(listed, segments.tolist(), strict=True):
        messages = to_messages(row["input_messages"])
        context = row["context_hash"]
        if messages is None:
            continue
        if row["tool_definitions"] or has_calls(messages):
            n_tools += 1
            continue
        if row["error_type"] or row["content_state"] != "full" or context in taken:
            continue
        if trained.holds(row):
            n_seen += 1
            continue
        taken.add(context)
        reference = known.get(context) or trained.corrections.get(context)
        prompt = Prompt(
            messages,
            row["prompt_text"] or "",
            number,
            row["user_id"],
            row["conversation_id"],
            row["prompt_hash"],
            reference,
            row.get("response_text"),
        )
        order = hashlib.blake2b(context.encode(), digest_size=8).hexdigest()
        queues[number in drifted][number].append((reference is None, order, prompt))
    return Chosen(_take(queues[True], limit), _take(queues[False], limit), n_seen, n_tools)


def _take(queues: dict[int, list[tuple[bool, str, Prompt]]], limit: int) -> list[Prompt]:
    waiting = [sorted(queues[k], key=lambda item: item[:2]) for k in sorted(queues)]
    chosen: list[Prompt] = []
    while waiting and len(chosen) < limit:
        chosen.extend(queue.pop(0)[2] for queue in waiting)
        waiting = [queue for queue in waiting if queue]
    return chosen[:limit]


def measure_answers(
    prompts: list[Prompt],
    answers: list[str],
    finish_reasons: list[str],
    signals: dict[str, Signal],
    baseline: Baseline,
) -> Measured:
    """Measure regenerated answers as a window, each in the segment its prompt was chosen from.

    Assigning them anew would need the column that names the segments, which they do not have.
    """
    rows = to_rows(prompts, answers, finish_reasons)
    model = baseline.segments
    found = measure(rows, signals, model, baseline.cluster_by)
    numbers = np.array([prompt.segment for prompt in prompts], dtype=np.int64)
    buckets = to_buckets(found.keys)
    profile = build_profile(tuple(signals), found.values, numbers, buckets, model.n_segments)
    return replace(found, segments=numbers, profile=profile)


def to_rows(prompts: list[Prompt], answers: list[str], finish_reasons: list[str]) -> pa.Table:
    """Lay out regenerated answers as a window that the signals can measure.

    Only what the answers themselves show is filled in; latency and cost of a test bench would
    say nothing about production.
    """
    rows = [
        {
            "interaction_id": f"verify:{i}",
            "user_id": prompt.user_id,
            "conversation_id": prompt.conversation_id,
            # Several answers to one prompt are one cluster, whoever asked.
            "prompt_hash": prompt.prompt_hash or _digest(prompt.messages),
            "prompt_text": prompt.prompt_text,
            "input_messages": json.dumps(
                [
                    {"role": m["role"], "parts": [{"type": "text", "content": m["content"]}]}
                    for m in prompt.messages
                ]
            ),
            "response_text": answer,
            "content_state": "full",
            "finish_reason": finish,
            "reference_answer": prompt.reference,
            "request_time": None,
        }
        for i, (prompt, answer, finish) in enumerate(
            zip(prompts, answers, finish_reasons, strict=True)
        )
    ]
    texts = [name for name in _COLUMNS if name != "request_time"]
    schema = pa.schema(
        [*((name, pa.string()) for name in texts), ("request_time", pa.timestamp("us", tz="UTC"))]
    )
    return pa.Table.from_pylist(rows, schema=schema)


def _digest(messages: tuple[Message, ...]) -> str:
    return hashlib.blake2b(json.dumps(messages).encode(), digest_size=8).hexdigest()


_COLUMNS = (
    *("interaction_id", "user_id", "conversation_id", "prompt_hash", "prompt_text"),
    *("input_messages", "response_text", "content_state", "finish_reason", "reference_answer"),
    "request_time",
)
"""What a regenerated answer has. Columns that stay out read as missing, and the signals on them
do not apply."""
