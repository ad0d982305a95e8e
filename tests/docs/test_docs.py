"""What the documentation says, the software does."""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loopllm_cli.app import app
from loopllm_cli.config import RunConfig, load_config
from loopllm_cli.signals.catalogue import load_signals
from loopllm_cli.sources.columns import read_mapping

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_IN_PLACE = re.DOTALL | re.MULTILINE
_BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def _blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in _BLOCK.findall(page.read_text("utf-8")) if kind == language]


def test_the_documented_configuration_is_accepted(tmp_path: Path) -> None:
    """Every key of the configuration page exists and has a fitting type."""
    text = _blocks(ROOT / "docs" / "configuration.md", "toml")[0]
    path = tmp_path / "loopllm.toml"
    path.write_text(text, "utf-8")
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "reading.py").write_text("def grade(row):\n    return 1\n", "utf-8")
    (tmp_path / "checks" / "order.schema.json").write_text('{"type": "object"}', "utf-8")
    config = load_config(tmp_path, path)
    wanted = [*config.drift.signals, "solved", "reading_grade", "plan", "order", "latency"]
    signals = load_signals(config.signals, config.drift.tolerances, wanted, root=tmp_path)
    assert set(wanted) == set(signals)


def test_the_documented_mapping_is_accepted(tmp_path: Path) -> None:
    """The mapping example can be read as it stands."""
    path = tmp_path / "map.toml"
    path.write_text(_blocks(ROOT / "docs" / "configuration.md", "toml")[-1], "utf-8")
    assert "request.body.question" == read_mapping(path).columns["prompt"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_documented_command_exists(page: Path) -> None:
    """Commands and options in the pages are known to the program."""
    runner = CliRunner()
    code = "\n".join(re.findall(r"^```\w*\n(.*?)^```", page.read_text("utf-8"), _IN_PLACE))
    for line in re.findall(r"^\$? ?(loopllm .+)$", code, re.MULTILINE):
        words = shlex.split(line.split("  #")[0])[1:]
        groups = ("adapters", "baseline", "pairs")
        grouped = words[0] in groups and words[1:2] and words[1][0] != "-"
        verbs = words[:2] if grouped else words[:1]
        if verbs[0].startswith("-"):
            continue
        shown = runner.invoke(app, [*verbs, "--help"], env={"COLUMNS": "200"})
        assert 0 == shown.exit_code, line
        for option in (word.split("=")[0] for word in words if word.startswith("--")):
            assert option in shown.output, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    """Relative links point to files of the project."""
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_the_shipped_night_is_valid_and_says_what_every_key_does() -> None:
    """Each key has a comment of its own above it; none is missing; defaults are defaults."""
    path = ROOT / "configs" / "nightly.toml"
    load_config(ROOT, path)
    table = tomllib.loads(path.read_text("utf-8"))["run"]
    assert {field.name for field in fields(RunConfig)} == set(table)
    lines = path.read_text("utf-8").splitlines()
    for key in table:
        at = next(i for i, line in enumerate(lines) if line.startswith(f"{key} = "))
        assert lines[at - 1].startswith("#"), key


def test_every_shipped_recipe_is_valid_and_commented() -> None:
    """Each key of a recipe has a comment above it, and the recipe loads."""
    from loopllm_cli.correct.recipe import load_recipe

    for path in sorted((ROOT / "configs").glob("*.toml")):
        if path.stem == "nightly":
            continue
        load_recipe(path)
        lines = path.read_text("utf-8").splitlines()
        keys = set(tomllib.loads(path.read_text("utf-8"))["correct"])
        comments = sum(line.startswith("#") for line in lines)
        assert comments >= len(keys) // 2, path.name
