"""What several rules share: who said what last, and pairing without the square of a crowd."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from loopllm_cli.config import PairsConfig
from loopllm_cli.pairs.evidence.answer import Answer

T = TypeVar("T")

# How many pairs one context may hand to the guards for each one that the cap lets through: they
# refuse some, and the cap is over texts, of which answers to a popular prompt repeat many.
_TRIES = 8
_FEWEST = 64


def tries_of(config: PairsConfig) -> int:
    """Return how many pairs of one context are handed on at most."""
    return max(_FEWEST, _TRIES * config.per_prompt)


def opposed(
    better: Sequence[tuple[int, T]], worse: Sequence[tuple[int, T]], most: int
) -> Iterator[tuple[T, T]]:
    """Yield pairs of something better with something worse, in the order in which they arose.

    So the first pairs stay the same when more comes later.

    Args:
        better: with the place of each in the order of all.
        worse: the same.
        most: how many to yield at most.
    """
    arrivals = sorted(
        [(place, True, thing) for place, thing in better]
        + [(place, False, thing) for place, thing in worse],
        key=lambda arrival: arrival[:2],
    )
    up: list[T] = []
    down: list[T] = []
    left = most
    for _, is_better, thing in arrivals:
        (up if is_better else down).append(thing)
        for other in (down if is_better else up)[:left]:
            yield (thing, other) if is_better else (other, thing)
            left -= 1
        if left <= 0:
            return


def far_apart(one: Answer, other: Answer, said: Sequence[datetime | None], max_days: int) -> bool:
    """Say whether two answers, or what was said of them, lie more than so many days apart."""
    limit = timedelta(days=max_days)
    for times in ((one.request_time, other.request_time), said):
        known = [time for time in times if time is not None]
        if known and max(known) - min(known) > limit:
            return True
    return False
