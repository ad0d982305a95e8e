"""Keep what could not be read: one JSON line per rejected line, with its place and reason."""

from __future__ import annotations

import errno
import json
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import IO

from loopllm_cli.errors import StoreUnavailable

_HEAD_BYTES = 200
# A file of garbage must not fill the disk with what is said of it.
_MAX_ENTRIES = 1_000_000


class Rejects:
    """A rejects file, made when the first line is rejected.

    Args:
        path: the file; None counts without writing (a dry run).
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._stream: IO[str] | None = None
        self._n_entries = 0
        self.by_reason: Counter[str] = Counter()

    def add(self, source: str, line_number: int, reason: str, line: bytes) -> None:
        """Keep one rejected line: where it stood, why, and its first 200 bytes.

        Of more than a million, the others are only counted.

        Raises:
            StoreUnavailable: it cannot be written.
        """
        self.by_reason[reason] += 1
        if self._path is None or self._n_entries > _MAX_ENTRIES:
            return
        self._n_entries += 1
        if self._n_entries > _MAX_ENTRIES:
            reason, line = "further rejects are counted but not kept", b""
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
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StoreUnavailable:
        what = "disk full" if error.errno == errno.ENOSPC else error.strerror
        return StoreUnavailable(f"cannot write {self._path} ({what})", "free some space, run again")

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
        if self._stream is None:
            return
        try:
            self._stream.close()
        except OSError as failure:
            if error is None:  # else there is worse to be told
                raise self._unwritable(failure) from failure
