"""Markdown for pull requests and JUnit for CI servers."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest

from loopllm_cli.model import RunParts, RunResult, RunStep, StepEnd
from loopllm_cli.render import junit, markdown

from . import results

NOW = datetime(2026, 11, 22, 3, tzinfo=UTC)
STEPS = (
    RunStep("ingest", StepEnd.FAILED, "1 of 2 sources failed: <b>|x|</b>", 3, 1.5, {}, "@all look"),
    RunStep("drift", StepEnd.FOUND, "degraded since 2026-11-20: refusal", 10),
    RunStep("pairs", StepEnd.DONE, "271 training pairs", 0),
    RunStep("verify", StepEnd.FOUND, "inconclusive: too few prompts", 12),
    RunStep("promote", StepEnd.SKIPPED, "verify says inconclusive"),
)
RUN = RunResult("run-1", NOW, NOW, "n.toml", "0" * 64, "promote", STEPS, 3, "Ingest failed", "1")
PARTS = RunParts(results.drift(), None, None, results.verify())
DOCUMENTS: dict[str, Callable[[], str]] = {
    "drift.md": lambda: markdown.render_drift_markdown(results.drift()),
    "drift_hostile.md": lambda: markdown.render_drift_markdown(results.hostile_drift()),
    "verify.md": lambda: markdown.render_verify_markdown(results.failed_verify()),
    "run.md": lambda: markdown.render_run_markdown(RUN, PARTS),
    "drift.junit.xml": lambda: junit.render_drift_junit(results.drift()),
    "drift_hostile.junit.xml": lambda: junit.render_drift_junit(results.hostile_drift()),
    "verify.junit.xml": lambda: junit.render_verify_junit(results.failed_verify()),
    "run.junit.xml": lambda: junit.render_run_junit(RUN),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_document_is_as_agreed(name: str, golden: Callable[[str, str], None]) -> None:
    golden(name, DOCUMENTS[name]())


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name.endswith(".md")])
def test_no_text_of_a_log_is_markup(name: str) -> None:
    """What is left of angle brackets is ours; tables keep their columns; nobody is called."""
    text = DOCUMENTS[name]()
    tags = set(re.findall(r"<[^>]*>", text))
    assert tags <= {"<details>", "</details>", "<summary>", "</summary>", "<sub>", "</sub>"}
    assert "@" not in text
    assert not re.search(r"(?<!\\)!\[|(?<!\\)\]\(", text)
    for block in text.split("\n\n"):
        rows = [line for line in block.split("\n") if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) <= 1


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name.endswith(".xml")])
def test_the_counts_of_a_suite_are_those_of_its_cases(name: str) -> None:
    suite = ElementTree.fromstring(DOCUMENTS[name]())
    for attribute, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(suite.get(attribute, "")) == len(suite.findall(f"testcase/{kind}"))
    assert int(suite.get("tests", "")) == len(suite.findall("testcase"))


def test_a_failed_step_is_an_error_a_finding_a_failure_and_the_unclear_skipped() -> None:
    suite = ElementTree.fromstring(junit.render_run_junit(RUN))
    ends = {case.get("name"): case[0].tag for case in suite}
    assert {
        "ingest": "error",
        "drift": "failure",
        "pairs": "system-out",
        "verify": "skipped",
        "promote": "skipped",
    } == ends


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1. first", "1\\. first"),
        ("- item", "\\- item"),
        ("1.5% and -3", "1.5% and -3"),
        ("`a` *b* [c](d) | e", "\\`a\\` \\*b\\* \\[c\\](d) \\| e"),
        ("<img src=x> @you #1", "&lt;img src=x&gt; &#64;you \\#1"),
    ],
)
def test_text_is_shown_as_it_is(text: str, shown: str) -> None:
    step = RunStep("drift", StepEnd.FAILED, "", 1, to_do=text)
    run = markdown.render_run_markdown(
        dataclasses.replace(RUN, sentence=text, steps=(step,)), PARTS
    )
    assert f"**FAILED** {shown} (exit 3)" in run
