"""The public answers: read, described by columns, and embedded, once for all tools."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from loopllm_cli.profiles.features import hashed_counts, unit_rows
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.catalogue import compute_signals, load_signals
from scripts.detectors.windows import NUMBER, RATE, FloatArray, IntArray, Window

DATA = Path(__file__).parents[3] / "shared" / "data"
FILES = {
    "alpacaeval_gpt4_0314": "alpacaeval",
    "alpacaeval_gpt4_0613": "alpacaeval",
    "alpacaeval_vicuna-7b-v1.3": "alpacaeval",
    "alpacaeval_vicuna-7b-v1.5": "alpacaeval",
    "llmdrift_prime_full": "prime",
    "llmdrift_sensitiveq": "sensitiveq",
    "llmdrift_leetcode_easy": "leetcode",
}
"""The files by name, and the set of prompts that each answers."""
COLUMNS = {
    "response_chars": NUMBER,
    "response_words": NUMBER,
    "distinct_words": NUMBER,
    "code_fence": RATE,
    "list_answer": RATE,
    "refusal": RATE,
    "link": RATE,
    "question_back": RATE,
    "hedging": RATE,
    "json_answer": RATE,
}
"""Ten of the program's signals: the table that every tool gets."""
N_DIMENSIONS = 32


@dataclass(frozen=True)
class Pool:
    """All public answers, by model version and prompt.

    `versions` maps "task model" to the places of its answers, in the same order of prompts for
    all versions of a task. `path` is a file with the texts, for tools that read them.
    """

    path: Path
    table: FloatArray
    embedding: FloatArray
    tasks: IntArray
    versions: dict[str, IntArray]

    def window(self, rows: IntArray, clusters: IntArray) -> Window:
        """Return a window of some answers."""
        return Window(self.table[rows], clusters, rows, self.embedding[rows], self.tasks[rows])


def read_pool(folder: Path, data: Path = DATA) -> Pool:
    """Read the public answers and write their texts into a folder.

    Raises:
        FileNotFoundError: the public data is not there.
    """
    files = {name: _read(data / f"{name}.jsonl.gz") for name in FILES}
    rows = [row for found in files.values() for row in found]
    prompts, answers = [r["prompt"] for r in rows], [r["response"] or "" for r in rows]
    sets = [FILES[name] for name, found in files.items() for _ in found]
    known = sorted(set(sets))
    path = folder / "answers.json"
    path.write_text(json.dumps({"prompts": prompts, "answers": answers}), "utf-8")
    return Pool(
        path=path,
        table=describe(answers),
        embedding=embed(answers),
        tasks=np.array([known.index(name) for name in sets], dtype=np.int64),
        versions=_by_version(sets, [r["model"] for r in rows], prompts),
    )


def describe(answers: list[str]) -> FloatArray:
    """Compute the columns; an answer too short to count distinct words in has only distinct ones.

    Shapes: (n_answers, n_columns), no missing values, because tools treat them in many ways.
    """
    batch = RowBatch(pa.table({"response_text": pa.array(answers, pa.string())}))
    values, _ = compute_signals(batch, load_signals(only=list(COLUMNS)))
    distinct = list(COLUMNS).index("distinct_words")
    values[:, distinct] = np.where(np.isnan(values[:, distinct]), 1.0, values[:, distinct])
    return values


def embed(answers: list[str]) -> FloatArray:
    """Embed answers: hashed words and word pairs, their strongest directions over all answers.

    The directions come from all public answers, as a pretrained model's would from other text,
    so that no test can take the fit to one window for a change.
    """
    vectors = unit_rows(hashed_counts(list(answers))).astype(np.float64)
    vectors -= vectors.mean(axis=0)
    _, directions = np.linalg.eigh(vectors.T @ vectors)
    return np.asarray(vectors @ directions[:, ::-1][:, :N_DIMENSIONS])


def _read(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def _by_version(sets: list[str], models: list[str], prompts: list[str]) -> dict[str, IntArray]:
    """Place every version's answers in one order of prompts; a prompt may occur more than once."""
    places: dict[str, dict[str, dict[tuple[str, int], int]]] = defaultdict(dict)
    seen: Counter[tuple[str, str, str]] = Counter()
    for i, (name, model, prompt) in enumerate(zip(sets, models, prompts, strict=True)):
        asked = (prompt, seen[name, model, prompt])
        seen[name, model, prompt] += 1
        places[name].setdefault(model, {})[asked] = i
    found = {}
    for name, by_model in places.items():
        shared = sorted(set.intersection(*(set(rows) for rows in by_model.values())))
        for model, rows in by_model.items():
            found[f"{name} {model}"] = np.array([rows[p] for p in shared], dtype=np.int64)
    return found
