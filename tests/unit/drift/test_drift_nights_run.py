"""A nightly watch over a store: catching up, late and missing days, running twice, moving."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loopllm_cli.config import Config, DriftConfig, NightsConfig
from loopllm_cli.errors import ConfigError, EmptyWindow, SchemaMismatch, UsageError
from loopllm_cli.loop.evaluate import BaselineRequest, create_baseline
from loopllm_cli.loop.nights import run_nights
from loopllm_cli.model import NightsResult, Status, Verdict, Window
from loopllm_cli.render.as_json import from_json, to_json
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store.project import Project

START = datetime(2026, 9, 1, tzinfo=UTC)
KNOWN, LAST = 8, 20
FEW = Config(drift=DriftConfig(signals=("refusal", "response_words"), inconclusive="never"))
REFUSAL = "I'm sorry, but I can't help with that."


def records(day: int, n: int = 60, refusing: float = 0.03, tag: str = "") -> str:
    """Return one day's log lines."""
    rng = random.Random(f"{day}{tag}")
    lines = []
    for k in range(n):
        answer = "It arrives soon, have a good day" + " indeed" * rng.randrange(5)
        record = {
            "id": f"{tag}{day}-{k}",
            "timestamp": (START + timedelta(days=day, minutes=20 * k)).isoformat(),
            "model": "m-1", "user_id": f"u{rng.randrange(40)}",
            "prompt": f"where is my parcel number {k}",
            "response": REFUSAL if rng.random() < refusing else answer,
        }  # fmt: skip
        lines.append(json.dumps(record))
    return "\n".join(lines) + "\n"


def add(project: Project, text: str, name: str) -> None:
    """Ingest some log lines."""
    path = project.root / f"{name}.jsonl"
    path.write_text(text)
    ingest(project, [str(path)], IngestOptions())


def at(day: int, hour: int = 3) -> datetime:
    """Return a moment in the night after a day."""
    return START + timedelta(days=day + 1, hours=hour)


def files(project: Project) -> dict[str, str]:
    """Return the ledger's files by name with their contents' hashes."""
    found = sorted((project.home / "nights").rglob("*.npz"))
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in found}


def judge(project: Project, day: int, **asked: object) -> NightsResult:
    """Run the watch in the night after a day."""
    return run_nights(project, FEW, "v1", Window(**asked), now=at(day))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store of calm days with a baseline; day 12 is missing, and it drifts from day 16."""
    folder = tmp_path_factory.mktemp("nights")
    project = Project(folder)
    days = [d for d in range(LAST) if d != 12]
    add(project, "".join(records(d, refusing=0.5 if d >= 16 else 0.03) for d in days), "logs")
    window = Window(until=START + timedelta(days=KNOWN))
    create_baseline(project, FEW, BaselineRequest("v1", window))
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Project:
    """Copy the store, so that tests may change it."""
    shutil.copytree(made, tmp_path / "p")
    return Project(tmp_path / "p")


def test_all_days_since_the_baseline_are_judged_in_order(project: Project) -> None:
    result = judge(project, 15)
    assert ("2026-09-16", 7, ("2026-09-13",)) == (
        result.night, result.n_nights, result.missing_days,
    )  # fmt: skip
    assert (Status.OK, ()) == (result.status, result.pages)


def test_the_unfinished_day_is_left_out_unless_asked_for(project: Project) -> None:
    during = START + timedelta(days=15, hours=10)
    assert "2026-09-15" == run_nights(project, FEW, "v1", now=during).night
    asked = Window(until=during)
    assert "2026-09-16" == run_nights(project, FEW, "v1", asked, now=during).night


def test_a_drift_pages_once_and_is_still_worse_the_night_after(project: Project) -> None:
    first = judge(project, 16)
    after = judge(project, 17)
    assert ["2026-09-17"] == [page.day for page in after.pages if page.signal == "refusal"]
    said = [next(s for s in r.signals if s.signal.name == "refusal") for r in (first, after)]
    assert [(Verdict.WORSE, True), (Verdict.WORSE, False)] == [(s.verdict, s.paged) for s in said]
    assert (Status.DEGRADED, "2026-09-17") == (after.status, said[1].since)


def test_catching_up_gives_the_verdicts_of_going_night_by_night(
    project: Project, tmp_path: Path
) -> None:
    shutil.copytree(project.root, tmp_path / "slow")
    slow = Project(tmp_path / "slow")
    for day in range(KNOWN, LAST):
        judge(slow, day)
    judge(project, LAST - 1)
    assert files(slow) == files(project)


def test_running_a_night_again_says_the_same_and_changes_nothing(project: Project) -> None:
    first = judge(project, 17)
    before = files(project)
    again = judge(project, 17)
    assert (before, replace(first, new_days=())) == (files(project), again)


def test_a_late_day_is_judged_when_it_comes_and_said_to_be_late(project: Project) -> None:
    judge(project, 14)
    add(project, records(12), "late")
    result = judge(project, 15)
    assert (("2026-09-13",), (), ("2026-09-13", "2026-09-16")) == (
        result.late_days, result.missing_days, result.new_days,
    )  # fmt: skip


def test_a_day_whose_rows_change_is_measured_again_without_spending(project: Project) -> None:
    first = judge(project, 15)
    add(project, records(14, n=30, tag="more"), "more")
    before = files(project)
    second = judge(project, 15)
    changed = set(files(project)) - set(before)
    assert ({"000006.again.npz"}, ("2026-09-15",)) == (changed, second.changed_days)
    assert (first.spent, first.signals) == (second.spent, second.signals)
    again = files(project)
    judge(project, 15)
    assert again == files(project)


def test_rows_that_are_added_to_a_day_count_from_the_next_night_on(project: Project) -> None:
    judge(project, 14)
    add(project, records(14, n=600, refusing=0.9, tag="flood"), "flood")
    result = judge(project, 15)
    refusal = next(s for s in result.signals if s.signal.name == "refusal")
    assert (Verdict.WORSE, "2026-09-16") == (refusal.verdict, refusal.since)


def test_the_ledger_moves_with_the_store(project: Project, tmp_path: Path) -> None:
    judge(project, 14)
    shutil.move(project.root, tmp_path / "elsewhere")
    result = judge(Project(tmp_path / "elsewhere"), 15)
    assert (("2026-09-16",), 7) == (result.new_days, result.n_nights)


def test_another_baseline_begins_another_ledger(project: Project) -> None:
    judge(project, 15)
    window = Window(until=START + timedelta(days=KNOWN + 2))
    create_baseline(project, FEW, BaselineRequest("v1", window, replace=True))
    assert ("2026-09-11", 5) == (lambda r: (r.first_day, r.n_nights))(judge(project, 15))


def test_what_is_watched_has_a_ledger_of_its_own(project: Project) -> None:
    judge(project, 15)
    only = judge(project, 15, where="interaction_id LIKE '%0'")
    assert (7, "interaction_id LIKE '%0'") == (only.n_nights, only.scope)
    assert 2 == len(list((project.home / "nights").iterdir()))


def test_the_spent_budget_adds_up(project: Project) -> None:
    results = [judge(project, day) for day in (9, 15)]
    assert results[0].spent < results[1].spent < 7 * 2 / 365 + 7 / 365
    assert 1.0 == results[0].budget


def test_before_the_first_complete_day_there_is_nothing_to_say(project: Project) -> None:
    with pytest.raises(EmptyWindow):
        run_nights(project, FEW, "v1", now=START + timedelta(days=KNOWN, hours=5))


def test_waiting_for_feedback_puts_days_off(project: Project) -> None:
    waiting = replace(FEW, nights=NightsConfig(settle_days=3))
    assert "2026-09-12" == run_nights(project, waiting, "v1", now=at(14)).night


def test_since_is_refused(project: Project) -> None:
    with pytest.raises(UsageError, match="--since"):
        judge(project, 15, since=START)


@pytest.mark.parametrize("budget", [0.0, -1.0, 400.0, float("nan")])
def test_a_budget_out_of_range_is_refused(project: Project, budget: float) -> None:
    wrong = replace(FEW, nights=NightsConfig(false_pages_per_year=budget))
    with pytest.raises(ConfigError):
        run_nights(project, wrong, "v1", now=at(15))


def test_a_damaged_ledger_is_an_error_with_a_remedy(project: Project) -> None:
    judge(project, 15)
    newest = max((project.home / "nights").rglob("*.npz"))
    newest.write_bytes(newest.read_bytes()[:100])
    with pytest.raises(SchemaMismatch, match="damaged") as raised:
        judge(project, 16)
    assert "restore it" in raised.value.hint


def test_a_result_survives_json(project: Project) -> None:
    result = judge(project, 15)
    assert to_json(result) == to_json(from_json(to_json(result), NightsResult))
