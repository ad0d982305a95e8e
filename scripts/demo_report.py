"""Show what the demo's loop achieved: right answers per intent, and one report of the whole loop.

The sample world knows the one right answer to every prompt, so this table judges loopllm by a
truth that loopllm never saw.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from loopllm_cli.loop.records import latest_drift_run
from loopllm_cli.model import AdapterCard, PairsSummary, VerifyResult
from loopllm_cli.render.as_json import from_json
from loopllm_cli.render.html import render_loop_html
from loopllm_cli.store.project import Project
from scripts.world.canaries import read_canaries
from scripts.world.decode import score

SAMPLE = Path("sample_data")


def main() -> None:
    """Score v1, v2 and v2 with the adapter, print the table, write the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("project", type=Path, help="the demo's project folder")
    folder = parser.parse_args().project
    quality = measure_quality(folder / "adapter")
    console = Console(width=78, highlight=False)
    console.print(quality_table(quality))
    report = folder / "report.html"
    report.write_text(render_report(folder, quality), encoding="utf-8")
    console.print(f"report: {report}")


def measure_quality(adapter: Path) -> list[dict[str, str | bool | float]]:
    """Return the shares of right answers on the held-out prompts, per intent."""
    canaries = read_canaries(SAMPLE / "canaries.jsonl")
    broken = {canary.intent: canary.broken for canary in canaries}
    v1, v2, corrected = (
        score(SAMPLE / "models" / name, folder, canaries)
        for name, folder in (("v1", None), ("v2", None), ("v2", adapter))
    )
    return [
        {
            "intent": intent,
            "broken": broken[intent],
            "v1": v1[intent],
            "v2": v2[intent],
            "corrected": corrected[intent],
        }
        for intent in sorted(broken, key=lambda name: (not broken[name], name))
    ]


def quality_table(quality: list[dict[str, str | bool | float]]) -> Table:
    """Lay out the table of the loop."""
    table = Table(title="right answers to held-out prompts", title_justify="left", box=None)
    table.add_column("intent")
    for name in ("v1", "v2", "v2 + adapter"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in quality:
        shares = [f"{float(row[key]):.0%}" for key in ("v1", "v2", "corrected")]
        table.add_row(str(row["intent"]), *shares, "broken in v2" if row["broken"] else "")
    for broken, label in ((True, "mean, broken"), (False, "mean, untouched")):
        rows = [row for row in quality if row["broken"] is broken]
        means = [sum(float(r[k]) for r in rows) / len(rows) for k in ("v1", "v2", "corrected")]
        table.add_row(label, *(f"{mean:.1%}" for mean in means), style="bold")
    return table


def render_report(folder: Path, quality: list[dict[str, str | bool | float]]) -> str:
    """Render the report of the whole loop from the records that the commands left."""
    project = Project(folder)
    drift = latest_drift_run(project)
    if drift is None:
        raise SystemExit("no drift run in the project; run scripts/demo")
    verified = from_json((folder / "adapter" / "verification.json").read_bytes(), VerifyResult)
    card = from_json(_record(project, "corrections", verified.adapter_hash), AdapterCard)
    pairs = from_json(_record(project, "pair-sets", card.pairs_hash), PairsSummary)
    return render_loop_html(drift, pairs, card, verified, quality)


def _record(project: Project, kind: str, content_hash: str) -> bytes:
    return (project.home / kind / f"{content_hash[:12]}.json").read_bytes()


if __name__ == "__main__":
    main()
