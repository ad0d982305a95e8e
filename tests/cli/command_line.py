"""Run the command line: in this process for speed, in another one where the process matters."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from typer.testing import CliRunner

from loopllm_cli.app import app

ROOT = Path(__file__).parents[2]


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Read stdout as JSON."""
        return json.loads(self.out)


def loopllm(*args: str, stdin: bytes | None = None) -> Said:
    """Run a command in this process."""
    result = CliRunner().invoke(app, list(args), input=stdin)
    return Said(result.exit_code, result.stdout, result.stderr)


def environment(**more: str) -> dict[str, str]:
    """Return the environment for another process."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def process(*args: str, stdin: bytes | None = None, **env: str) -> Said:
    """Run a command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "loopllm_cli", *args],
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
        env=environment(**env),
    )
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())
