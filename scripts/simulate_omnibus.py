"""What the omnibus test finds, and how often it errs: real answers diluted, and worlds with users.

    python -m scripts.simulate_omnibus power --data ../shared/data --runs 60
    python -m scripts.simulate_omnibus level --runs 400

Power: n rows of one version of a model against n others, of which a share comes from the next
version (other prompts; drawn with replacement where the pool is too small). Peers are compared at
equal false alarms: each statistic's threshold is the 95% point of its own values on splits of the
older version. "KS" is the smallest p-value of Kolmogorov-Smirnov over all signals; "MMD" the
kernel distance of the answers' vectors with a Gaussian kernel at the median distance.
"""

from __future__ import annotations

import argparse
import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.stats import ks_2samp

from loopllm_cli.drift.omnibus import OmnibusSettings, run_omnibus
from loopllm_cli.profiles.clusters import cluster_keys
from loopllm_cli.profiles.sample import Rows, RowSample, draw_sample
from loopllm_cli.profiles.segments import fit_prompts
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.catalogue import compute_signals, load_signals

FloatArray = npt.NDArray[np.float64]
Pools = tuple[RowSample, RowSample]

NAMES = ("omnibus", "KS", "MMD")
SETTINGS = OmnibusSettings(permutations=299, clearly_none=1.0)
SHARES = {100: (0.2, 0.5, 1.0), 400: (0.1, 0.2, 0.5), 2000: (0.1, 0.2, 0.5)}
PRIME = {
    "prime, GPT-4": ("llmdrift_prime_full", "gpt-4-0314", "gpt-4-0613"),
    "prime, GPT-3.5": ("llmdrift_prime_full", "gpt-3.5-turbo-0301", "gpt-3.5-turbo-0613"),
}
ALPACA = {
    "AlpacaEval, GPT-4": ("alpacaeval_gpt4_0314", "alpacaeval_gpt4_0613"),
    "AlpacaEval, Vicuna": ("alpacaeval_vicuna-7b-v1.3", "alpacaeval_vicuna-7b-v1.5"),
}


def read_pools(folder: Path) -> dict[str, Pools]:
    """Measure both versions of every pair once."""
    pools = {}
    for name, (file, older, newer) in PRIME.items():
        rows = _read(folder, file)
        pools[name] = _measured(*([r for r in rows if r["model"] == m] for m in (older, newer)))
    for name, (first, second) in ALPACA.items():
        pools[name] = _measured(_read(folder, first), _read(folder, second))
    return pools


def _read(folder: Path, file: str) -> list[dict[str, str]]:
    with gzip.open(folder / f"{file}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _measured(older: list[dict[str, str]], newer: list[dict[str, str]]) -> Pools:
    rows = [*older, *newer]
    columns = {
        "interaction_id": [str(k) for k in range(len(rows))],
        "prompt_text": [r["prompt"] for r in rows],
        "response_text": [r["response"] for r in rows],
    }
    batch = RowBatch(pa.table({k: pa.array(v, pa.string()) for k, v in columns.items()}))
    signals = load_signals()
    values, _ = compute_signals(batch, signals)
    segments = fit_prompts(RowBatch(batch.table.slice(0, len(older)))).assign(batch)
    sample = draw_sample(Rows(batch, tuple(signals), values, segments, cluster_keys(batch)), ())
    logged = np.isfinite(sample.values).any(axis=0)
    sample = sample.columns(tuple(n for n, there in zip(signals, logged, strict=True) if there))
    numbers = np.arange(len(rows))
    return sample.take(numbers[: len(older)]), sample.take(numbers[len(older) :])


def draw(pools: Pools, n: int, share: float, rng: np.random.Generator) -> Pools:
    """Draw a baseline of the older version, and a window that mixes both versions."""
    size = len(pools[0])
    if 2 * n <= size:
        order = rng.permutation(size)
        before, after = order[:n], order[n : 2 * n]
    else:
        before, after = rng.integers(0, size, (2, n))
    new = rng.random(n) < share
    kept, changed = pools[0].take(after[~new]), pools[1].take(after[new])
    joined = replace(
        kept,
        values=np.concatenate([kept.values, changed.values]),
        segments=np.concatenate([kept.segments, changed.segments]),
        answer_vectors=np.concatenate([kept.answer_vectors, changed.answer_vectors]),
        prompt_vectors=np.concatenate([kept.prompt_vectors, changed.prompt_vectors]),
        days=np.concatenate([kept.days, changed.days]),
        clusters=np.arange(n, 2 * n, dtype=np.uint64),
        positions=np.zeros(0, dtype=np.int64),
    )
    first = replace(pools[0].take(before), clusters=np.arange(n, dtype=np.uint64))
    return first, joined


def distances(baseline: RowSample, current: RowSample) -> tuple[float, float, float, float]:
    """Return the omnibus test's statistic, both peers' (larger is farther), and its p-value."""
    ours = run_omnibus(baseline, current, SETTINGS)
    kernel = _kernel_distance(baseline, current) if len(baseline) <= 400 else np.nan
    return ours.statistic, _least_p(baseline, current), kernel, ours.p_value


def _least_p(baseline: RowSample, current: RowSample) -> float:
    least = 1.0
    for before, now in zip(baseline.values.T, current.values.T, strict=True):
        parts = [x[np.isfinite(x)] for x in (before, now)]
        if min(map(len, parts)) > 2:
            least = min(least, float(ks_2samp(*parts, method="asymp").pvalue))
    return -float(np.log10(max(least, 1e-300)))


def _kernel_distance(baseline: RowSample, current: RowSample) -> float:
    points = np.concatenate([baseline.answer_vectors, current.answer_vectors]).astype(float)
    norms, n = (points**2).sum(axis=1), len(baseline)
    squares = np.maximum(norms[:, None] + norms[None] - 2 * points @ points.T, 0.0)
    kernel = np.exp(-squares / np.median(squares[squares > 0]))
    np.fill_diagonal(kernel, 0.0)
    within = [k.sum() / (len(k) * (len(k) - 1)) for k in (kernel[:n, :n], kernel[n:, n:])]
    return float(within[0] + within[1] - 2 * kernel[:n, n:].mean())


def print_power(folder: Path, n_runs: int, sizes: tuple[int, ...]) -> None:
    """Power at equal false alarms per size and share, over all pairs that have the size."""
    pools = read_pools(folder)
    for n in sizes:
        found: dict[float, list[FloatArray]] = {}
        for name in (k for k in pools if n < 2000 or k in PRIME):
            still = _runs((pools[name], n, 0.0), 2 * n_runs)
            limits = np.quantile(still, 0.95, axis=0)[:3]
            print(f"n={n} {name}: level {np.mean(still[:, 3] <= 0.05):.3f}", flush=True)
            for share in SHARES[n]:
                moved = _runs((pools[name], n, share), n_runs)
                rates = (moved[:, :3] > limits).mean(axis=0)
                found.setdefault(share, []).append(rates)
                cells = " ".join(f"{k} {r:.2f}" for k, r in zip(NAMES, rates, strict=True))
                print(f"  {share:4.0%}: {cells}  (±{0.5 / np.sqrt(n_runs):.2f})", flush=True)
        for share, rates_of in found.items():
            means = np.mean(rates_of, axis=0)
            cells = " ".join(f"{k} {r:.3f}" for k, r in zip(NAMES, means, strict=True))
            print(f"n={n} {share:4.0%} mean over {len(rates_of)} pairs: {cells}", flush=True)


def _runs(case: tuple[Pools, int, float], n_runs: int) -> FloatArray:
    pools, n, share = case
    seeds = [(2027, n, round(100 * share), r) for r in range(n_runs)]
    return np.array([distances(*draw(pools, n, share, np.random.default_rng(s))) for s in seeds])


def draw_world(
    n: tuple[int, int], kind: str, rng: np.random.Generator, shift: float = 0.0
) -> Pools:
    """Draw two clean windows of an artificial service.

    Args:
        kind: "rows", "users" (about ten rows each, all new), "returning" (the same users in both
            windows), or "traffic" (segments of unlike level and spread, whose shares move).
        shift: a change of the first signal, in standard deviations.
    """
    own_of: dict[int, FloatArray] = {}
    return tuple(_world_window(n[w], kind, (w, rng, own_of), shift * w) for w in (0, 1))  # type: ignore[return-value]


def _world_window(
    n: int, kind: str, state: tuple[int, np.random.Generator, dict[int, FloatArray]], shift: float
) -> RowSample:
    window, rng, own_of = state
    offset = 0 if kind == "returning" else window * 10**6
    users = np.arange(n) if kind in ("rows", "traffic") else rng.integers(0, max(n // 10, 6), n)
    weights = np.exp((2 * window - 1) * 0.8 * np.linspace(-1, 1, 8)) if kind == "traffic" else (
        np.ones(8)
    )  # fmt: skip
    segments = rng.choice(8, n, p=weights / weights.sum())
    latent = rng.standard_normal((n, 16))
    if kind in ("users", "returning"):
        for user in np.unique(users + offset):
            own_of.setdefault(int(user), rng.standard_normal(16))
        own = np.array([own_of[int(user + offset)] for user in users])
        latent = np.sqrt(0.5) * (latent + own)
    if kind == "traffic":
        latent = latent * np.linspace(0.5, 2, 8)[segments, None] + segments[:, None] / 4
    values = np.concatenate([np.exp(latent[:, :4]), latent[:, 4:8] > [1.2, 0, 2, 2.6]], axis=1)
    values[:, 0] *= np.exp(shift)
    values[rng.random(n) < 0.2, 1] = np.nan
    return RowSample(
        signal_names=tuple(f"s{j}" for j in range(8)),
        values=values.astype(np.float32),
        segments=segments.astype(np.int16),
        clusters=(users + offset).astype(np.uint64),
        days=np.zeros(n, dtype=np.int32),
        attributes=(),
        prompt_vectors=np.zeros((n, 1), dtype=np.float16),
        answer_vectors=np.tanh(latent[:, 8:]).astype(np.float16),
        n_rows=n,
    )


def print_level(n_runs: int) -> None:
    """How often clean windows "differ" at 5%, per world and size."""
    settings = OmnibusSettings(permutations=199, clearly_none=0.5, first=99)
    for kind in ("rows", "users", "returning", "traffic"):
        for n in ((50, 50), (500, 50), (500, 500), (2000, 500)):
            p_values = np.array(
                [
                    run_omnibus(
                        *draw_world(n, kind, np.random.default_rng([r, *n])), settings
                    ).p_value
                    for r in range(n_runs)
                ]
            )
            rate = float((p_values <= 0.05).mean())
            error = np.sqrt(max(rate * (1 - rate), 0.5 / n_runs) / n_runs)
            print(f"{kind} {n}: differs {rate:.1%} (±{100 * error:.1f})", flush=True)


def main() -> None:
    """Print power on real answers, or levels on artificial ones."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["power", "level"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--sizes", type=int, nargs="*", default=[100, 400, 2000])
    options = parser.parse_args()
    if options.what == "power":
        print_power(options.data, options.runs, tuple(options.sizes))
    else:
        print_level(options.runs)


if __name__ == "__main__":
    main()
