"""A project with a drift run and without any feedback, made once and copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from drifted import compare, logs

from loopllm_cli.store.project import Project


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drifted")
    compare(folder, logs())
    return folder


@pytest.fixture
def drifted(_made: Path, project_dir: Path) -> Project:
    """Return a project whose second model refuses refunds."""
    shutil.copytree(_made, project_dir, dirs_exist_ok=True)
    return Project(project_dir)
