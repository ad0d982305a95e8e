"""A local copy of a project's small files, where the project itself lies in an object store.

Baselines, records of runs, datasets and adapters are read and written as files everywhere. They
are fetched when a command begins and what it changed is pushed when it ends. The tables are not
among them: the engine reads and writes those in the object store itself.

The copy stays in the user's cache folder, so that a command fetches only what is new to it. The
engine's own access to the store is used, so that credentials are set up once.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deltalake._internal import DeltaFileSystemHandler
from deltalake.exceptions import DeltaError
from filelock import FileLock, Timeout
from pyarrow.fs import FileInfo, FileType

from loopllm_cli.errors import Locked, StoreUnavailable
from loopllm_cli.store.locations import unreachable

TABLES = frozenset({"interactions", "feedback", "parts", "key"})
_BULK = "adapters"
_PIECE_BYTES = 8 * 1024 * 1024
# The store's times have whole seconds: a file this small may change twice in one, unseen.
_ALWAYS_BYTES = 256
_OWNER_ONLY = 0o700
_LOCK_WAIT_S = 600.0
# The same URL is another place at another address.
_ADDRESSES = (
    *("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "GOOGLE_BASE_URL"),
    *("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
)
Stamp = list[int]


class Mirror:
    """The local copy of the files under one URL.

    Args:
        url: the project's place.
        bulk: also fetch the adapters' weights, which only training and verifying read.

    Raises:
        StoreUnavailable: there is no place for the copy.
    """

    def __init__(self, url: str, *, bulk: bool = False) -> None:
        self._url = url
        self._bulk = bulk
        self._place = _cache_folder(url)
        self.folder = self._place / "files"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=_OWNER_ONLY)
            self._place.chmod(_OWNER_ONLY)
        except OSError as error:
            raise StoreUnavailable(
                f"cannot keep a copy of {url} in {self._place} ({error.strerror})",
                "choose another place with XDG_CACHE_HOME",
            ) from error
        with _said(url):
            self._store = DeltaFileSystemHandler(url)

    def fetch(self) -> None:
        """Bring the copy up to date; what was changed here and not pushed yet stays.

        Raises:
            StoreUnavailable: the store cannot be read.
        """
        with self._synchronising() as index, _said(self._url):
            there = dict(self._list(""))
            for name, stamp in there.items():
                if not self._is_current(index.get(name), stamp, name):
                    self._download(name, stamp)
                    index[name] = [stamp, self._stat(name)]
            for name in sorted(set(index) - set(there)):
                if not self._is_wanted(name):
                    continue
                if index[name][1] == self._stat(name):
                    (self.folder / name).unlink()
                del index[name]

    def push(self) -> None:
        """Store what has been made, changed or removed here since it was fetched.

        Raises:
            StoreUnavailable: the store cannot be written.
        """
        with self._synchronising() as index, _said(self._url):
            here = {name: stat for name, stat in self._files() if stat}
            for name, stat in here.items():
                if name not in index or index[name][1] != stat:
                    self._upload(name)
                    (info,) = self._store.get_file_info([name])
                    index[name] = [_stamp(info), stat]
            for name in sorted(set(index) - set(here)):
                self._store.delete_file(name)
                del index[name]

    @contextmanager
    def _synchronising(self) -> Iterator[dict[str, list[Any]]]:
        """Yield what was in step when last seen: stamps there and here, by name.

        One process of this machine at a time.
        """
        path = self._place / "index.json"
        lock = FileLock(self._place / "lock")
        try:
            lock.acquire(timeout=_LOCK_WAIT_S)
        except Timeout as error:
            raise Locked(
                f"another loopllm process has been using the copy in {self._place} for long",
                "wait for it to end, or choose another place with XDG_CACHE_HOME",
            ) from error
        try:
            try:
                index: dict[str, list[Any]] = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                index = {}
            try:
                yield index
            finally:
                part = path.with_suffix(".part")
                part.write_text(json.dumps(index), encoding="utf-8")
                part.replace(path)
        finally:
            lock.release()

    def _list(self, folder: str) -> Iterator[tuple[str, Stamp]]:
        """Yield the files in the store that belong into the copy."""
        for info in self._store.get_file_info_selector(folder, True, False):
            name = info.path
            if info.type == FileType.Directory:
                if name not in TABLES and _is_safe(name):
                    yield from self._list(name)
            elif _is_safe(name) and self._is_wanted(name):
                yield name, _stamp(info)

    def _files(self) -> Iterator[tuple[str, Stamp | None]]:
        """Yield the files here that belong into the store."""
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            unfinished = any(part.endswith((".part", ".partial")) for part in name.split("/"))
            if not unfinished and path.is_file() and not path.is_symlink():
                yield name, self._stat(name)

    def _is_wanted(self, name: str) -> bool:
        return self._bulk or not name.startswith(f"{_BULK}/") or name.endswith(".json")

    def _is_current(self, known: list[Any] | None, stamp: Stamp, name: str) -> bool:
        if known is None or known[0] != stamp:
            return False
        return stamp[0] > _ALWAYS_BYTES or known[1] != self._stat(name)

    def _stat(self, name: str) -> Stamp | None:
        try:
            found = (self.folder / name).stat()
        except OSError:
            return None
        return [found.st_size, found.st_mtime_ns]

    def _download(self, name: str, stamp: Stamp) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        source = self._store.open_input_file(name)
        with part.open("wb") as stream:
            left = source.size()
            while left > 0 and (piece := source.read(min(left, _PIECE_BYTES))):
                stream.write(piece)
                left -= len(piece)
        os.utime(part, ns=(stamp[1], stamp[1]))
        part.replace(path)

    def _upload(self, name: str) -> None:
        target: Any = self._store.open_output_stream(name)
        with (self.folder / name).open("rb") as stream:
            while piece := stream.read(_PIECE_BYTES):
                target.write(piece)
        target.close()


def _stamp(info: FileInfo) -> Stamp:
    return [info.size or 0, info.mtime_ns or 0]


def _is_safe(name: str) -> bool:
    """Refuse names that would lead out of the copy's folder."""
    return not name.startswith("/") and not {"", ".", ".."} & set(name.split("/"))


def _cache_folder(url: str) -> Path:
    place = [url, *(os.environ.get(name, "") for name in _ADDRESSES)]
    digest = hashlib.blake2b("\n".join(place).encode(), digest_size=8).hexdigest()
    given = os.environ.get("XDG_CACHE_HOME")
    try:
        cache = Path(given) if given else Path.home() / ".cache"
    except RuntimeError as error:
        raise StoreUnavailable(
            f"cannot keep a copy of {url}: there is no home folder", "set XDG_CACHE_HOME"
        ) from error
    return cache.absolute() / "loopllm" / digest


@contextmanager
def _said(url: str) -> Iterator[None]:
    try:
        yield
    except (DeltaError, OSError, ValueError) as error:
        raise unreachable(url, error) from error
