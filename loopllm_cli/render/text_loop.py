"""Write the end of the loop to a terminal: adapters and their proof."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from loopllm_cli.model import (
    AdapterCard,
    Check,
    Repair,
    Verdict,
    VerifyResult,
)
from loopllm_cli.render import numbers, words
from loopllm_cli.render.clean import clean_text
from loopllm_cli.render.text_layout import (
    LABEL,
    STYLES,
    emit,
    fits,
    gate_text,
    labelled,
    table,
    width_of,
)
from loopllm_cli.render.text_store import fact_parts

HASH = 12


def _hash(text: str) -> str:
    return clean_text(text)[:HASH]


def write_adapter(console: Console, card: AdapterCard) -> None:
    """Write what was trained, on what, and how it went."""
    width = width_of(console)
    lines = labelled("adapter", [clean_text(card.path), _hash(card.adapter_hash)], width)
    lines += labelled("model", [clean_text(card.model), _hash(card.model_hash)], width)
    pairs = [f"{card.n_train:,} from {clean_text(card.pairs_path)}", _hash(card.pairs_hash)]
    lines += labelled("pairs", pairs, width)
    work = [clean_text(card.method), numbers.count(card.n_steps, "step")]
    work += [numbers.seconds(card.seconds), f"on {clean_text(card.device, 40)}"]
    lines += labelled("trained", work, width)
    if card.final_metrics:
        said = [
            f"{clean_text(name.replace('_', ' '), 40)} {value:.3g}"
            for name, value in sorted(card.final_metrics.items())
        ]
        lines += labelled("ended at", said, width)
    if card.recipe:
        lines += labelled("recipe", fact_parts(card.recipe), width)
    cause = [f"against baseline {clean_text(card.baseline_name)}"] if card.baseline_name else []
    cause += [f"drift run {clean_text(card.drift_run_id)}"] if card.drift_run_id else []
    if cause:
        lines += labelled("made for", cause, width)
    for place, note in enumerate(card.notes):
        lines += labelled("note" if place == 0 else "", [clean_text(note)], width)
    emit(console, lines)


def write_verify(console: Console, result: VerifyResult, *, verbose: bool = False) -> None:
    """Write the verdict with its reasons, then every repair and check behind it."""
    width = width_of(console)
    head = Text(words.GATE_WORD[result.gate], style=STYLES[result.gate])
    reasons = [clean_text(reason) for reason in result.reasons] or ["no reason was given"]
    if len(words.GATE_WORD[result.gate]) >= LABEL:
        lines = [head]
    else:
        lines = labelled(head, reasons[:1], width)
        reasons = reasons[1:]
    for reason in reasons:
        lines += labelled("", [reason], width)
    lines += _subject(result, width)
    lines += repairs_table(result, width)
    lines += _checks(result.checks, width)
    lines += _untouched(result, width, verbose)
    emit(console, lines)


def _subject(result: VerifyResult, width: int) -> list[Text]:
    parts = [f"{clean_text(result.adapter, 48)} on {clean_text(result.model, 48)}"]
    if result.served:
        parts.append(f"in place of {clean_text(result.served, 48)}")
    parts += [
        f"{numbers.count(n, 'prompt')} {clean_text(name.replace('_', ' '), 40)}"
        for name, n in result.n_prompts.items()
    ]
    return labelled("adapter", parts, width)


def repairs_table(result: VerifyResult, width: int) -> list[Text]:
    """Lay out one row per drifted signal of a segment."""
    if not result.repairs:
        return []
    name = clean_text(result.baseline_name, 10)
    headers = ["segment", "signal", name, "before", "after", "n", "verdict"]
    rows = [_repair(repair, compact=False) for repair in result.repairs]
    if not fits([headers, *rows], width):
        rows = [_repair(repair, compact=True) for repair in result.repairs]
    return table(headers, rows, width, right=frozenset({2, 3, 5}))


def _repair(repair: Repair, *, compact: bool) -> list[str | Text]:
    room = 16 if compact else 28
    bounds = f"({after_bounds(repair, compact=compact)})"
    return [
        clean_text(repair.label, 40),
        clean_text(words.signal_name(repair.signal.name), room),
        numbers.level(repair.signal, repair.baseline),
        numbers.level(repair.signal, repair.before, repair.n),
        f"{numbers.level(repair.signal, repair.after, repair.n)} {bounds}",
        f"{repair.n:,}",
        gate_text(repair.gate),
    ]


def after_bounds(repair: Repair, *, compact: bool = False) -> str:
    """Return the interval of a repaired level, without the unit its estimate carries."""
    between = "…" if compact else " … "
    low = numbers.level(repair.signal, repair.low, repair.n).removesuffix("%")
    high = numbers.level(repair.signal, repair.high, repair.n).removesuffix("%")
    return low + between + high


def _checks(checks: tuple[Check, ...], width: int) -> list[Text]:
    lines: list[Text] = []
    for place, check in enumerate(checks):
        said = Text.assemble(gate_text(check.gate), f" {clean_text(check.name)}:")
        rest = [Text(word) for word in clean_text(check.text).split(" ")]
        lines += labelled("checks" if place == 0 else "", [said, *rest], width, between=" ")
    return lines


def _untouched(result: VerifyResult, width: int, verbose: bool) -> list[Text]:
    """Count the traffic that needed no repair; name what did not stay as it was."""
    if not result.untouched:
        return []
    lines = labelled("elsewhere", [words.untouched_sentence(result)], width)
    telling = {Verdict.WORSE} if not verbose else {*words.ORDER}
    for c in result.untouched:
        if c.verdict in telling:
            place = clean_text(c.segment, words.LABEL_WIDTH) if c.segment else "all traffic"
            decimals = numbers.change_decimals(c.signal.kind, c.low, c.high)
            change = numbers.change(c.signal.kind, c.change, decimals)
            bounds = numbers.interval(c.signal.kind, c.low, c.high, decimals)
            said = f"{words.signal_name(c.signal.name)} {change} {bounds} {c.verdict.value}"
            lines += labelled("", [f"{place}: {said}"], width)
    return lines
