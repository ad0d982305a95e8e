"""Answers drawn from a model, kept in the project so that a further run draws only what is new."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from loopllm_cli.config import Config
from loopllm_cli.pairs.chat import to_messages
from loopllm_cli.pairs.evidence import Answer
from loopllm_cli.sources.rows import digest
from loopllm_cli.store.project import Project

FOLDER = "samples"
Drawn = list[tuple[str, str]]
"""Texts and finish reasons of the answers to one prompt."""

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

    The key of what is kept is the model's content, the settings and the number of samples.

    Raises:
        ModelNotFound: there is no such model.
    """
    from loopllm_cli.correct.generate import GenerateSettings, generate_answers
    from loopllm_cli.correct.loading import load_model, load_tokenizer, model_hash

    settings = GenerateSettings(
        config.verify.max_new_tokens,
        config.verify.batch_size,
        config.pairs.sample_temperature,
        config.pairs.seed,
    )
    key = digest(model_hash(request.model), json.dumps(asdict(settings)), request.n_samples)
    path = project.folder(FOLDER) / f"{key}.parquet"
    known = _read_samples(path, request.n_samples)
    missing = [row for row in asked if row.context_hash not in known]
    if missing:
        on_progress(f"drawing {request.n_samples} answers to each of {len(missing)} prompts")
        model, tokenizer = load_model(request.model), load_tokenizer(request.model)
        for n in range(request.n_samples):
            # A seed of its own per round: the same prompt gets another answer each time.
            drawn = generate_answers(
                model,
                tokenizer,
                [to_messages(row.input_messages) or () for row in missing],
                replace(settings, seed=settings.seed + 1_000_003 * n),
            )
            for row, one in zip(missing, drawn, strict=True):
                known.setdefault(row.context_hash or "", []).append((one.text, one.finish_reason))
        _write_samples(path, asked, known)
    return [known[row.context_hash or ""] for row in asked]


def _read_samples(path: Path, n_samples: int) -> dict[str, Drawn]:
    if not path.is_file():
        return {}
    found: dict[str, Drawn] = {}
    for row in pq.read_table(path).to_pylist():
        found.setdefault(row["context_hash"], []).append((row["text"], row["finish_reason"]))
    return {key: texts for key, texts in found.items() if len(texts) == n_samples}


def _write_samples(path: Path, asked: Sequence[Answer], known: dict[str, Drawn]) -> None:
    """Add new samples to the file in one step; those of prompts not asked now are kept."""
    now = {row.context_hash for row in asked}
    kept = pq.read_table(path).to_pylist() if path.is_file() else []
    rows = [row for row in kept if row["context_hash"] not in now]
    rows += [
        {
            "interaction_id": row.interaction_id,
            "user_id": row.user_id,
            "conversation_id": row.conversation_id,
            "context_hash": row.context_hash,
            "sample": n,
            "text": text,
            "finish_reason": end,
        }
        for row in asked
        for n, (text, end) in enumerate(known[row.context_hash or ""])
    ]
    part = path.with_suffix(".part")
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), part)
    part.replace(path)
