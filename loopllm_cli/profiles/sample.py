"""A window's rows in numbers: what the search for places and the omnibus test look at.

Sums per segment (`profile.py`) decide; they cannot say which logged attribute a change sits in,
nor whether answers differ in a way that no signal measures. For that a bounded sample of rows is
kept, as numbers: no text but the names of attribute values that many rows share. Rows are drawn
by the hash of their ids, so equal windows give equal samples.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt

from loopllm_cli.profiles.answers import to_vectors
from loopllm_cli.profiles.attributes import Attribute, AttributeLabels, code_attributes
from loopllm_cli.signals.batch import RowBatch

MAX_SAMPLE = 10_000
"""Rows of a sample at most: a change of 0.04 standard deviations still shows at 10,000 rows each
(1.96 + 0.84 standard errors), and a sample stays a file of a few megabytes."""

_EPOCH = datetime(1970, 1, 1).toordinal()
_GREATEST = 1e30


@dataclass(frozen=True)
class RowSample:
    """Rows of a window in numbers.

    Shapes: `values` (n, n_signals), NaN where a signal does not apply; `segments`, `clusters`,
    `days` (n,): segment numbers, hashes of cluster keys, days since 1970 (-1 where unknown);
    `prompt_vectors` and `answer_vectors` (n, answers.N_DIMENSIONS).
    `n_rows` counts the whole window. `positions` (n,) are the rows' numbers in the window; a
    stored sample has none.
    """

    signal_names: tuple[str, ...]
    values: npt.NDArray[np.float32]
    segments: npt.NDArray[np.int16]
    clusters: npt.NDArray[np.uint64]
    days: npt.NDArray[np.int32]
    attributes: tuple[Attribute, ...]
    prompt_vectors: npt.NDArray[np.float16]
    answer_vectors: npt.NDArray[np.float16]
    n_rows: int
    positions: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.segments)

    @property
    def attribute_labels(self) -> AttributeLabels:
        """The attributes and their values, to code another window's rows alike."""
        return tuple((a.name, a.labels) for a in self.attributes)

    def columns(self, names: tuple[str, ...]) -> RowSample:
        """Return the sample with some signals only, in their order."""
        at = [self.signal_names.index(name) for name in names]
        return replace(self, signal_names=names, values=self.values[:, at])

    def take(self, rows: npt.NDArray[np.int64]) -> RowSample:
        """Return some of the rows."""
        return replace(
            self,
            values=self.values[rows],
            segments=self.segments[rows],
            clusters=self.clusters[rows],
            days=self.days[rows],
            attributes=tuple(replace(a, codes=a.codes[rows]) for a in self.attributes),
            prompt_vectors=self.prompt_vectors[rows],
            answer_vectors=self.answer_vectors[rows],
            positions=self.positions[rows] if len(self.positions) else self.positions,
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the sample as named arrays, ready to be saved; positions are left out."""
        card = {
            "signals": self.signal_names,
            "attributes": [[a.name, a.labels] for a in self.attributes],
            "n_rows": self.n_rows,
        }
        codes = [a.codes for a in self.attributes]
        return {
            "sample_card": np.frombuffer(json.dumps(card).encode(), dtype=np.uint8),
            "sample_values": self.values,
            "sample_segments": self.segments,
            "sample_clusters": self.clusters,
            "sample_days": self.days,
            "sample_codes": np.array(codes, dtype=np.int16).reshape(len(codes), len(self)),
            "sample_prompt_vectors": self.prompt_vectors,
            "sample_answer_vectors": self.answer_vectors,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> RowSample:
        """Read what `to_arrays` wrote."""
        card = json.loads(arrays["sample_card"].tobytes())
        return cls(
            signal_names=tuple(card["signals"]),
            values=arrays["sample_values"],
            segments=arrays["sample_segments"],
            clusters=arrays["sample_clusters"],
            days=arrays["sample_days"],
            attributes=tuple(
                Attribute(name, tuple(labels), codes)
                for (name, labels), codes in zip(
                    card["attributes"], arrays["sample_codes"], strict=True
                )
            ),
            prompt_vectors=arrays["sample_prompt_vectors"],
            answer_vectors=arrays["sample_answer_vectors"],
            n_rows=card["n_rows"],
        )


@dataclass(frozen=True)
class Rows:
    """A measured window, ready to be sampled: its rows, and per row its numbers and cluster key.

    Shapes: `values` (n_rows, n_signals), `segments` (n_rows,).
    """

    batch: RowBatch
    signal_names: tuple[str, ...]
    values: npt.NDArray[np.float64]
    segments: npt.NDArray[np.int64]
    keys: Sequence[str]


def draw_positions(batch: RowBatch, most: int = MAX_SAMPLE) -> npt.NDArray[np.int64]:
    """Draw rows by the hash of their ids, ascending: all of them where there are few."""
    if len(batch) <= most:
        return np.arange(len(batch), dtype=np.int64)
    ids = batch.values("interaction_id")
    hashes = _hashes([f"{i}" if one is None else f"id:{one}" for i, one in enumerate(ids)])
    return np.sort(np.argsort(hashes, kind="stable")[:most]).astype(np.int64)


def draw_sample(rows: Rows, attributes: AttributeLabels) -> RowSample:
    """Draw a window's sample.

    Args:
        attributes: the baseline's; see `attributes.fit_attributes`.
    """
    batch = rows.batch
    at = draw_positions(batch)
    answers, prompts = batch.responses, batch.prompts
    times: list[datetime | None] = batch.values("request_time")
    days = [-1 if (t := times[i]) is None else t.toordinal() - _EPOCH for i in at]
    return RowSample(
        signal_names=rows.signal_names,
        values=_finite(rows.values[at]),
        segments=rows.segments[at].astype(np.int16),
        clusters=_hashes([rows.keys[i] for i in at]),
        days=np.array(days, dtype=np.int32),
        attributes=code_attributes(batch, at, attributes),
        prompt_vectors=to_vectors([prompts[i] for i in at]),
        answer_vectors=to_vectors([answers[i] for i in at]),
        n_rows=len(batch),
        positions=at,
    )


def _finite(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Narrow values; infinite ones are no measurements, and huge ones stay comparable."""
    clipped = np.clip(np.where(np.isfinite(values), values, np.nan), -_GREATEST, _GREATEST)
    return clipped.astype(np.float32)


def _hashes(keys: Sequence[str]) -> npt.NDArray[np.uint64]:
    known = {
        key: int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())
        for key in set(keys)
    }
    return np.array([known[key] for key in keys], dtype=np.uint64)
