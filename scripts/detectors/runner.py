"""The process that runs one tool inside its own environment.

    python -m scripts.detectors.runner evidently

Reads requests, one a line: a path of windows, then names of methods, tabs in between. Answers
each with one line of JSON: a finding per method. The first line it writes names the tool's version
and methods. What the tool itself prints goes to standard error, so that it cannot be taken for an
answer.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import IO

from scripts.detectors.windows import Finding, Method, Windows, load_windows

MAX_REASON_CHARS = 200


def answer(methods: dict[str, Method], windows: Windows) -> dict[str, object]:
    """Run every method on a pair of windows; one that fails says why."""
    found: dict[str, object] = {}
    for name, method in methods.items():
        started = time.perf_counter()
        try:
            finding = method(windows)
        except Exception as problem:  # whatever a tool raises on windows it cannot take
            finding = Finding(error=f"{type(problem).__name__}: {problem}"[:MAX_REASON_CHARS])
        found[name] = replace(finding, seconds=time.perf_counter() - started).to_json()
    return found


def serve(tool: str, requests: IO[str], replies: IO[str]) -> None:
    """Answer requests until there are no more."""
    peer = importlib.import_module(f"scripts.detectors.peers.{tool}")
    kinds = {kind: list(getattr(peer, kind.upper(), ())) for kind in ("slow", "answers_only")}
    hello = {"version": peer.VERSION, "methods": list(peer.METHODS), **kinds}
    replies.write(json.dumps(hello) + "\n")
    replies.flush()
    for line in requests:
        path, *wanted = line.rstrip("\n").split("\t")
        methods = {name: peer.METHODS[name] for name in wanted}
        found = answer(methods, load_windows(Path(path)))
        replies.write(json.dumps(found) + "\n")
        replies.flush()


def main() -> None:
    """Serve on the standard streams."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(sys.argv[1], sys.stdin, replies)


if __name__ == "__main__":
    main()
