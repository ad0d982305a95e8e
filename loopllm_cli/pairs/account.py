"""The account of feedback: every piece stands in a pair or is counted once, with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import IntEnum

import pyarrow as pa

from loopllm_cli.pairs.agreement.weigh import Drop

_UNKNOWN = (0, "feedback of a kind that makes no pair")


class Stage(IntEnum):
    """Where a piece of feedback was left out; a later stage says more than an earlier one."""

    RULE = 1
    GUARD = 2
    AGREEMENT = 3
    SELECTION = 4
    SPLIT = 5


class Account:
    """Why pieces of feedback make no pair."""

    def __init__(self) -> None:
        self._reasons: dict[str, tuple[int, str]] = {}
        self._noted: dict[tuple[int, str], tuple[int, str]] = {}

    def drop(self, stage: Stage, reason: str, feedback_ids: Iterable[str]) -> None:
        """Note a reason for some pieces of feedback; of one stage, the first reason stands."""
        # One for all of them: a million pieces of feedback have a few dozen reasons.
        noted = self._noted.setdefault((stage, reason), (stage, reason))
        for name in feedback_ids:
            if self._reasons.get(name, _UNKNOWN)[0] < stage:
                self._reasons[name] = noted

    def leave_out(self, stage: Stage, drops: Iterable[Drop]) -> None:
        """Note several reasons, each with the ids of the feedback."""
        for reason, feedback_ids in drops:
            self.drop(stage, reason, feedback_ids)

    def close(self, feedback_ids: Iterable[str], used: set[str]) -> pa.Table:
        """Say of all feedback that stands in no pair why, as `feedback_id` and `reason`.

        Args:
            feedback_ids: of all feedback that is counted.
            used: ids of the feedback that stands in a pair.
        """
        left = [name for name in feedback_ids if name not in used]
        reasons = [self._reasons.get(name, _UNKNOWN)[1] for name in left]
        columns = {"feedback_id": pa.array(left, pa.string())}
        return pa.table({**columns, "reason": pa.array(reasons, pa.string()).dictionary_encode()})


def count_reasons(reasons: pa.Table) -> Counter[str]:
    """Count how often each reason was given."""
    return Counter(reasons.column("reason").to_pylist())
