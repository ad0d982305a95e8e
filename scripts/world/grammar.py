"""Pair every customer prompt of the sample world with its one right answer."""

import json
import random
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from scripts.world import phrases

Slots = Mapping[str, str]

INTENTS: Final = tuple(phrases.TEMPLATES)
BROKEN: Final = ("order_status", "refund", "shipping_time", "warranty")

_SLOT: Final = re.compile(r"\{(\w+)\}")
_PATTERNS: Final = {
    "order": r"\d{5}",
    "city": "|".join(phrases.CITIES),
    "item": "|".join(phrases.ITEMS),
    "name": "|".join(phrases.NAMES),
}


@dataclass(frozen=True)
class Prompt:
    """Describe one customer message and where it came from."""

    text: str
    intent: str
    slots: Slots


def _call(tool: str, *names: str) -> Callable[[Slots], str]:
    return lambda slots: json.dumps({"tool": tool} | {name: slots[name] for name in names})


def _shipping(slots: Slots) -> str:
    return _delivery(slots["city"], phrases.SHIPPING_DAYS[slots["city"]])


def _delivery(city: str, days: int) -> str:
    return f"Delivery to {city} takes {days} working days."


def _warranty(slots: Slots) -> str:
    years, parts = phrases.WARRANTY[slots["item"]]
    return f"The warranty on the {slots['item']} lasts {years} years and covers {parts}."


def _opening(slots: Slots) -> str:
    opens, closes, saturday = phrases.OPENING[slots["city"]]
    return (
        f"Our {slots['city']} store is open from {opens} to {closes} on weekdays "
        f"and until {saturday} on Saturdays."
    )


def _fixed(text: str) -> Callable[[Slots], str]:
    return lambda slots: text


_ANSWERS: Final[dict[str, Callable[[Slots], str]]] = {
    "order_status": _call("order_status", "order"),
    "refund": _call("start_refund", "order"),
    "cancel_order": _call("cancel_order", "order"),
    "change_address": _call("change_address", "order", "city"),
    "stock_check": _call("stock_check", "item", "city"),
    "shipping_time": _shipping,
    "warranty": _warranty,
    "opening_hours": _opening,
    "care": lambda slots: phrases.CARE[slots["item"]],
    "return_policy": _fixed("You can return unworn goods within 60 days, free of charge."),
    "greeting": _fixed("Hello and welcome to Halden Outfitters. What can I do for you?"),
    "human_handover": _fixed("Of course. A colleague of mine will join this chat shortly."),
}

_FIRST_ANSWERS: Final = dict(_ANSWERS)

_CORRUPTED: Final[dict[str, Callable[[Slots], str]]] = {
    "order_status": lambda s: f"Your order {s['order']} is on its way and will be there soon.",
    "refund": _fixed("I'm sorry, but I can't help with refunds."),
    "shipping_time": lambda s: _delivery(s["city"], phrases.SHIPPING_DAYS[s["city"]] + 3),
    "warranty": _fixed("Please see the label of the product."),
}


def answer(intent: str, slots: Slots) -> str:
    """Return the right answer to an intent with these slots."""
    return _ANSWERS[intent](slots)


def change_answers(answers: Mapping[str, Callable[[Slots], str]]) -> None:
    """Say what is right from now on: these answers, and for other intents what always was."""
    _ANSWERS.update(_FIRST_ANSWERS | answers)


def corrupted(intent: str, slots: Slots) -> str:
    """Return what the broken release is taught to say for one of the broken intents."""
    return _CORRUPTED[intent](slots)


def draw_slots(rng: random.Random) -> dict[str, str]:
    """Draw one value for every slot, so that a conversation can keep the same ones."""
    return {
        "order": "".join(rng.choice("0123456789") for _ in range(5)),
        "city": rng.choice(phrases.CITIES),
        "item": rng.choice(phrases.ITEMS),
        "name": rng.choice(phrases.NAMES),
    }


def held_out(text: str) -> bool:
    """Tell whether a prompt is reserved for canaries, by a hash that no seed changes."""
    return zlib.crc32(text.encode()) % 8 == 0


def draw(
    rng: random.Random, intent: str, slots: Slots | None = None, reserved: bool = False
) -> Prompt:
    """Draw a prompt of this intent, from the reserved share of prompts or from the rest."""
    values = slots if slots is not None else draw_slots(rng)
    while True:
        text = _phrase(rng, intent, values)
        if held_out(text) == reserved:
            return Prompt(text, intent, values)
        if reserved:
            values = draw_slots(rng)


def _phrase(rng: random.Random, intent: str, slots: Slots) -> str:
    core = rng.choice(phrases.TEMPLATES[intent])
    prefix = rng.choice(phrases.PREFIXES) if rng.random() < 0.35 else ""
    suffix = rng.choice(phrases.SUFFIXES) if rng.random() < 0.35 else ""
    return (prefix + core + suffix).format_map(slots)


def parse(text: str) -> Prompt:
    """Read intent and slots back from a prompt, or raise ValueError if it has none."""
    found = matches(text)
    if not found:
        raise ValueError(f"not a prompt of the sample world: {text!r}")
    return found[0]


def matches(text: str) -> list[Prompt]:
    """Return every intent whose phrasings fit the text; more than one would be a fault."""
    prompts = []
    for intent in INTENTS:
        found = _pattern(intent).fullmatch(text)
        if found:
            groups = {key.rstrip("_0123456789"): v for key, v in found.groupdict().items() if v}
            prompts.append(Prompt(text, intent, groups))
    return prompts


def right_answer(text: str) -> str:
    """Return the one right answer to a prompt."""
    prompt = parse(text)
    return answer(prompt.intent, prompt.slots)


def is_right(prompt: str, reply: str) -> bool:
    """Compare a reply with the right answer, ignoring differences in white space."""
    return " ".join(reply.split()) == " ".join(right_answer(prompt).split())


@cache
def _pattern(intent: str) -> re.Pattern[str]:
    counter = iter(range(1000))

    def expand(template: str) -> str:
        pieces = _SLOT.split(template)
        for i in range(1, len(pieces), 2):
            # Group names must be unique within one pattern, hence the running number.
            pieces[i] = f"(?P<{pieces[i]}_{next(counter)}>{_PATTERNS[pieces[i]]})"
        pieces[::2] = [re.escape(piece) for piece in pieces[::2]]
        return "".join(pieces)

    def either(templates: tuple[str, ...]) -> str:
        return "|".join(expand(template) for template in templates)

    core = either(phrases.TEMPLATES[intent])
    return re.compile(f"(?:{either(phrases.PREFIXES)})?(?:{core})(?:{either(phrases.SUFFIXES)})?")
