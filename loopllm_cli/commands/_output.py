"""Where results and remarks go: results to stdout, everything else to stderr."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from loopllm_cli.commands._log import LOG
from loopllm_cli.errors import DataError, StoreUnavailable, UsageError
from loopllm_cli.render.clean import clean_text


class _Console(Console):
    """A console that leaves a closed pipe to the boundary (rich itself ends with code 1)."""

    def on_broken_pipe(self) -> None:
        """Raise the BrokenPipeError that is being handled."""
        raise  # rich calls this from its except clause


def stdout() -> Console:
    """Return a console for results; rich follows NO_COLOR and COLUMNS by itself."""
    return _Console(highlight=False, markup=False, emoji=False)


def stderr() -> Console:
    """Return a console for what is not the result, where the result alone goes to stdout."""
    return _Console(stderr=True, highlight=False, markup=False, emoji=False)


def remark(text: str, *, quiet: bool = False) -> None:
    """Write one line to stderr, unless asked to be quiet, and to the log if there is one."""
    if text:
        LOG.info("%s", text)
    if not quiet:
        sys.stderr.write(f"│ {clean_text(text)}\n")


def print_json(text: str) -> None:
    """Write a JSON document to stdout."""
    sys.stdout.write(text)


def write_artefact(path: Path | None, content: str | bytes, *, quiet: bool = False) -> None:
    """Write an artefact in one step and say where it is; `-` is stdout.

    Raises:
        UsageError: the path names no file.
        StoreUnavailable: the place cannot be written.
    """
    if path is None:
        return
    data = content.encode("utf-8") if isinstance(content, str) else content
    if str(path) == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        return
    if not path.name:
        raise UsageError(f"{str(path)!r} names no file", "give a file name, or - for stdout")
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write {path} ({error.strerror})", "choose another place"
        ) from error
    remark(f"written: {path}", quiet=quiet)


def read_artefact(path: Path, most_bytes: int) -> bytes:
    """Read an artefact of a bounded size; `-` is stdin.

    Raises:
        UsageError: the file cannot be read.
        DataError: it is larger.
    """
    try:
        if str(path) == "-":
            content = sys.stdin.buffer.read(most_bytes + 1)
        else:
            with path.open("rb") as stream:
                content = stream.read(most_bytes + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path} ({error.strerror})", "check the path") from error
    if len(content) > most_bytes:
        raise DataError(f"{path} is larger than {most_bytes >> 20} MB", "is it the right file?")
    return content
