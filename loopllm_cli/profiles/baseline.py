"""Baselines: a window of normal behaviour, frozen as numbers under a name.

A baseline is one small file without any log text (segments, attribute values and words that many
users share are kept, as names). Its hash covers everything a comparison reads, so that a changed
file is noticed.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from loopllm_cli.errors import AlreadyExists, BaselineNotFound, SchemaMismatch, UsageError
from loopllm_cli.model import SignalInfo, Window, WindowSummary
from loopllm_cli.profiles.answers import AnswerSpace
from loopllm_cli.profiles.days import DaySums
from loopllm_cli.profiles.hours import HourSums
from loopllm_cli.profiles.profile import Profile
from loopllm_cli.profiles.sample import RowSample
from loopllm_cli.profiles.segments import SegmentModel
from loopllm_cli.store.project import Project

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Baseline:
    """A named window in sums, and everything needed to measure another window alike.

    `profile` has the sums by segment and cluster bucket; `days` by day and segment; `hours`
    by hour; `weekly` by weekday, segment and bucket for the signals that follow the week; `sample`
    some of the rows in numbers; `answers` what places another window's answers among this one's.
    """

    name: str
    created: datetime
    window: Window
    summary: WindowSummary
    signals: tuple[SignalInfo, ...]
    cluster_by: str | None
    segments: SegmentModel
    profile: Profile
    days: DaySums
    hours: HourSums
    weekly: Profile
    sample: RowSample
    answers: AnswerSpace
    content_hash: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """The segments' words, in their numbering."""
        return tuple(self.segments.label(k) for k in range(self.segments.n_segments))

    def card(self) -> dict[str, Any]:
        """Return what there is to say about a baseline, as plain data."""
        summary = self.summary
        return {
            "name": self.name,
            "created": self.created,
            "n_rows": summary.n_rows,
            "n_users": summary.n_users,
            "first_time": summary.first_time,
            "last_time": summary.last_time,
            "models": list(summary.models),
            "hash": self.content_hash,
            "window": asdict(self.window),
            "cluster_by": self.cluster_by or "user, else conversation, else prompt",
            "segment_basis": self.segments.basis,
            "segments": list(self.segments.labels),
            "signals": {s.name: s.version for s in self.signals},
            "seasonal": list(self.weekly.signal_names),
            "n_days": len(self.days.days),
            "n_sampled_rows": len(self.sample),
            "attributes": [a.name for a in self.sample.attributes],
            "means": self._means(),
        }

    def columns(self, names: tuple[str, ...]) -> Baseline:
        """Return the baseline of some signals only, in their order."""
        at = [self.profile.signal_names.index(name) for name in names]
        return replace(
            self,
            signals=tuple(self.signals[k] for k in at),
            profile=self.profile.columns(names),
            days=self.days.columns(names),
            hours=self.hours.columns(names),
            weekly=self.weekly.columns(tuple(n for n in self.weekly.signal_names if n in names)),
            sample=self.sample.columns(names),
        )

    def _means(self) -> dict[str, float | None]:
        n = self.profile.n.sum(axis=(0, 1))
        total = self.profile.total.sum(axis=(0, 1))
        names = self.profile.signal_names
        return {
            name: float(t / k) if k else None for name, k, t in zip(names, n, total, strict=True)
        }


def check_name(name: str) -> None:
    """Accept names that are safe as file names.

    Raises:
        UsageError: the name holds other characters, or is too long.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a baseline",
            "use up to 64 letters, digits, dots, dashes and underscores",
        )


def write_baseline(project: Project, baseline: Baseline, *, replace: bool = False) -> Baseline:
    """Write a baseline in one step and return it with its hash.

    Raises:
        AlreadyExists: the name is taken and `replace` is false.
    """
    from loopllm_cli.profiles.baseline_file import to_bytes

    path = project.folder("baselines") / f"{baseline.name}.npz"
    if path.exists() and not replace:
        raise AlreadyExists(
            f"a baseline named {baseline.name!r} exists already",
            "choose another name, or replace it with --replace",
        )
    part = path.with_suffix(".part")
    part.write_bytes(to_bytes(baseline))
    part.replace(path)
    return read_baseline(project, baseline.name)


def list_baselines(project: Project) -> list[str]:
    """Return the names of the project's baselines, sorted."""
    return sorted(p.stem for p in (project.home / "baselines").glob("*.npz"))


def read_baseline(project: Project, name: str) -> Baseline:
    """Read a baseline by name.

    Raises:
        BaselineNotFound: there is none of that name.
        SchemaMismatch: the file is damaged, was edited, or is of another version.
    """
    from loopllm_cli.profiles.baseline_file import from_bytes

    check_name(name)
    path = project.home / "baselines" / f"{name}.npz"
    if not path.is_file():
        raise BaselineNotFound(name, list_baselines(project))
    try:
        return from_bytes(path.read_bytes())
    except ValueError as error:
        raise SchemaMismatch(
            f"the baseline at {path} is damaged, edited, or of another version",
            f"make it again: loopllm baseline create {path.stem} --replace",
        ) from error


def remove_baseline(project: Project, name: str) -> None:
    """Remove a baseline, damaged or not.

    Raises:
        BaselineNotFound: there is none of that name.
    """
    check_name(name)
    try:
        (project.home / "baselines" / f"{name}.npz").unlink()
    except FileNotFoundError:
        raise BaselineNotFound(name, list_baselines(project)) from None
