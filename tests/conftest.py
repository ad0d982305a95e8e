"""Every test runs with a clean environment; long ones only when asked for."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure: speed is measured in scripts/bench_*.py, never by a test.
settings.register_profile("loopllm", deadline=None)
settings.load_profile("loopllm")


LEVELS = {"slow": ("--slow", "--long"), "long": ("--long",)}
"""The options that let tests of a marker run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that let longer tests run."""
    for name, what in (("--slow", "that take minutes"), ("--long", "of hours, and slow ones")):
        parser.addoption(name, action="store_true", default=False, help=f"also run tests {what}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip longer tests, with the way to run them as the reason."""
    for marker, options in LEVELS.items():
        if any(map(config.getoption, options)):
            continue
        skip = pytest.mark.skip(reason=f"takes long; run with {options[0]}")
        for item in items:
            if item.get_closest_marker(marker):
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every machine alike: no settings of the user's, one time zone, one width, no colour."""
    for name in list(os.environ):
        if name.startswith("LOOPLLM_") and name != "LOOPLLM_UPDATE_GOLDEN":
            monkeypatch.delenv(name)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty project's directory, which is the working directory of the test."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
