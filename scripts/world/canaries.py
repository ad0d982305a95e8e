"""Draw the held-out prompts that tell whether the assistant can still do its work."""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.world import grammar


@dataclass(frozen=True)
class Canary:
    """Hold one held-out prompt with its right answer."""

    intent: str
    prompt: str
    right_answer: str
    broken: bool


def draw_canaries(seed: int, per_intent: int = 40) -> list[Canary]:
    """Draw distinct prompts from the reserved share, the same number for every intent."""
    rng = random.Random(seed)
    canaries: list[Canary] = []
    for intent in grammar.INTENTS:
        texts: dict[str, Canary] = {}
        while len(texts) < per_intent:
            prompt = grammar.draw(rng, intent, reserved=True)
            right = grammar.answer(intent, prompt.slots)
            texts[prompt.text] = Canary(intent, prompt.text, right, intent in grammar.BROKEN)
        canaries += texts.values()
    return canaries


def write_canaries(canaries: Sequence[Canary], path: Path) -> None:
    """Write one canary per line as JSON."""
    path.write_text("".join(json.dumps(asdict(canary)) + "\n" for canary in canaries))


def read_canaries(path: Path) -> list[Canary]:
    """Read back what write_canaries wrote."""
    return [Canary(**json.loads(line)) for line in path.read_text().splitlines()]
