"""A ledger in an object store: what one machine judged, another one goes on from."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from object_store import make_bucket, s3_server, settings

from loopllm_cli.store.ledger import Ledger
from loopllm_cli.store.project import open_project

pytest.importorskip("moto")
pytest.importorskip("flask_cors")

SUMS = {"n": np.arange(4.0)}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Run one S3 server for all tests."""
    with s3_server() as address:
        make_bucket(address, "nights")
        yield address


def judge_on(machine: str, url: str, day: str) -> list[str]:
    """Append a night on a machine and return the days that it then knows."""
    project = open_project(url)
    ledger = Ledger(project, "k")
    ledger.append({"day": day, "machine": machine}, SUMS)
    days = [ledger.read(k).card["day"] for k in range(1, len(ledger) + 1)]
    project.close()
    return days


def test_machines_that_forget_everything_keep_one_ledger(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"s3://nights/{uuid.uuid4().hex}"
    for name, value in settings(server).items():
        monkeypatch.setenv(name, value)
    found = []
    for place, day in (("a", "2026-10-01"), ("b", "2026-10-02"), ("a", "2026-10-03")):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / place))
        found.append(judge_on(place, url, day))
    assert [
        ["2026-10-01"],
        ["2026-10-01", "2026-10-02"],
        ["2026-10-01", "2026-10-02", "2026-10-03"],
    ] == found


def test_a_correction_made_elsewhere_is_seen(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"s3://nights/{uuid.uuid4().hex}"
    for name, value in settings(server).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a"))
    judge_on("a", url, "2026-10-01")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    project = open_project(url)
    Ledger(project, "k").correct(1, {"day": "2026-10-01"}, {"n": SUMS["n"] + 1})
    project.close()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a"))
    again = Ledger(open_project(url), "k")
    assert ((1,), 10.0, 6.0) == (
        again.corrected, again.latest(1).arrays["n"].sum(), again.read(1).arrays["n"].sum(),
    )  # fmt: skip
