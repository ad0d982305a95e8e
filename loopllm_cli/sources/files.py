"""From what the user names to bytes: files, folders, globs, stdin; compression; limits.

Nothing is fetched from a network, no archive is unpacked to disk, and no link below a folder is
followed: an export folder may be somebody else's.
"""

from __future__ import annotations

import bz2
import glob
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import xxhash

from loopllm_cli.errors import DataError, UnknownFormat, UsageError

STDIN = "-"
CUT_OFF = "the compressed stream ends or breaks here"
BLOCK_BYTES = 2 * 1024 * 1024
# Logs shrink 5 to 40 times; what grows far more is a bomb or a mistake.
MAX_EXPANSION = 250
_BITE_BYTES = 16 * 1024
_FREE_EXPANSION_BYTES = 256 * 1024 * 1024
_KINDS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".sse")
_PACKED = ("", ".gz", ".zst", ".bz2", ".xz")
_BESIDE_THE_DATA = ("manifest.json", "_metadata", "_success")
_PACKERS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2", b"\xfd7zXZ": "xz"}
_REFUSED = {
    b"PK\x03\x04": ("a zip archive", "unpack it, and give the folder"),
    b"SQLite": ("an SQLite database", "export its tables as JSON Lines or CSV"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it, and give the folder"),
}
_WIDE = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_BROKEN = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, ValueError)


def expand_paths(paths: list[str]) -> list[str]:
    """Turn files, folders, patterns and `-` into a sorted list of files to read.

    Hidden files and folders below a folder are left out (the project's own state is one of
    them), and so are links and the manifests that exporters put beside their data.

    Raises:
        UsageError: a path does not exist.
        DataError: a folder holds no file of a known kind.
    """
    files: list[str] = []
    for given in paths:
        path = Path(given)
        if given == STDIN or path.is_file() or path.is_fifo():
            files.append(given)
        elif path.is_dir():
            found = sorted(str(p) for p in path.rglob("*") if _is_export(p, path))
            if not found:
                raise DataError(
                    f"no export below {path} ({', '.join(_KINDS)}, plain or compressed)",
                    "name the files themselves",
                )
            files.extend(found)
        elif glob.has_magic(given) and (found := _matching(given)):
            files.extend(name for name in found if Path(name).is_file())
        else:
            raise UsageError(f"no such file: {given}", "check the path")
    return list(dict.fromkeys(files))


def _matching(pattern: str) -> list[str]:
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - takes absolute patterns


def _is_export(path: Path, below: Path) -> bool:
    parts = path.relative_to(below).parts
    if any(part.startswith(".") or part == "manifests" for part in parts):
        return False
    name = path.name.lower()
    known = name.endswith(tuple(kind + packed for kind in _KINDS for packed in _PACKED))
    is_link = any((below / Path(*parts[:n])).is_symlink() for n in range(1, len(parts) + 1))
    return known and name not in _BESIDE_THE_DATA and not is_link and path.is_file()


def file_digest(path: str) -> str | None:
    """Return a digest of a file's bytes, which names its content in the store's history.

    Returns:
        None for stdin and pipes, which can be read only once.

    Raises:
        DataError: the file cannot be read.
    """
    if path == STDIN or not Path(path).is_file():
        return None
    digest = xxhash.xxh3_128()
    try:
        with Path(path).open("rb", buffering=0) as stream:
            buffer = memoryview(bytearray(BLOCK_BYTES))
            while n_bytes := stream.readinto(buffer):
                digest.update(buffer[:n_bytes])
    except OSError as error:
        raise cannot_read(path, error) from error
    return digest.hexdigest()


def file_state(path: str) -> tuple[int, int] | None:
    """Return a file's size and time of change: alike before and after means unchanged between."""
    try:
        stat = Path(path).stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def cannot_read(path: str, error: OSError) -> DataError:
    """Return the error for a file that the system does not let us read."""
    return DataError(f"cannot read {path} ({error.strerror or error})", "check the file")


class ByteSource:
    """A file's bytes in blocks, unpacked and as UTF-8, with how far the reading has come.

    A stream that breaks in mid-air ends there, and `broken` says why: what could be read is
    kept, and the loss shows.

    Args:
        path: a file, or `-` for stdin.
        encoding: of a text that is not UTF-8 and carries no byte order mark.

    Raises:
        UnknownFormat: the file is of a kind that cannot be read.
        DataError: the file cannot be read.
    """

    def __init__(self, path: str, encoding: str | None = None) -> None:
        self._path = path
        self.broken: str | None = None
        try:
            self._raw: IO[bytes] = sys.stdin.buffer if path == STDIN else _open(path)
            self.size_bytes = 0 if path == STDIN else Path(path).stat().st_size
        except OSError as error:
            raise cannot_read(path, error) from error
        self._counted = _Counted(self._raw)
        try:
            packer = self._packer()
        except UnknownFormat:
            self.close()
            raise
        self._stream = (
            _unpacked(self._counted, packer) if packer else cast(IO[bytes], self._counted)
        )
        self._is_packed = packer is not None
        self._n_out = 0
        self._encoding = encoding
        self._decoder: Any = None

    @property
    def n_bytes_read(self) -> int:
        """How many bytes of the file, as it lies there, have been read."""
        return self._counted.n_bytes

    def close(self) -> None:
        """Close the file."""
        self._raw.close()

    def blocks(self) -> Iterator[bytes]:
        """Yield the content in blocks of a few megabytes.

        Raises:
            DataError: the system stops the reading.
        """
        first = True
        while block := self._block():
            self._n_out += len(block)
            if self._expands_too_much():
                self.broken = f"expands more than {MAX_EXPANSION}-fold: reading stopped here"
                return
            if first:
                self._choose_decoder(block)
                first = False
            yield self._decoder.decode(block).encode() if self._decoder else block

    def _block(self) -> bytes:
        """Read a block; of a packed file in small bites, to have all up to where it breaks."""
        if not self._is_packed:
            return self._bite(BLOCK_BYTES)
        gathered = bytearray()
        while not self.broken and len(gathered) < BLOCK_BYTES:
            bite = self._bite(_BITE_BYTES)
            if not bite:
                break
            gathered += bite
        return bytes(gathered)

    def _bite(self, n_bytes: int) -> bytes:
        if self.broken:
            return b""
        try:
            return self._stream.read(n_bytes)
        except _BROKEN:
            self.broken = CUT_OFF
        except OSError as error:
            if not self._is_packed or error.errno is not None:
                raise cannot_read(self._path, error) from error
            self.broken = CUT_OFF
        return b""

    def _packer(self) -> str | None:
        head = self._raw.peek(8)[:8] if hasattr(self._raw, "peek") else b""
        for magic, (what, remedy) in _REFUSED.items():
            if head.startswith(magic):
                raise UnknownFormat(f"{self._path} is {what}", remedy)
        return next((name for magic, name in _PACKERS.items() if head.startswith(magic)), None)

    def _expands_too_much(self) -> bool:
        if not self._is_packed or self._n_out < _FREE_EXPANSION_BYTES:
            return False
        return self._n_out > MAX_EXPANSION * max(self.n_bytes_read, 1)

    def _choose_decoder(self, block: bytes) -> None:
        wide = next((name for bom, name in _WIDE.items() if block.startswith(bom)), None)
        encoding = wide or self._encoding
        if encoding and encoding.lower().replace("-", "") not in ("utf8", "utf8sig"):
            import codecs

            try:
                self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
            except LookupError:
                raise UsageError(
                    f"unknown encoding {encoding!r}", "give a name such as cp1252 or utf-16"
                ) from None


def _open(path: str) -> IO[bytes]:
    return Path(path).open("rb", buffering=1 << 20)


class _Counted(io.RawIOBase):
    """A stream that counts what has been read from it."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self.n_bytes = 0

    def read(self, size: int = -1) -> bytes:
        data = self._raw.read(size)
        self.n_bytes += len(data)
        return data

    def readable(self) -> bool:
        return True


def _unpacked(stream: _Counted, packer: str) -> IO[bytes]:
    raw = cast(IO[bytes], stream)
    if packer == "gzip":
        return cast(IO[bytes], gzip.open(raw, "rb"))
    if packer == "bz2":
        return cast(IO[bytes], bz2.open(raw, "rb"))
    if packer == "xz":
        return cast(IO[bytes], lzma.open(raw, "rb"))
    import pyarrow as pa

    return cast(IO[bytes], pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd"))
