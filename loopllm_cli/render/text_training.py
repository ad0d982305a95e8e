"""Write what a training run would be to a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from loopllm_cli.model import TrainingPlan
from loopllm_cli.render import numbers
from loopllm_cli.render.clean import clean_text
from loopllm_cli.render.text_layout import emit, labelled, width_of


def write_plan(console: Console, plan: TrainingPlan) -> None:
    """Write what would be trained on, the choices with their reasons, and what it would need."""
    width = width_of(console)
    lines = labelled("would train", [clean_text(plan.model), f"on {plan.device}"], width)
    lines += labelled("into", [clean_text(plan.adapter)], width)
    counts = [f"{plan.n_train:,} from {clean_text(plan.pairs)}"]
    counts += [f"{plan.n_test:,} held out", f"{plan.n_retention:,} liked answers mixed in"]
    counts += [f"left out {n:,}: {clean_text(why)}" for why, n in plan.dropped.items()]
    lines += labelled("pairs", counts, width)
    lines += labelled("tokens", [f"{name} {n:,.0f}" for name, n in plan.tokens.items()], width)
    for place, choice in enumerate(plan.choices):
        said = clean_text(f"{choice.name} = {choice.value}: {choice.reason}", 300)
        words = [Text(word) for word in said.split(" ")]
        lines += labelled("choices" if place == 0 else "", words, width, between=" ")
    lines += labelled("estimate", _needs(plan), width)
    for place, note in enumerate(plan.notes):
        words = [Text(word) for word in clean_text(note, 300).split(" ")]
        lines += labelled("note" if place == 0 else "", words, width, between=" ")
    emit(console, lines)


def _needs(plan: TrainingPlan) -> list[str]:
    steps = numbers.count(plan.n_steps, "step")
    if plan.peak_bytes is None:
        return [steps, "memory and time are unknown: the model's files do not tell its sizes"]
    parts = [steps]
    if plan.seconds is not None:
        parts.append(f"about {numbers.seconds(float(f'{plan.seconds:.2g}'))}")
    parts.append(f"about {plan.peak_bytes / 1e6:,.0f} MB of memory")
    parts += [f"{name} {n / 1e6:,.1f} MB" for name, n in plan.memory.items() if n]
    if plan.fits is False:
        parts.append("this does not fit")
    return parts
