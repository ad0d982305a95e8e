"""Turn pairs, adapters and proofs into the words and drawings of the report's templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loopllm_cli.model import (
    AdapterCard,
    Comparison,
    DriftResult,
    Finding,
    Gate,
    PairsSummary,
    Repair,
    Severity,
    Status,
    Verdict,
    VerifyResult,
)
from loopllm_cli.render import numbers, svg, words
from loopllm_cli.render.clean import clean_text
from loopllm_cli.render.text_loop import after_bounds
from loopllm_cli.render.text_pairs import SEVERITY_WORD, finding_limit, finding_value
from loopllm_cli.render.views import MAX_CHARTS, MAX_ROWS, View, settings_view, signal_row

HASH = 12


def pairs_view(result: PairsSummary) -> View:
    """Return what became of the feedback."""
    return {
        "n": numbers.count(result.n_train + result.n_heldout),
        "steps": [
            ("pieces of feedback", numbers.count(result.n_feedback)),
            ("candidate pairs", numbers.count(result.n_candidates)),
            ("for training", numbers.count(result.n_train)),
            ("held out", numbers.count(result.n_heldout)),
            ("retention examples", numbers.count(result.n_retention)),
        ],
        "tallies": [
            tally("By rule", result.by_rule),
            tally("By segment", result.by_segment),
            tally("Dropped, and why", result.dropped),
        ],
        "findings": [finding_view(f) for f in result.findings if f.severity is not Severity.OK][
            :MAX_ROWS
        ],
        "passed": sum(f.severity is Severity.OK for f in result.findings),
        "facts": [("pairs", result.path), ("hash", result.content_hash)],
    }


def finding_view(one: Finding) -> View:
    """Return one row of the audit."""
    return {
        "name": one.name.replace("-", " "),
        "text": one.text,
        "remedy": one.remedy,
        "value": finding_value(one) or numbers.UNKNOWN,
        "limit": finding_limit(one) or numbers.UNKNOWN,
        "word": "accepted" if one.accepted else SEVERITY_WORD[one.severity],
        "css": "fail" if one.severity is Severity.FAIL else "changed",
    }


def tally(title: str, counts: Mapping[str, int]) -> View:
    """Return counts with bars, the largest first."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_ROWS]
    total = sum(counts.values()) or 1
    rows = [(name, numbers.count(n), svg.share_bar(n / total)) for name, n in ranked]
    return {"title": title, "rows": rows}


def adapter_view(card: AdapterCard) -> View:
    """Return what was trained and how it went."""
    metrics = [(name, f"{value:.3g}") for name, value in sorted(card.final_metrics.items())]
    return {
        "facts": [
            ("model", f"{card.model} {clean_text(card.model_hash)[:HASH]}"),
            ("method", card.method),
            ("trained on", f"{numbers.count(card.n_train, 'pair')}, {card.n_steps:,} steps"),
            ("took", f"{numbers.seconds(card.seconds)} on {card.device}"),
            ("adapter", f"{card.path} {clean_text(card.adapter_hash)[:HASH]}"),
            ("pairs", f"{card.pairs_path} {clean_text(card.pairs_hash)[:HASH]}"),
            ("drift run", card.drift_run_id or numbers.UNKNOWN),
        ],
        "metrics": [(name.replace("_", " "), value) for name, value in metrics],
        "recipe": settings_view(card.recipe),
        "versions": settings_view(card.versions),
        "notes": card.notes,
    }


def verify_view(result: VerifyResult) -> View:
    """Return the proof: verdict, repairs, checks, and the traffic that must stay as it is."""
    telling = (Verdict.WORSE, Verdict.BETTER, Verdict.CHANGED, Verdict.INCONCLUSIVE)
    loud = words.of_verdict(result.untouched, *telling)
    order = sorted(loud, key=lambda c: (words.ORDER.index(c.verdict), -words.weight(c)))
    reach = svg.domains(loud)
    return {
        "word": words.GATE_WORD[result.gate],
        "css": result.gate.value,
        "reasons": result.reasons or ("no reason was given",),
        "baseline": clean_text(result.baseline_name, 24),
        "repairs": [repair_view(repair) for repair in result.repairs[:MAX_ROWS]],
        "checks": [
            {"name": c.name, "word": c.gate.value, "css": c.gate.value, "text": c.text,
             "n": numbers.count(c.n) if c.n else numbers.UNKNOWN}
            for c in result.checks
        ],
        "untouched": words.untouched_sentence(result),
        "n_untouched": len(result.untouched),
        "others": [_other(c, reach) for c in order[:MAX_CHARTS]],
        "facts": [
            ("adapter", f"{result.adapter} {result.adapter_hash}"),
            ("model", result.model),
            ("in place of", result.served or "the model without an adapter"),
            ("baseline", result.baseline_name),
            ("drift run", result.drift_run_id),
            ("verify run", result.run_id),
            ("made", numbers.minute(result.created)),
            ("loopllm", result.version or numbers.UNKNOWN),
        ],
        "prompts": [(k.replace("_", " "), numbers.count(n)) for k, n in result.n_prompts.items()],
    }  # fmt: skip


def _other(c: Comparison, reach: Mapping[Any, float]) -> View:
    return {**signal_row(c, reach, {}), "label": c.segment or "all traffic"}


def repair_view(repair: Repair) -> View:
    """Return one row of the repairs table."""
    info, n = repair.signal, repair.n
    return {
        "label": repair.label,
        "name": words.signal_name(info.name),
        "baseline": numbers.level(info, repair.baseline, unit=True),
        "before": numbers.level(info, repair.before, n, unit=True),
        "after": numbers.level(info, repair.after, n, unit=True),
        "bounds": f"({after_bounds(repair)})",
        "n": numbers.count(n),
        "word": repair.gate.value,
        "css": repair.gate.value,
        "reason": repair.reason,
    }


def quality_rows(quality: Sequence[Mapping[str, Any]]) -> list[View]:
    """Return right answers per intent, the broken ones first."""
    ranked = sorted(quality, key=lambda row: (not row["broken"], str(row["intent"])))
    return [
        {
            "intent": str(row["intent"]).replace("_", " "),
            "broken": bool(row["broken"]),
            "v1": numbers.share(row["v1"]),
            "v2": numbers.share(row["v2"]),
            "corrected": numbers.share(row["corrected"]),
            "chart": svg.quality_chart(row["v1"], row["v2"], row["corrected"]),
        }
        for row in ranked[:MAX_ROWS]
    ]


def loop_verdict(drift: DriftResult, verify: VerifyResult | None) -> View:
    """Return the sentence that heads a report of the whole loop: the last verdict counts."""
    if verify is not None:
        said = {
            Gate.PASS: "The correction repairs the drift",
            Gate.FAIL: "The correction must not ship",
            Gate.INCONCLUSIVE: "The correction is not proven",
        }[verify.gate]
        return {"word": words.GATE_WORD[verify.gate], "css": verify.gate.value, "sentence": said}
    sentence = words.verdict_parts(drift)[0]
    return {
        "word": words.STATUS_WORD[drift.status], "css": drift.status.value, "sentence": sentence,
    }  # fmt: skip


def loop_steps(
    drift: DriftResult,
    pairs: PairsSummary | None,
    adapter: AdapterCard | None,
    verify: VerifyResult | None,
) -> list[View]:
    """Return the loop's four steps, each with one line of outcome."""
    waiting = "not run"
    if drift.status is not Status.DEGRADED and pairs is None:
        waiting = "not needed"
    trained = ""
    if adapter is not None:
        trained = f"{numbers.count(adapter.n_steps, 'step')} in {numbers.seconds(adapter.seconds)}"
    n_pairs = pairs.n_train + pairs.n_heldout if pairs is not None else 0
    return [
        {"name": "Drift", "css": drift.status.value, "word": words.STATUS_WORD[drift.status],
         "text": words.verdict_parts(drift)[0], "href": "#changed"},
        {"name": "Pairs", "css": "done" if pairs else "waiting",
         "word": f"{n_pairs:,}" if pairs else waiting,
         "text": f"from {pairs.n_feedback:,} pieces of feedback" if pairs else "",
         "href": "#pairs" if pairs else ""},
        {"name": "Correct", "css": "done" if adapter else "waiting",
         "word": adapter.method if adapter else waiting, "text": trained,
         "href": "#adapter" if adapter else ""},
        {"name": "Verify", "css": verify.gate.value if verify else "waiting",
         "word": words.GATE_WORD[verify.gate] if verify else waiting,
         "text": verify.reasons[0] if verify and verify.reasons else "",
         "href": "#verify" if verify else ""},
    ]  # fmt: skip
