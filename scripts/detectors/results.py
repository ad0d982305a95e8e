"""What was found, kept in one file per part, so that parts and further runs can be added."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scripts.detectors.tools import OURS, ROOT

LEVEL = 0.05
_OURS_CODE = ("signals", "profiles", "drift")


@dataclass(frozen=True)
class Findings:
    """One method's findings in one cell, by run, without the runs in which it gave none."""

    any_alarm: np.ndarray
    verdict: np.ndarray | None
    score: np.ndarray
    columns: list[dict[str, bool]]
    n_errors: int
    seconds: float

    def __len__(self) -> int:
        return len(self.score)


@dataclass
class Results:
    """The findings of one part.

    `findings` maps a cell's key to methods ("tool: method") to runs; `versions` maps tools to
    versions; findings of another version of a tool are dropped when the file is read.
    """

    path: Path
    versions: dict[str, str] = field(default_factory=dict)
    findings: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read a part's file, or begin one."""
        if not path.exists():
            return cls(path)
        found = json.loads(path.read_text("utf-8"))
        return cls(path, found["versions"], found["findings"])

    def settle(self, tool: str, version: str) -> None:
        """Note a tool's version; drop what another version of it found."""
        if self.versions.get(tool, version) != version:
            self.drop(tool)
        self.versions[tool] = version

    def drop(self, tool: str) -> None:
        """Forget a tool's findings."""
        for methods in self.findings.values():
            for name in [m for m in methods if m.split(": ")[0] == tool]:
                del methods[name]

    def has(self, cell: str, method: str, run: int) -> bool:
        """Say whether a run is there."""
        return str(run) in self.findings.get(cell, {}).get(method, {})

    def add(self, cell: str, method: str, run: int, finding: dict[str, Any]) -> None:
        """Keep one finding."""
        self.findings.setdefault(cell, {}).setdefault(method, {})[str(run)] = finding

    def write(self) -> None:
        """Write the file in one step, so that an interrupted run leaves the last one whole."""
        kept = {"versions": self.versions, "findings": self.findings}
        draft = self.path.with_suffix(".part")
        draft.write_text(json.dumps(kept), "utf-8")
        draft.replace(self.path)

    def methods(self) -> list[str]:
        """Name all methods, in the order in which they came, ours first."""
        names = dict.fromkeys(m for methods in self.findings.values() for m in methods)
        return sorted(names, key=lambda name: name.split(": ")[0] != OURS)

    def of(self, cell: str, method: str) -> Findings | None:
        """Return a method's findings in a cell; None where there are none."""
        runs = list(self.findings.get(cell, {}).get(method, {}).values())
        good = [r for r in runs if not r["error"]]
        if not good:
            return None
        verdicts = [r["verdict"] for r in good]
        known = all(v is not None for v in verdicts)
        return Findings(
            np.array([r["any_alarm"] for r in good], dtype=bool),
            np.array(verdicts, dtype=bool) if known else None,
            np.array([r["score"] for r in good], dtype=float),
            [r["columns"] for r in good],
            len(runs) - len(good),
            float(np.mean([r["seconds"] for r in good])),
        )


def threshold(clean_scores: np.ndarray) -> float:
    """Return the score that 5% of clean runs exceed; infinite where there are too few runs.

    The k-th greatest of m scores with k = floor(0.05 (m + 1)) is exceeded by one more clean score
    with probability at most k / (m + 1) <= 5%, whatever the scores' law (David & Nagaraja 2003,
    "Order Statistics", section 2; exactly so without ties).
    """
    k = int(LEVEL * (len(clean_scores) + 1))
    if k == 0:
        return float("inf")
    return float(np.sort(clean_scores)[-k])


def hash_of_ours() -> str:
    """Name our version by what decides: a hash of the code of signals, profiles and drift."""
    digest = hashlib.blake2b(digest_size=4)
    for room in _OURS_CODE:
        for path in sorted((ROOT / "loopllm_cli" / room).glob("*.py")):
            digest.update(path.read_bytes())
    return f"({digest.hexdigest()})"
