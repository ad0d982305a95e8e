"""Where a project keeps its things: one hidden folder with tables, baselines, runs, artefacts.

Or the same under a URL in an object store, where the folder is a copy of all but the tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from loopllm_cli.errors import Locked, StoreUnavailable
from loopllm_cli.store.locations import Location, read_location

if TYPE_CHECKING:
    from loopllm_cli.store.mirror import Mirror

FOLDER = ".loopllm"


class Project:
    """The folder tree of one project, made on first write.

    Args:
        root: the project's directory; its state lives in `root/.loopllm`. For a project in an
            object store, the directory of its settings.
        mirror: the copy of a project in an object store.
        url: where that one is.
    """

    def __init__(self, root: Path, mirror: Mirror | None = None, url: str | None = None) -> None:
        self.root = root
        self.home = mirror.folder if mirror else root / FOLDER
        self.url = url
        self._mirror = mirror

    @property
    def place(self) -> Location:
        """Where the project is, for users to read and for the tables."""
        return self.url or self.home

    @property
    def interactions(self) -> Location:
        """The Delta table of model responses."""
        return self._table("interactions")

    @property
    def feedback(self) -> Location:
        """The Delta table of feedback."""
        return self._table("feedback")

    @property
    def parts(self) -> Location:
        """The Delta table of pieces that are put together once their group is there."""
        return self._table("parts")

    def _table(self, name: str) -> Location:
        return f"{self.url}/{name}" if self.url else self.home / name

    def shown(self, path: Path) -> str:
        """Write a path of the project as users find it: for a copy, the original's URL."""
        if self.url and path.is_relative_to(self.home):
            return f"{self.url}/{path.relative_to(self.home).as_posix()}"
        return str(path)

    def found(self, path: Path) -> Path:
        """Return where an adapter is: at its path or, by its name, in a project's copy."""
        copy = self.home / "adapters" / path.name
        return copy if self.url and not path.exists() and copy.is_dir() else path

    def close(self) -> None:
        """Store what a command has changed in the copy, if the project is one.

        Raises:
            StoreUnavailable: the object store cannot be written.
        """
        if self._mirror:
            self._mirror.push()

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
    def running(self) -> Iterator[None]:
        """Keep a second unattended run out for as long as this one goes on.

        Raises:
            Locked: another one goes on.
            StoreUnavailable: the place cannot be written.
        """
        with self._locked("run.lock", 0) as got:
            if not got:
                raise Locked(
                    f"another loopllm run of {self.home} goes on", "it ends by itself; come back"
                )
            yield

    @contextmanager
    def watching(self, key: str) -> Iterator[None]:
        """Keep a second watch of the same thing out.

        Raises:
            Locked: another one goes on.
            StoreUnavailable: the place cannot be written.
        """
        with self._locked(f"watch-{key}.lock", 0) as got:
            if not got:
                raise Locked(
                    f"these sources are being watched already, for {self.home}", "one is enough"
                )
            yield

    @contextmanager
    def writing(self, timeout_s: float) -> Iterator[None]:
        """Hold the store's write lock, which the system frees even when a process is killed.

        De-duplication reads the ids that are there and then appends; two writers at once could
        each miss the other's rows, so they take turns. An object store has no such lock: there,
        a commit fails whose table is not as it was looked at (see `store.tables`).

        Raises:
            Locked: another process held the lock for `timeout_s` seconds.
            StoreUnavailable: the place cannot be written.
        """
        if self.url:
            yield
            return
        with self._locked("write.lock", timeout_s) as got:
            if not got:
                raise Locked(
                    f"another loopllm process has been writing to {self.home} for {timeout_s:g} s",
                    "wait for it to end, or give it longer with --lock-wait SECONDS",
                )
            yield

    @contextmanager
    def _locked(self, name: str, timeout_s: float) -> Iterator[bool]:
        """Hold a lock file, and say whether it could be had in time."""
        path = self.folder("") / name
        lock = FileLock(path)
        try:
            lock.acquire(timeout=timeout_s)
        except Timeout:
            yield False
            return
        except (OSError, NotImplementedError) as error:
            raise StoreUnavailable(
                f"cannot lock {path} ({error})",
                "check the permissions, or choose another place with --project DIR",
            ) from error
        try:
            yield True
        finally:
            lock.release()


def open_project(text: str, *, bulk: bool = False) -> Project:
    """Open the project at a path or a URL; of the latter, its small files are fetched.

    Args:
        bulk: fetch the adapters' weights too.

    Raises:
        UsageError: the URL names no place that is supported.
        StoreUnavailable: the object store cannot be read.
    """
    location = read_location(text)
    if isinstance(location, Path):
        return Project(location)
    from loopllm_cli.store.mirror import Mirror

    mirror = Mirror(location, bulk=bulk)
    mirror.fetch()
    return Project(Path(), mirror, location)
