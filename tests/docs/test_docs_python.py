"""The Python interface does what the commands do, and the notebook of the documentation runs."""

from __future__ import annotations

import inspect
import json
import re
import shutil
from datetime import datetime
from pathlib import Path

import pytest
from factories import flat_record, write_jsonl

from loopllm_cli.api import Loop
from loopllm_cli.errors import BaselineNotFound
from loopllm_cli.model import DriftResult, Status, Verdict

ROOT = Path(__file__).parents[2]
HOSTILE = "<script>alert(1)</script>"


def day_of(day: int, broken: bool) -> list[dict[str, object]]:
    """Return a day's rows; where it is broken, every other one refuses."""
    refusal = "I'm sorry, I can't help with that."
    return [
        flat_record(
            id=f"r-{day}-{k}", timestamp=f"2026-10-{day + 1:02}T{k % 24:02}:10:00Z",
            user_id=f"u-{k}", prompt=f"How many parks has town {k}?",
            response=refusal if broken and k % 2 else f"It has {k} parks. {HOSTILE}",
        )
        for k in range(60)
    ]  # fmt: skip


@pytest.fixture
def loop(tmp_path: Path) -> Loop:
    """Return a project with eight good days, and two bad ones after its baseline."""
    loop = Loop(tmp_path)
    for day in range(10):
        loop.ingest(write_jsonl(tmp_path / f"{day}.jsonl", day_of(day, day >= 8)))
    loop.create_baseline("v1", until="2026-10-09")
    return loop


def test_results_are_the_dataclasses_that_commands_print(loop: Loop) -> None:
    found = loop.drift("v1")
    assert isinstance(found, DriftResult)
    assert Status.DEGRADED is found.status
    kept = json.loads((loop.project.home / "drift" / f"{found.run_id}.json").read_text("utf-8"))
    assert found.run_id == kept["run_id"]
    again = loop.drift("v1", since=datetime.fromisoformat("2026-10-09T00:00Z"), until="2026-10-11")
    assert [c.change for c in found.comparisons] == [c.change for c in again.comparisons]


def test_the_main_table_is_a_data_frame(loop: Loop) -> None:
    table = loop.drift("v1").to_pandas()
    worse = set(table[table["verdict"] == Verdict.WORSE.value]["signal.name"])
    assert "refusal" in worse
    assert {"baseline", "current", "low", "high", "signal.tolerance"} <= set(table.columns)
    nights = loop.nights("v1", now=datetime.fromisoformat("2026-10-12T03:00Z")).to_pandas()
    assert "refusal" in set(nights["signal.name"])


def test_a_notebook_shows_the_words_of_the_terminal_and_log_text_is_inert(loop: Loop) -> None:
    shown = loop.drift("v1")._repr_html_() or ""
    assert "refusal" in shown
    assert "DEGRADED" in shown
    assert "<script" not in shown


def test_errors_are_raised_and_findings_are_not(loop: Loop) -> None:
    with pytest.raises(BaselineNotFound, match="v9"):
        loop.drift("v9")
    assert Status.OK is loop.drift("v1", until="2026-10-09").status


def test_a_watch_an_upkeep_and_a_doctor(loop: Loop, tmp_path: Path) -> None:
    live = tmp_path / "live"
    live.mkdir()
    assert Status.OK is loop.watch_once(live, baseline="v1").status
    write_jsonl(live / "chat.jsonl", [row for d in (10, 11, 12) for row in day_of(d, True)])
    assert Status.DEGRADED is loop.watch_once(live, baseline="v1").status
    assert {"responses"} == {one.name for one in loop.upkeep().tables}
    assert "versions" in set(loop.doctor().to_pandas()["name"])


def test_every_public_method_is_in_the_page_and_says_what_it_does() -> None:
    page = (ROOT / "docs" / "python.md").read_text("utf-8")
    listed = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.+?) \|", page, re.MULTILINE))))
    public = {name: f for name, f in inspect.getmembers(Loop, inspect.isfunction) if name[0] != "_"}
    assert set(public) - {"write_html", "close"} == listed
    assert all(inspect.getdoc(method) for method in public.values())


@pytest.mark.train
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    for name in ("sample_data", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "python.ipynb", tmp_path / "docs")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    notebook = nbformat.read(tmp_path / "docs" / "python.ipynb", as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path / "docs")}}
    )
    client.execute()
    outputs = [str(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]
    assert "right answer" in outputs[2]
    assert "refusal" in outputs[3]
    assert "preference pairs" in outputs[4] or "train" in outputs[4]
