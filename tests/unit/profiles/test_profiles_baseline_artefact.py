"""Baselines as files that travel: text-free, the same every time, and safe to read."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from loopllm_cli.errors import SchemaMismatch, UsageError
from loopllm_cli.model import Window
from loopllm_cli.profiles import baseline_file
from loopllm_cli.profiles.baseline_artefact import pack, unpack
from loopllm_cli.profiles.segments import fit_column
from tests.unit.profiles.profile_rows import baseline_of, batch_of, prompts

Arrays = dict[str, np.ndarray]


def stored(content: bytes) -> Arrays:
    """Return the arrays of a file."""
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return {key: found[key] for key in found.files}


def forged(change: Callable[[Arrays, dict], None]) -> bytes:
    """Return a file whose content was changed and whose hash was made to fit."""
    arrays = stored(pack(baseline_of()))
    arrays.pop("hash")
    card = json.loads(arrays["card"].tobytes())
    change(arrays, card)
    arrays["card"] = np.frombuffer(json.dumps(card).encode(), dtype=np.uint8)
    arrays["hash"] = np.frombuffer(baseline_file._hash(arrays).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def zipped(**entries: bytes) -> bytes:
    """Return a zip file of entries, by name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def array_bytes(array: np.ndarray, **header: object) -> bytes:
    """Return an array's file, with other things said in its header than it holds."""
    buffer = io.BytesIO()
    said = {**np.lib.format.header_data_from_array_1_0(array), **header}
    np.lib.format.write_array_header_1_0(buffer, said)
    return buffer.getvalue() + array.tobytes()


def test_a_file_read_and_written_again_is_the_same_file() -> None:
    """Equal content gives equal bytes, and nothing is lost on the way."""
    content = pack(baseline_of())
    assert content == pack(baseline_of())
    assert content == pack(unpack(content))


def test_what_decides_survives_the_file() -> None:
    """Sums, segments, days and signals come back."""
    original, found = baseline_of(), unpack(pack(baseline_of()))
    for name in ("n_rows", "n", "total", "total_sq"):
        expected = getattr(original.profile, name).tolist()
        assert expected == getattr(found.profile, name).tolist()
    assert (original.signals, original.days.days) == (found.signals, found.days.days)
    batch = batch_of(prompts(100, seed=7))
    assert original.segments.assign(batch).tolist() == found.segments.assign(batch).tolist()


def test_sample_words_and_conditions_stay_at_home_unless_asked_for() -> None:
    """Neither vectors nor hashed users nor SQL travel by default."""
    original = replace(baseline_of(), window=Window(model="gpt", where="user_id = 'anna'"))
    found = unpack(pack(original))
    assert (0, 0, None) == (
        len(found.sample),
        len(found.answers.vocabulary.words),
        found.window.where,
    )
    whole = unpack(pack(original, with_sample=True))
    assert (200, None) == (len(whole.sample), whole.window.where)
    assert "anna" not in str(stored(pack(original))["card"].tobytes())


def test_names_of_prompt_clusters_can_be_numbers() -> None:
    """The same rows fall into the same segments, by number."""
    found = unpack(pack(baseline_of(), with_names=False))
    assert {f"cluster {k + 1}" for k in range(len(found.segments.labels))} == set(
        found.segments.labels
    )
    batch = batch_of(prompts(100, seed=7))
    assert baseline_of().segments.assign(batch).tolist() == found.segments.assign(batch).tolist()


def test_segments_by_a_column_cannot_do_without_names() -> None:
    """Values of a column are what divides the rows."""
    batch = batch_of(prompts(200), prompt_name=["a", "b"] * 100, user_id=["u", "v"] * 100)
    by_name = baseline_of(model=fit_column(batch, "prompt_name"))
    assert ("a", "b") == unpack(pack(by_name)).segments.labels
    with pytest.raises(UsageError, match="told apart by"):
        pack(by_name, with_names=False)
    with pytest.raises(UsageError, match="ids of people"):
        pack(baseline_of(model=fit_column(batch, "user_id")))


def set_key(name: str, value: object) -> Callable[[Arrays, dict], None]:
    """Return a change of one key of the card."""
    return lambda arrays, card: card.update({name: value})


def spoil(name: str, value: float) -> Callable[[Arrays, dict], None]:
    """Return a change of one number of an array."""

    def change(arrays: Arrays, card: dict) -> None:
        arrays[name] = arrays[name].copy()
        arrays[name].flat[0] = value

    return change


FORGED = {
    "another version": (set_key("format", "loopllm.baseline/99"), "another version"),
    "a name that is a path": (set_key("name", "../../etc/x"), "cannot name"),
    "sums of an absurd size": (set_key("shape", [10**9, 256, 2]), "impossible size"),
    "sums of no size": (set_key("shape", [True, 256, 2]), "impossible size"),
    "other buckets": (set_key("shape", [5, 512, 2]), "impossible size"),
    "fewer segments": (set_key("shape", [1, 256, 2]), "do not fit"),
    "an unknown column": (set_key("cluster_by", "passwords"), "column"),
    "an unknown basis": (set_key("basis", "passwords"), "column"),
    "labels that are none": (set_key("labels", [1, 2]), "name that is none"),
    "a place below zero": (spoil("profile_cells", -1), "do not fit its segments"),
    "a place beyond the end": (spoil("profile_cells", 10**9), "do not fit its segments"),
    "infinite sums": (spoil("profile_total", np.inf), "numbers that are none"),
    "more events than rows": (spoil("profile_n", 1e6), "contradict"),
    "a negative count": (spoil("profile_n", -1.0), "contradict"),
}


@pytest.mark.parametrize("name", FORGED)
def test_content_that_makes_no_sense_is_refused_although_its_hash_fits(name: str) -> None:
    """A hash is no signature."""
    change, reason = FORGED[name]
    with pytest.raises(SchemaMismatch, match=reason):
        unpack(forged(change))


def raw_files() -> dict[str, tuple[bytes, str]]:
    """Return files that were never a baseline, or no longer are one."""
    good = pack(baseline_of())
    edited = stored(good)
    edited["profile_total"] = edited["profile_total"] + 1
    rewritten = io.BytesIO()
    np.savez_compressed(rewritten, **edited)
    objects = io.BytesIO()
    np.save(objects, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    huge = array_bytes(np.zeros(4), shape=(10**15,))
    return {
        "nothing": (b"", "damaged"),
        "text": (b"loopllm", "damaged"),
        "cut off": (good[: len(good) // 2], "damaged"),
        "a flipped bit": (good[:900] + bytes([good[900] ^ 1]) + good[901:], "damaged"),
        "edited": (rewritten.getvalue(), "damaged"),
        "a pickle": (zipped(**{"card.npy": objects.getvalue()}), "plain numbers"),
        "a huge shape": (zipped(**{"card.npy": huge}), "impossible size"),
        "a path": (zipped(**{"../../card.npy": array_bytes(np.zeros(1))}), "other things"),
        "a program": (zipped(**{"run.py": b"import os"}), "other things"),
        "many arrays": (
            zipped(**{f"a{k}.npy": array_bytes(np.zeros(1)) for k in range(65)}),
            "other things",
        ),
        "no arrays": (zipped(), "damaged"),
    }


@pytest.mark.parametrize("name", raw_files())
def test_other_files_are_refused_with_the_reason(name: str) -> None:
    """Whatever is read, it is a clear error or a whole baseline."""
    content, reason = raw_files()[name]
    with pytest.raises(SchemaMismatch, match=reason):
        unpack(content)


def test_every_cut_off_or_changed_file_is_refused() -> None:
    """No byte can be lost or changed without notice."""
    good = pack(baseline_of())
    rng = np.random.default_rng(0)
    for _ in range(25):
        at = int(rng.integers(len(good)))
        changed = bytearray(good)
        changed[at] ^= 1 + int(rng.integers(255))
        for content in (good[:at], bytes(changed)):
            try:
                found = unpack(content)
            except SchemaMismatch:
                continue
            # Some bytes of a zip file mean nothing, such as the time of an entry.
            assert pack(baseline_of()) == pack(found)


def test_a_bomb_is_refused_before_it_takes_memory() -> None:
    """300 MB of zeros pack to 300 kB."""
    content = zipped(**{"card.npy": array_bytes(np.zeros(300 << 20, dtype=np.uint8))})
    assert len(content) < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(SchemaMismatch, match="more than a baseline can hold"):
            unpack(content)
        assert tracemalloc.get_traced_memory()[1] < 5 << 20
    finally:
        tracemalloc.stop()
