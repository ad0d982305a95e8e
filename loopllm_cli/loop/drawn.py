"""Answers drawn from a model, kept in the project so that a further run draws only what is new."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from loopllm_cli.config import Config
from loopllm_cli.pairs.chat import to_messages
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.sources.rows import digest
from loopllm_cli.store.project import Project

FOLDER = "samples"
Drawn = list[tuple[str, str]]
"""Texts and finish reasons of the answers to one prompt."""

_Kept = dict[str, dict[int, tuple[str, str]]]
"""By context, and by the number of the round in which an answer was drawn."""

_SCHEMA = pa.schema(
    [(n, pa.string()) for n in ("interaction_id", "user_id", "conversation_id", "context_hash")]
    + [("sample", pa.int64()), ("text", pa.string()), ("finish_reason", pa.string())]
)


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """Which model to ask, how often per prompt, and which signals rank its answers.

    Without `rank_by`, the signals that the drift run named.
    """

    model: str
    n_samples: int = 8
    rank_by: tuple[str, ...] = ()


def draw_answers(
    project: Project,
    config: Config,
    request: SampleRequest,
    asked: Sequence[Answer],
    on_progress: Callable[[str], None],
) -> list[Drawn]:
    """Return answers to each prompt, from the project where they have been drawn before.

    Each round asks every prompt once and is kept when it is done, so that a run that was
    interrupted, has more prompts or wants more samples draws only what is not there. What is kept
    belongs to the model's content and the settings.

    Raises:
        ModelUnusable: it cannot be loaded.
    """
    from loopllm_cli.correct.loading import model_hash

    settings = {
        "max_new_tokens": config.verify.max_new_tokens,
        "temperature": config.pairs.sample_temperature,
        "seed": config.pairs.seed,
    }
    key = digest(model_hash(request.model), json.dumps(settings))
    path = project.folder(FOLDER) / f"{key}.parquet"
    kept = _read_samples(path)
    rounds = [
        [row for row in asked if n not in kept.get(row.context_hash or "", {})]
        for n in range(request.n_samples)
    ]
    n_missing = sum(map(len, rounds))
    if n_missing:
        on_progress(f"drawing {n_missing} answers from {request.model}")
        ask = _Model(request.model, config)
        for n, missing in enumerate(rounds):
            if missing:
                drawn = ask.answers(missing, n)
                _write_samples(path, n, missing, drawn)
                for row, one in zip(missing, drawn, strict=True):
                    kept.setdefault(row.context_hash or "", {})[n] = one
    return [[kept[row.context_hash or ""][n] for n in range(request.n_samples)] for row in asked]


class _Model:
    """A model that is asked in rounds.

    Args:
        name: its folder, or its name on a hub.
    """

    def __init__(self, name: str, config: Config) -> None:
        from loopllm_cli.correct.generate import GenerateSettings
        from loopllm_cli.correct.loading import load_model, load_tokenizer

        self._model, self._tokenizer = load_model(name), load_tokenizer(name)
        self._settings = GenerateSettings(
            config.verify.max_new_tokens,
            config.verify.batch_size,
            config.pairs.sample_temperature,
            config.pairs.seed,
        )

    def answers(self, rows: Sequence[Answer], n: int) -> Drawn:
        """Return one answer to each prompt."""
        from loopllm_cli.correct.generate import generate_answers

        # A seed of its own per round: the same prompt gets another answer each time.
        settings = replace(self._settings, seed=self._settings.seed + 1_000_003 * n)
        prompts = [to_messages(row.input_messages) or () for row in rows]
        found = generate_answers(self._model, self._tokenizer, prompts, settings)
        return [(one.text, one.finish_reason) for one in found]


def _read_samples(path: Path) -> _Kept:
    """Read what has been drawn; of a file that cannot be read, nothing."""
    found: _Kept = {}
    for row in _rows_of(path):
        found.setdefault(row["context_hash"], {})[row["sample"]] = row["text"], row["finish_reason"]
    return found


def _rows_of(path: Path) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = pq.ParquetFile(path).read(_SCHEMA.names).to_pylist()
    except (OSError, pa.ArrowException):
        return []
    return rows


def _write_samples(path: Path, n: int, asked: Sequence[Answer], drawn: Drawn) -> None:
    """Add a round to the file in one step."""
    rows = _rows_of(path) + [
        {
            "interaction_id": row.interaction_id,
            "user_id": row.user_id,
            "conversation_id": row.conversation_id,
            "context_hash": row.context_hash,
            "sample": n,
            "text": text,
            "finish_reason": end,
        }
        for row, (text, end) in zip(asked, drawn, strict=True)
    ]
    part = path.with_suffix(".part")
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), part)
    part.replace(path)
