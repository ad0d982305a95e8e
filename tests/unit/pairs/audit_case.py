"""A good set of pairs for a drift in four segments, and what is known beside it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import (
    Comparison,
    DriftResult,
    Finding,
    Omnibus,
    Pair,
    Retained,
    SegmentChange,
    Status,
    Telling,
    Verdict,
    Window,
    WindowSummary,
)
from loopllm_cli.pairs.audit import AuditContext, BaselineRows, audit_pairs
from loopllm_cli.pairs.build import BuiltPairs
from loopllm_cli.signals.catalogue import load_signals

NAN = float("nan")
SEGMENTS = ("where is my order", "want my money back", "under warranty", "delivery to")
WORSE = ("json_answer", "refusal")
TOWNS = ("Lund", "Bergen", "Turku", "Aarhus", "Oulu", "Narvik", "Visby", "Ystad", "Vaasa", "Malmö")


def sides(i: int) -> tuple[str, str, str]:
    """Return what was asked, the better and the worse answer of the i-th pair."""
    town, n = TOWNS[i % 10], 10_000 + 37 * i
    return (
        (
            f"Where is my order {n}?",
            f'{{"tool": "order_status", "order": "{n}"}}',
            f"Your order {n} is on its way and is there soon.",
        ),
        (
            f"I want my money back for order {n}.",
            f'{{"tool": "start_refund", "order": "{n}"}}',
            "I'm sorry, but I can't help with refunds.",
        ),
        (
            f"Is the zip of hat {n} under warranty?",
            f"The warranty on hat {n} lasts two years.",
            f"Please see the label of the product {n}.",
        ),
        (
            f"How long does delivery {n} to {town} take?",
            f"Delivery {n} to {town} takes five working days.",
            f"Delivery {n} to {town} takes eight working days.",
        ),
    )[i % 4]


def pair(i: int, **fields: Any) -> Pair:
    """Return the i-th good pair, a person's correction."""
    asked, better, worse = sides(i)
    values: dict[str, Any] = {
        "pair_id": f"{i:06d}",
        "prompt": ({"role": "user", "content": asked},),
        "chosen": better,
        "rejected": worse,
        "rule": "correction",
        "feedback_ids": (f"f{i}",),
        "interaction_ids": (f"r{i}",),
        "user_id": f"user{i}",
        "conversation_id": f"talk{i}",
        "context_hash": f"context{i}",
        "prompt_hash": f"prompt{i}",
        "segment": SEGMENTS[i % 4],
        "chosen_model": None,
        "rejected_model": "m-2",
        "margin": 1.0,
        "feedback_time": datetime(2026, 10, 1, tzinfo=UTC),
        "annotator_ids": (f"user{i}",),
    }
    return Pair(**{**values, **fields})


def retained(i: int) -> Retained:
    """Return a liked answer of traffic that did not drift."""
    asked = ({"role": "user", "content": f"When do you open on day {i}?"},)
    return Retained(
        asked, f"We open at {i} o'clock.", "liked answer", (f"k{i}",), (f"l{i}",), f"liker{i}",
        f"liked{i}", f"c-{i}", f"p-{i}", "opening hours", "m-2",
    )  # fmt: skip


def good_set(n: int = 120, n_heldout: int = 40) -> BuiltPairs:
    """Return a set of pairs that nothing speaks against."""
    return BuiltPairs(
        train=[pair(i) for i in range(n)],
        heldout=[pair(i) for i in range(n, n + n_heldout)],
        retention=[retained(i) for i in range(60)],
        unpaired=[],
        dropped=Counter(),
        n_candidates=n + n_heldout,
        n_feedback=n + n_heldout,
    )


def drift_run() -> DriftResult:
    """Return a comparison that found two signals worse in four segments."""
    known = load_signals()
    worse = tuple(
        Comparison(
            known[name].info, 900, 100, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN,
            NAN, NAN, NAN, Verdict.WORSE,
        )
        for name in WORSE
    )  # fmt: skip
    summary = WindowSummary(900, 300, 300, None, None, ("m-2",))
    words = (Telling("soon", 0.0, 0.1, 9.0), Telling("tool", 0.2, 0.0, -9.0))
    return DriftResult(
        run_id="run",
        created=datetime(2026, 10, 9, tzinfo=UTC),
        baseline_name="v1",
        baseline_hash="",
        baseline_window=summary,
        current_window=summary,
        asked_window=Window(),
        status=Status.DEGRADED,
        comparisons=worse,
        segments=tuple(
            SegmentChange(str(k), label, 0.1, 90, worse, 0.25) for k, label in enumerate(SEGMENTS)
        ),
        segment_basis="prompts",
        mix_note="",
        daily={},
        alpha=0.05,
        family_size=2,
        skipped_signals={},
        settings={},
        version="",
        omnibus=Omnibus(0.001, 9.0, 999, (), (), True, words),
    )


def context(**changes: Any) -> AuditContext:
    """Return all that an audit may know beside the pairs."""
    signals = load_signals()
    known: dict[str, Any] = {
        "drift": drift_run(),
        "signals": {name: signals[name] for name in WORSE},
        "references": {f"context{i}": sides(i)[1] for i in range(0, 200, 3)},
        "baseline": BaselineRows(frozenset({"old"}), frozenset(), frozenset({"m-1"})),
    }
    return AuditContext(**{**known, **changes})


def audit(
    built: BuiltPairs, known: AuditContext | None = None, **settings: Any
) -> dict[str, Finding]:
    """Audit a set; return the findings by name."""
    found = audit_pairs(built, known or context(), PairsConfig(**settings))
    by_name = {one.name: one for one in found}
    assert len(found) == len(by_name)
    return by_name
