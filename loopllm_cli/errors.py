"""Every error a user can cause or meet, and the exit code each one ends in.

    LoopllmError(message, hint, code)      shown as two lines: what happened, what to do
    ├── UsageError → 2                     wrong command, flag, config or name
    │   ├── ConfigError
    │   ├── BaselineNotFound
    │   ├── AlreadyExists
    │   └── NothingToRepair
    ├── DataError  → 3                     input that cannot be used
    │   ├── UnknownFormat
    │   ├── EmptyInput
    │   ├── EmptyWindow
    │   ├── TooManyBadRows
    │   ├── SchemaMismatch
    │   ├── NoFeedback
    │   ├── BadPairs
    │   └── AuditFailed
    └── SetupError → 4                     machine or installation
        ├── MissingExtra
        ├── ModelUnusable
        ├── AdapterMismatch
        ├── OutOfMemory
        ├── Locked
        └── StoreUnavailable

    Terminated   → 143                 SIGTERM came; the same command goes on where it ended

Findings (degraded, gate failed, inconclusive) are values, never exceptions. Anything that is
not a LoopllmError is a bug: traceback to a file, exit 1. This module imports nothing of ours.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Process exit codes; 0 and 10-12 are findings, 1-4 are failures."""

    OK = 0
    BUG = 1
    USAGE = 2
    DATA = 3
    SETUP = 4
    DEGRADED = 10
    GATE_FAILED = 11
    INCONCLUSIVE = 12
    INTERRUPTED = 130
    CLOSED_PIPE = 141
    TERMINATED = 143


class LoopllmError(Exception):
    """Say what happened and what to do about it.

    Args:
        message: what happened, with the value and the place, in lower case.
        hint: the remedy, as one sentence; may be empty.
    """

    exit_code = ExitCode.BUG
    code = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(LoopllmError):
    """The command, a flag, a config value or a name is wrong."""

    exit_code = ExitCode.USAGE
    code = "usage"


class ConfigError(UsageError):
    """A configuration or mapping file says something we cannot follow."""

    code = "usage.config"


class BaselineNotFound(UsageError):
    """No baseline of that name exists in the project."""

    code = "usage.baseline-not-found"

    def __init__(self, name: str, known: list[str]) -> None:
        listed = ", ".join(known) if known else "none yet"
        super().__init__(
            f"no baseline named {name!r} (known: {listed})",
            f"make one with: loopllm baseline create {name}",
        )


class AlreadyExists(UsageError):
    """The thing to be made is there already and would be overwritten."""

    code = "usage.already-exists"


class NothingToRepair(UsageError):
    """What a drift run named is nothing that a pair of answers could show."""

    code = "usage.nothing-to-repair"


class DataError(LoopllmError):
    """The input cannot be used as it is."""

    exit_code = ExitCode.DATA
    code = "data"


class UnknownFormat(DataError):
    """No decoder recognises the records."""

    code = "data.unknown-format"


class EmptyInput(DataError):
    """The input holds no record at all."""

    code = "data.empty"


class EmptyWindow(DataError):
    """The window holds no rows."""

    code = "data.empty-window"


class TooManyBadRows(DataError):
    """A larger share of lines than allowed could not be read."""

    code = "data.too-many-bad-rows"


class SchemaMismatch(DataError):
    """A file was made by another version, or is damaged."""

    code = "data.schema-mismatch"


class NoFeedback(DataError):
    """Nothing in the window says which answers were good or bad."""

    code = "data.no-feedback"


class BadPairs(DataError):
    """The preference pairs cannot be trained on."""

    code = "data.bad-pairs"


class AuditFailed(DataError):
    """An audit found reasons not to train on a set of pairs."""

    code = "data.audit-failed"


class SetupError(LoopllmError):
    """The machine or the installation lacks something."""

    exit_code = ExitCode.SETUP
    code = "setup"


class MissingExtra(SetupError):
    """An optional dependency is not installed."""

    code = "setup.missing-extra"


class ModelUnusable(SetupError):
    """The model cannot be found or loaded, or lacks a part that is needed."""

    code = "setup.model"


class AdapterMismatch(SetupError):
    """The adapter was made for another model, or is damaged."""

    code = "setup.adapter"


class OutOfMemory(SetupError):
    """The device has too little memory for the run."""

    code = "setup.out-of-memory"


class Locked(SetupError):
    """Another process is writing to the store."""

    code = "setup.locked"


class StoreUnavailable(SetupError):
    """The store cannot be read or written."""

    code = "setup.store"


class Terminated(LoopllmError):
    """SIGTERM came: what was done is saved, and the same command goes on from there."""

    exit_code = ExitCode.TERMINATED
    code = "terminated"
