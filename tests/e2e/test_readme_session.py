"""The README's terminal session is what the program prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.e2e.world import ROOT, loopllm

_RUN_SPECIFIC = re.compile(r"^(│|v1  |written|made for)|rejects/")


@pytest.mark.slow
def test_the_session_up_to_the_pairs_comes_out_line_by_line(tmp_path: Path) -> None:
    """Ingest, baseline, drift and pairs print the lines that the README shows."""
    text = (ROOT / "README.md").read_text("utf-8")
    session = text.split("```console\n")[1].split("```")[0]
    n_compared = 0
    for block in session.strip().split("\n\n")[:4]:
        command, *shown = block.split("\n")
        words = [w.replace("demo/", f"{tmp_path}/") for w in shlex.split(command)[2:]]
        printed = loopllm(tmp_path, *words).stdout.split("\n")
        for line in (line for line in shown if not _RUN_SPECIFIC.search(line)):
            assert line in printed, command
            n_compared += 1
    assert n_compared > 40
