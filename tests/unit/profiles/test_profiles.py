"""Profiles: sums that merge, and the clusters and prompts they are summed by."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from loopllm_cli.errors import SchemaMismatch
from loopllm_cli.profiles.clusters import N_BUCKETS, cluster_keys, to_buckets
from loopllm_cli.profiles.features import hashed_counts, words_of
from loopllm_cli.profiles.measure import measure
from loopllm_cli.profiles.profile import Profile, build_profile
from loopllm_cli.profiles.season import weekdays_of
from loopllm_cli.profiles.segments import fit_column
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.catalogue import load_signals

NAMES = ("a", "b", "c")


def rows(seed: int, n_rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw whole-numbered values with gaps, segments and buckets."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 1000, (n_rows, 3)).astype(float)
    values[rng.random((n_rows, 3)) < 0.2] = np.nan
    return values, rng.integers(0, 5, n_rows), rng.integers(0, N_BUCKETS, n_rows)


def profile(part: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Profile:
    """Profile rows in five segments."""
    return build_profile(NAMES, *part, 5)


def arrays(p: Profile) -> list[bytes]:
    """Return a profile's numbers, bit for bit."""
    return [x.tobytes() for x in (p.n_rows, p.n, p.total, p.total_sq)]


@pytest.mark.parametrize("seed", range(10))
def test_merged_profiles_equal_the_profile_of_the_union(seed: int) -> None:
    """Two parts, added, are the whole, bit for bit."""
    values, segments, buckets = rows(seed, 500)
    cut = 50 * seed
    first = (values[:cut], segments[:cut], buckets[:cut])
    second = (values[cut:], segments[cut:], buckets[cut:])
    assert arrays(profile((values, segments, buckets))) == arrays(
        profile(first).merge(profile(second))
    )


def test_merging_has_no_order() -> None:
    """A and B, B and A, and any grouping of three give the same sums."""
    a, b, c = (profile(rows(seed, 100)) for seed in range(3))
    assert arrays(a.merge(b)) == arrays(b.merge(a))
    assert arrays(a.merge(b).merge(c)) == arrays(a.merge(b.merge(c)))


def test_profiles_of_other_signals_or_segments_are_refused() -> None:
    """Sums of different things cannot be added."""
    a = profile(rows(0, 10))
    with pytest.raises(SchemaMismatch):
        a.merge(a.columns(("a", "b")))
    with pytest.raises(SchemaMismatch):
        a.merge(build_profile(NAMES, *rows(0, 10), 6))


def test_columns_keep_the_asked_order() -> None:
    """A reduced profile is the profile of the reduced values."""
    values, segments, buckets = rows(0, 200)
    expected = build_profile(("c", "a"), values[:, [2, 0]], segments, buckets, 5)
    found = profile((values, segments, buckets)).columns(("c", "a"))
    assert (("c", "a"), arrays(expected)) == (found.signal_names, arrays(found))


def test_selected_segments_keep_their_numbers() -> None:
    """The other segments are empty, not gone."""
    values, segments, buckets = rows(0, 200)
    keep = np.isin(segments, [1, 3])
    expected = profile((values[keep], segments[keep], buckets[keep]))
    found = profile((values, segments, buckets)).select(np.array([1, 3]))
    assert arrays(expected) == arrays(found)


def test_missing_infinite_and_absurd_values_do_not_apply() -> None:
    """Such rows count as rows, and for no signal."""
    values = np.array([[1.0], [np.nan], [np.inf], [-1e200], [3.0]])
    p = build_profile(("a",), values, np.zeros(5, int), np.zeros(5, int), 1)
    expected = (5.0, 2.0, 4.0, 10.0)
    assert expected == (p.n_rows.sum(), p.n.sum(), p.total.sum(), p.total_sq.sum())


def test_no_rows_give_an_empty_profile() -> None:
    """An empty window is a window."""
    p = build_profile(NAMES, np.zeros((0, 3)), np.zeros(0, int), np.zeros(0, int), 2)
    assert ((2, N_BUCKETS, 3), 0.0) == (p.n.shape, p.n.sum())


def test_a_cluster_is_the_user_else_the_conversation_else_the_prompt() -> None:
    """Each row takes the first that it has; keys of different kinds never collide."""
    batch = RowBatch(
        pa.table(
            {
                "user_id": pa.array(["u", None, None, None], pa.string()),
                "conversation_id": pa.array(["c", "u", None, None], pa.string()),
                "prompt_hash": pa.array(["p", "p", "u", None], pa.string()),
                "team": pa.array([None, "t", None, None], pa.string()),
            }
        )
    )
    expected = ["user_id:u", "conversation_id:u", "prompt_hash:u", "row:3"]
    assert expected == cluster_keys(batch)
    expected = ["user_id:u", "team:t", "prompt_hash:u", "row:3"]
    assert expected == cluster_keys(batch, "team")


def test_buckets_are_the_same_on_every_machine() -> None:
    """The hash has no seed; committed values stay."""
    expected = [170, 170, 27]
    found = to_buckets(["user_id:a", "user_id:a", "user_id:b"]).tolist()
    assert expected[0] == expected[1]
    assert found[0] == found[1] != found[2]
    assert all(0 <= bucket < N_BUCKETS for bucket in found)
    spread = np.bincount(to_buckets([f"user_id:{k}" for k in range(25_600)]), minlength=N_BUCKETS)
    assert 50 < spread.min() <= spread.max() < 160


def test_words_are_lower_case_with_masked_digits() -> None:
    """Order numbers do not make a topic."""
    assert ["order", "0", "is", "größer"] == words_of("Order 12 is GRÖßER!")
    assert [] == words_of(None)
    same = hashed_counts(["pay order 12", "Pay ORDER 99"])
    assert same[0].tolist() == same[1].tolist()


def test_features_are_the_roots_of_counts() -> None:
    """One word twice and its pair once: sqrt(2) and 1."""
    expected = [1.0, np.sqrt(2.0)]
    found = hashed_counts(["no no"])
    assert pytest.approx(expected) == sorted(found[found > 0].tolist())


def test_measuring_sums_signals_by_segment_and_day() -> None:
    """Every number of a measurement comes from the rows' values."""
    table = pa.table(
        {
            "interaction_id": ["1", "2", "3"],
            "response_text": ["one two", "I'm sorry, I can't help with that.", None],
            "prompt_name": ["a", "b", "a"],
            "request_time": pa.array([0, 86_400_000_000, None], pa.timestamp("us", tz="UTC")),
        }
    )
    signals = load_signals(only=["response_words", "refusal"])
    measured = measure(table, signals, fit_column(RowBatch(table), "prompt_name"))
    assert [0, 1, 0] == measured.segments.tolist()
    assert [[1.0, 1.0], [1.0, 1.0], [0.0, 0.0]] == measured.profile.n.sum(axis=1).tolist()
    assert 2.0 == measured.profile.total.sum(axis=1)[0, 0]
    days = measured.days()
    assert ("1970-01-01", "1970-01-02") == days.days
    assert [[0, 0], [1, 1], [0, 0]] == days.n[1].tolist()
    assert [0, 1] == days.total[:, :, 1].sum(axis=1).tolist()
    # 1970 began on a Thursday; a row without a time counts as Monday's.
    assert [3, 4, 0] == weekdays_of(measured.dates).tolist()
    occupied = np.flatnonzero(measured.weekly(("refusal",)).n_rows.sum(axis=1))
    assert [0, 3 * 3 + 0, 4 * 3 + 1] == occupied.tolist()
    turned = measured.columns(("refusal",))
    assert (("refusal",), (3, 1)) == (turned.profile.signal_names, turned.values.shape)
