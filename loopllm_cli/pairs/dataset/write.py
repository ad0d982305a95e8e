"""Write pairs as a dataset folder that `datasets.load_dataset` and TRL read as it is.

Format: TRL's conversational preference format, https://huggingface.co/docs/trl/dataset_formats
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq

from loopllm_cli.model import PairsSummary
from loopllm_cli.pairs.audit.card import card_lines
from loopllm_cli.pairs.build import BuiltPairs
from loopllm_cli.pairs.dataset import rows

_README = """
# Preference pairs

Made by loopllm from users' feedback.

- `load_dataset(FOLDER)`: pairs, `prompt`, `chosen` and `rejected` as chat messages. `test` shares
  no user, no conversation and no near-duplicate prompt with `train`.
- `load_dataset(FOLDER, "retention")`: `prompt` and `chosen`, good answers on traffic that must not
  change.
- `load_dataset(FOLDER, "unpaired")`: `prompt`, `completion` and `label`, single judged answers for
  KTO. Shuffle them: trainers take neighbours for independent. `weight` says how much one should
  count beside a person's vote, which counts 1; trainers do not read it.

A part without rows cannot be loaded. Where answers call tools, messages have `tool_calls`, and rows
the context's `tools`.

`provenance.parquet` says of every row, in the order of the data (`split` train, test, retention or
unpaired), which rule made it, of which feedback and answers, of whom, by which models, and how sure
it is. `card.json` has the counts: every piece of feedback stands in a pair or is counted once among
the reasons in `dropped`; `dropped.parquet` names them, a row per piece of feedback.
"""


def content_hash(built: BuiltPairs) -> str:
    """Return a digest of everything that a training run can read, in its order.

    Not of ids: these are equal for texts that differ in white space alone.
    """
    digest = hashlib.sha256()
    for split, pairs in (("train", built.train), ("test", built.heldout)):
        for p in pairs:
            calls = (p.chosen_calls, p.rejected_calls)
            digest.update(_spelled([split, p.prompt, p.chosen, p.rejected, *calls, p.tools]))
    for r in built.retention:
        digest.update(_spelled(["retention", r.prompt, r.chosen, r.chosen_calls, r.tools]))
    for u in built.unpaired:
        said = (u.completion, u.completion_calls, u.label, u.weight)
        digest.update(_spelled(["unpaired", u.prompt, *said, u.tools]))
    return digest.hexdigest()


def _spelled(row: list[Any]) -> bytes:
    try:
        return orjson.dumps(row)
    except TypeError:  # arguments of calls may hold numbers of any size
        return json.dumps(row).encode()


def write_dataset(folder: Path, built: BuiltPairs, origin: dict[str, Any]) -> PairsSummary:
    """Write the dataset folder in one step, replacing an earlier one.

    Args:
        origin: baseline name and hash, drift run, and settings, kept in the card.
    """
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "data").mkdir(parents=True)
    _write_data(part / "data", built)
    rows.write_provenance(part / "provenance.parquet", _origins(built))
    if built.reasons is not None:
        pq.write_table(built.reasons, part / "dropped.parquet")
    summary = _summary(folder, built)
    # Without its own place, so that equal evidence gives equal bytes wherever they are written.
    card = {**{k: v for k, v in asdict(summary).items() if k != "path"}, **origin}
    (part / "card.json").write_text(json.dumps(card, indent=2, sort_keys=True), encoding="utf-8")
    (part / "README.md").write_text(_readme(summary), encoding="utf-8")
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
        n_unpaired=len(built.unpaired),
        by_rule=dict(Counter(p.rule for p in every).most_common()),
        dropped=dict(built.dropped.most_common()),
        by_segment=dict(Counter(p.segment or "unknown" for p in every).most_common()),
        findings=built.findings,
        agreement=built.agreement,
    )


def _readme(summary: PairsSummary) -> str:
    """Name the splits that hold rows: `datasets` refuses to load one that is empty."""
    files = [
        ("default", "train", "train", summary.n_train),
        ("default", "test", "test", summary.n_heldout),
        ("retention", "train", "retention", summary.n_retention),
        ("unpaired", "train", "unpaired", summary.n_unpaired),
    ]
    lines, named = ["---", "configs:"], ""
    for config, split, name, n_rows in files:
        if not n_rows:
            continue
        if config != named:
            lines += [f"- config_name: {config}", "  data_files:"]
            named = config
        lines += [f"  - split: {split}", f"    path: data/{name}.parquet"]
    return "\n".join([*lines, "---", _README, *card_lines(summary)]) + "\n"


def _write_data(folder: Path, built: BuiltPairs) -> None:
    every = (*built.train, *built.heldout, *built.retention, *built.unpaired)
    tools = rows.needs_tools(every)
    rows.write_pairs(folder / "train.parquet", built.train, tools=tools)
    rows.write_pairs(folder / "test.parquet", built.heldout, tools=tools)
    rows.write_retained(folder / "retention.parquet", built.retention, tools=tools)
    rows.write_unpaired(folder / "unpaired.parquet", built.unpaired, tools=tools)


def _origins(built: BuiltPairs) -> Iterator[rows.Row]:
    for split, pairs in (("train", built.train), ("test", built.heldout)):
        yield from (rows.pair_origin(split, pair) for pair in pairs)
    yield from map(rows.retained_origin, built.retention)
    yield from map(rows.unpaired_origin, built.unpaired)
