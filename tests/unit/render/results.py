"""Results built by hand, as real as they need be for a rendering."""

from __future__ import annotations

import dataclasses
import math
from datetime import UTC, date, datetime, timedelta

from loopllm_cli.model import (
    AdapterCard,
    Agreement,
    Check,
    Comparison,
    DailyPoint,
    DriftResult,
    Finding,
    ForgetSummary,
    Gate,
    IngestSummary,
    Interval,
    Omnibus,
    OmnibusPart,
    PairsSummary,
    PartIntervals,
    Repair,
    ScoreChange,
    SegmentChange,
    Severity,
    SignalInfo,
    SignalKind,
    SliceChange,
    Status,
    Telling,
    Verdict,
    VerifyResult,
    Window,
    WindowSummary,
    Worse,
)

HOSTILE = (
    "<script>alert(1)</script> [bold red]x[/] \x1b[31mred\x1b]0;title\x07 \u202egnp.exe "
    "{{ 7*7 }} \u2028\u200b\x00</style>&\"'"
)

REFUSAL = SignalInfo(
    "refusal", SignalKind.RATE, Worse.UP, 0.01, "The answer declines to do what was asked."
)
VALID_JSON = SignalInfo(
    "valid_json",
    SignalKind.RATE,
    Worse.DOWN,
    0.01,
    "The answer parses as JSON where JSON was asked for.",
    tolerance_source="config: signals.valid_json",
)
TOKENS = SignalInfo(
    "response_tokens", SignalKind.AMOUNT, Worse.EITHER, 0.1, "Tokens in the answer.", "tokens"
)
LATENCY = SignalInfo(
    "latency_ms", SignalKind.AMOUNT, Worse.UP, 0.1, "Time until the answer was complete.", "ms"
)
DOWNVOTE = SignalInfo(
    "negative_feedback", SignalKind.RATE, Worse.UP, 0.01, "A person marked the answer as bad."
)
REPEATS = SignalInfo(
    "repeats_itself", SignalKind.RATE, Worse.UP, 0.01, "A third of the answer's 4-grams recur."
)
HEDGES = SignalInfo(
    "hedging", SignalKind.RATE, Worse.UP, 0.02, "The answer opens by doubting what it will say."
)
COST = SignalInfo(
    "cost", SignalKind.AMOUNT, Worse.UP, 0.1, "What the answer cost, as logged.", "USD"
)


def comparison(
    info: SignalInfo,
    baseline: float,
    current: float,
    half: float,
    verdict: Verdict,
    *,
    sees: float,
    mix: float = 0.0,
    n: tuple[int, int] = (48_210, 6_120),
    note: str = "",
    segment: str | None = None,
) -> Comparison:
    """Build a comparison whose parts add up; `half` is half of the interval's width."""
    total = current - baseline
    behaviour = total - mix
    change = behaviour if info.kind is SignalKind.RATE else behaviour / baseline
    reach = half if info.kind is SignalKind.RATE else half * baseline
    return Comparison(
        signal=info,
        n_baseline=n[0],
        n_current=n[1],
        baseline=baseline,
        current=current,
        total=total,
        behaviour=behaviour,
        mix=mix,
        new_traffic=0.0,
        vanished_traffic=0.0,
        change=change,
        low=change - half,
        high=change + half,
        design_effect=1.6,
        df=1_903.0,
        p_value=0.0004,
        p_adjusted=0.009,
        visible_change=sees,
        verdict=verdict,
        note=note,
        segment=segment,
        parts=PartIntervals(
            total=around(total, reach),
            behaviour=around(behaviour, reach),
            mix=around(mix, reach / 4),
            new_traffic=around(0.0, 0.0),
            vanished_traffic=around(0.0, 0.0),
        ),
        effective_n_baseline=n[0] / 1.6,
        effective_n_current=n[1] / 1.6,
    )


def around(middle: float, reach: float) -> Interval:
    """Build an interval."""
    return Interval(middle - reach, middle + reach)


def slices() -> tuple[SliceChange, ...]:
    """Build two groups of rows that changed, one of them a pair of attributes."""
    return (
        SliceChange(
            "prompt_name=ticket & language=de",
            (("prompt_name", "ticket"), ("language", "de")),
            5_310,
            673,
            0.11,
            0.92,
            (
                comparison(
                    VALID_JSON, 0.988, 0.244, 0.031, Verdict.WORSE, sees=0.06, n=(2_655, 337)
                ),
            ),
            ("int-0091", "int-0312"),
        ),
        SliceChange(
            "prompts=create ticket for",
            (("prompts", "create ticket for"),),
            4_020,
            512,
            0.08,
            0.31,
            (comparison(REFUSAL, 0.021, 0.143, 0.038, Verdict.WORSE, sees=0.07, n=(2_010, 256)),),
        ),
    )


def omnibus() -> Omnibus:
    """Build an omnibus test that tells two windows apart, with the words that do."""
    return Omnibus(
        p_value=0.001,
        statistic=9.4,
        n_permutations=999,
        parts=(OmnibusPart("signals", 9.4, 0.001), OmnibusPart("answers", 3.1, 0.004)),
        scores=(ScoreChange("valid_json", -21.3, 0.001), ScoreChange("refusal", 9.4, 0.001)),
        differs=True,
        words=(
            Telling("unfortunately", 0.004, 0.093, 18.0),
            Telling("as a reminder", 0.0002, 0.041, 12.0, at_most=True),
        ),
    )


def daily(baseline: float, current: float, wobble: float) -> tuple[DailyPoint, ...]:
    """Build 30 days of a baseline and 7 of a current window, wobbling without chance."""
    points = []
    for i in range(37):
        now = i >= 30
        level = (current if now else baseline) + wobble * math.sin(2.4 * i + (i % 5))
        level = min(level, 1.0) if baseline <= 1 else level
        when = date(2026, 10, 2) + timedelta(days=i + (14 if now else 0))
        weekday = 1600 - 420 * (when.weekday() >= 5)
        points.append(
            DailyPoint(str(when), level, weekday - 700 * now, "current" if now else "baseline")
        )
    return tuple(points)


def comparisons() -> tuple[Comparison, ...]:
    """Build the comparisons of the whole windows."""
    return (
        comparison(TOKENS, 212.0, 148.0, 0.031, Verdict.CHANGED, sees=math.nan),
        comparison(LATENCY, 1843.0, 1871.0, 0.021, Verdict.UNCHANGED, sees=0.13),
        comparison(REFUSAL, 0.0181, 0.0642, 0.0091, Verdict.WORSE, sees=0.019, mix=0.0002),
        comparison(
            VALID_JSON, 0.9913, 0.9102, 0.0175, Verdict.WORSE, sees=0.0241, mix=-0.0021,
            n=(9_310, 1_204),
        ),
        comparison(
            DOWNVOTE, 0.021, 0.034, 0.017, Verdict.INCONCLUSIVE, sees=0.031, n=(1_012, 118),
            note="few rows carry feedback",
        ),
        comparison(REPEATS, 0.012, 0.0004, 0.0031, Verdict.BETTER, sees=0.014),
        comparison(HEDGES, 0.0712, 0.0716, 0.007, Verdict.UNCHANGED, sees=0.027),
        comparison(COST, 0.00213, 0.00211, 0.018, Verdict.UNCHANGED, sees=0.12),
    )  # fmt: skip


def segments() -> tuple[SegmentChange, ...]:
    """Build the two places where something got worse."""
    ticket = comparison(
        VALID_JSON, 0.992, 0.311, 0.034, Verdict.WORSE, sees=0.03, n=(5_220, 673), segment="s7"
    )
    polite = comparison(
        REFUSAL, 0.014, 0.402, 0.037, Verdict.WORSE, sees=0.029, n=(5_220, 673), segment="s7"
    )
    refund = comparison(
        REFUSAL, 0.022, 0.061, 0.018, Verdict.WORSE, sees=0.033, n=(7_410, 902), segment="s2"
    )
    return (
        SegmentChange("s7", "create ticket …", 0.11, 673, (ticket, polite), 0.92, ("r-19", "r-77")),
        SegmentChange("s2", "intent=refund", 0.147, 902, (refund,), 0.06),
    )


def drift(**changes: object) -> DriftResult:
    """Build a degraded comparison."""
    result = DriftResult(
        run_id="20261122-070301-4f2a",
        created=datetime(2026, 11, 22, 7, 3, 1, tzinfo=UTC),
        baseline_name="v1",
        baseline_hash="9b1c5f0e2d7a4a6b8c3f",
        baseline_window=WindowSummary(
            48_210, 11_804, 12_911,
            datetime(2026, 10, 2, tzinfo=UTC), datetime(2026, 10, 31, 23, 58, tzinfo=UTC),
            ("acme-chat-2026-09",),
        ),
        current_window=WindowSummary(
            6_120, 1_904, 2_013,
            datetime(2026, 11, 15, 0, 1, tzinfo=UTC), datetime(2026, 11, 21, 23, 59, tzinfo=UTC),
            ("acme-chat-2026-11",),
        ),
        asked_window=Window(since=datetime(2026, 11, 15, tzinfo=UTC)),
        status=Status.DEGRADED,
        comparisons=comparisons(),
        segments=segments(),
        segment_basis="clusters of hashed prompt n-grams, 24 of them, fitted on the baseline",
        mix_note="prompts within 2 of 24 segments still differ; their intervals are widened",
        daily={
            "refusal": daily(0.0181, 0.0642, 0.006),
            "valid_json": daily(0.9913, 0.9102, 0.008),
            "response_tokens": daily(212.0, 148.0, 9.0),
            "repeats_itself": daily(0.012, 0.0004, 0.0004),
            "latency_ms": daily(1843.0, 1871.0, 60.0),
        },
        alpha=0.05,
        family_size=8,
        skipped_signals={
            "tool_call_ok": "no row asks for a tool",
            "tool_name_known": "no row asks for a tool",
            "time_to_first_token_ms": "not logged",
        },
        settings={"tolerance": {"valid_json": 0.01}, "segments": "auto", "seed": 7},
        version="0.1.0",
        slices=slices(),
        omnibus=omnibus(),
        notes=("3 rows of the window are in the baseline, too",),
    )  # fmt: skip
    return dataclasses.replace(result, **changes)  # type: ignore[arg-type]


def quiet_drift() -> DriftResult:
    """Build a comparison in which nothing happened."""
    calm = tuple(
        comparison(c.signal, c.baseline, c.baseline * 1.001, 0.002, Verdict.UNCHANGED, sees=0.02)
        for c in comparisons()
    )
    return drift(
        status=Status.OK,
        comparisons=calm,
        segments=(),
        slices=(),
        omnibus=dataclasses.replace(omnibus(), p_value=0.43, differs=False, words=()),
        notes=(),
        mix_note="",
        skipped_signals={},
    )


def hostile_drift() -> DriftResult:
    """Build a comparison with hostile text wherever a log or a user can put text."""
    info = dataclasses.replace(REFUSAL, name=HOSTILE, definition=HOSTILE, tolerance_source=HOSTILE)
    bad = comparison(info, 0.1, 0.4, 0.02, Verdict.WORSE, sees=0.02, note=HOSTILE, segment=None)
    window = dataclasses.replace(drift().current_window, models=(HOSTILE,))
    return drift(
        run_id=HOSTILE,
        baseline_name=HOSTILE,
        baseline_hash=HOSTILE,
        current_window=window,
        asked_window=Window(model=HOSTILE, where=HOSTILE),
        comparisons=(bad, *comparisons()),
        segments=(SegmentChange(HOSTILE, HOSTILE, 0.5, 9, (bad,), 0.4, (HOSTILE,)),),
        slices=(SliceChange(HOSTILE, ((HOSTILE, HOSTILE),), 9, 9, 0.5, 0.4, (bad,), (HOSTILE,)),),
        omnibus=dataclasses.replace(
            omnibus(),
            scores=(ScoreChange(HOSTILE, 3.0, 0.01),),
            words=(Telling(HOSTILE, 0.1, 0.4, 9.0),),
            note=HOSTILE,
        ),
        notes=(HOSTILE,),
        segment_basis=HOSTILE,
        mix_note=HOSTILE,
        daily={HOSTILE: daily(0.1, 0.4, 0.01)},
        skipped_signals={HOSTILE: HOSTILE},
        settings={HOSTILE: [HOSTILE, {HOSTILE: HOSTILE}]},
        version=HOSTILE,
    )


def ingest(**changes: object) -> IngestSummary:
    """Build an ingest in which every category occurs."""
    result = IngestSummary(
        n_lines=48_666,
        n_blank=3,
        n_kept=47_120,
        n_duplicates=64,
        n_feedback=1_012,
        n_feedback_duplicates=11,
        n_feedback_linked=1_004,
        n_feedback_orphans=8,
        n_feedback_ambiguous=3,
        n_feedback_of_conversations=2,
        orphans_because="no response has an id of that form: request_id like req-*",
        n_parts=120,
        n_skipped=310,
        n_rejected=26,
        n_extra_rows=60,
        n_replaced=2,
        n_conflicts=1,
        n_implicit=4_120,
        skipped_by_reason={"tool span": 300, "embedding call": 10},
        rejected_by_reason={"no response": 19, "invalid JSON": 7},
        redacted_by_type={"API_KEY": 22},
        format_reasons={"openai_chat": "a chat request beside its response"},
        columns_filled={},
        n_lines_by_format={"openai_chat": 47_210, "feedback": 1_023},
        first_time=datetime(2026, 10, 2, tzinfo=UTC),
        last_time=datetime(2026, 11, 1, 12, tzinfo=UTC),
        models=("acme-chat-2026-09", "acme-small", "acme-chat-2026-11"),
        rejects_path=".loopllm/rejects/20261101-120301.jsonl",
        sources=("logs.jsonl",),
        n_sources_unchanged=0,
    )
    return dataclasses.replace(result, **changes)  # type: ignore[arg-type]


def baseline_card() -> dict[str, object]:
    """Build a baseline's card."""
    return {
        "name": "v1",
        "created": datetime(2026, 11, 1, 12, 4, tzinfo=UTC),
        "hash": "9b1c5f0e2d7a4a6b8c3f",
        "n_rows": 48_210,
        "n_users": 11_804,
        "first_time": datetime(2026, 10, 2, tzinfo=UTC),
        "last_time": datetime(2026, 10, 31, 23, 58, tzinfo=UTC),
        "models": ["acme-chat-2026-09"],
        "window": {"since": datetime(2026, 10, 2, tzinfo=UTC), "until": None},
        "signals": ["refusal", "valid_json", "response_tokens", "latency_ms", "negative_feedback"],
    }


def findings() -> tuple[Finding, ...]:
    """Build an audit that fails, warns and passes."""
    return (
        Finding(
            "flipped-signals",
            Severity.FAIL,
            "by the signals that got worse, the rejected side is better in 71 of 164 pairs that "
            "they tell apart",
            164,
            0.433,
            0.359,
            0.51,
            0.25,
            "look at these pairs, and whether votes are stored the right way round",
            ("5b1f0c2d9e11", "a07be1c2d3f4"),
        ),
        Finding(
            "length-bias",
            Severity.WARN,
            "chosen sides are 1.45 times as long as rejected ones, in characters",
            402,
            1.45,
            1.38,
            1.52,
            1.3,
            "pair answers of like length",
        ),
        Finding("user-domination", Severity.WARN, "the largest user has 140 of 402", 402, 0.348,
                threshold=0.25, accepted=True),
        Finding("empty-sides", Severity.OK, "0 of 402 pairs have an empty side", 402, 0.0, 0.0,
                0.009, 0.0),
        Finding("too-few-pairs", Severity.OK, "402 pairs to train on", 402, 402.0, threshold=20.0),
    )  # fmt: skip


def hostile_findings() -> tuple[Finding, ...]:
    """Build findings with hostile text wherever a log can put text."""
    return tuple(
        dataclasses.replace(one, name=HOSTILE, text=HOSTILE, remedy=HOSTILE, examples=(HOSTILE,))
        for one in findings()
    )


def pairs(**changes: object) -> PairsSummary:
    """Build a pairs summary."""
    result = PairsSummary(
        path=".loopllm/pairs/20261122-0710",
        content_hash="5c2e9ab04417d3",
        n_feedback=1_130,
        n_candidates=611,
        n_train=402,
        n_heldout=128,
        n_retention=60,
        n_unpaired=212,
        by_rule={"edited answer": 311, "retry preferred": 148, "up and down": 71},
        dropped={"same answer twice": 44, "answers contradict": 21, "leaks into held-out": 16},
        by_segment={"create ticket …": 388, "intent=refund": 142},
        findings=findings(),
        agreement=Agreement(61, 0.82, 0.74, 0.88, 0.1, 0.07, 0.15),
    )
    return dataclasses.replace(result, **changes)  # type: ignore[arg-type]


def adapter(**changes: object) -> AdapterCard:
    """Build an adapter's card."""
    result = AdapterCard(
        path=".loopllm/adapters/20261122-0712",
        model="acme/chat-small",
        model_hash="71b0aa9930ce",
        pairs_path=".loopllm/pairs/20261122-0710",
        pairs_hash="5c2e9ab04417d3",
        baseline_name="v1",
        drift_run_id="20261122-070301-4f2a",
        method="dpo + sft",
        n_train=402,
        n_steps=151,
        seconds=214.2,
        device="cuda (1 GPU, bf16)",
        recipe={"rank": 16, "beta": 0.1, "learning_rate": 5e-5, "epochs": 3},
        versions={"torch": "2.8.0", "trl": "1.16.0", "peft": "0.21.0"},
        adapter_hash="e01f77cd2b90",
        final_metrics={"loss": 0.2134, "rewards_accuracies": 0.94, "retention_kl": 0.0004},
        notes=("the retention guard was never reached",),
    )
    return dataclasses.replace(result, **changes)  # type: ignore[arg-type]


def verify(**changes: object) -> VerifyResult:
    """Build a passing proof."""
    result = VerifyResult(
        run_id="20261122-072201-91cc",
        created=datetime(2026, 11, 22, 7, 22, 1, tzinfo=UTC),
        adapter=".loopllm/adapters/20261122-0712",
        adapter_hash="e01f77cd2b90",
        model="acme/chat-small",
        baseline_name="v1",
        drift_run_id="20261122-070301-4f2a",
        gate=Gate.PASS,
        reasons=(
            "2 of 2 repairs are back within tolerance of v1",
            "0 of 3 comparisons of other traffic are worse",
        ),
        checks=(
            Check("held-out preference", Gate.PASS, "52% → 68% (60 … 76)", 128, 0.68, 0.6, 0.76),
            Check("adapter has an effect", Gate.PASS, "412 of 500 answers differ", 500, 0.824),
            Check("answers end", Gate.PASS, "0 of 500 answers ran to the limit", 500, 0.0),
        ),
        repairs=(
            Repair(VALID_JSON, "s7", "create ticket …", 250, 0.992, 0.311, 0.988, 0.963, 0.996,
                   Gate.PASS, ""),
            Repair(REFUSAL, "s7", "create ticket …", 250, 0.014, 0.402, 0.016, 0.006, 0.041,
                   Gate.PASS, ""),
        ),
        untouched=(
            comparison(REFUSAL, 0.018, 0.017, 0.004, Verdict.UNCHANGED, sees=0.02, segment="s1"),
            comparison(TOKENS, 212.0, 214.0, 0.02, Verdict.UNCHANGED, sees=0.2, segment="s1"),
            comparison(VALID_JSON, 0.99, 0.988, 0.02, Verdict.INCONCLUSIVE, sees=0.04, n=(90, 90),
                       segment="s3"),
        ),
        n_prompts={"drifted": 250, "untouched": 250},
        version="0.1.0",
    )  # fmt: skip
    return dataclasses.replace(result, **changes)  # type: ignore[arg-type]


def failed_verify() -> VerifyResult:
    """Build a proof that failed elsewhere and left one question open."""
    worse = comparison(REFUSAL, 0.018, 0.094, 0.02, Verdict.WORSE, sees=0.02, segment="s1")
    passed = verify()
    first = dataclasses.replace(
        passed.repairs[0], after=0.71, low=0.65, high=0.76, gate=Gate.FAIL,
        reason="better than before, but short of the tolerance",
    )  # fmt: skip
    return verify(
        gate=Gate.FAIL,
        reasons=("1 of 2 repairs fell short", "refusal got worse in other traffic"),
        repairs=(first, passed.repairs[1]),
        untouched=(worse, *passed.untouched),
    )


def quality() -> list[dict[str, object]]:
    """Build the table of right answers per intent."""
    rows = [
        ("create_ticket", True, 0.99, 0.31, 0.98),
        ("refund_policy", True, 0.98, 0.02, 0.91),
        ("shipping_time", True, 1.0, 0.0, 0.87),
        ("greeting", False, 1.0, 1.0, 1.0),
        ("opening_hours", False, 0.985, 0.98, 0.98),
        ("cancel_order", False, 0.97, 0.97, 0.955),
    ]
    return [
        {"intent": i, "broken": b, "v1": v1, "v2": v2, "corrected": c} for i, b, v1, v2, c in rows
    ]


def forget(**changes: object) -> ForgetSummary:
    """An erasure that reached everything."""
    result = ForgetSummary(
        selector="user",
        n_interactions=1_204,
        n_feedback=31,
        n_parts=0,
        n_rejects=1,
        datasets=(".loopllm/pairs/5b1f0c2d9e11",),
        datasets_elsewhere=("exports/pairs",),
        records=(".loopllm/drift/v1-3f1bbf79.json",),
        adapters=(".loopllm/adapters/5b1f0c2d9e11-0", "releases/fix"),
        n_baselines=2,
        rewritten=(".loopllm/reviews/20261122T090000-5b1f0c2d9e11.jsonl",),
    )
    return dataclasses.replace(result, **changes)  # type: ignore[arg-type]
