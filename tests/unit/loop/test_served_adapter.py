"""Which adapter production answers with, as the history of promotions tells."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from loopllm_cli.errors import AdapterMismatch
from loopllm_cli.loop.adapter_origin import find_served
from loopllm_cli.loop.promotions import append, make_event
from loopllm_cli.store.project import Project

NEW = {"adapter_sha256": "new", "model_hash": "base"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def promote(project: Project, name: str, base: str = "base", action: str = "promote") -> Path:
    """Promote an adapter whose weights have its name for a hash."""
    folder = project.root / name
    folder.mkdir(exist_ok=True)
    (folder / "lineage.json").write_text(json.dumps({"model_hash": base}))
    with project.writing(10.0):
        append(project, make_event(action, folder, name))
    return folder


def test_nothing_is_served_where_nothing_was_promoted(project: Project) -> None:
    assert find_served(project, NEW) is None


def test_the_last_promoted_one_is_served(project: Project) -> None:
    promote(project, "first")
    second = promote(project, "second")
    assert second == find_served(project, NEW)
    first = promote(project, "first", action="rollback")
    assert first == find_served(project, NEW)


def test_an_adapter_is_not_compared_with_itself(project: Project) -> None:
    """Verified again after its promotion, it takes the place of the one before."""
    first = promote(project, "first")
    promote(project, "new")
    assert first == find_served(project, NEW)


def test_one_for_another_base_is_not_what_this_base_serves(project: Project) -> None:
    promote(project, "first", base="another")
    assert find_served(project, NEW) is None


def test_one_that_is_gone_is_an_error_with_a_way_out(project: Project) -> None:
    shutil.rmtree(promote(project, "first"))
    with pytest.raises(AdapterMismatch, match="gone or damaged") as caught:
        find_served(project, NEW)
    assert "--served none" in caught.value.hint
