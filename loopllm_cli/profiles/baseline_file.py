"""A baseline as bytes: one compressed archive of arrays and a card, under one hash.

The bytes depend on the content alone, so that equal baselines are equal files. Nothing in it is
ever executed: arrays without objects, and JSON.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np

from loopllm_cli.model import SignalInfo, SignalKind, Window, WindowSummary, Worse
from loopllm_cli.profiles.answers import AnswerSpace
from loopllm_cli.profiles.baseline import Baseline
from loopllm_cli.profiles.days import DaySums
from loopllm_cli.profiles.hours import HourSums
from loopllm_cli.profiles.profile import Profile
from loopllm_cli.profiles.sample import RowSample
from loopllm_cli.profiles.season import N_WEEKDAYS
from loopllm_cli.profiles.segments import SegmentModel

FORMAT = "loopllm.baseline/3"
_SUMS = ("n", "total", "total_sq")

Arrays = dict[str, np.ndarray]


def to_bytes(baseline: Baseline) -> bytes:
    """Write a baseline."""
    arrays = _to_arrays(baseline)
    arrays["hash"] = _text(_hash(arrays))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def from_bytes(content: bytes) -> Baseline:
    """Read a baseline that `to_bytes` wrote, with its hash.

    Raises:
        ValueError: the content is damaged, was edited, or is of another version.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
        card = json.loads(arrays["card"].tobytes())
        expected = arrays.pop("hash").tobytes().decode()
        if card["format"] == FORMAT and _hash(arrays) == expected:
            return _from_arrays(card, arrays, expected)
    except Exception as error:  # damaged bytes make zipfile and numpy raise nearly anything
        raise ValueError("not readable as a baseline") from error
    raise ValueError("of another version, or its hash does not fit")


def _text(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _hash(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for key in sorted(arrays):
        array = arrays[key]
        digest.update(f"{key} {array.dtype} {array.shape} ".encode() + array.tobytes())
    return digest.hexdigest()


def _to_arrays(baseline: Baseline) -> Arrays:
    model = baseline.segments
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
        "shape": baseline.profile.n.shape,
        "weekly": baseline.weekly.signal_names,
    }
    return {
        "card": _text(json.dumps(card, default=lambda t: t.isoformat(), sort_keys=True)),
        **_cells("profile", baseline.profile),
        **_cells("weekly", baseline.weekly),
        "projection": model.projection,
        "centroids": model.centroids,
        "floors": model.floors,
        "loadings": model.loadings,
        **baseline.days.to_arrays(),
        **baseline.hours.to_arrays(),
        **baseline.sample.to_arrays(),
        **baseline.answers.to_arrays(),
    }


def _from_arrays(card: dict[str, Any], arrays: Arrays, digest: str) -> Baseline:
    signals = tuple(_signal(s) for s in card["signals"])
    n_segments, n_buckets, _ = card["shape"]
    names, weekly = tuple(s.name for s in signals), tuple(card["weekly"])
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
            arrays["loadings"],
        ),
        profile=_profile("profile", arrays, names, (n_segments, n_buckets)),
        days=DaySums.from_arrays(names, n_segments, arrays),
        hours=HourSums.from_arrays(names, arrays),
        weekly=_profile("weekly", arrays, weekly, (N_WEEKDAYS * n_segments, n_buckets)),
        sample=RowSample.from_arrays(arrays),
        answers=AnswerSpace.from_arrays(arrays),
        content_hash=digest,
    )


def _signal(fields: dict[str, Any]) -> SignalInfo:
    lists = {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
    kind, worse = SignalKind(fields["kind"]), Worse(fields["worse"])
    return SignalInfo(**{**fields, **lists, "kind": kind, "worse": worse})


def _cells(name: str, profile: Profile) -> Arrays:
    """Keep the cells that hold rows: one user's bucket holds a few of the segments."""
    cells = np.argwhere(profile.n_rows > 0)
    where = (cells[:, 0], cells[:, 1])
    sums = {f"{name}_{key}": getattr(profile, key)[where] for key in _SUMS}
    return {f"{name}_cells": cells, f"{name}_n_rows": profile.n_rows[where], **sums}


def _profile(
    name: str, arrays: Arrays, signals: tuple[str, ...], shape: tuple[int, int]
) -> Profile:
    cells = arrays[f"{name}_cells"]
    where = (cells[:, 0], cells[:, 1])

    def dense(key: str, full: tuple[int, ...]) -> np.ndarray:
        out = np.zeros(full)
        out[where] = arrays[f"{name}_{key}"]
        return out

    sums = (dense(key, (*shape, len(signals))) for key in _SUMS)
    return Profile(signals, dense("n_rows", shape), *sums)


def _times(values: dict[str, Any], *names: str) -> dict[str, Any]:
    read = {n: datetime.fromisoformat(values[n]) if values[n] else None for n in names}
    return {**values, **read}
