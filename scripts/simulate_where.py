"""Does the search name the slice that broke, and nothing on clean data? By simulation.

    python -m scripts.simulate_where --runs 200 --jobs 2
    python -m scripts.simulate_where --runs 40 --quick

An artificial service has twenty prompt clusters, six logged attributes (two to twenty values)
and twelve signals with a bad side. In one slice of 5% of the traffic (an attribute's value, a
prompt cluster, or a pair of values) quality falls from 90% to 60%, refusals rise from 2% to 20%,
or both. "Found" means that exactly this slice is among the first three named. Rates are printed
with their Monte-Carlo standard error.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy import special

from loopllm_cli.drift.effects import estimate
from loopllm_cli.drift.places import Segmentation, find_slices
from loopllm_cli.drift.verdict import JudgeSettings, judge
from loopllm_cli.model import SignalInfo, SignalKind, SliceChange, Worse
from loopllm_cli.profiles.attributes import Attribute
from loopllm_cli.profiles.clusters import N_BUCKETS
from loopllm_cli.profiles.profile import Profile, build_profile
from loopllm_cli.profiles.sample import RowSample
from scripts.drift_worlds import MEASURES

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

SETTINGS = JudgeSettings()
N_SEGMENTS = 20
QUALITY = SignalInfo("quality", SignalKind.RATE, Worse.DOWN, 0.03, "Good answers.")
REFUSAL = SignalInfo("refusal", SignalKind.RATE, Worse.UP, 0.01, "Refusals.")
INFOS = (QUALITY, REFUSAL, *(m.info for m in MEASURES[:10]))
ATTRIBUTES = {
    "route": np.full(20, 0.05),
    "language": np.array([0.45, 0.22, 0.15, 0.1, 0.08]),
    "tier": np.array([0.55, 0.22, 0.23]),
    "version": np.array([0.5, 0.5]),
    "client": np.array([0.5, 0.3, 0.1, 0.05, 0.05]),
    "weekday": np.full(7, 1 / 7),
}
SEGMENTATION = Segmentation("prompts", tuple(f"c{k}" for k in range(N_SEGMENTS)))
PLACES = {
    "value": (("route", "v3"),),
    "cluster": (("prompts", "c4"),),
    "pair": (("language", "v1"), ("tier", "v1")),
}
PLANTS = {"quality 90% -> 60%": (0.3, 0.0), "refusal 2% -> 20%": (0.0, 0.18), "both": (0.3, 0.18)}


@dataclass(frozen=True)
class Service:
    """Two windows of a service: their sizes, what broke where, and whether rows share users.

    `place` is one of PLACES, "everywhere" (the whole service), or empty; `drop` and `rise` are
    the changes of quality and refusals there.
    """

    n_baseline: int
    n_current: int
    users: bool = False
    place: str = ""
    drop: float = 0.0
    rise: float = 0.0


def draw(service: Service, rng: np.random.Generator) -> tuple[RowSample, RowSample]:
    """Draw a baseline and a current window."""
    traits = rng.standard_normal((N_SEGMENTS, len(INFOS))) * 0.3
    first = _window(replace(service, place=""), service.n_baseline, 0, (traits, rng))
    second = _window(service, service.n_current, 10**6, (traits, rng))
    return first, second


def _window(
    service: Service, n: int, first_user: int, world: tuple[FloatArray, np.random.Generator]
) -> RowSample:
    traits, rng = world
    n_users = max(2, n // 10) if service.users else n
    activity = rng.dirichlet(np.full(n_users, 0.7)) if service.users else None
    users = rng.choice(n_users, n, p=activity) if service.users else np.arange(n)
    # Half of a user's rows carry the user's own values: attributes go with people.
    home = {a: rng.choice(len(p), n_users, p=p) for a, p in ATTRIBUTES.items()}
    codes = {
        a: np.where(rng.random(n) < 0.5, home[a][users], rng.choice(len(p), n, p=p))
        for a, p in ATTRIBUTES.items()
    }
    segments = rng.integers(0, N_SEGMENTS, n)
    latent = rng.standard_normal((n, len(INFOS)))
    if service.users:
        own = rng.standard_normal((n_users, len(INFOS)))
        latent = np.sqrt(0.3) * own[users] + np.sqrt(0.7) * latent
    attributes = tuple(
        Attribute(a, tuple(f"v{k}" for k in range(len(p))), codes[a].astype(np.int16))
        for a, p in ATTRIBUTES.items()
    )
    inside = _inside(service.place, segments, codes)
    values = _values(latent + traits[segments], inside, service)
    zeros = np.zeros((n, 1), dtype=np.float16)
    mixed = (users + first_user).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return RowSample(
        signal_names=tuple(info.name for info in INFOS),
        values=values.astype(np.float32),
        segments=segments.astype(np.int16),
        clusters=mixed ^ (mixed >> np.uint64(29)),
        days=np.zeros(n, dtype=np.int32),
        attributes=attributes,
        prompt_vectors=zeros,
        answer_vectors=zeros,
        n_rows=n,
        positions=np.arange(n),
    )


def _inside(place: str, segments: IntArray, codes: dict[str, IntArray]) -> npt.NDArray[np.bool_]:
    if place in ("", "everywhere"):
        return np.full(len(segments), place != "")
    inside = np.ones(len(segments), dtype=bool)
    for name, value in PLACES[place]:
        inside &= (segments if name == "prompts" else codes[name]) == int(value[1:])
    return inside


def _values(latent: FloatArray, inside: npt.NDArray[np.bool_], service: Service) -> FloatArray:
    """Cut latent normals to rates, and stretch them to amounts."""
    # Levels hold for the population: the latent spread with segments is sqrt(1.09).
    share = special.ndtr(latent / np.sqrt(1.09))
    out = np.empty_like(latent)
    out[:, 0] = share[:, 0] > 0.1 + service.drop * inside
    out[:, 1] = share[:, 1] > 0.98 - service.rise * inside
    for j, measure in enumerate(MEASURES[:10], start=2):
        if measure.info.kind is SignalKind.RATE:
            out[:, j] = share[:, j] > 1 - measure.level
        else:
            out[:, j] = np.exp(measure.sigma * special.ndtri(np.clip(share[:, j], 1e-9, 1 - 1e-9)))
    return out


def name_slices(service: Service, seed: tuple[int, ...]) -> tuple[SliceChange, ...]:
    """Draw a service once and return the slices that are named."""
    windows = draw(service, np.random.default_rng(seed))
    profiles = [_profile(w) for w in windows]
    whole = judge(estimate(*profiles), INFOS, SETTINGS)
    return find_slices(windows, whole, SEGMENTATION, SETTINGS)


def _profile(window: RowSample) -> Profile:
    return build_profile(
        window.signal_names,
        window.values.astype(np.float64),
        window.segments.astype(np.int64),
        (window.clusters % np.uint64(N_BUCKETS)).astype(np.int64),
        N_SEGMENTS,
    )


@dataclass(frozen=True)
class Tally:
    """Per run: the planted slice's place among those named (0: not named), how many were named,
    and whether the lead comparison's interval holds the true change (of found slices)."""

    rank: IntArray
    named: IntArray
    holds: npt.NDArray[np.bool_]

    def found(self) -> float:
        """Return how often the planted slice is among the first three."""
        return float(((self.rank > 0) & (self.rank <= 3)).mean())


def simulate(service: Service, n_runs: int, jobs: int = 1, seed: int = 0) -> Tally:
    """Run a service many times; run number r depends on (seed, r) alone."""
    seeds = [(seed, r) for r in range(n_runs)]
    if jobs == 1:
        runs = [_run(service, s) for s in seeds]
    else:
        with ProcessPoolExecutor(jobs) as pool:
            runs = list(pool.map(partial(_run, service), seeds, chunksize=5))
    return Tally(*(np.array(column) for column in zip(*runs, strict=True)))


def _run(service: Service, seed: tuple[int, ...]) -> tuple[int, int, bool]:
    named = name_slices(service, seed)
    parts = set(PLACES.get(service.place, ()))
    for rank, one in enumerate(named, start=1):
        if set(one.parts) == parts:
            lead = one.comparisons[0]
            truth = -service.drop if lead.signal.name == "quality" else service.rise
            return rank, len(named), lead.low <= truth <= lead.high
    return 0, len(named), False


def _cell(rate: float, n: int) -> str:
    return f"{rate:6.1%} (±{100 * np.sqrt(max(rate * (1 - rate), 0.5 / n) / n):.1f})"


def main() -> None:
    """Print how often slices are named, clean and planted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="independent rows, 2000 rows only")
    options = parser.parse_args()
    sizes = [(2000, 2000), (10_000, 2000), (5000, 5000)][: 1 if options.quick else 3]
    for users in (False, True)[: 1 if options.quick else 2]:
        for size in sizes:
            where = f"{'users of about ten rows' if users else 'independent rows'}, {size}"
            for place in ("", "everywhere"):
                drop = 0.1 if place else 0.0
                service = Service(*size, users=users, place=place, drop=drop)
                tally = simulate(service, options.runs, options.jobs, seed=1)
                what = "quality 90% -> 80% everywhere" if place else "clean"
                rate = float((tally.named > 0).mean())
                print(f"{where}: {what}: any slice named {_cell(rate, options.runs)}", flush=True)
            for plant in PLANTS:
                for place in PLACES:
                    print(f"{where}: {_planted(size, users, plant, place, options)}", flush=True)


def _planted(
    size: tuple[int, int], users: bool, plant: str, place: str, options: argparse.Namespace
) -> str:
    drop, rise = PLANTS[plant]
    service = Service(*size, users=users, place=place, drop=drop, rise=rise)
    tally = simulate(service, options.runs, options.jobs, seed=2)
    held = tally.holds[tally.rank > 0]
    held_words = f"{held.mean():.0%} of intervals hold the change" if len(held) else "none found"
    return (
        f"{plant} in one {place}: found {_cell(tally.found(), options.runs)},"
        f" {tally.named.mean():.1f} named on average, {held_words}"
    )


if __name__ == "__main__":
    main()
