"""Write results as JUnit XML, which every CI server shows: one test case per signal, check or step.

What is unclear is skipped, not passed. The message stands in the element's body too, because some
servers show only that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from loopllm_cli.errors import ExitCode
from loopllm_cli.model import DriftResult, Gate, RunResult, StepEnd, Verdict, VerifyResult
from loopllm_cli.render import numbers, words
from loopllm_cli.render.clean import clean_text

_MOST_CHARS = 500


@dataclass(frozen=True, slots=True)
class _Case:
    """A test case: what it is about, how it ended, and what to say of it."""

    name: str
    end: str  # "", "failure", "error" or "skipped"
    text: str
    seconds: float = 0.0


def render_drift_junit(result: DriftResult) -> str:
    """Write a comparison: a signal that is worse fails, one that is unclear is skipped."""
    ends = {Verdict.WORSE: "failure", Verdict.INCONCLUSIVE: "skipped"}
    cases = []
    for c in words.whole(result.comparisons):
        decimals = numbers.change_decimals(c.signal.kind, c.low, c.high)
        text = (
            f"{c.verdict.value}: {numbers.level(c.signal, c.baseline, c.n_baseline)} to "
            f"{numbers.level(c.signal, c.current, c.n_current)}, "
            f"{numbers.change(c.signal.kind, c.change, decimals)} (tolerance "
            f"{numbers.tolerance(c.signal)})"
        )
        cases.append(_Case(c.signal.name, ends.get(c.verdict, ""), text))
    return _suite(f"loopllm drift against {result.baseline_name}", result.run_id, cases)


def render_verify_junit(result: VerifyResult) -> str:
    """Write a proof: every repair and every check is a case."""
    ends = {Gate.FAIL: "failure", Gate.INCONCLUSIVE: "skipped", Gate.PASS: ""}
    cases = [
        _Case(f"repairs {r.signal.name} of {r.label}", ends[r.gate], r.reason)
        for r in result.repairs
    ]
    cases += [_Case(check.name, ends[check.gate], check.text) for check in result.checks]
    return _suite(f"loopllm verify {result.adapter}", result.run_id, cases)


def render_run_junit(result: RunResult) -> str:
    """Write an unattended run: a step that failed is an error, what one found a failure."""
    cases = []
    for step in result.steps:
        end = {StepEnd.FAILED: "error", StepEnd.SKIPPED: "skipped"}.get(step.end, "")
        if step.end is StepEnd.FOUND and step.code:
            end = "skipped" if step.code == ExitCode.INCONCLUSIVE else "failure"
        said = "; ".join(part for part in (step.text, step.to_do) if part)
        cases.append(_Case(step.name, end, said, step.seconds))
    return _suite("loopllm run", result.run_id, cases)


def _suite(name: str, run_id: str, cases: Sequence[_Case]) -> str:
    counts = {
        f"{kind}s" if kind != "skipped" else kind: str(sum(case.end == kind for case in cases))
        for kind in ("failure", "error", "skipped")
    }
    suite = ElementTree.Element(
        "testsuite",
        {"name": clean_text(name), "tests": str(len(cases)), **counts,
         "time": f"{sum(case.seconds for case in cases):.3f}"},
    )  # fmt: skip
    suite.extend(_elements(cases, clean_text(run_id)))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _elements(cases: Iterable[_Case], run_id: str) -> Iterable[ElementTree.Element]:
    for case in cases:
        text = clean_text(case.text, _MOST_CHARS)
        element = ElementTree.Element(
            "testcase",
            {"classname": f"loopllm.{run_id}", "name": clean_text(case.name, _MOST_CHARS),
             "time": f"{case.seconds:.3f}"},
        )  # fmt: skip
        if case.end:
            ElementTree.SubElement(element, case.end, {"message": text}).text = text
        else:
            ElementTree.SubElement(element, "system-out").text = text
        yield element
