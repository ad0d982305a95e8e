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

_README = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train.parquet
  - split: test
    path: data/test.parquet
- config_name: retention
  data_files:
  - split: train
    path: data/retention.parquet
---

# Preference pairs

Made by loopllm from users' feedback. `default` holds `prompt`, `chosen` and `rejected` as chat
messages; `test` shares no conversation and no prompt with `train`. `retention` holds liked
answers on traffic that must not change. `provenance.parquet` has a row per pair: rule, feedback
ids, models, margin. `card.json` has the counts and every reason for which feedback was left out.
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
        table = pa.Table.from_pylist([_pair_row(p) for p in pairs], schema=_PAIRS)
        pq.write_table(table, part / "data" / f"{name}.parquet")
    retained = [_retained_row(r) for r in built.retention]
    pq.write_table(
        pa.Table.from_pylist(retained, schema=_RETENTION), part / "data" / "retention.parquet"
    )
    _write_provenance(part / "provenance.parquet", built)
    summary = _summary(folder, built)
    card = {**asdict(summary), **origin}
    (part / "card.json").write_text(json.dumps(card, indent=2, sort_keys=True), encoding="utf-8")
    (part / "README.md").write_text(_README, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    part.replace(folder)
    return summary


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


def _write_provenance(path: Path, built: BuiltPairs) -> None:
    rows = [
        {
            "split": split,
            **{k: v for k, v in asdict(p).items() if k not in ("prompt", "chosen", "rejected")},
        }
        for split, pairs in (("train", built.train), ("test", built.heldout))
        for p in pairs
    ]
    strings = ("split", "pair_id", "rule", "user_id", "conversation_id", "context_hash")
    more = ("prompt_hash", "segment", "chosen_model", "rejected_model")
    schema = pa.schema(
        [
            *((name, pa.string()) for name in (*strings, *more)),
            ("feedback_ids", pa.list_(pa.string())),
            ("interaction_ids", pa.list_(pa.string())),
            ("margin", pa.float64()),
            ("feedback_time", pa.timestamp("us", tz="UTC")),
        ]
    )
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


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
