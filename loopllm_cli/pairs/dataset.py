"""Write pairs as a dataset folder that `datasets.load_dataset` and TRL read as it is.

Format: TRL's conversational preference format, https://huggingface.co/docs/trl/dataset_formats
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from loopllm_cli.model import Message, Pair, PairsSummary
from loopllm_cli.pairs.build import BuiltPairs, Retained

_CHAT = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
_PAIRS = pa.schema([("prompt", _CHAT), ("chosen", _CHAT), ("rejected", _CHAT)])
_RETENTION = pa.schema([("prompt", _CHAT), ("chosen", _CHAT)])

_README = """
# Preference pairs

Made by loopllm from users' feedback. `default` holds `prompt`, `chosen` and `rejected` as chat
messages; `test` shares no conversation and no prompt with `train`. `retention` holds liked
answers on traffic that must not change. A part without rows cannot be loaded.

`provenance.parquet` has a row per pair (`split` train or test) and one per liked answer (`split`
retention), in the order of the data: rule, feedback ids, conversations, models, margin.
`card.json` has the counts: every piece of feedback stands in a pair or is counted once among the
reasons in `dropped`.
"""


def content_hash(built: BuiltPairs) -> str:
    """Return a digest of everything a training run reads."""
    parts = [
        [pair.pair_id for pair in built.train],
        [pair.pair_id for pair in built.heldout],
        [[_chat(r.prompt), r.chosen] for r in built.retention],
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def write_dataset(folder: Path, built: BuiltPairs, origin: dict[str, Any]) -> PairsSummary:
    """Write the dataset folder in one step, replacing an earlier one.

    Args:
        origin: baseline name and hash, drift run, and settings, kept in the card.
    """
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "data").mkdir(parents=True)
    for name, pairs in (("train", built.train), ("test", built.heldout)):
        _write_rows(part / "data" / f"{name}.parquet", [_pair_row(p) for p in pairs], _PAIRS)
    retained = [_retained_row(r) for r in built.retention]
    _write_rows(part / "data" / "retention.parquet", retained, _RETENTION)
    _write_provenance(part / "provenance.parquet", built)
    summary = _summary(folder, built)
    # Without its own place, so that equal evidence gives equal bytes wherever they are written.
    card = {**{k: v for k, v in asdict(summary).items() if k != "path"}, **origin}
    (part / "card.json").write_text(json.dumps(card, indent=2, sort_keys=True), encoding="utf-8")
    (part / "README.md").write_text(_readme(built), encoding="utf-8")
    _replace(folder, part)
    return summary


def _replace(folder: Path, part: Path) -> None:
    """Put a finished folder in its place; until it stands there, the earlier one is kept."""
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.replace(old)
    part.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def _summary(folder: Path, built: BuiltPairs) -> PairsSummary:
    every = [*built.train, *built.heldout]
    return PairsSummary(
        path=str(folder),
        content_hash=content_hash(built),
        n_feedback=built.n_feedback,
        n_candidates=built.n_candidates,
        n_train=len(built.train),
        n_heldout=len(built.heldout),
        n_retention=len(built.retention),
        by_rule=dict(Counter(p.rule for p in every).most_common()),
        dropped=dict(built.dropped.most_common()),
        by_segment=dict(Counter(p.segment or "unknown" for p in every).most_common()),
        warnings=tuple(built.warnings),
    )


def _readme(built: BuiltPairs) -> str:
    """Name the splits that hold rows: `datasets` refuses to load one that is empty."""
    files = [
        ("default", "train", "train", len(built.train)),
        ("default", "test", "test", len(built.heldout)),
        ("retention", "train", "retention", len(built.retention)),
    ]
    lines, named = ["---", "configs:"], ""
    for config, split, name, n_rows in files:
        if not n_rows:
            continue
        if config != named:
            lines += [f"- config_name: {config}", "  data_files:"]
            named = config
        lines += [f"  - split: {split}", f"    path: data/{name}.parquet"]
    return "\n".join([*lines, "---", _README])


def _write_rows(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


def _write_provenance(path: Path, built: BuiltPairs) -> None:
    rows = [
        {"split": split, **asdict(pair)}
        for split, pairs in (("train", built.train), ("test", built.heldout))
        for pair in pairs
    ]
    rows += [_retained_origin(retained) for retained in built.retention]
    strings = ("split", "pair_id", "rule", "user_id", "conversation_id", "chosen_conversation_id")
    more = ("context_hash", "prompt_hash", "segment", "chosen_model", "rejected_model")
    schema = pa.schema(
        [
            *((name, pa.string()) for name in (*strings, *more)),
            ("feedback_ids", pa.list_(pa.string())),
            ("interaction_ids", pa.list_(pa.string())),
            ("margin", pa.float64()),
            ("feedback_time", pa.timestamp("us", tz="UTC")),
        ]
    )
    _write_rows(path, rows, schema)


def _retained_origin(retained: Retained) -> dict[str, Any]:
    answer = retained.answer
    return {
        "split": "retention",
        "rule": "liked answer",
        "user_id": answer.user_id,
        "conversation_id": answer.conversation_id,
        "context_hash": answer.context_hash,
        "prompt_hash": answer.prompt_hash or answer.context_hash,
        "segment": answer.segment,
        "chosen_model": answer.model,
        "feedback_ids": retained.feedback_ids,
        "interaction_ids": (answer.interaction_id,),
    }


def _chat(messages: tuple[Message, ...]) -> list[Message]:
    return [{"role": m["role"], "content": m["content"]} for m in messages]


def _pair_row(pair: Pair) -> dict[str, Any]:
    return {
        "prompt": _chat(pair.prompt),
        "chosen": [{"role": "assistant", "content": pair.chosen}],
        "rejected": [{"role": "assistant", "content": pair.rejected}],
    }


def _retained_row(retained: Retained) -> dict[str, Any]:
    return {
        "prompt": _chat(retained.prompt),
        "chosen": [{"role": "assistant", "content": retained.chosen}],
    }
