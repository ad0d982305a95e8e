"""`loopllm drift --nightly`: the watch as cron sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import loopllm
from factories import flat_record, write_jsonl

DAYS = 12
PER_DAY = 60


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Freeze eight clean days; refusals become common on the eleventh."""
    monkeypatch.chdir(tmp_path)
    records = []
    for day in range(DAYS):
        for row in range(PER_DAY):
            refuses = day >= 10 and row % 2 == 0
            answer = "I'm sorry, I can't help with that." if refuses else f"Paris has {row} parks."
            records.append(
                flat_record(
                    id=f"r-{day}-{row}",
                    timestamp=f"2026-10-{day + 1:02}T{row % 24:02}:10:00Z",
                    user_id=f"u-{row % 30}",
                    prompt=f"How many parks has town {row}?",
                    response=answer,
                )
            )
    write_jsonl(tmp_path / "logs.jsonl", records)
    assert 0 == loopllm("ingest", "logs.jsonl", "-q").code
    assert 0 == loopllm("baseline", "create", "v1", "--until", "2026-10-09", "-q").code
    return tmp_path


def test_the_watch_is_quiet_until_the_model_changes_and_then_pages_once(watched: Path) -> None:
    before = loopllm("drift", "--baseline", "v1", "--nightly", "--until", "2026-10-11")
    assert before.code in (0, 12), before
    after = loopllm("drift", "--baseline", "v1", "--nightly", "--until", "2026-10-13", "--json")
    assert 10 == after.code
    pages = {page["signal"]: page["day"] for page in after.document["pages"]}
    assert pages["refusal"] in ("2026-10-11", "2026-10-12")


def test_the_same_night_again_says_the_same_and_writes_nothing(watched: Path) -> None:
    call = ("drift", "--baseline", "v1", "--nightly", "--until", "2026-10-13", "--json")
    first = loopllm(*call)
    ledger = {p: p.read_bytes() for p in Path(".loopllm/nights").rglob("*.npz")}
    second = loopllm(*call)
    assert first.code == second.code
    assert first.document["pages"] == second.document["pages"]
    assert first.document["spent"] == second.document["spent"]
    assert ledger == {p: p.read_bytes() for p in Path(".loopllm/nights").rglob("*.npz")}


def test_fail_on_never_reports_and_ends_with_zero(watched: Path) -> None:
    call = ("drift", "--baseline", "v1", "--nightly", "--until", "2026-10-13")
    assert 0 == loopllm(*call, "--fail-on", "never").code


def test_a_page_of_nights_is_refused(watched: Path) -> None:
    said = loopllm("drift", "--baseline", "v1", "--nightly", "--html-out", "x.html")
    assert (2, "") == (said.code, said.out)
    assert "--nightly" in said.err


def test_a_damaged_ledger_is_named_with_its_remedy(watched: Path) -> None:
    call = ("drift", "--baseline", "v1", "--nightly", "--until", "2026-10-12")
    loopllm(*call)
    night = next(Path(".loopllm/nights").rglob("*.npz"))
    night.write_bytes(night.read_bytes()[:-30])
    said = loopllm(*call)
    assert said.code in (2, 3, 4)
    assert night.name in said.err


def test_the_budget_is_read_from_the_settings(watched: Path) -> None:
    Path("loopllm.toml").write_text("[nights]\nfalse_pages_per_year = 0.2\n")
    said = loopllm("drift", "--baseline", "v1", "--nightly", "--until", "2026-10-12", "--json")
    assert 0.2 == json.loads(said.out)["budget"]
