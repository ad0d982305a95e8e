"""Open the project that a command is given, and store what it changed when the command ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from loopllm_cli.errors import LoopllmError

if TYPE_CHECKING:
    from loopllm_cli.store.project import Project

_opened: list[Project] = []


def open_project(text: str, *, bulk: bool = False) -> Project:
    """Open the project at a path or a URL, until the command ends.

    Args:
        bulk: of a URL, fetch the adapters' weights too.

    Raises:
        UsageError: the URL names no place that is supported.
        StoreUnavailable: the object store cannot be read.
    """
    from loopllm_cli.store.project import open_project as open_at

    project = open_at(text, bulk=bulk)
    _opened.append(project)
    return project


@contextmanager
def closing_projects() -> Iterator[None]:
    """Close what a command has opened, also where it ends with an error or a finding.

    Raises:
        StoreUnavailable: an object store cannot be written; the command's own error goes before.
    """
    _opened.clear()
    try:
        yield
    except KeyboardInterrupt:
        # What is in the copy is stored by the next command.
        _opened.clear()
        raise
    except LoopllmError as error:
        try:
            _close_all()
        except LoopllmError as another:
            error.message = f"{error.message}; and {another.message}"
        raise
    except BaseException:
        _close_all()
        raise
    else:
        _close_all()


def _close_all() -> None:
    while _opened:
        _opened.pop().close()
