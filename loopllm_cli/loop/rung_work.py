"""Train and verify one rung of a ladder, or find what an earlier call made of it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopllm_cli.config import Config
from loopllm_cli.errors import ConfigError, StoreUnavailable
from loopllm_cli.loop.rungs import Outcome, make_rung, read_verification, screen
from loopllm_cli.loop.verification import VerifyRequest, verify_adapter
from loopllm_cli.model import AdapterCard, Rung, RungEnd
from loopllm_cli.render.as_json import from_json, to_json
from loopllm_cli.store.project import Project

if TYPE_CHECKING:
    from loopllm_cli.correct.request import Progress, TrainRequest

SMALL_VERIFY = 300
"""Prompts per side of a rung's verification. With fewer than 268 the watch on refusals cannot show
that at most 1% are new (Wilson's bound of 0 of n), so every good rung would stay unclear. The
verification of everything follows before an adapter is served."""


@dataclass(frozen=True, slots=True)
class LadderProgress:
    """What the rung at hand is doing: a training step, or a sentence."""

    rung: int
    learning_rate: float
    step: Progress | str


OnProgress = Callable[[LadderProgress], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ladder's rungs lie, and what they share."""

    ladder_id: str
    folder: Path
    asked: TrainRequest

    def rung(self, rate: float) -> Path:
        """Return the folder of a rate."""
        return self.folder / f"{rate:.1e}"


@dataclass(frozen=True, slots=True)
class RungWork:
    """What every rung of a ladder is made with."""

    project: Project
    config: Config
    model: str
    place: Place
    on_progress: OnProgress

    def try_rate(self, rate: float, number: int) -> Rung:
        """Train and verify at one rate, or read what an earlier call found there."""
        folder = self.place.rung(rate)
        known = _read_rung(folder)
        if known is not None:
            return known
        folder.mkdir(parents=True, exist_ok=True)
        adapter = folder / self.place.asked.adapter_out.name

        def tell(step: Progress | str) -> None:
            self.on_progress(LadderProgress(number, rate, step))

        started = time.monotonic()
        card = self._train(folder, adapter, rate, tell)
        if isinstance(card, Outcome):
            seconds = time.monotonic() - started
            rung = Rung(rate, card.end, card.why, str(adapter), seconds)
        else:
            verifying = time.monotonic()
            found = screen(card.final_metrics, card.notes) or self._verify(adapter, tell)
            # Training may have gone on over several calls; the card counts its last one.
            seconds = card.seconds + time.monotonic() - verifying
            rung = make_rung(card, rate, found, seconds)
        write_text(folder / "rung.json", json.dumps(rung_dict(rung), indent=2) + "\n")
        return rung

    def _train(
        self, folder: Path, adapter: Path, rate: float, tell: Callable[[Progress | str], None]
    ) -> AdapterCard | Outcome:
        from loopllm_cli.correct.train import build_adapter

        kept = folder / "card.json"
        if adapter.is_dir():
            if kept.is_file():
                return from_json(kept.read_bytes(), AdapterCard)
            # Killed in the moment between the adapter and its card.
            shutil.rmtree(adapter)
        asked = self.place.asked
        recipe = replace(asked.recipe, learning_rate=rate)
        try:
            card = build_adapter(replace(asked, adapter_out=adapter, recipe=recipe), tell)
        except ConfigError as error:
            if "diverged" not in error.message:
                raise
            shutil.rmtree(adapter.with_name(adapter.name + ".partial"), ignore_errors=True)
            return Outcome(RungEnd.TOO_MUCH, error.message)
        write_text(kept, to_json(card))
        return card

    def _verify(self, adapter: Path, tell: Callable[[Progress | str], None]) -> Outcome:
        verify = self.config.verify
        asked = min(SMALL_VERIFY, verify.max_prompts)
        for most in dict.fromkeys((asked, verify.max_prompts)):
            request = VerifyRequest(adapter, self.model, max_prompts=most, fresh_process=False)
            result = verify_adapter(self.project, self.config, request, tell)
            write_text(adapter.parent / "verification.json", to_json(result))
            found = read_verification(result, verify.min_recovery)
            # What a few prompts leave open, all of them may settle.
            if found.end is not RungEnd.UNCLEAR:
                break
        return found


def rung_dict(rung: Rung) -> dict[str, Any]:
    """Return a rung as plain values."""
    return {**asdict(rung), "end": rung.end.value}


def _read_rung(folder: Path) -> Rung | None:
    """Return a finished rung; one that passed must still have its adapter."""
    try:
        found = json.loads((folder / "rung.json").read_text(encoding="utf-8"))
        rung = Rung(
            **{
                **found,
                "end": RungEnd(found["end"]),
                "unrepaired": tuple(found.get("unrepaired", ())),
            }
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return rung if rung.end is not RungEnd.PASSED or Path(rung.folder).is_dir() else None


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        StoreUnavailable: it cannot be written.
    """
    part = path.with_suffix(".part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write {path} ({error.strerror})", "free some space and run it again"
        ) from error
