"""Windows for the tests of the gate, with exactly the rates and means that a test asks for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loopllm_cli.config import VerifyConfig
from loopllm_cli.model import Repair, SignalInfo, SignalKind, Worse
from loopllm_cli.profiles.clusters import N_BUCKETS
from loopllm_cli.profiles.profile import FloatArray, Profile, build_profile
from loopllm_cli.verify.gate import RIGHT, Windows, judge_repairs

REFUSAL = SignalInfo("refusal", SignalKind.RATE, Worse.UP, 0.02, "")
RIGHT_ANSWER = SignalInfo(RIGHT, SignalKind.RATE, Worse.DOWN, 0.03, "")
WORDS = SignalInfo("answer_words", SignalKind.AMOUNT, Worse.DOWN, 0.1, "")
CONFIG = VerifyConfig()

Level = tuple[int, float]
"""How many rows a segment has, and the mean of a signal over them."""


def column(info: SignalInfo, n: int, mean: float) -> FloatArray:
    """Return n values of a mean: a rate as ones and zeros spread evenly, an amount around it."""
    if info.kind is SignalKind.RATE:
        steps = np.floor(np.arange(n + 1) * mean + 1e-9)
        return np.diff(steps)
    return mean * (1 + 0.2 * np.where(np.arange(n) % 2, 1.0, -1.0) * (np.arange(n) < n - n % 2))


def profile(infos: Sequence[SignalInfo], levels: Sequence[Sequence[Level]]) -> Profile:
    """Return the profile of a window.

    Args:
        levels: for every signal, every segment's number of rows and mean; a signal with fewer
            rows than the longest does not apply to the rest.
    """
    sizes = [max(level[k][0] for level in levels) for k in range(len(levels[0]))]
    values = np.full((sum(sizes), len(infos)), np.nan)
    starts = np.cumsum([0, *sizes])
    for j, (info, level) in enumerate(zip(infos, levels, strict=True)):
        for k, (n, mean) in enumerate(level):
            values[starts[k] : starts[k] + n, j] = column(info, n, mean)
    numbers = np.repeat(np.arange(len(sizes)), sizes)
    buckets = np.concatenate([np.arange(size) % N_BUCKETS for size in sizes])
    return build_profile(tuple(i.name for i in infos), values, numbers, buckets, len(sizes))


def windows(
    info: SignalInfo, normal: Sequence[Level], before: Sequence[Level], after: Sequence[Level]
) -> Windows:
    """Return the windows of one signal."""
    return Windows((info,), *(profile([info], [level]) for level in (normal, before, after)))


def repairs_of(
    info: SignalInfo,
    normal: Sequence[Level],
    before: Sequence[Level],
    after: Sequence[Level],
    config: VerifyConfig = CONFIG,
) -> tuple[Repair, ...]:
    """Judge the repair of one signal that drifted in every segment."""
    numbers = range(len(normal))
    found, _ = judge_repairs(
        windows(info, normal, before, after),
        dict.fromkeys(numbers, (info.name,)),
        {k: f"segment {k}" for k in numbers},
        config,
    )
    return found
