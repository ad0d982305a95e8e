"""Where a change sits: slices that are named, that must not be, and what is said of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from loopllm_cli.drift.effects import estimate
from loopllm_cli.drift.places import Segmentation, find_slices, pick_examples
from loopllm_cli.drift.slices import attributes_of, enumerate_slices, rows_of
from loopllm_cli.drift.verdict import JudgeSettings, judge
from loopllm_cli.model import SignalInfo, SliceChange, Verdict
from loopllm_cli.profiles.attributes import Attribute
from loopllm_cli.profiles.profile import build_profile
from loopllm_cli.profiles.sample import RowSample
from tests.unit.drift.drift_rows import BAD_RATE, GOOD_RATE, NEUTRAL

SEGMENTATION = Segmentation("prompts", ("refunds", "hours"))
INFOS = (GOOD_RATE, BAD_RATE, NEUTRAL)
N = 1500


def window(seed: int, n: int = N) -> RowSample:
    """Draw a quiet window: two segments, a route of four values and a language of three."""
    rng = np.random.default_rng(seed)
    values = np.stack([rng.random(n) < 0.9, rng.random(n) < 0.02, rng.gamma(3.0, size=n)], axis=1)
    attributes = (
        Attribute("route", ("a", "b", "c", "d"), rng.integers(-1, 4, n).astype(np.int16)),
        Attribute("language", ("de", "en", "fr"), rng.choice(3, n, p=[0.25, 0.6, 0.15]).astype(
            np.int16
        )),
    )  # fmt: skip
    empty = np.zeros((n, 1), dtype=np.float16)
    return RowSample(
        signal_names=tuple(info.name for info in INFOS),
        values=values.astype(np.float32),
        segments=rng.integers(0, 2, n).astype(np.int16),
        clusters=rng.integers(0, 2**63, n).astype(np.uint64),
        days=np.zeros(n, dtype=np.int32),
        attributes=attributes,
        prompt_vectors=empty,
        answer_vectors=empty,
        n_rows=n,
        positions=np.arange(n) + 100,
    )


def with_drop(sample: RowSample, *parts: tuple[str, str], to: float = 0.3) -> RowSample:
    """Return the window with answers of one slice good only at a rate."""
    inside = rows_of(parts, attributes_of(sample, "prompts", SEGMENTATION.labels))
    values = sample.values.copy()
    values[inside, 0] = np.random.default_rng(9).random(int(inside.sum())) < to
    return replace(sample, values=values)


def named(
    before: RowSample, after: RowSample, infos: tuple[SignalInfo, ...] = INFOS
) -> tuple[SliceChange, ...]:
    """Compare whole windows, then search."""
    profiles = [
        build_profile(
            s.signal_names,
            s.values.astype(np.float64),
            s.segments.astype(np.int64),
            (s.clusters % np.uint64(256)).astype(np.int64),
            2,
        )
        for s in (before, after)
    ]
    whole = judge(estimate(*profiles), infos, JudgeSettings())
    return find_slices((before, after), whole, SEGMENTATION, JudgeSettings())


@pytest.mark.parametrize(
    "parts",
    [
        (("route", "b"),),
        (("prompts", "hours"),),
        (("route", "b"), ("language", "de")),
    ],
)
def test_the_slice_that_broke_is_named_first(parts: tuple[tuple[str, str], ...]) -> None:
    after = with_drop(window(2), *parts)
    found = named(window(1), after)
    assert parts == found[0].parts
    lead = found[0].comparisons[0]
    assert ("good_rate", Verdict.WORSE) == (lead.signal.name, lead.verdict)
    assert -0.9 < lead.low < -0.6 < lead.high < -0.3
    assert lead.p_adjusted < 0.05
    assert found[0].share_of_change > 0.6
    inside = rows_of(parts, attributes_of(after, "prompts", SEGMENTATION.labels))
    assert int(inside.sum()) == found[0].n_current
    assert pytest.approx(inside.mean()) == found[0].share_current


def test_slices_that_only_contain_the_broken_one_are_not_named() -> None:
    """A part or a whole of the broken slice shows nothing of its own outside of it."""
    found = named(window(1), with_drop(window(2), ("route", "b"), ("language", "de")))
    assert ["route=b & language=de"] == [s.name for s in found]


def test_two_broken_slices_are_both_named_the_larger_part_first() -> None:
    after = with_drop(with_drop(window(2), ("route", "b")), ("language", "fr"), to=0.05)
    names = [s.name for s in named(window(1), after)]
    assert {"route=b", "language=fr"} == set(names[:2])


@pytest.mark.parametrize("seed", range(3, 9))
def test_clean_windows_name_no_slice(seed: int) -> None:
    assert () == named(window(seed), window(seed + 100))


def test_a_change_that_is_everywhere_names_no_slice() -> None:
    after = window(2)
    values = after.values.copy()
    values[:, 0] *= np.random.default_rng(3).random(N) < 0.8
    assert () == named(window(1), replace(after, values=values))


def test_what_got_better_is_named_as_better_where_the_whole_did() -> None:
    before = with_drop(window(1), ("route", "b"))
    found = named(before, window(2))
    assert ("route=b", Verdict.BETTER) == (found[0].name, found[0].comparisons[0].verdict)


def test_a_neutral_signal_is_searched_only_where_it_changed() -> None:
    after = window(2)
    inside = rows_of((("language", "de"),), attributes_of(after, "prompts", SEGMENTATION.labels))
    values = after.values.copy()
    values[inside, 2] *= 3
    found = named(window(1), replace(after, values=values))
    assert ("language=de", "neutral", Verdict.CHANGED) == (
        found[0].name,
        found[0].comparisons[0].signal.name,
        found[0].comparisons[0].verdict,
    )


def test_examples_are_rows_of_the_slice_that_show_its_change() -> None:
    after = with_drop(window(2), ("route", "b"))
    found = named(window(1), after)[0]
    chosen = pick_examples(found, after, SEGMENTATION) - 100
    assert 3 == len(chosen)
    assert {(1, 0.0)} == {
        (int(after.attributes[0].codes[i]), float(after.values[i, 0])) for i in chosen
    }


def test_values_that_do_not_apply_and_tiny_windows_are_survived() -> None:
    before, after = window(1), window(2)
    gone = replace(after, values=np.full_like(after.values, np.nan))
    assert () == named(before, gone)
    assert () == named(before, window(2, n=20))
    one_user = replace(after, clusters=np.zeros_like(after.clusters))
    assert () == named(before, one_user)


def test_slices_are_listed_once_and_only_with_enough_rows() -> None:
    """A pair that is one of its parts, and an attribute that repeats another, add nothing."""
    before, after = window(1), window(2)
    twins = [
        [*attributes_of(w, "prompts", SEGMENTATION.labels), replace(w.attributes[0], name="copy")]
        for w in (before, after)
    ]
    names = [s.name for s in enumerate_slices(*twins)]
    assert len(set(names)) == len(names)
    assert "route=a" in names
    assert not [name for name in names if "copy" in name]
    for one in enumerate_slices(*twins):
        assert min((one.rows < N).sum(), (one.rows >= N).sum()) >= 30
