"""One night of the sample world, unattended: from export files to a promoted adapter."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.world import BROKEN, RECIPE, SAMPLE, Ended, loopllm, quality

pytestmark = [pytest.mark.slow, pytest.mark.train]
pytest.importorskip("trl")

AS_OF = "2026-10-05T03:00"


def run(project: Path, *more: str) -> Ended:
    """Run the night after the last day of the sample's logs."""
    config = ("--config", str(project / "loopllm.toml"), "--as-of", AS_OF)
    return loopllm(project, "run", *config, *more)


def test_a_night_ends_with_a_promoted_adapter_and_the_next_run_finds_it_done(
    tmp_path: Path,
) -> None:
    exports = tmp_path / "exports"
    shutil.copytree(SAMPLE / "logs", exports)
    shutil.copy(SAMPLE / "feedback.jsonl.gz", exports)
    (tmp_path / "loopllm.toml").write_text(
        f'[run]\nsources = ["exports"]\nwindow_days = 14\nmodel = "{SAMPLE / "models" / "v2"}"\n'
        f'recipe = "{RECIPE}"\n',
        encoding="utf-8",
    )
    assert 0 == loopllm(tmp_path, "ingest", str(exports)).code
    assert 0 == loopllm(tmp_path, "baseline", "create", "v1", "--until", "2026-09-21").code
    page = tmp_path / "night.html"
    night = run(tmp_path, "--html-out", str(page))
    print(night.stdout, night.stderr)
    assert 0 == night.code
    (record,) = (tmp_path / ".loopllm" / "run").glob("*.json")
    assert "is served from now on" in json.loads(record.read_text("utf-8"))["sentence"]
    pointer = json.loads((tmp_path / ".loopllm/promotions/promoted.json").read_text("utf-8"))
    shares = quality(tmp_path, pointer["path"])
    assert min(shares[intent] for intent in BROKEN) >= 0.8
    assert min(shares.values()) >= 0.8
    text = page.read_text("utf-8")
    assert all(words in text for words in ("Proof", "Correction", "From feedback to pairs"))
    again = run(tmp_path)
    assert 0 == again.code, again.stdout
    assert "no day since the last promotion" in " ".join(again.stdout.split())
