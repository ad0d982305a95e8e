"""Signals from an embedding model of the user's choice: is the answer about what was asked?

    [signals.on_topic]
    kind = "embedding"
    model = "sentence-transformers/all-MiniLM-L6-v2"   # or a local folder
    compare = "prompt"                                 # or "reference"
    worse = "down"

Any sentence-transformers model or transformers encoder; the latter's token vectors are averaged
over the attention mask, as sentence-transformers does where a model does not say otherwise.
The libraries are loaded when such a signal is computed, and never otherwise.

Source: Reimers & Gurevych (2019), "Sentence-BERT", arXiv 1908.10084, section 3 (mean pooling,
cosine similarity).

Blind spots: similarity falls with length and rises with parroting; texts beyond the model's
window are cut; a hub name without a `revision` may come to mean another model.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from loopllm_cli.errors import ConfigError, MissingExtra
from loopllm_cli.model import SignalKind
from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.registry import Built
from loopllm_cli.signals.signal_tables import SignalTable

Vectors = npt.NDArray[np.float32]
Encode = Callable[[list[str]], Vectors]
BATCH_ROWS = 32
MAX_CHARS = 8_000  # more than the window of any common encoder
_LIBRARIES = ("sentence_transformers", "transformers")
_WEIGHTS = (".safetensors", ".bin", ".json", ".txt", ".model")


def build_embedding(table: SignalTable, seconds: float) -> Built:
    """Build the signal of how similar answers are to prompts or to reference answers.

    Raises:
        MissingExtra: no library for such models is installed.
        ConfigError: the model is a path to nothing.
    """
    asked = table.text("model")
    compare = table.choice("compare", ("prompt", "reference"), "prompt")
    revision = table.text("revision") if "revision" in table else None
    if not any(importlib.util.find_spec(library) for library in _LIBRARIES):
        raise MissingExtra(
            f"signals.{table.name} needs a library for embedding models, and none is installed",
            "pip install sentence-transformers, or 'loopllm[train]'",
        )
    place, said = _place(table, asked)

    def compute(batch: RowBatch) -> FloatArray:
        others = batch.prompts if compare == "prompt" else batch.values("reference_answer")
        return _similarities(batch.responses, others, _encoder(place, revision))

    other = "its prompt" if compare == "prompt" else "the reference answer"
    definition = f"Cosine similarity of an answer and {other}, 0 where negative, by {said}."
    return Built(definition, compute, kind=SignalKind.AMOUNT)


def _place(table: SignalTable, asked: str) -> tuple[str, str]:
    """Return where a model is, and how to name it so that another model has another name."""
    folder = (table.root / Path(asked).expanduser()).resolve()
    if folder.is_dir():
        return str(folder), f"the model {folder.name} ({_digest(folder)})"
    if asked.startswith((".", "/", "~")) or asked.count("/") > 1:
        raise ConfigError(
            f"{table.wrong('model')}, and there is no folder {folder}", "check the path"
        )
    revision = f" at {table.text('revision')}" if "revision" in table else ""
    return asked, f"the model {asked}{revision}"


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in _WEIGHTS):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()[:8]


def _similarities(
    answers: list[str | None], others: list[str | None], encode: Encode
) -> FloatArray:
    out = np.full(len(answers), np.nan)
    rows = [i for i, (a, o) in enumerate(zip(answers, others, strict=True)) if a and o]
    for start in range(0, len(rows), BATCH_ROWS):
        part = rows[start : start + BATCH_ROWS]
        texts = [str(side[i])[:MAX_CHARS] for side in (answers, others) for i in part]
        vectors = encode(texts)
        left, right = vectors[: len(part)], vectors[len(part) :]
        out[part] = np.clip((left * right).sum(axis=1, dtype=np.float64), 0.0, 1.0)
    return out


@cache
def _encoder(place: str, revision: str | None) -> Encode:
    """Load a model once per process; returned vectors have length one."""
    if importlib.util.find_spec("sentence_transformers"):
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(place, revision=revision)

        def encode(texts: list[str]) -> Vectors:
            found = model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
            return np.asarray(found, dtype=np.float32)

        return encode
    return _averaged(place, revision)


def _averaged(place: str, revision: str | None) -> Encode:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(place, revision=revision)
    model = AutoModel.from_pretrained(place, revision=revision).eval()
    window = min(
        int(getattr(model.config, "max_position_embeddings", 512) or 512),
        int(tokenizer.model_max_length),
    )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token

    def encode(texts: list[str]) -> Vectors:
        options: dict[str, Any] = {"padding": True, "truncation": True, "max_length": window}
        tokens = tokenizer(texts, return_tensors="pt", **options)
        tokens = {k: tokens[k] for k in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            states = model(**tokens).last_hidden_state.float()
        mask = tokens["attention_mask"].unsqueeze(-1).float()
        mean = (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1.0)
        unit = torch.nn.functional.normalize(mean, dim=1)
        return np.asarray(unit.numpy(), dtype=np.float32)

    return encode
