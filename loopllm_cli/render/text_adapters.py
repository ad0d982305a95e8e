"""Write adapters to a terminal: the list, one of them, and what was done to them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from loopllm_cli.model import (
    AdapterDetail,
    AdapterEntry,
    AdapterList,
    MergeResult,
    Promotion,
    PruneResult,
    ServingCheck,
)
from loopllm_cli.render import numbers
from loopllm_cli.render.clean import clean_text
from loopllm_cli.render.text_layout import emit, labelled, table, width_of


def write_adapters(console: Console, found: AdapterList) -> None:
    """Write one line per adapter, and below them what is wrong with any."""
    width = width_of(console)
    if not found.adapters:
        emit(console, labelled("none", ["no adapter yet: loopllm correct makes one"], width))
        return
    head = ("adapter", "made", "model", "verified", "size", "state")
    rows = [_row(one) for one in found.adapters]
    lines = table(head, rows, width, right=frozenset({4}))
    for one in found.adapters:
        for problem in one.problems:
            lines += labelled(
                "damaged", [f"{clean_text(one.name, 30)}: {clean_text(problem)}"], width
            )
    emit(console, lines)


def write_detail(console: Console, detail: AdapterDetail) -> None:
    """Write everything about one adapter."""
    width, one = width_of(console), detail.entry
    shown: list[tuple[str, Sequence[object]]] = [
        ("adapter", [one.path]),
        ("state", [_state(one)]),
        ("made", [one.created or numbers.UNKNOWN, _size(one.n_bytes)]),
        ("model", [one.model or numbers.UNKNOWN]),
        ("pairs", [one.pairs_path or numbers.UNKNOWN]),
        ("drift", [one.drift_run_id or "none"]),
        ("weights", [f"sha256 {one.adapter_hash or numbers.UNKNOWN}"]),
        ("recipe", [f"{name} {value}" for name, value in detail.recipe.items()]),
        ("measured", _metrics(detail)),
        ("verified", [one.verdict or "not yet", *filter(None, [one.verify_id])]),
        ("", detail.verify_reasons),
        ("serving", _serving(detail.serving)),
        ("damaged", one.problems),
    ]
    lines = []
    for label, parts in shown:
        if parts:
            lines += labelled(label, [clean_text(part) for part in parts], width)
    for event in detail.history:
        said = [event.at, event.action, f"by {event.by}", event.reason]
        said += ["forced"] if event.forced else []
        lines += labelled("history", [clean_text(part) for part in said if part], width)
    emit(console, lines)


def write_promotion(console: Console, done: Promotion) -> None:
    """Write what is promoted now, and what was before."""
    width, event = width_of(console), done.event
    said = [clean_text(event.path)]
    if not done.changed:
        said.append("was promoted already")
    lines = labelled("promoted", said, width)
    if done.changed and done.previous:
        lines += labelled("before", [clean_text(done.previous)], width)
    if event.forced:
        lines += labelled("forced", [clean_text(event.reason)], width)
    lines += labelled("pointer", [clean_text(done.pointer)], width)
    emit(console, lines)


def write_prune(console: Console, done: PruneResult) -> None:
    """Write which adapters went and why the others stay."""
    width = width_of(console)
    verb = "would go" if done.dry_run else "removed"
    count = f"{numbers.count(len(done.removed), 'adapter')}, {_size(done.n_bytes)}"
    lines = labelled(verb, [count], width)
    for path in done.removed:
        lines += labelled("", [clean_text(path)], width)
    for path, why in done.kept:
        lines += labelled("stays", [clean_text(path), clean_text(why)], width)
    emit(console, lines)


def write_merge(console: Console, done: MergeResult) -> None:
    """Write where a merged model is and how close it is to base and adapter."""
    width = width_of(console)
    lines = labelled("merged", [clean_text(done.path), f"as {done.dtype}"], width)
    said = f"largest difference of logits {done.difference:.2g} (limit {done.tolerance:.2g})"
    lines += labelled("checked", [said, f"{done.after_rounding:.2g} as stored"], width)
    emit(console, lines)


def _row(one: AdapterEntry) -> list[str]:
    model = (one.model or numbers.UNKNOWN).rstrip("/").rsplit("/", 1)[-1]
    made = (one.created or numbers.UNKNOWN)[:10]
    verdict = clean_text(one.verdict or "no", 12)
    return [
        clean_text(one.name), clean_text(made, 10), clean_text(model, 18), verdict,
        _size(one.n_bytes), _state(one),
    ]  # fmt: skip


def _state(one: AdapterEntry) -> str:
    said = ["promoted"] if one.promoted else []
    said += ["erased rows"] if one.erased_rows else []
    said += ["damaged"] if one.problems else []
    return ", ".join(said) or numbers.UNKNOWN


def _metrics(detail: AdapterDetail) -> list[str]:
    found = detail.lineage.get("metrics")
    pairs = found.items() if isinstance(found, dict) else ()
    return [f"{name} {value:.4g}" for name, value in pairs if isinstance(value, int | float)]


def _serving(check: ServingCheck) -> list[str]:
    if check.fits:
        return [f"vLLM takes it with --max-lora-rank {check.max_lora_rank}", *check.notes]
    return ["vLLM does not take it: merge it", *check.problems]


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes >= 100_000 else f"{n_bytes / 1e3:.1f} kB"
