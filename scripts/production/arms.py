"""What a team does with a week of logs: nothing, the loop, or a blind fine-tuning."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.production.weeks import Week, week_start
from scripts.project import ROOT, Project
from scripts.world import models

V1 = ROOT / "sample_data" / "models" / "v1"
RECIPE = Path(__file__).with_name("recipe.toml")
N_NORMAL = 2
"""Weeks before anything changes, which the baseline is made of."""


@dataclass
class Arm(Project):
    """A team with a project folder of its own, and what it serves."""

    model: Path = V1
    adapter: Path | None = None

    def load(self) -> tuple[Any, Any]:
        """Return the model that serves, and its tokenizer."""
        return models.load(self.model, self.adapter)

    def after(self, number: int, week: Week) -> str:
        """Do what is done at the end of a week, and say it."""
        return "nothing"


class Loop(Arm):
    """Compare every week with the baseline; correct what got worse; serve only what is proved."""

    def after(self, number: int, week: Week) -> str:
        """Ingest, drift, and where it is degraded pairs, correct, verify."""
        self.run("ingest", str(week.logs), str(week.feedback))
        if number == N_NORMAL - 1:
            self.run("baseline", "create", "v1", "--until", week_start(N_NORMAL))
        if number < N_NORMAL:
            return "baseline"
        span = ("--since", week_start(number), "--until", week_start(number + 1))
        if self.run("drift", "--baseline", "v1", *span) != 10:
            return "silent"
        if self.run("pairs") != 0:
            return "degraded, no pairs"
        adapter = self.folder / f"adapter-{number:02d}"
        made = self.run(
            *("correct", "--model", str(self.model), "--recipe", str(RECIPE)),
            *("--adapter-out", str(adapter)),
        )
        if made != 0:
            return "degraded, not trained"
        verdict = self.run("verify", str(adapter))
        if verdict != 0:
            return {11: "refused", 12: "inconclusive"}[verdict]
        self.run("adapters", "promote", str(adapter))
        self.adapter = adapter
        return "promoted"


class Blind(Arm):
    """Tune every week on what came in, on top of the last model, and look at nothing."""

    def after(self, number: int, week: Week) -> str:
        """Ingest, pairs of this week, and a training run that nothing guards; then merge."""
        self.run("ingest", str(week.logs), str(week.feedback))
        if number < N_NORMAL:
            return "waits"
        pairs = self.folder / f"pairs-{number:02d}"
        span = ("--since", week_start(number), "--until", week_start(number + 1))
        if self.run("pairs", *span, "--pairs-out", str(pairs)) != 0:
            return "no pairs"
        _accept_everything(pairs)
        adapter = self.folder / f"adapter-{number:02d}"
        options = ("--pairs", str(pairs), "--adapter-out", str(adapter))
        recipe = ("--model", str(self.model), "--recipe", str(self._recipe()))
        if self.run("correct", *recipe, *options) != 0:
            return "not trained"
        model, tokenizer = models.load(self.model, adapter)
        self.model = self.folder / f"model-{number:02d}"
        models.save(model.merge_and_unload(), tokenizer, self.model)
        return "tuned"

    def _recipe(self) -> Path:
        """Write the same recipe without what guards other traffic."""
        kept = RECIPE.read_text("utf-8").replace("retention_ratio = 3.0", "retention_ratio = 0.0")
        path = self.folder / "blind.toml"
        path.write_text(kept.replace("kl_limit = 0.05", "kl_limit = 0.0"), encoding="utf-8")
        return path


def _accept_everything(pairs: Path) -> None:
    """Take note of no finding of the audit, as somebody who never looks does."""
    path = pairs / "card.json"
    card = json.loads(path.read_text("utf-8"))
    for finding in card["findings"]:
        finding["accepted"] = True
    path.write_text(json.dumps(card), encoding="utf-8")


ARMS = {"no loop": Arm, "loop": Loop, "blind tuning": Blind}
