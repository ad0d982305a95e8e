"""A baseline as a file that travels: small, fit for git, and safe to read from a stranger.

The file is the one that the project itself keeps (`baseline_file.py`), without the sample of rows
and the words of answers, unless asked for. Its hash notices damage and careless edits; it is no
signature, so a file from elsewhere is checked before memory is taken for what it says it holds,
and all that a comparison relies on is checked afterwards.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from dataclasses import replace
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from loopllm_cli.errors import LoopllmError, SchemaMismatch, UsageError
from loopllm_cli.profiles.answers import AnswerSpace, WordCounts
from loopllm_cli.profiles.baseline import Baseline, check_name
from loopllm_cli.profiles.baseline_file import FORMAT, from_bytes, to_bytes
from loopllm_cli.profiles.clusters import N_BUCKETS
from loopllm_cli.profiles.features import N_FEATURES, N_STYLE
from loopllm_cli.profiles.season import N_WEEKDAYS
from loopllm_cli.store.schema import INTERACTIONS

MAX_FILE_BYTES = 64 << 20
MAX_CONTENT_BYTES = 256 << 20
"""60 segments, 256 buckets, 60 signals and 90 days hold 30 MB, a sample of 10,000 rows 9 MB."""
MAX_SUMS_BYTES = 1 << 30
"""What a file's sums may take in memory: seven weekdays of the above are 180 MB."""

_MAX_ARRAYS = 64
_MAX_HEADER_BYTES = 10_000
_MAX_CARD_BYTES = 4 << 20
_MAX_SIGNALS, _MAX_SEGMENTS, _MAX_DAYS = 300, 200, 4_000
_MAX_NAME_CHARS = 500
_KINDS = "iufb"
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_PEOPLE = ("user_id", "conversation_id", "trace_id", "request_id", "response_id", "interaction_id")

Arrays = dict[str, npt.NDArray[Any]]


def pack(baseline: Baseline, *, with_names: bool = True, with_sample: bool = False) -> bytes:
    """Write a baseline as a file's bytes; equal baselines give equal bytes.

    What may hold words of users goes: the condition on the store's rows and, unless
    `with_sample`, the sample of rows and the words that answers share.

    Args:
        with_names: keep the segments' names, which are frequent phrases of prompts.

    Raises:
        UsageError: the segments are single people's, or cannot do without their names.
    """
    model = baseline.segments
    if model.basis in _PEOPLE:
        raise UsageError(
            f"the segments of {baseline.name!r} are values of {model.basis}: ids of people",
            "make a baseline with other segments: --segment-by prompts",
        )
    if not with_names:
        if model.basis != "prompts":
            raise UsageError(
                f"the segments of {baseline.name!r} are told apart by the values of {model.basis}",
                "keep the names, or make a baseline with --segment-by prompts",
            )
        labels = tuple(f"cluster {k + 1}" for k in range(len(model.labels)))
        baseline = replace(baseline, segments=replace(model, labels=labels))
    if not with_sample:
        baseline = _without_sample(baseline)
    return to_bytes(replace(baseline, window=replace(baseline.window, where=None)))


def _without_sample(baseline: Baseline) -> Baseline:
    sample = replace(baseline.sample.take(np.zeros(0, dtype=np.int64)), attributes=())
    nothing = WordCounts((), np.zeros(0, dtype=np.int64), 0)
    return replace(baseline, sample=sample, answers=AnswerSpace(nothing))


def unpack(content: bytes) -> Baseline:
    """Read the bytes of a baseline's file.

    The condition on the store's rows is left out, should there be one: it is SQL, and no file
    from elsewhere gets to run it.

    Raises:
        SchemaMismatch: no such file, damaged, edited, of another version, or absurd.
    """
    try:
        arrays = _read_arrays(content)
        _check_sizes(arrays)
        baseline = from_bytes(content)
        _check_content(baseline)
    except _UnusableError as reason:
        raise _refused(str(reason)) from None
    except LoopllmError as error:
        raise _refused(error.message) from None
    except Exception as error:  # numbers of a stranger make zipfile and numpy raise nearly anything
        raise _refused("it is damaged or was edited") from error
    return replace(baseline, window=replace(baseline.window, where=None))


class _UnusableError(Exception):
    """Says why a file cannot be used."""


def _refused(reason: str) -> SchemaMismatch:
    return SchemaMismatch(
        f"the file cannot be used as a baseline: {reason}",
        "export it again: loopllm baseline export NAME --baseline-out FILE",
    )


def _read_arrays(content: bytes) -> Arrays:
    """Read the arrays, having looked at what every one of them would take."""
    if len(content) > MAX_FILE_BYTES:
        raise _UnusableError("it is larger than any baseline")
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except zipfile.BadZipFile:
        raise _UnusableError("it is cut off, damaged, or was never one") from None
    with archive:
        entries = archive.infolist()
        if len(entries) > _MAX_ARRAYS or len({e.filename for e in entries}) < len(entries):
            raise _UnusableError("it holds other things than a baseline's arrays")
        if any(not _plain(entry) for entry in entries):
            raise _UnusableError("it holds other things than a baseline's arrays")
        if sum(entry.file_size for entry in entries) > MAX_CONTENT_BYTES:
            raise _UnusableError("it would unpack to more than a baseline can hold")
        for entry in entries:
            with archive.open(entry) as stream:
                _check_header(stream, entry.file_size)
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return {key: stored[key] for key in stored.files}


def _plain(entry: zipfile.ZipInfo) -> bool:
    """Say whether an entry is a plain array by name; names are keys here and never paths."""
    key = entry.filename.removesuffix(".npy")
    named = key.isidentifier() and key.isascii() and key != entry.filename
    return named and entry.compress_type in _PLAIN and not entry.flag_bits & 1


def _check_header(stream: IO[bytes], size: int) -> None:
    """Refuse arrays of objects, and arrays whose shape is not what is stored."""
    if np.lib.format.read_magic(stream) != (1, 0):
        raise _UnusableError("it holds something else than plain numbers")
    shape, _, kind = np.lib.format.read_array_header_1_0(stream, max_header_size=_MAX_HEADER_BYTES)
    if kind.hasobject or kind.kind not in _KINDS:
        raise _UnusableError("it holds something else than plain numbers")
    if math.prod(shape) * kind.itemsize != size - stream.tell():
        raise _UnusableError("it holds an array of an impossible size")


def _check_sizes(arrays: Arrays) -> None:
    """Check all that reading a baseline would take memory for."""
    if arrays["card"].size > _MAX_CARD_BYTES:
        raise _UnusableError("its card is too large")
    card = json.loads(arrays["card"].tobytes())
    if card["format"] != FORMAT:
        raise _UnusableError(f"it is of another version ({str(card['format'])[:40]}, not {FORMAT})")
    sizes = [*card["shape"], len(card["weekly"]), len(arrays["days_dates"])]
    if not all(type(n) is int and n >= 0 for n in sizes):
        raise _UnusableError("its sums have an impossible size")
    n_segments, n_buckets, n_signals, n_weekly, n_days = sizes
    small = 0 < n_segments <= _MAX_SEGMENTS and n_signals <= _MAX_SIGNALS and n_days <= _MAX_DAYS
    per_bucket = N_BUCKETS * (n_signals + N_WEEKDAYS * (n_weekly + 1) + 1) * 3
    needed = 8 * n_segments * (per_bucket + n_days * (n_signals + 1) * 4)
    if not small or n_buckets != N_BUCKETS or n_weekly > n_signals or needed > MAX_SUMS_BYTES:
        raise _UnusableError("its sums have an impossible size")
    strata = {"profile": n_segments, "weekly": N_WEEKDAYS * n_segments}
    for name, n_strata in strata.items():
        _check_cells(arrays[f"{name}_cells"], (n_strata, N_BUCKETS))
    _check_cells(arrays["days_cells"], (n_days, n_segments))
    for key, array in arrays.items():
        # A sample's values are missing where a signal does not apply.
        if key != "sample_values" and not np.isfinite(array).all():
            raise _UnusableError("it holds numbers that are none")


def _check_cells(cells: npt.NDArray[Any], shape: tuple[int, int]) -> None:
    inside = cells.ndim == 2 and cells.shape[1] == 2 and (cells >= 0).all()
    if not inside or not (cells < shape).all() or len(np.unique(cells, axis=0)) != len(cells):
        raise _UnusableError("its sums do not fit its segments")


def _check_content(baseline: Baseline) -> None:
    """Check that the parts of a baseline fit each other and mean something here."""
    model, profile = baseline.segments, baseline.profile
    check_name(baseline.name)
    texts = (*model.labels, *baseline.summary.models, *(s.name for s in baseline.signals))
    if not all(isinstance(t, str) and len(t) <= _MAX_NAME_CHARS for t in texts):
        raise _UnusableError("it holds a name that is none")
    if model.basis not in {*INTERACTIONS.names, "prompts"}:
        raise _UnusableError("its segments are of a column that the store does not have")
    if baseline.cluster_by not in {*INTERACTIONS.names, None}:
        raise _UnusableError("its clusters are of a column that the store does not have")
    if not _is_whole(baseline):
        raise _UnusableError("its parts do not fit each other")
    if (profile.n > profile.n_rows[:, :, None]).any() or min(profile.n.min(initial=0), 0) < 0:
        raise _UnusableError("its counts contradict each other")
    if baseline.hours.n.min(initial=0) < 0 or baseline.hours.rest_sq.min(initial=0) < 0:
        raise _UnusableError("its counts contradict each other")
    if not all(math.isfinite(s.tolerance) and s.tolerance > 0 for s in baseline.signals):
        raise _UnusableError("a tolerance is no number above zero")


def _is_whole(baseline: Baseline) -> bool:
    """Say whether all parts are about the same segments, signals and rows."""
    model, names = baseline.segments, baseline.profile.signal_names
    n_segments, sample = model.n_segments, baseline.sample
    whole = len(set(names)) == len(names) and len(baseline.profile.n_rows) == n_segments
    whole = whole and set(baseline.weekly.signal_names) <= set(names)
    if model.basis == "prompts" and model.labels:
        n_topics, n_scores = model.projection.shape[-1], model.loadings.shape[-1]
        whole = whole and model.projection.shape == (N_FEATURES, n_topics)
        whole = whole and model.loadings.shape == (n_topics + N_STYLE + 1, n_scores)
        whole = whole and model.centroids.shape == (len(model.labels), n_topics + n_scores)
        whole = whole and model.floors.shape == (len(model.labels),)
    lengths = {
        *(len(sample.clusters), len(sample.days), len(sample.values)),
        *(len(sample.prompt_vectors), len(sample.answer_vectors)),
        *(len(a.codes) for a in sample.attributes),
    }
    return whole and lengths == {len(sample)} and sample.values.ndim == 2
