"""Where a project keeps its things: one hidden folder with tables, baselines, runs, artefacts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from loopllm_cli.errors import Locked, StoreUnavailable

FOLDER = ".loopllm"


class Project:
    """The folder tree of one project, made on first write.

    Args:
        root: the project's directory; its state lives in `root/.loopllm`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / FOLDER

    @property
    def interactions(self) -> Path:
        """The Delta table of model responses."""
        return self.home / "interactions"

    @property
    def feedback(self) -> Path:
        """The Delta table of feedback."""
        return self.home / "feedback"

    @property
    def parts(self) -> Path:
        """The Delta table of pieces that are put together once their group is there."""
        return self.home / "parts"

    def folder(self, name: str) -> Path:
        """Return a sub-folder by name, made if needed.

        Raises:
            StoreUnavailable: the place cannot be written.
        """
        path = self.home / name
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(
                f"cannot write to {path} ({error.strerror})",
                "check the permissions, or choose another place with --project DIR",
            ) from error
        return path

    @contextmanager
    def writing(self, timeout_s: float) -> Iterator[None]:
        """Hold the store's write lock, which the system frees even when a process is killed.

        De-duplication reads the ids that are there and then appends; two writers at once could
        each miss the other's rows, so they take turns.

        Raises:
            Locked: another process held the lock for `timeout_s` seconds.
            StoreUnavailable: the place cannot be written.
        """
        path = self.folder("") / "write.lock"
        lock = FileLock(path)
        try:
            lock.acquire(timeout=timeout_s)
        except Timeout as error:
            raise Locked(
                f"another loopllm process has been writing to {self.home} for {timeout_s:g} s",
                "wait for it to end, or give it longer with --lock-wait SECONDS",
            ) from error
        except (OSError, NotImplementedError) as error:
            raise StoreUnavailable(
                f"cannot lock {path} ({error})",
                "check the permissions, or choose another place with --project DIR",
            ) from error
        try:
            yield
        finally:
            lock.release()
