"""Measure how well the detectors of the signal pack find what they are named after.

    python -m scripts.measure_signals [--half tune] [--errors]

Prints precision and recall with 95% Wilson intervals per detector and language, on the labelled
texts in tests/data: invented sentences, cut into a half that the rules were tuned on and a half
that was written before the rules and never tuned on. Where the public answers with human labels
are at hand, the refusal and code detectors are measured on them too.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.catalogue import load_signals
from loopllm_cli.signals.code import is_python
from loopllm_cli.signals.texts import find_fences
from scripts.measure_implicit import wilson

ROOT = Path(__file__).parents[1]
LABELLED = ROOT / "tests" / "data"
PUBLIC = ROOT.parent / "shared" / "data"
ALL = "all"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Counts:
    """What a detector found among labelled texts; `hits` are found and labelled."""

    hits: int
    found: int
    labelled: int
    total: int

    @property
    def precision(self) -> float:
        """Share of the findings that are labelled so; 1 where nothing was found."""
        return self.hits / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the labelled texts that were found; 1 where none is labelled."""
        return self.hits / self.labelled if self.labelled else 1.0


@dataclass(frozen=True, slots=True)
class Detector:
    """A detector, the labelled file it is measured on, and which labels it should find.

    `applies` keeps the texts whose label is about this detector at all.
    """

    name: str
    file: str
    find: Callable[[list[Row]], FloatArray]
    positive: tuple[Any, ...]
    applies: tuple[Any, ...] | None = None


def _signal(name: str) -> Callable[[list[Row]], FloatArray]:
    def find(rows: list[Row]) -> FloatArray:
        return measure(name, rows)

    return find


def measure(name: str, rows: list[Row]) -> FloatArray:
    """Compute one built-in signal on rows with a text and perhaps a prompt."""
    columns = {
        "response_text": pa.array([row["text"] for row in rows], pa.string()),
        "prompt_text": pa.array([row.get("prompt") for row in rows], pa.string()),
    }
    return load_signals(only=[name])[name].compute(RowBatch(pa.table(columns)))


def _reads_as_python(rows: list[Row]) -> FloatArray:
    return np.array([any(map(is_python, find_fences(r["text"]))) for r in rows], np.float64)


_PYTHON = ("python", "broken python")
DETECTORS = (
    Detector("refusal", "refusals", _signal("refusal"), (1,)),
    Detector("hedging", "hedges", _signal("hedging"), (1,)),
    Detector("apology", "apologies", _signal("apology"), (1,)),
    Detector("language_mismatch", "languages", _signal("language_mismatch"), (1,)),
    Detector("json_answer", "json", _signal("json_answer"), ("json",)),
    Detector("json_broken", "json", _signal("json_broken"), ("broken",)),
    Detector("code_fence", "code", _signal("code_fence"), (*_PYTHON, "fence")),
    Detector("is_python", "code", _reads_as_python, _PYTHON),
    Detector("code_broken", "code", _signal("code_broken"), ("broken python",), _PYTHON),
)


@cache
def read_labelled(file: str) -> tuple[Row, ...]:
    """Return the labelled texts of one file, both halves."""
    lines = (LABELLED / f"{file}_labelled.jsonl").read_text("utf-8").splitlines()
    return tuple(json.loads(line) for line in lines)


def judged(detector: Detector, half: str) -> Iterator[tuple[Row, bool, bool]]:
    """Yield each text of a half with what was found and what is labelled.

    Where a signal does not apply, or cannot tell, nothing was found.
    """
    rows = [
        row
        for row in read_labelled(detector.file)
        if row["half"] == half and (detector.applies is None or row["label"] in detector.applies)
    ]
    for row, value in zip(rows, detector.find(rows), strict=True):
        yield row, bool(value == 1), row["label"] in detector.positive


def count(detector: Detector, half: str) -> dict[str, Counts]:
    """Count findings by language, and over all languages."""
    groups: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for row, found, labelled in judged(detector, half):
        groups[ALL].append((found, labelled))
        groups[row["language"]].append((found, labelled))
    return {name: _count(pairs) for name, pairs in groups.items()}


def _count(pairs: Iterable[tuple[bool, bool]]) -> Counts:
    known = list(pairs)
    hits = sum(found and labelled for found, labelled in known)
    return Counts(hits, sum(f for f, _ in known), sum(y for _, y in known), len(known))


def public_counts() -> dict[str, Counts]:
    """Count findings on answers labelled by people; empty where the files are absent.

    Source: Chen, Zaharia and Zou (2023), arXiv 2307.09009. Refusal is held against "did not
    answer a sensitive question"; "the code does not run as it stands" against fenced or broken
    code, because the study ran the answers with their fences.
    """
    counts: dict[str, Counts] = {}
    rows = _read_public("llmdrift_sensitiveq")
    if rows:
        found = measure("refusal", rows) == 1
        counts["refusal, against not answered"] = _count(
            (bool(f), row["label_answered"] in (0, "0", False))
            for f, row in zip(found, rows, strict=True)
        )
    rows = _read_public("llmdrift_leetcode_easy")
    if rows:
        fenced, broken = measure("code_fence", rows) == 1, measure("code_broken", rows) == 1
        stuck = [row["label_directly_executable"] in (0, "0", False) for row in rows]
        for name, hit in (("code_fence", fenced), ("code_broken", broken)):
            counts[f"{name}, against not executable"] = _count(
                (bool(f), y) for f, y in zip(hit, stuck, strict=True)
            )
    return counts


def _read_public(name: str) -> list[Row]:
    path = PUBLIC / f"{name}.jsonl.gz"
    if not path.is_file():
        return []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [{**row, "text": row["response"]} for row in map(json.loads, lines)]


def _share(hits: int, total: int) -> str:
    if not total:
        return "none"
    low, high = wilson(hits, total)
    return f"{hits / total:.2f} ({low:.2f} to {high:.2f})"


def _line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _row(name: str, group: str, c: Counts) -> str:
    precision, recall = _share(c.hits, c.found), _share(c.hits, c.labelled)
    return _line(name, group, c.total, c.labelled, precision, recall)


def tables(half: str) -> str:
    """Return the table of one half, and that of the public answers, as Markdown."""
    head = ("detector", "language", "texts", "labelled", "precision", "recall")
    lines = [_line(*head), _line(*["---"] * len(head))]
    for detector in DETECTORS:
        groups = count(detector, half)
        if detector.file in ("json", "code") and groups:
            groups = {ALL: groups[ALL]}
        lines += [_row(detector.name, group, counts) for group, counts in groups.items()]
    lines += [_row(name, "en", counts) for name, counts in public_counts().items()]
    return "\n".join(lines) + "\n"


def _print_errors(half: str) -> None:
    for detector in DETECTORS:
        for row, found, labelled in judged(detector, half):
            if found != labelled:
                kind = "not found" if labelled else "found wrongly"
                print(f"{detector.name} {row['language']} {kind}: {row['text']!r}")


def main() -> None:
    """Print the table, and on request what was judged wrongly."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--half", choices=("tune", "test", "unusual"), default="test")
    parser.add_argument("--errors", action="store_true", help="list the wrongly judged texts")
    options = parser.parse_args()
    print(tables(options.half), end="")
    if options.errors:
        _print_errors(options.half)


if __name__ == "__main__":
    main()
