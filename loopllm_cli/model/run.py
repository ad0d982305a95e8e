"""One unattended run of the loop: what each step did, and how the whole ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from loopllm_cli.model.correction import AdapterCard, VerifyResult
from loopllm_cli.model.display import Displayed
from loopllm_cli.model.drift import DriftResult
from loopllm_cli.model.pairs import PairsSummary, Severity


class StepEnd(StrEnum):
    """How a step ended; only failures are nobody's finding."""

    DONE = "done"
    FOUND = "found"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class RunStep:
    """One step, with what it said and left behind.

    `code` is the exit code that the step alone would have ended with. `made` names what it left
    (a run id, a folder) by kind. `to_do` is what an operator should do, empty where nothing.
    """

    name: str
    end: StepEnd
    text: str
    code: int = 0
    seconds: float = 0.0
    made: dict[str, str] = field(default_factory=dict)
    to_do: str = ""


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing that `doctor` looked at: `fail` keeps the loop from working, `warn` may."""

    name: str
    severity: Severity
    text: str
    to_do: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis(Displayed):
    """Everything that `doctor` looked at, in its order."""

    examined: tuple[Examined, ...]
    version: str


@dataclass(frozen=True, slots=True)
class RunParts:
    """The full results of a run's steps, as far as it got."""

    drift: DriftResult | None = None
    pairs: PairsSummary | None = None
    adapter: AdapterCard | None = None
    verify: VerifyResult | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What a project has recorded, newest first; `n_unreadable` records are of no known shape."""

    runs: tuple[RunResult, ...]
    drifts: tuple[DriftResult, ...]
    proofs: tuple[VerifyResult, ...]
    n_unreadable: int = 0


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """What a store tells about the loop that would suit it.

    `sources` are the folders and files that were read, `models` the names in the logs by frequency,
    `columns` the logged columns that could name segments, with their numbers of values.
    """

    n_responses: int
    n_votes: int
    first_day: str
    last_day: str
    sources: tuple[str, ...]
    models: tuple[str, ...]
    columns: dict[str, int]
    baselines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunResult(Displayed):
    """A whole run; `ended` is None in the record of one that was killed.

    `config` is the file it followed, `config_hash` the SHA-256 of its bytes, `until` the last step
    that was asked for, and `exit_code` the code of the step that decides.
    """

    run_id: str
    created: datetime
    ended: datetime | None
    config: str
    config_hash: str
    until: str
    steps: tuple[RunStep, ...]
    exit_code: int
    sentence: str
    version: str
