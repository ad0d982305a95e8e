"""What an adapter breaks inside of the segments that it repairs."""

from __future__ import annotations

import pytest
from gate_windows import CONFIG, REFUSAL, RIGHT_ANSWER, Level, profile

from loopllm_cli.model import Gate, SignalInfo, SignalKind, Worse
from loopllm_cli.verify.checks import check_side_effects
from loopllm_cli.verify.gate import Windows, judge_side_effects

BROKEN_JSON = SignalInfo("json_broken", SignalKind.RATE, Worse.UP, 0.01, "")
NAMED = {0: ("refusal", RIGHT_ANSWER.name)}


def worse(normal: float, before: float, after: float, other: Level = (300, 0.0)) -> list[str]:
    """Return the signals that got worse where refusals had drifted and come back."""
    infos = (REFUSAL, BROKEN_JSON)
    baseline = profile(infos, [[(600, 0.0), (600, 0.0)], [(600, normal), (600, 0.0)]])
    served = profile(infos, [[(300, 0.5), (300, 0.0)], [(300, before), other]])
    after_ = profile(infos, [[(300, 0.0), (300, 0.0)], [(300, after), other]])
    found = judge_side_effects(Windows(infos, baseline, served, after_), NAMED, CONFIG)
    return [comparison.signal.name for comparison in found]


@pytest.mark.parametrize(
    ("normal", "before", "after", "found"),
    [
        (0.0, 0.0, 0.3, ["json_broken"]),
        (0.3, 0.0, 0.3, []),  # the answers that come back always were so
        (0.0, 0.3, 0.3, []),  # it was so before
        (0.0, 0.3, 0.0, []),
    ],
)
def test_worse_counts_if_it_is_worse_than_the_baseline_and_than_what_is_served(
    normal: float, before: float, after: float, found: list[str]
) -> None:
    assert found == worse(normal, before, after)


def test_only_drifted_segments_count() -> None:
    assert [] == worse(0.0, 0.0, 0.0, other=(300, 0.5))


def test_without_a_drifted_segment_there_is_nothing_to_see() -> None:
    one = profile((REFUSAL,), [[(300, 0.5)]])
    assert () == judge_side_effects(Windows((REFUSAL,), one, one, one), {}, CONFIG)


def test_what_got_worse_is_said() -> None:
    infos = (REFUSAL, BROKEN_JSON)
    good = profile(infos, [[(300, 0.0)], [(300, 0.0)]])
    bad = profile(infos, [[(300, 0.0)], [(300, 0.3)]])
    found = judge_side_effects(Windows(infos, good, good, bad), NAMED, CONFIG)
    check = check_side_effects(found, 300)
    assert (Gate.FAIL, 300) == (check.gate, check.n)
    assert check.text.startswith("worse than what is served: json broken +30.0 pp (")
    assert Gate.PASS is check_side_effects((), 300).gate
