"""The one place where errors become messages and exit codes."""

from __future__ import annotations

import functools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer

from loopllm_cli.commands._log import LOG, log_end
from loopllm_cli.commands._projects import closing_projects
from loopllm_cli.errors import ExitCode, LoopllmError

P = ParamSpec("P")
R = TypeVar("R")


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Wrap a command: known errors in two lines, bugs into a file, a closed pipe in silence."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        as_json = bool(kwargs.get("as_json"))
        try:
            try:
                with closing_projects():
                    result = command(*args, **kwargs)
            except LoopllmError as error:
                _say(error, as_json=as_json)
                code: int = error.exit_code
            except KeyboardInterrupt:
                code = ExitCode.INTERRUPTED
            except typer.Exit as finding:
                code = finding.exit_code
            else:
                sys.stdout.flush()
                log_end(ExitCode.OK)
                return result
            # Findings and errors flush here as well: later, nobody would catch a closed pipe.
            sys.stdout.flush()
        except BrokenPipeError:
            _let_go_of_pipe()
            code = ExitCode.CLOSED_PIPE
        except (typer.BadParameter, typer.Abort, SystemExit):
            raise
        except BaseException as error:  # engines written in Rust raise panics beside Exception
            _report_bug(error, as_json=as_json)
            code = ExitCode.BUG
        log_end(code)
        raise typer.Exit(code)

    return run


def _let_go_of_pipe() -> None:
    """Send what Python still holds for the reader who has left to nowhere, so exit is silent."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())


def _say(error: LoopllmError, *, as_json: bool) -> None:
    from loopllm_cli.render.as_json import error_json

    LOG.error("%s", error.message, extra={"facts": {"code": error.code, "hint": error.hint}})
    if as_json:
        sys.stdout.write(error_json(error))
    else:
        _print_error(error.message, error.hint)


def to_bug(error: BaseException) -> LoopllmError:
    """Keep the traceback (no values of variables, so no log text) and say where."""
    kind = type(error).__name__
    bug = LoopllmError(f"this is a bug in loopllm ({kind})", _keep_traceback(error))
    bug.code = "bug"
    return bug


def _report_bug(error: BaseException, *, as_json: bool) -> None:
    try:
        _say(to_bug(error), as_json=as_json)
        sys.stdout.flush()
    except BrokenPipeError:
        _let_go_of_pipe()


def _keep_traceback(error: BaseException) -> str:
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    try:
        handle, name = tempfile.mkstemp(prefix="loopllm-crash-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as stream:
            stream.writelines(lines)
    except OSError as failure:
        return f"please report it; its traceback could not be kept ({failure.strerror})"
    return f"please report it with {name}"


def _print_error(message: str, hint: str) -> None:
    from loopllm_cli.render.clean import clean_text

    sys.stderr.write(f"error: {clean_text(message)}\n")
    if hint:
        sys.stderr.write(f"       {clean_text(hint)}\n")
