"""What changes in the sample shop, week by week, which its frozen model cannot know."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from scripts.world import grammar, phrases


@dataclass(frozen=True)
class Change:
    """From a week on, counted from 0, an intent has another right answer."""

    week: int
    intent: str
    why: str
    answer: Callable[[grammar.Slots], str]


def _slower(slots: grammar.Slots) -> str:
    days = phrases.SHIPPING_DAYS[slots["city"]] + 2
    return f"Delivery to {slots['city']} takes {days} working days."


def _shorter(slots: grammar.Slots) -> str:
    return "You can return unworn goods within 30 days, free of charge."


def _earlier(slots: grammar.Slots) -> str:
    opens, _, saturday = phrases.OPENING[slots["city"]]
    return (
        f"Our {slots['city']} store is open from {opens} to 16 on weekdays "
        f"and until {saturday} on Saturdays."
    )


def _other_tool(slots: grammar.Slots) -> str:
    # In words that the model has: one of a million parameters spells no word it never wrote.
    return json.dumps({"tool": "refund_order", "order": slots["order"]})


def _guaranteed(slots: grammar.Slots) -> str:
    _, parts = phrases.WARRANTY[slots["item"]]
    return f"The warranty on the {slots['item']} lasts 5 years and covers {parts}."


CHANGES: Final = (
    Change(2, "shipping_time", "a new carrier takes two days more", _slower),
    Change(2, "return_policy", "goods go back within 30 days", _shorter),
    Change(5, "warranty", "all goods have five years", _guaranteed),
    Change(5, "opening_hours", "the shops close at four", _earlier),
    Change(8, "refund", "refunds are started by another tool", _other_tool),
)


def make_true(week: int) -> tuple[str, ...]:
    """Let the world be as it is in a week; return the intents that have changed so far."""
    due = [change for change in CHANGES if change.week <= week]
    grammar.change_answers({change.intent: change.answer for change in due})
    return tuple(change.intent for change in due)
