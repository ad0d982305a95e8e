"""The tools' processes, as the benchmark talks to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

ROOT = Path(__file__).parents[2]
PEERS = ("evidently", "nannyml", "alibi_detect", "whylogs", "deepchecks")
OURS = "loopllm"
TOOLS = (OURS, *PEERS)

_QUIET = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NML_DISABLE_USAGE_LOGGING": "1",
    "DO_NOT_TRACK": "1",
    "WHYLOGS_NO_ANALYTICS": "True",
    "DEEPCHECKS_DISABLE_ANALYTICS": "True",
    "PYTHONPATH": str(ROOT),
}
"""One thread each, as the peers share a machine, and no usage reports."""


def python_of(tool: str, environments: Path) -> Path | None:
    """Return the interpreter of a tool's environment; None where there is none."""
    if tool == OURS:
        return Path(sys.executable)
    python = environments / tool / "bin" / "python"
    return python if python.exists() else None


@dataclass
class Tool:
    """One tool's process: started at its first use, ended with the `with` block."""

    name: str
    python: Path
    log: Path
    version: str = ""
    methods: tuple[str, ...] = ()
    slow: tuple[str, ...] = ()
    answers_only: tuple[str, ...] = ()
    _process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def __enter__(self) -> Tool:
        """Start the tool and learn its version.

        Raises:
            RuntimeError: it does not start; the log says why.
        """
        with self.log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [str(self.python), "-m", "scripts.detectors.runner", self.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env={**os.environ, **_QUIET},
            )
        hello = self._read()
        self.version, self.methods = hello["version"], tuple(hello["methods"])
        self.slow, self.answers_only = tuple(hello["slow"]), tuple(hello["answers_only"])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the tool's process."""
        if self._process is not None:
            self._stream("stdin").close()
            self._stream("stdout").close()
            self._process.wait(timeout=60)

    def judge(self, path: Path, methods: Iterable[str]) -> dict[str, Any]:
        """Return one finding per method for a pair of windows.

        Raises:
            RuntimeError: the tool's process ended; the log says why.
        """
        stream = self._stream("stdin")
        stream.write("\t".join((str(path.resolve()), *methods)) + "\n")
        stream.flush()
        return self._read()

    def _stream(self, name: str) -> IO[str]:
        stream: IO[str] | None = getattr(self._process, name)
        assert stream is not None
        return stream

    def _read(self) -> dict[str, Any]:
        line = self._stream("stdout").readline()
        if not line:
            raise RuntimeError(f"{self.name} ended; see {self.log}")
        reply: dict[str, Any] = json.loads(line)
        return reply
