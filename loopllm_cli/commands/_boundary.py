"""The one place where errors become messages and exit codes."""

from __future__ import annotations

import functools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import typer

from loopllm_cli.errors import ExitCode, LoopllmError

P = ParamSpec("P")
R = TypeVar("R")


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command: known errors in two lines, bugs into a file, a closed pipe in silence."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            result = command(*args, **kwargs)
            sys.stdout.flush()
        except LoopllmError as error:
            _say(error, as_json=bool(kwargs.get("as_json")))
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except BrokenPipeError:
            # The reader has left; what Python still holds for it must not raise again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(ExitCode.CLOSED_PIPE) from None
        except (typer.Exit, typer.BadParameter, typer.Abort):
            raise
        except Exception as error:
            _report_bug(error)
            raise typer.Exit(ExitCode.BUG) from None
        return result

    return run


def _say(error: LoopllmError, *, as_json: bool) -> None:
    from loopllm_cli.render.as_json import error_json
    from loopllm_cli.render.clean import clean_text

    if as_json:
        sys.stdout.write(error_json(error))
        return
    print(f"error: {clean_text(error.message)}", file=sys.stderr)  # noqa: T201 - the edge
    if error.hint:
        print(f"       {clean_text(error.hint)}", file=sys.stderr)  # noqa: T201 - the edge


def _report_bug(error: Exception) -> None:
    """Keep the traceback (no values of variables, so no log text) and say where."""
    handle, name = tempfile.mkstemp(prefix="loopllm-crash-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.writelines(traceback.format_exception(type(error), error, error.__traceback__))
    kind = type(error).__name__
    print(f"error: this is a bug in loopllm ({kind})", file=sys.stderr)  # noqa: T201 - the edge
    print(f"       please report it with {Path(name)}", file=sys.stderr)  # noqa: T201 - the edge
