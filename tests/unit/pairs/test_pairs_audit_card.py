"""The audit in the data card: complete, and inert whatever the logs say."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from audit_case import audit, good_set

from loopllm_cli.model import Agreement, Finding, PairsSummary, Severity
from loopllm_cli.pairs.audit.card import card_lines, escaped

NAN = float("nan")


def summary(**changes: object) -> PairsSummary:
    """Return the summary of a good set."""
    plain = PairsSummary(
        "set", "hash", 160, 160, 120, 40, 60, 0, {"correction": 160}, {"no reason": 2},
        {"under warranty": 40, "delivery to": 40}, tuple(audit(good_set()).values()),
        Agreement(12, 0.8, 0.7, 0.9, 0.11, 0.06, 0.2),
    )  # fmt: skip
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_every_finding_has_a_row_with_its_limit() -> None:
    rows = [line for line in card_lines(summary()) if line.startswith("| ")]
    for one in summary().findings:
        (row,) = [line for line in rows if line.startswith(f"| {one.name} |")]
        assert 7 == row.count(" | ") + 2 == len(re.findall(r"(?<!\\)\|", row))


def test_the_card_counts_rules_segments_and_reasons() -> None:
    lines = card_lines(summary())
    for row in ("| correction | 160 |", "| delivery to | 40 |", "| no reason | 2 |"):
        assert row in lines
    assert "votes that agree: 80% (70% to 90%)" in "\n".join(lines)


def test_a_card_without_anything_is_empty() -> None:
    bare = summary(by_rule={}, by_segment={}, dropped={}, findings=(), agreement=None)
    assert [] == card_lines(bare)


def test_unknown_values_are_shown_as_such() -> None:
    one = Finding("x", Severity.FAIL, "t", 0, NAN, None, None, None, "mend it", accepted=True)
    assert "| x | **fail**, accepted | t | – | – | mend it |" in card_lines(
        summary(findings=(one,))
    )


@pytest.mark.parametrize(
    "text",
    ["a | b", "x\n# heading", "[a](http://b)", "<script>", "`code`", "*b*", "\x1b[31m\u202ered"],
)
def test_a_hostile_segment_makes_no_markup(text: str) -> None:
    lines = card_lines(summary(by_segment={text: 3}, findings=()))
    (row,) = [line for line in lines if line.endswith("| 3 |")]
    assert 3 == len(re.findall(r"(?<!\\)\|", row))
    assert not re.search(r"(?<!\\)[<`\[*]|[\x1b\u202e]", row)


def test_long_texts_are_cut() -> None:
    assert 500 > len(escaped("x" * 100_000))
