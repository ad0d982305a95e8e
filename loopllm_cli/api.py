"""loopllm from Python: what the commands do, as typed methods; what they print, as dataclasses.

    from loopllm_cli.api import Loop

    loop = Loop("my-project")
    loop.ingest("logs.jsonl")
    loop.create_baseline("v1", until="2026-09-21")
    found = loop.drift("v1")
    found.status, found.to_pandas()

In a notebook a result shows itself as in the terminal. Errors are those of `loopllm_cli.errors`;
findings (degraded, refused) are values. Nothing here prints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from loopllm_cli.config import FILE_NAME, Config, load_config
from loopllm_cli.errors import UsageError
from loopllm_cli.model import (
    AdapterCard,
    AdapterList,
    Diagnosis,
    DriftResult,
    IngestSummary,
    LadderResult,
    NightsResult,
    PairsSummary,
    Promotion,
    RunResult,
    TrainingPlan,
    Upkeep,
    VerifyResult,
    WatchResult,
    Window,
    display,
)
from loopllm_cli.render.as_json import to_json
from loopllm_cli.render.notebook import render_notebook, to_data_frame
from loopllm_cli.store.project import open_project
from loopllm_cli.store.windows import parse_moment

__all__ = ["Loop"]

Moment = str | datetime | None
"""A time: ISO, an age such as `7d`, or a datetime; None for no limit."""
Tell = Callable[[str], None]

display.HTML[:] = [render_notebook]
display.PANDAS[:] = [to_data_frame]


def _silent(_: str) -> None:
    """Hear progress and say nothing of it."""


class Loop:
    """A project: its store, baselines, pairs and adapters, and the config that goes with it.

    Args:
        project: a folder, or the URL of an object store.
        config: a file; `loopllm.toml` in the project's folder, if None and there.
        tell: hears what goes on in long work, sentence by sentence.

    Raises:
        ConfigError: the config is not usable.
        UsageError: the URL names no place that is supported.
    """

    def __init__(
        self, project: str | Path = ".", config: str | Path | None = None, tell: Tell = _silent
    ) -> None:
        self.project = open_project(str(project), bulk=True)
        self.config_file = Path(config) if config else self.project.root / FILE_NAME
        self.config: Config = load_config(self.project.root, Path(config) if config else None)
        self._tell = tell

    def ingest(self, *paths: str | Path, redact: str = "secrets") -> IngestSummary:
        """Read exports into the store, each record once; see `loopllm ingest --help`.

        Raises:
            DataError: nothing in them can be read, or too little.
            UsageError: a path does not exist.
        """
        from loopllm_cli.sources.ingest import IngestOptions, ingest

        return ingest(self.project, [str(p) for p in paths], IngestOptions(redact=redact))

    def create_baseline(
        self,
        name: str,
        *,
        since: Moment = None,
        until: Moment = None,
        model: str | None = None,
        where: str | None = None,
        segment_by: str | None = None,
        replace: bool = False,
    ) -> dict[str, Any]:
        """Freeze a window of normal behaviour, and return its card.

        Raises:
            AlreadyExists: the name is taken and `replace` is false.
            EmptyWindow: the window holds no rows.
        """
        from loopllm_cli.loop.evaluate import BaselineRequest, create_baseline

        window = _window(since, until, model, where)
        request = BaselineRequest(name, window, segment_by, replace)
        return create_baseline(self.project, self.config, request).card()

    def drift(
        self,
        baseline: str,
        *,
        since: Moment = None,
        until: Moment = None,
        model: str | None = None,
        where: str | None = None,
    ) -> DriftResult:
        """Compare a window (all that came later, if not limited) with a baseline; keep the run.

        Raises:
            BaselineNotFound: there is no such baseline.
            EmptyWindow: the window holds no rows.
        """
        from loopllm_cli.loop.evaluate import run_drift
        from loopllm_cli.loop.records import write_run

        window = _window(since, until, model, where)
        result = run_drift(self.project, self.config, baseline, window)
        write_run(self.project, "drift", result.run_id, to_json(result))
        return result

    def nights(self, baseline: str, *, now: datetime | None = None) -> NightsResult:
        """Judge the days that have come, under the yearly budget (`drift --nightly`).

        Raises:
            BaselineNotFound: there is no such baseline.
            EmptyWindow: no complete day has rows yet.
        """
        from loopllm_cli.loop.nights import run_nights

        return run_nights(self.project, self.config, baseline, now=now)

    def pairs(
        self, *, from_drift: bool = False, out: str | Path | None = None, strict: bool = False
    ) -> PairsSummary:
        """Build preference pairs of the feedback and, with `from_drift`, of what drift named.

        Raises:
            NoFeedback: nothing makes a pair.
            UsageError: there is no drift run to build from.
        """
        from loopllm_cli.loop.feedback import PairsRequest, make_pairs
        from loopllm_cli.loop.records import write_run
        from loopllm_cli.loop.repairs import RepairRequest

        repair, place = RepairRequest(replay=from_drift), Path(out) if out else None
        request = PairsRequest(out=place, repair=repair, strict=strict)
        summary = make_pairs(self.project, self.config, request, self._tell)
        write_run(self.project, "pair-sets", summary.content_hash[:12], to_json(summary))
        return summary

    def plan_correction(
        self, model: str, *, recipe: str | Path | None = None, **settings: Any
    ) -> TrainingPlan:
        """Say what would be trained, how, and what it needs (`correct --dry-run`)."""
        from loopllm_cli.loop.repair import plan_adapter

        request = self._correction(model, None, recipe, settings)
        return plan_adapter(self.project, self.config, request)

    def correct(
        self,
        model: str,
        *,
        out: str | Path | None = None,
        recipe: str | Path | None = None,
        **settings: Any,
    ) -> AdapterCard:
        """Train an adapter on the newest pairs.

        Args:
            settings: keys of the recipe, such as `learning_rate=1e-4`.

        Raises:
            UsageError: no pairs have been built.
            LoopllmError: see `correct.train.build_adapter`.
        """
        from loopllm_cli.loop.records import write_run
        from loopllm_cli.loop.repair import train_adapter

        request = self._correction(model, out, recipe, settings)
        card = train_adapter(
            self.project, self.config, request, lambda told: self._tell(told.said or "")
        )
        if card is None:
            raise UsageError("this process trains beside another one", "use the main one's card")
        write_run(self.project, "corrections", card.adapter_hash[:12], to_json(card))
        return card

    def find_correction(
        self,
        model: str,
        *,
        out: str | Path | None = None,
        recipe: str | Path | None = None,
        budget_minutes: float | None = None,
        **settings: Any,
    ) -> LadderResult:
        """Find the learning rate by trying and proving, and keep the best (`correct --auto`)."""
        from loopllm_cli.loop.ladder import LadderRequest, climb
        from loopllm_cli.loop.records import write_run

        request = self._correction(model, out, recipe, settings)
        limits = LadderRequest(request, budget_minutes=budget_minutes)
        result = climb(self.project, self.config, limits, lambda told: None)
        if (kept := result.adapter) is not None:
            write_run(self.project, "corrections", kept.adapter_hash[:12], to_json(kept))
        return result

    def verify(
        self,
        adapter: str | Path,
        *,
        canaries: str | Path | None = None,
        served: str | Path | None = "promoted",
    ) -> VerifyResult:
        """Let an adapter prove itself; see `loop.verification.VerifyRequest` for `served`."""
        from loopllm_cli.loop.records import keep_verification
        from loopllm_cli.loop.verification import VerifyRequest, verify_adapter

        place = Path(adapter)
        against: Path | Literal["promoted"] | None = "promoted"
        if served != "promoted":
            against = Path(served) if served is not None else None
        asked = Path(canaries) if canaries else None
        request = VerifyRequest(place, canaries=asked, served=against)
        result = verify_adapter(self.project, self.config, request, self._tell)
        keep_verification(self.project, place, result.run_id, to_json(result))
        return result

    def adapters(self) -> AdapterList:
        """List the adapters, and which of them is promoted."""
        from loopllm_cli.loop.adapters import list_adapters

        return list_adapters(self.project)

    def promote(self, adapter: str, *, force: str | None = None) -> Promotion:
        """Make an adapter the served one; only what was proved, unless `force` gives a reason."""
        from loopllm_cli.loop.adapters import promote

        return promote(self.project, adapter, force)

    def rollback(self) -> Promotion:
        """Take the newest promotion back."""
        from loopllm_cli.loop.adapters import rollback

        return rollback(self.project)

    def run(self, *, until: str = "promote", now: datetime | None = None) -> RunResult:
        """Do what a night asks for, as the config says (`loopllm run`); send no alarms."""
        from loopllm_cli.loop.unattended import RunRequest, run_loop

        request = RunRequest(self.config_file, now or datetime.now(UTC), until, self._tell)
        return run_loop(self.project, self.config, request)

    def watch_once(self, *sources: str | Path, baseline: str) -> WatchResult:
        """Judge what has come since the last time (`loopllm watch --once`); send no alarms."""
        from loopllm_cli.loop.watching import WatchRequest, keep_watching, watching

        request = WatchRequest(tuple(str(source) for source in sources), baseline)
        with watching(self.project, self.config, request) as watcher:
            return keep_watching(watcher, lambda events, result: None, once=True)

    def upkeep(self) -> Upkeep:
        """Put small files of the tables together."""
        from loopllm_cli.store.upkeep import keep_up

        return keep_up(self.project, 60.0)

    def doctor(self) -> Diagnosis:
        """Look at everything that the loop needs."""
        from loopllm_cli.loop.doctor import diagnose

        return diagnose(self.project, self.config_file if self.config_file.is_file() else None)

    def write_html(self, result: DriftResult | VerifyResult, path: str | Path) -> Path:
        """Write the page of a comparison or a proof."""
        from loopllm_cli.render.html import render_drift_html, render_verify_html

        place = Path(path)
        page = (
            render_drift_html(result)
            if isinstance(result, DriftResult)
            else render_verify_html(result)
        )
        place.write_text(page, encoding="utf-8")
        return place

    def close(self) -> None:
        """Store what has changed, for a project in an object store; else nothing is to be done."""
        self.project.close()

    def __enter__(self) -> Loop:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _correction(
        self,
        model: str,
        out: str | Path | None,
        recipe: str | Path | None,
        settings: dict[str, Any],
    ) -> Any:
        from loopllm_cli.loop.repair import CorrectRequest

        place, file = Path(out) if out else None, Path(recipe) if recipe else None
        return replace(CorrectRequest(model, None, place, file), overrides=settings)


def _window(since: Moment, until: Moment, model: str | None, where: str | None) -> Window:
    now = datetime.now(UTC)

    def moment(value: Moment) -> datetime | None:
        return parse_moment(value, now) if isinstance(value, str) else value

    return Window(moment(since), moment(until), model, where)
