"""What prompt clusters leave of a traffic shift's effect, without sampling noise."""

from __future__ import annotations

import numpy as np

from loopllm_cli.drift.parts import split
from loopllm_cli.profiles.segments import fit_prompts
from scripts.mix_services import Service, batch_of, draw_rows

MOVED = 0.3


def unresolved_shares(service: Service, sizes: tuple[int, int], run: int) -> list[float]:
    """Compare exact windows: every prompt of the pool, weighted by the traffic of its task.

    Returns:
        The sum of |behaviour| over the sum of |total|, over all signals (in standard deviations)
        and moves: with clusters fitted without the signals, and with them.
    """
    pool = service.pool
    draw = draw_rows(service, sizes, 0.0, 0.0, (run, *sizes))
    fitted = batch_of(pool, draw.baseline)
    everything = batch_of(pool, np.arange(len(pool.prompts)))
    spread = np.nanstd(pool.before, axis=0)
    known = np.isfinite(pool.before[:, spread > 0])
    values = np.where(known, pool.before[:, spread > 0], 0.0) / spread[spread > 0]
    of_task = 1 / np.bincount(pool.tasks)[pool.tasks]
    result = []
    for signals in (None, draw.values_baseline):
        model = fit_prompts(fitted, signals)
        inside = np.eye(model.n_segments)[model.assign(everything)]
        parts = []
        for source, target in service.moves:
            shares = service.shares.copy()
            moved = min(MOVED, shares[source])
            shares[source], shares[target] = shares[source] - moved, shares[target] + moved
            rows = [(known.T * s[pool.tasks] * of_task) @ inside for s in (service.shares, shares)]
            sums = [
                ((known * values).T * s[pool.tasks] * of_task) @ inside
                for s in (service.shares, shares)
            ]
            (n_b, n_c), (t_b, t_c) = (n.T for n in rows), (t.T for t in sums)
            parts.append(split((n_b, t_b), (n_c, t_c), (n_b > 0) & (n_c > 0)))
        change = [p.level_current - p.level_baseline for p in parts]
        total = np.abs([p.total for p in parts]).sum()
        result.append(float(np.abs(change).sum() / total))
    return result
