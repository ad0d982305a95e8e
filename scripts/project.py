"""A loopllm project that a simulation drives by its commands, as cron would."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass
class Project:
    """A project's folder, and its commands."""

    folder: Path

    def run(self, *words: str) -> int:
        """Run a command in a process of its own and keep what it said in `commands.txt`.

        Returns:
            its exit code, if that is a verdict (0, 3, 10, 11, 12).

        Raises:
            SystemExit: the command could not do its work.
        """
        done = subprocess.run(
            [sys.executable, "-m", "loopllm_cli", *words, "--project", str(self.folder)],
            cwd=ROOT,
            env={**os.environ, "LOOPLLM_KEY": "the users are invented", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        log = self.folder / "commands.txt"
        with log.open("a", encoding="utf-8") as file:
            file.write(f"$ loopllm {' '.join(words)}\n{done.stdout}{done.stderr}\n")
        if done.returncode in (1, 2, 4):
            raise SystemExit(f"loopllm {' '.join(words)} ended with {done.returncode}: see {log}")
        return done.returncode
