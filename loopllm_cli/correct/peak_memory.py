"""Measure how much memory a run took at its highest, above what was there before."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class PeakMemory:
    """A `with` block whose `bytes` is its peak: allocated on a CUDA card, resident on a CPU.

    On a card the peak is all that this process has allocated there; on a CPU it is what the
    block added to the resident memory. None where the system does not tell.
    """

    bytes: int | None = None

    def __init__(self, kind: str) -> None:
        """Name the device's kind: "cuda", "cpu" or "mps"."""
        self._kind = kind
        self._before = 0

    def __enter__(self) -> Self:
        """Start from here."""
        if self._kind == "cuda":
            import torch

            torch.cuda.reset_peak_memory_stats()
            return self
        # Source: Linux, Documentation/filesystems/proc.rst: "5" resets the peak resident size.
        with contextlib.suppress(OSError):
            _CLEAR.write_text("5", encoding="ascii")
        self._before = _resident("VmRSS") or 0
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Read the peak, also after an error."""
        self.bytes = self.now()

    def now(self) -> int | None:
        """Return the peak so far."""
        if self._kind == "cuda":
            import torch

            return int(torch.cuda.max_memory_allocated())
        if self._kind == "mps" or not sys.platform.startswith("linux"):
            return None
        peak = _resident("VmHWM")
        return None if peak is None else max(0, peak - self._before)


def _resident(name: str) -> int | None:
    try:
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return None
    return None
