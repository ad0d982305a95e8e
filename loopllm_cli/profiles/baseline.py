"""Baselines: a window of normal behaviour, frozen as numbers under a name.

A baseline is one small file without any log text (segments carry a few frequent words as their
names). Its hash covers everything a comparison reads, so that a changed file is noticed.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from loopllm_cli.errors import AlreadyExists, BaselineNotFound, SchemaMismatch, UsageError
from loopllm_cli.model import SignalInfo, SignalKind, Window, WindowSummary, Worse
from loopllm_cli.profiles.measure import Daily, columns_of
from loopllm_cli.profiles.profile import Profile
from loopllm_cli.profiles.segments import SegmentModel
from loopllm_cli.store.project import Project

FORMAT = "loopllm.baseline/1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Baseline:
    """A named window's profile and everything needed to measure another window alike."""

    name: str
    created: datetime
    window: Window
    summary: WindowSummary
    signals: tuple[SignalInfo, ...]
    cluster_by: str | None
    segments: SegmentModel
    profile: Profile
    daily: Daily
    content_hash: str = ""

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
            "means": self._means(),
        }

    def columns(self, names: tuple[str, ...]) -> Baseline:
        """Return the baseline of some signals only, in their order."""
        at = [self.profile.signal_names.index(name) for name in names]
        return replace(
            self,
            signals=tuple(self.signals[k] for k in at),
            profile=self.profile.columns(names),
            daily=columns_of(self.daily, at),
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
    path = project.folder("baselines") / f"{baseline.name}.npz"
    if path.exists() and not replace:
        raise AlreadyExists(
            f"a baseline named {baseline.name!r} exists already",
            "choose another name, or replace it with --replace",
        )
    arrays = _to_arrays(baseline)
    arrays["hash"] = _text(_hash(arrays))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    part = path.with_suffix(".part")
    part.write_bytes(buffer.getvalue())
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
    check_name(name)
    path = project.home / "baselines" / f"{name}.npz"
    if not path.is_file():
        raise BaselineNotFound(name, list_baselines(project))
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
        card = json.loads(arrays["card"].tobytes())
        expected = arrays.pop("hash").tobytes().decode()
        known = card["format"] == FORMAT and _hash(arrays) == expected
    except Exception as error:  # damaged bytes make zipfile and numpy raise nearly anything
        raise _damaged(path) from error
    if not known:
        raise _damaged(path)
    return _from_arrays(card, arrays, expected)


def _damaged(path: Path) -> SchemaMismatch:
    return SchemaMismatch(
        f"the baseline at {path} is damaged, edited, or of another version",
        f"make it again: loopllm baseline create {path.stem} --replace",
    )


def _text(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _hash(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for key in sorted(arrays):
        array = arrays[key]
        digest.update(f"{key} {array.dtype} {array.shape} ".encode() + array.tobytes())
    return digest.hexdigest()


def _to_arrays(baseline: Baseline) -> dict[str, np.ndarray]:
    profile, model = baseline.profile, baseline.segments
    # Most cells are empty: one user's bucket holds a few of the segments.
    cells = np.argwhere(profile.n_rows > 0)
    where = (cells[:, 0], cells[:, 1])
    days = sorted(baseline.daily)
    n_signals = len(profile.signal_names)
    daily = np.array([np.stack(baseline.daily[d]) for d in days]).reshape(len(days), 2, n_signals)
    card = {
        "format": FORMAT,
        "name": baseline.name,
        "created": baseline.created,
        "window": asdict(baseline.window),
        "summary": asdict(baseline.summary),
        "signals": [asdict(s) for s in baseline.signals],
        "cluster_by": baseline.cluster_by,
        "basis": model.basis,
        "labels": model.labels,
        "shape": profile.n.shape,
        "days": days,
    }
    return {
        "card": _text(json.dumps(card, default=lambda t: t.isoformat(), sort_keys=True)),
        "cells": cells,
        "n_rows": profile.n_rows[where],
        "n": profile.n[where],
        "total": profile.total[where],
        "total_sq": profile.total_sq[where],
        "projection": model.projection,
        "centroids": model.centroids,
        "floors": model.floors,
        "daily": daily,
    }


def _from_arrays(card: dict[str, Any], arrays: dict[str, np.ndarray], digest: str) -> Baseline:
    signals = tuple(
        SignalInfo(**{**s, "kind": SignalKind(s["kind"]), "worse": Worse(s["worse"])})
        for s in card["signals"]
    )
    cells = arrays["cells"]
    where = (cells[:, 0], cells[:, 1])
    shape = tuple(card["shape"])

    def dense(key: str, full: tuple[int, ...]) -> np.ndarray:
        out = np.zeros(full)
        out[where] = arrays[key]
        return out

    profile = Profile(
        tuple(s.name for s in signals),
        dense("n_rows", shape[:2]),
        dense("n", shape),
        dense("total", shape),
        dense("total_sq", shape),
    )
    return Baseline(
        name=card["name"],
        created=datetime.fromisoformat(card["created"]),
        window=Window(**_times(card["window"], "since", "until")),
        summary=WindowSummary(
            **{
                **_times(card["summary"], "first_time", "last_time"),
                "models": tuple(card["summary"]["models"]),
            }
        ),
        signals=signals,
        cluster_by=card["cluster_by"],
        segments=SegmentModel(
            card["basis"],
            tuple(card["labels"]),
            arrays["projection"],
            arrays["centroids"],
            arrays["floors"],
        ),
        profile=profile,
        daily={
            d: (pair[0], pair[1]) for d, pair in zip(card["days"], arrays["daily"], strict=True)
        },
        content_hash=digest,
    )


def _times(values: dict[str, Any], *names: str) -> dict[str, Any]:
    read = {n: datetime.fromisoformat(values[n]) if values[n] else None for n in names}
    return {**values, **read}
