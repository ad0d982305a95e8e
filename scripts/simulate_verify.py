"""Measure how often `verify` refuses a good adapter and passes a bad one, without training any.

Answers are drawn with known truth: per segment the shares of right answers, refusals and new
refusals of the baseline, of the model as it is, and of the model with the adapter. They go through
the repairs, the comparisons and the checks of the gate as they are; distances in nats, canaries and
the effect check need a model and are left out, so that no false pass is hidden by them.

    python -m scripts.simulate_verify [--runs 200] [--scenario NAME] [--prompts 1000]
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loopllm_cli.config import VerifyConfig
from loopllm_cli.model import Gate, SignalInfo, SignalKind, Worse
from loopllm_cli.profiles.clusters import N_BUCKETS
from loopllm_cli.profiles.profile import Profile, build_profile
from loopllm_cli.verify import checks, gate, missing, segments, watch

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

INFOS = (
    SignalInfo("refusal", SignalKind.RATE, Worse.UP, 0.01, ""),
    SignalInfo(gate.RIGHT, SignalKind.RATE, Worse.DOWN, 0.03, ""),
)
N_DRIFTED, N_OTHER = 8, 35
FAMILIES = ((0, 1), (2, 3), (4, 5), (6, 7), (0, 1, 2, 3), (4, 5, 6, 7))
KNOWN = 0.2
USERS = 200


@dataclass(frozen=True)
class Truth:
    """One adapter: what share of the lost quality is back, and what happens elsewhere.

    `repaired` is per drifted segment; of right answers elsewhere `lost` go wrong everywhere and
    `broken` in the first segment besides; `refused` are refused anew; `unnamed` is the share of
    right answers lost in the last segment that no drift run named, and that stays lost.
    """

    repaired: tuple[float, ...] = (1.0,) * N_DRIFTED
    lost: float = 0.0
    broken: float = 0.0
    refused: float = 0.0
    unnamed: float = 0.0
    preferred: float = 0.95
    good: bool = False


def _like(share: float) -> tuple[float, ...]:
    return (share,) * N_DRIFTED


SCENARIOS = {
    "perfect": Truth(good=True),
    "good: 97% back, 1% lost": Truth(_like(0.97), lost=0.01, good=True),
    "fair: 92% back, 2% lost": Truth(_like(0.92), lost=0.02),
    "half repaired": Truth(_like(0.5)),
    "one intent of four": Truth((1.0, 1.0, 0, 0, 0, 0, 0, 0)),
    "one of three intents": Truth((1.0,) * 5 + (0.0,) * 3),
    "a third of one intent of four": Truth((0.35, 0.35) + (1.0,) * 6),
    "smallest segment not repaired": Truth((0.0,) + (1.0,) * 7),
    "nothing learnt": Truth(_like(0.0), preferred=0.5),
    "flipped": Truth(_like(0.0), lost=0.25, preferred=0.05),
    "one segment wholly broken": Truth(broken=1.0),
    "one segment half broken": Truth(broken=0.5),
    "10% lost everywhere": Truth(lost=0.10),
    "5% refused everywhere": Truth(refused=0.05),
    "drift not named, not repaired": Truth(unnamed=1.0),
}


def draw_places(rng: np.random.Generator, n: int, first: int, n_segments: int) -> IntArray:
    """Draw the segments of n prompts; the largest has five times the prompts of the smallest."""
    weights = np.linspace(1.0, 5.0, n_segments)
    return first + rng.choice(n_segments, size=n, p=weights / weights.sum())


def draw(rng: np.random.Generator, right: FloatArray, refused: FloatArray) -> FloatArray:
    """Draw answers: shape (n, 2), refusal and right answer; a refusal is never right."""
    refuses = rng.random(len(right)) < refused
    is_right = (rng.random(len(right)) < right) & ~refuses
    return np.stack([refuses, is_right], axis=1).astype(np.float64)


def profile(values: FloatArray, places: IntArray, users: IntArray) -> Profile:
    """Sum answers as a window."""
    names = tuple(info.name for info in INFOS)
    return build_profile(names, values, places, users % N_BUCKETS, N_DRIFTED + N_OTHER)


def run_once(
    rng: np.random.Generator, truth: Truth, n_prompts: int
) -> tuple[Gate, tuple[str, ...]]:
    """Draw one verification and judge it."""
    config = VerifyConfig()
    n_drifted = n_prompts * 6 // 10
    places = np.concatenate(
        [draw_places(rng, n_drifted, 0, N_DRIFTED), draw_places(rng, n_prompts, N_DRIFTED, N_OTHER)]
    )
    users = rng.integers(USERS, size=len(places))
    drifted, first, last = (
        places < N_DRIFTED,
        places == N_DRIFTED,
        places == N_DRIFTED + N_OTHER - 1,
    )
    known = rng.random(len(places)) < KNOWN

    base_places = np.concatenate(
        [draw_places(rng, 600, 0, N_DRIFTED), draw_places(rng, 1_200, N_DRIFTED, N_OTHER)]
    )
    baseline = draw(rng, np.full(1_800, 0.99), np.full(1_800, 0.001))
    baseline[rng.random(1_800) >= KNOWN, 1] = np.nan

    right = np.where(drifted, 0.1, 0.99) - np.where(last, 0.99 * truth.unnamed, 0.0)
    before = draw(rng, right, np.where(drifted, 0.5, 0.001))
    # The same prompt gets the same answer unless the adapter moves it.
    after = before.copy()
    share = np.array([*truth.repaired, *(0.0,) * N_OTHER])[places]
    fixed = drifted & (rng.random(len(places)) < share)
    after[fixed] = draw(rng, np.full(int(fixed.sum()), 0.99), np.full(int(fixed.sum()), 0.001))
    spoilt = rng.random(len(places)) < truth.lost + np.where(first, truth.broken, 0.0)
    after[~drifted & spoilt, 1] = 0.0
    refuses = ~drifted & (rng.random(len(places)) < truth.refused)
    after[refuses] = (1.0, 0.0)
    for side in (before, after):
        side[~known, 1] = np.nan

    windows = gate.Windows(
        INFOS,
        profile(baseline, base_places, rng.integers(USERS, size=1_800)),
        profile(before, places, users),
        profile(after, places, users),
    )
    named = dict.fromkeys(range(N_DRIFTED), ("refusal", gate.RIGHT))
    others = list(range(N_DRIFTED, N_DRIFTED + N_OTHER))
    labels = {k: f"segment {k}" for k in range(N_DRIFTED + N_OTHER)}
    repairs, singles = gate.judge_repairs(windows, named, labels, config, FAMILIES)
    margins = np.where(rng.random(65) < truth.preferred, 1.0, -1.0)
    was, now, where = before[~drifted], after[~drifted], places[~drifted]
    told = np.isfinite(was[:, 1])
    counts = [
        missing.Known(
            k,
            _counts(baseline[base_places == k, 1]),
            _counts(was[where == k, 1]),
            _counts(now[where == k, 1]),
        )
        for k in others
    ]
    cells = segments.count_cells(INFOS, (was, now), where, others)
    unnamed = missing.check_missing(counts, labels.__getitem__, (0.03, config.alpha))
    found = (
        checks.check_preference(margins, (0.1, 0.9)),
        checks.check_untouched(gate.judge_untouched(windows, others, config)),
        segments.check_segments(cells, labels.__getitem__, config.alpha),
        checks.check_kept(was[told, 1] == 1, now[told, 1] == 1, config),
        watch.check_refusals((was[:, 0], now[:, 0]), (0.01, config.alpha)),
        *(check for check in (unnamed, singles) if check),
    )
    return gate.decide(found, repairs)


def _counts(values: FloatArray) -> tuple[int, int]:
    known = values[np.isfinite(values)]
    return int(known.sum()), len(known)


def main() -> None:
    """Simulate the scenarios and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--prompts", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenario", choices=SCENARIOS)
    arguments = parser.parse_args()
    print(f"{'adapter':32}  pass  fail  incon  most frequent reason against it")
    for number, (name, truth) in enumerate(SCENARIOS.items()):
        if arguments.scenario not in (None, name):
            continue
        verdicts: Counter[Gate] = Counter()
        reasons: Counter[str] = Counter()
        for run in range(arguments.runs):
            rng = np.random.default_rng((arguments.seed, number, run))
            found, said = run_once(rng, truth, arguments.prompts)
            verdicts[found] += 1
            if found is not Gate.PASS:
                reasons[said[0].split(":")[0]] += 1
        shares = "  ".join(f"{verdicts[g] / arguments.runs:5.1%}" for g in Gate)
        most = ", ".join(f"{reason} ({n})" for reason, n in reasons.most_common(2))
        print(f"{name:32} {shares}  {most}", flush=True)


if __name__ == "__main__":
    main()
