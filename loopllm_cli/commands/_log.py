"""A log of what a command says, for machines: one JSON object per line, appended to a file.

    {"level": "info", "text": "drift ...", "time": "2026-10-12T01:15:02.512Z"}

It holds what stderr holds, cleaned in the same way, and how the command ended.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

from loopllm_cli.errors import StoreUnavailable
from loopllm_cli.render.clean import clean_text

LOG = logging.getLogger("loopllm")
LOG.propagate = False
# Without any handler, errors would go to stderr a second time.
LOG.addHandler(logging.NullHandler())
_MOST_CHARS = 2_000


class _Lines(logging.Formatter):
    """Write a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        said = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "text": clean_text(record.getMessage(), _MOST_CHARS),
            **getattr(record, "facts", {}),
        }
        return json.dumps(said, sort_keys=True)


def log_to(path: Path | None) -> None:
    """Write to a file from now on, or to none.

    Raises:
        StoreUnavailable: the file cannot be written.
    """
    for earlier in LOG.handlers[1:]:
        LOG.removeHandler(earlier)
        earlier.close()
    if path is None:
        return
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write {path} ({error.strerror})", "choose another place for --log-out"
        ) from error
    handler.setFormatter(_Lines())
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)


def log_end(code: int) -> None:
    """Log how a command ended."""
    LOG.info("ended with exit code %d", code, extra={"facts": {"exit_code": int(code)}})
