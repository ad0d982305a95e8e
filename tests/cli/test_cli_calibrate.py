"""`loopllm calibrate`: what a set-up does on clean rows, and how it says so."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest
from command_line import loopllm
from factories import REFUSAL, START, flat_record, shifted_logs, stamp, write_jsonl

from loopllm_cli.store.project import Project

CONFIG = '[drift]\nsignals = ["refusal", "response_words", "latency"]\nsegment_by = "prompt_name"\n'


def filled(folder: Path, records: list[dict]) -> tuple[str, ...]:
    """Ingest records, freeze them as v1, and return the options that find them."""
    folder.mkdir(exist_ok=True)
    (folder / "loopllm.toml").write_text(CONFIG)
    place = ("--project", str(folder))
    logs = str(write_jsonl(folder / "logs.jsonl", records))
    assert 0 == loopllm("ingest", logs, "-q", *place).code
    assert 0 == loopllm("baseline", "create", "v1", "-q", *place).code
    return place


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Make four weeks in which nothing changes."""
    logs = shifted_logs(400, seed=3, refusal_after=0.02)
    return filled(tmp_path_factory.mktemp("clean"), logs)


def test_clean_rows_keep_the_promise(clean: tuple[str, ...]) -> None:
    said = loopllm("calibrate", "--baseline", "v1", "--runs", "20", *clean)
    assert 0 == said.code, said
    assert "were called degraded in 0 of 20 (0.0%, at most 16.8%)" in " ".join(said.out.split())
    assert "single days against the rest" in said.out
    assert "single weeks against the rest" in said.out
    assert "refusal" in said.out
    assert [] == [line for line in said.out.splitlines() if len(line) > 80]


def test_the_figures_come_as_json(clean: tuple[str, ...]) -> None:
    options = ("--runs", "20", "--rows", "100", "--json")
    said = loopllm("calibrate", "--baseline", "v1", *options, *clean)
    found = said.document
    assert (0, "loopllm.calibration/1", True) == (said.code, found["schema"], found["kept_level"])
    assert ["clusters", "days", "weeks"] == [s["split_by"] for s in found["splits"]]
    assert 100 <= found["splits"][0]["n_current"] < 120
    assert (20, 28, 4) == tuple(s["degraded"]["n_runs"] for s in found["splits"])
    names = [s["signal"]["name"] for s in found["signals"]]
    assert ["refusal", "response_words", "latency"] == names
    planted = {p["kind"]: p for p in found["signals"][0]["planted"]}
    assert {"twice the tolerance", "visible"} == set(planted)
    visible = planted["visible"]
    assert (0.8, 20) == (visible["announced"], visible["found"]["n_runs"])
    assert found["signals"][0]["visible_change"] == visible["size"]
    assert visible["found"]["rate"] > 0.4


def test_the_same_seed_gives_the_same_figures(clean: tuple[str, ...]) -> None:
    options = ("--baseline", "v1", "--runs", "10", "--json", *clean)
    first, again, other = (loopllm("calibrate", *options, "--seed", s).document for s in "001")
    for document in (first, again, other):
        del document["created"]
    assert first == again != other


def test_days_that_wobble_break_the_promise_with_12_and_never_10(tmp_path: Path) -> None:
    rng = random.Random(0)
    records = []
    for number in range(800):
        day = number // 40
        # Every third day nearly all is refused, whoever asks: users cannot show that.
        refused = rng.random() < (0.9 if day % 3 == 1 else 0.02)
        moment = START + timedelta(days=day, minutes=number % 40)
        records.append(
            flat_record(
                number,
                timestamp=stamp(moment),
                user_id=f"u-{number}",
                response=REFUSAL if refused else "It is on its way.",
            )
        )
    place = filled(tmp_path / "p", records)
    said = loopllm("calibrate", "--baseline", "v1", "--runs", "40", *place)
    assert 12 == said.code, said
    words = " ".join(said.out.split())
    assert "TOO MANY" in words
    assert "single days against the rest were called degraded in 7 of 20" in words
    assert "2026-10-02" in words
    assert "days differ more than users at random" in words


def test_gone_rows_are_replaced_by_the_stored_sample(tmp_path: Path) -> None:
    place = filled(tmp_path / "p", shifted_logs(200, seed=3, refusal_after=0.02))
    full = loopllm("calibrate", "--baseline", "v1", "--runs", "10", "--json", *place).document
    home = Project(tmp_path / "p").home
    (home / "interactions").rename(home / "elsewhere")
    said = loopllm("calibrate", "--baseline", "v1", "--runs", "10", "--json", *place)
    found = said.document
    assert (0, "the baseline's sample", 200) == (said.code, found["source"], found["n_rows"])
    assert "gone from the store" in found["notes"][0]
    assert full["splits"] == found["splits"]


def test_a_set_up_that_cannot_be_calibrated_says_why(
    clean: tuple[str, ...], tmp_path: Path
) -> None:
    said = loopllm("calibrate", "--baseline", "v1", "--rows", "201", *clean)
    assert (2, True) == (said.code, "201 rows does not fit 400 rows" in said.err)
    assert 2 == loopllm("calibrate", "--baseline", "nope", *clean).code
    one = filled(tmp_path / "p", [flat_record(k, user_id="u") for k in range(30)])
    said = loopllm("calibrate", "--baseline", "v1", *one)
    assert (3, True) == (said.code, "all rows of the baseline are of one user" in said.err)


def test_rows_that_came_later_into_the_window_are_said(tmp_path: Path) -> None:
    place = filled(tmp_path / "p", shifted_logs(200, seed=3, refusal_after=0.02))
    # Five within the baseline's time, five after it: those were never a part of it.
    numbers = [*range(10_000, 10_005), *range(60_000, 60_005)]
    late = write_jsonl(tmp_path / "late.jsonl", [flat_record(k) for k in numbers])
    assert 0 == loopllm("ingest", str(late), "-q", *place).code
    found = loopllm("calibrate", "--baseline", "v1", "--runs", "10", "--json", *place).document
    assert "the window holds 205 rows now, 200 when the baseline was made" in found["notes"]
