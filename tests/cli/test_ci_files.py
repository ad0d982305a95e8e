"""The shipped files for CI and schedulers: they parse, name what exists, and do what they say."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import ROOT, environment, loopllm
from typer.testing import CliRunner

from loopllm_cli.app import app
from loopllm_cli.sources.follow import SUFFIXES

FOLDER = ROOT / "configs" / "ci"


def read(name: str) -> Any:
    """Read a YAML file."""
    return yaml.safe_load((FOLDER / name).read_text("utf-8"))


def unit(name: str) -> configparser.ConfigParser:
    """Read a systemd unit."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string((FOLDER / name).read_text("utf-8"))
    return parser


def run_action(folder: Path, **inputs: str) -> tuple[int, str, dict[str, str]]:
    """Run the action's own step as the runner would; return its code, output and files."""
    action = read("action.yml")
    (step,) = [step for step in action["runs"]["steps"] if step.get("id") == "run"]
    given = {name: one["default"] for name, one in action["inputs"].items()} | inputs
    env = {
        name: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda m: given[m[1]], value)
        for name, value in step["env"].items()
    }
    files = {name: str(folder / name.lower()) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder, env=environment(**env, **files, PATH=path), capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    said = {name: Path(at).read_text("utf-8") for name, at in files.items() if Path(at).exists()}
    return done.returncode, done.stdout, said


@pytest.mark.skipif(sys.platform == "win32", reason="the action's step is for bash")
def test_the_action_ends_with_the_exit_code_and_writes_a_summary_and_an_annotation(
    project_dir: Path,
) -> None:
    Path("loopllm.toml").write_text("[run]\n")
    code, out, said = run_action(project_dir, until="drift")
    assert 2 == code
    assert "::error title=loopllm::a step failed (exit 2)" in out
    assert "exit-code=2" in said["GITHUB_OUTPUT"]
    assert "**FAILED** Drift failed: no baseline named 'v1'" in said["GITHUB_STEP_SUMMARY"]
    assert Path("loopllm-report.html").is_file()
    assert "<testsuite" in Path("loopllm-junit.xml").read_text("utf-8")


def test_the_action_hands_over_every_input_and_no_other() -> None:
    """Inputs reach the shell as variables, never as text of a script."""
    action = read("action.yml")
    text = (FOLDER / "action.yml").read_text("utf-8")
    assert set(action["inputs"]) == set(re.findall(r"inputs\.(\w+)", text))
    for step in action["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
        assert "run" not in step or "bash" == step["shell"]


def commands() -> list[list[str]]:
    """Return every `loopllm` command that the files hold."""
    found = [line.split() for line in read("gitlab.yml")["loopllm"]["script"]]
    for name in ("loopllm.service", "loopllm-watch.service"):
        found.append(unit(name)["Service"]["ExecStart"].split())
    pod = read("cronjob.yaml")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    found.append(["loopllm", *pod["containers"][0]["args"]])
    return found


@pytest.mark.parametrize("words", commands(), ids=lambda words: Path(words[0]).name)
def test_every_command_and_option_exists(words: list[str]) -> None:
    assert "loopllm" == Path(words[0]).name
    shown = CliRunner().invoke(app, [words[1], "--help"], env={"COLUMNS": "200"}).output
    for option in (word for word in words if word.startswith("--")):
        assert option in shown


def test_findings_are_no_failures_of_the_unit_and_no_reason_to_retry() -> None:
    service = unit("loopllm.service")["Service"]
    assert "10 11 12" == service["SuccessExitStatus"]
    job = read("cronjob.yaml")["spec"]["jobTemplate"]["spec"]
    (rule,) = job["podFailurePolicy"]["rules"]
    assert {10, 11, 12} <= set(rule["onExitCodes"]["values"])
    assert not {1, 4, 143} & set(rule["onExitCodes"]["values"])
    assert "Persistent" in unit("loopllm.timer")["Timer"]


def test_the_collector_writes_what_the_watch_can_follow() -> None:
    config = read("otel-collector.yaml")
    exporter = config["exporters"]["file"]
    assert "json" == exporter["format"]
    assert "compression" not in exporter
    assert Path(exporter["path"]).suffix in SUFFIXES
    used = config["service"]["pipelines"]["traces"]
    for kind in ("receivers", "processors", "exporters"):
        assert set(used[kind]) == set(config[kind])


def test_the_image_holds_what_the_package_is_built_from() -> None:
    text = (FOLDER / "Containerfile").read_text("utf-8")
    for name in re.findall(r"^COPY (.+) /src", text, re.MULTILINE)[0].split():
        assert (ROOT / name).exists(), name
    assert loopllm("run", "--help").code == 0
