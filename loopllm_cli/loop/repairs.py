"""What a drift run named, turned into pairs that no vote speaks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loopllm_cli.config import Config
from loopllm_cli.errors import NothingToRepair, UsageError
from loopllm_cli.loop.drawn import SampleRequest
from loopllm_cli.loop.judged_rows import failing_signals, judge_window
from loopllm_cli.loop.sampling import Drifted, sampled_candidates
from loopllm_cli.model import DriftResult
from loopllm_cli.pairs.candidates import Candidate
from loopllm_cli.pairs.replay import replay
from loopllm_cli.profiles.baseline import Baseline
from loopllm_cli.store.project import Project


@dataclass(frozen=True, slots=True)
class RepairRequest:
    """Where repair pairs come from: replayed answers, answers drawn from a model, or both."""

    replay: bool = False
    sample: SampleRequest | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing but feedback is asked for."""
        return not self.replay and self.sample is None


def find_repairs(
    project: Project,
    config: Config,
    drift: tuple[DriftResult | None, Baseline | None],
    request: RepairRequest,
    on_progress: Callable[[str], None],
) -> list[Candidate]:
    """Look through both windows of a drift run for what can repair it.

    Args:
        drift: the run, and the baseline that it compared with.

    Raises:
        UsageError: there is no such run, or its rows are gone.
        NothingToRepair: it named nothing that an answer shows.
    """
    if request.is_empty:
        return []
    run, baseline = drift
    if run is None or baseline is None:
        raise UsageError("no drift run to repair", "begin with: loopllm drift --baseline NAME")
    failing = failing_signals(project, config, run, baseline)
    if failing.is_empty:
        raise NothingToRepair(
            f"drift run {run.run_id} named nothing that single answers show",
            "rates such as refusals can be repaired so; amounts and users' votes cannot",
        )
    on_progress("judging the answers of the drift run's window")
    current = judge_window(project, run.asked_window, failing, baseline, "the drift run's window")
    inside = {name for name, signals in failing.by_segment.items() if signals}
    drifted = [one for one in current if one.answer.segment in inside]
    found: list[Candidate] = []
    if request.replay:
        on_progress("judging the answers of the baseline's window")
        earlier = judge_window(project, baseline.window, failing, baseline, "the baseline's window")
        found += replay(earlier, drifted, config.pairs.max_repair)
    if request.sample:
        place = Drifted(failing, drifted)
        found += sampled_candidates(project, config, request.sample, place, on_progress)
    return found
