"""Effects: the split of a change, its mirror image, and its clustered error."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from loopllm_cli.drift.effects import estimate, estimate_segments
from loopllm_cli.profiles.profile import Profile
from tests.unit.drift.drift_rows import profile_of


def mixed_windows(seed: int, *, shared_users: bool = False) -> tuple[Profile, Profile]:
    """Draw two windows with shared, new, vanished and thin segments and with missing values."""
    rng = np.random.default_rng(seed)
    windows: list[Profile] = []
    for n_rows, shares in (
        (400, (0.4, 0.3, 0.2, 0.09, 0.01, 0)),
        (150, (0.2, 0.5, 0, 0.1, 0.02, 0.18)),
    ):
        segments = rng.choice(6, n_rows, p=shares)
        clusters = rng.integers(0, 40, n_rows) + (0 if shared_users else 50 * len(windows))
        values = rng.gamma(2.0, size=(3, n_rows)) + segments
        values[1] = values[1] > 4
        values[2, rng.random(n_rows) < 0.3] = np.nan
        windows.append(profile_of(values, segments, clusters, n_segments=6))
    return windows[0], windows[1]


@pytest.mark.parametrize("seed", range(5))
def test_the_parts_add_up_to_the_total(seed: int) -> None:
    """total = behaviour + mix + new - vanished, to the last digits of the arithmetic."""
    e = estimate(*mixed_windows(seed))
    parts = e.behaviour + e.mix + e.new_traffic - e.vanished_traffic
    assert pytest.approx(e.total.tolist(), rel=1e-12, abs=1e-13) == parts.tolist()


def test_a_split_by_hand() -> None:
    """Two shared segments, a new and a vanished one, each with one value throughout."""
    before = profile_of(
        [[1.0] * 10 + [3.0] * 10 + [9.0] * 5], [0] * 10 + [1] * 10 + [2] * 5, None, 4
    )
    after = profile_of(
        [[2.0] * 30 + [4.0] * 10 + [0.0] * 10], [0] * 30 + [1] * 10 + [3] * 10, None, 4
    )
    e = estimate(before, after)
    # Weights 7.5 and 5 of 12.5; C: shared mean 2.5, new 0 at share 1/5; B: shared 2, gone 9 at 1/5.
    expected = (100 / 50 - 85 / 25, 1.0, 0.2 * (0 - 2.5), 0.2 * (9 - 2))
    found = (e.total[0], e.behaviour[0], e.new_traffic[0], e.vanished_traffic[0])
    assert pytest.approx(expected) == found
    assert pytest.approx(-1.4 - 1.0 + 0.5 + 1.4) == e.mix[0]


def test_identical_prompts_have_a_mix_of_exactly_zero() -> None:
    """Where every segment has as many rows before as after, no digit is left for the mix."""
    rng = np.random.default_rng(3)
    segments = rng.integers(0, 7, 300)
    windows = (profile_of(rng.gamma(1.0, size=(2, 300)), segments) for _ in range(2))
    e = estimate(*windows)
    assert [0.0, 0.0] == e.mix.tolist()
    assert pytest.approx(e.total.tolist()) == e.behaviour.tolist()


def test_identical_prompts_are_paired() -> None:
    """Answers that move with their prompt give the paired t-test's standard error."""
    rng = np.random.default_rng(4)
    prompt = rng.normal(10, 3, 80)
    before, after = prompt + rng.normal(0, 0.5, (2, 80))
    e = estimate(profile_of([before]), profile_of([after]))
    variance = (e.var_baseline + e.var_current - 2 * e.covariance)[0]
    expected = stats.sem(after - before) ** 2
    assert pytest.approx(expected) == variance


@pytest.mark.parametrize("seed", range(5))
def test_swapping_the_windows_mirrors_the_effects(seed: int) -> None:
    """What grew from A to B shrank from B to A, with the same errors and degrees of freedom."""
    a, b = mixed_windows(seed, shared_users=True)
    there, back = estimate(a, b), estimate(b, a)
    for name in ("total", "behaviour", "mix"):
        assert pytest.approx(getattr(there, name).tolist()) == (-getattr(back, name)).tolist()
    assert pytest.approx(there.new_traffic.tolist()) == back.vanished_traffic.tolist()
    for name in ("var", "iid_var", "size", "clusters"):
        before, after = getattr(there, f"{name}_baseline"), getattr(back, f"{name}_current")
        assert pytest.approx(before.tolist()) == after.tolist()
    assert pytest.approx(there.df.tolist()) == back.df.tolist()


def test_clusters_of_one_row_give_the_unclustered_variance() -> None:
    """With every row its own cluster the variance of a mean is s^2 / n, and the design effect 1."""
    rng = np.random.default_rng(5)
    before, after = rng.normal(5, 2, 200), rng.normal(5, 1, 100)
    e = estimate(profile_of([before]), profile_of([after], clusters=np.arange(100) + 150))
    expected = [before.var(ddof=1) / 200, after.var(ddof=1) / 100]
    assert pytest.approx(expected) == [e.var_baseline[0], e.var_current[0]]
    assert pytest.approx(expected) == [e.iid_var_baseline[0], e.iid_var_current[0]]
    assert pytest.approx(1.0) == e.design_effect[0]


def test_degrees_of_freedom_of_single_rows_are_welchs() -> None:
    """With every row its own cluster, the degrees of freedom are those of Welch's t-test."""
    rng = np.random.default_rng(6)
    before, after = rng.normal(5, 2, 200), rng.normal(5, 1, 40)
    e = estimate(profile_of([before]), profile_of([after], clusters=np.arange(40) + 210))
    expected = stats.ttest_ind(after, before, equal_var=False).df
    assert pytest.approx(expected) == e.df[0]


def test_equal_clusters_give_the_t_test_of_their_means() -> None:
    """Clusters of one size: variance and degrees of freedom are those of the cluster means."""
    rng = np.random.default_rng(7)
    means_b, means_c = rng.normal(5, 2, 12), rng.normal(6, 3, 9)
    rows_b, rows_c = np.repeat(means_b, 4), np.repeat(means_c, 4)
    e = estimate(
        profile_of([rows_b], clusters=np.repeat(np.arange(12), 4)),
        profile_of([rows_c], clusters=np.repeat(np.arange(9) + 50, 4)),
    )
    assert pytest.approx(stats.sem(means_c) ** 2) == e.var_current[0]
    assert pytest.approx(stats.ttest_ind(means_c, means_b, equal_var=False).df, rel=1e-3) == e.df[0]
    assert pytest.approx(4 * 35 / 36 / (8 / 9) * 1.0, rel=0.15) == e.design_effect[0]


def test_one_heavy_user_leaves_few_degrees_of_freedom() -> None:
    """A window of which one user wrote half counts as hardly more than a few clusters."""
    rng = np.random.default_rng(8)
    clusters = np.concatenate([np.zeros(50, dtype=int), np.arange(1, 51)])
    user = rng.normal(0, 1, 51)
    rows = user[clusters] + rng.normal(0, 0.3, 100)
    even = estimate(profile_of([rows]), profile_of([rows], clusters=np.arange(100) + 128))
    heavy = estimate(profile_of([rows]), profile_of([rows], clusters=clusters + 128))
    assert heavy.clusters_current[0] < 5
    assert pytest.approx(100) == even.clusters_current[0]
    assert heavy.var_current[0] > 5 * even.var_current[0]


def test_a_thin_segment_is_compared_with_its_own_kind() -> None:
    """Rows too few for a spread of their own are still compared with their own segment.

    Twenty segments with levels 0..19; the current window has two rows in each, the baseline
    twenty, mostly in other segments: no behaviour change, whatever the traffic.
    """
    rng = np.random.default_rng(9)
    segments_b = np.repeat(np.arange(20), np.arange(11, 31))
    segments_c = np.repeat(np.arange(20), np.arange(4, 0, -1).repeat(5))
    noise_b, noise_c = rng.normal(0, 0.01, len(segments_b)), rng.normal(0, 0.01, len(segments_c))
    e = estimate(
        profile_of([segments_b + noise_b], segments_b),
        profile_of([segments_c + noise_c], segments_c, np.arange(len(segments_c)) + 60),
    )
    assert pytest.approx(0.0, abs=0.01) == e.behaviour[0]
    assert e.total[0] < -2
    expected = np.sqrt(1 / len(segments_b) + 1 / len(segments_c)) * 0.01
    se = np.sqrt(e.var_baseline + e.var_current)[0]
    assert pytest.approx(expected, rel=0.5) == se


def test_segments_are_estimated_each_by_itself() -> None:
    """A segment's effect is that of its own rows."""
    rng = np.random.default_rng(10)
    segments = np.repeat([0, 1], 50)
    values = rng.gamma(2.0, size=(2, 100))
    clusters = np.arange(100)
    both = estimate_segments(
        profile_of([values[0]], segments), profile_of([values[1]], segments, clusters + 128)
    )
    alone = estimate(
        profile_of([values[0, 50:]]), profile_of([values[1, 50:]], None, clusters[50:] + 128)
    )
    assert pytest.approx(alone.behaviour[0]) == both.behaviour[1, 0]
    assert pytest.approx(alone.var_current[0]) == both.var_current[1, 0]
    assert pytest.approx(alone.df[0]) == both.df[1, 0]
