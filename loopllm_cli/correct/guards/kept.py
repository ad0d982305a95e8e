"""Keep the best weights of a run so far, in memory and beside its checkpoints.

Must not import: torch and its relatives at the top.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from loopllm_cli.correct.processes import is_main

FILE = "kept.safetensors"


class KeptWeights:
    """The trained weights of one step, with what was measured there.

    They are written whole or not at all. A run that goes on from an earlier checkpoint measures
    the same again, so a file that is ahead of the checkpoint does no harm.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder of the run; nothing is read yet."""
        self._path = folder / FILE
        self._weights: dict[str, Any] = {}
        self._counts = folder / "looks.json"
        self.step = 0
        self.held_out: list[float] = []

    def load(self) -> bool:
        """Read what an interrupted run has kept; False where there is nothing whole."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(self._path), framework="pt") as stored:
                told = json.loads((stored.metadata() or {})["told"])
                self._weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, ValueError):
            return False
        self.step, self.held_out = int(told["step"]), list(told["held_out"])
        return True

    def remember(self, model: Any, step: int, held_out: list[float]) -> None:
        """Take the model's trained weights as the best ones."""
        from safetensors.torch import save_file

        self.step, self.held_out = step, held_out
        self._weights = {
            name: parameter.detach().clone().contiguous()
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        }
        if not is_main():
            return
        part = self._path.with_suffix(".part")
        told = {"told": json.dumps({"step": step, "held_out": held_out})}
        save_file(self._weights, str(part), metadata=told)
        part.replace(self._path)

    def count(self, step: int, n_worse: int) -> None:
        """Note at which step how many looks in a row had been worse."""
        if not is_main():
            return
        counts = {**self._read_counts(), str(step): n_worse}
        part = self._counts.with_suffix(".part")
        part.write_text(json.dumps(counts), encoding="utf-8")
        part.replace(self._counts)

    def counted(self, step: int) -> int:
        """Return the count as it was after the last look up to a step."""
        known = {int(at): n for at, n in self._read_counts().items() if int(at) <= step}
        return known[max(known)] if known else 0

    def _read_counts(self) -> dict[str, int]:
        try:
            found: dict[str, int] = json.loads(self._counts.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def restore(self, model: Any) -> None:
        """Put the kept weights back into the model."""
        for name, parameter in model.named_parameters():
            if name in self._weights:
                kept = self._weights[name]
                parameter.data.copy_(kept.to(parameter.device))
