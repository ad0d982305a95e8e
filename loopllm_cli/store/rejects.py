"""Keep what could not be read: one JSON line per rejected line, with its place and reason."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import IO

from loopllm_cli.errors import StoreUnavailable

_HEAD_BYTES = 200


class Rejects:
    """A rejects file, made when the first line is rejected.

    Args:
        path: the file; None counts without writing (a dry run).
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stream: IO[str] | None = None
        self.by_reason: Counter[str] = Counter()

    def add(self, source: str, line_number: int, reason: str, line: bytes) -> None:
        """Keep one rejected line: where it stood, why, and its first 200 bytes.

        Raises:
            StoreUnavailable: it cannot be written.
        """
        self.by_reason[reason] += 1
        if self._path is None:
            return
        entry = {
            "path": source,
            "line": line_number,
            "reason": reason,
            "head": line[:_HEAD_BYTES].decode("utf-8", "replace"),
        }
        try:
            if self._stream is None:
                self._stream = self._path.open("w", encoding="utf-8")
            self._stream.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise StoreUnavailable(
                f"cannot write {self._path} ({error.strerror})", "free some space and run again"
            ) from error

    @property
    def path(self) -> Path | None:
        """The file, or None while nothing has been rejected."""
        return self._path if self._stream else None

    def __enter__(self) -> Rejects:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stream:
            self._stream.close()
