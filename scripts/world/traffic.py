"""Plan four weeks of conversations: who writes when, and what about."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from scripts.world import grammar

START: Final = datetime(2026, 9, 7, tzinfo=UTC)
WEEKS: Final = 4
SWITCH: Final = START + timedelta(weeks=2)
USERS: Final = 700
SESSIONS_A_WEEK: Final = 1240

# Nothing starts after 23:00, so that no conversation runs into the next week.
_HOURS: Final = (
    3, 2, 1, 1, 1, 2, 4, 8, 12, 15, 16, 15,
    13, 14, 15, 14, 13, 13, 15, 17, 16, 12, 7, 0,
)  # fmt: skip
_DAYS: Final = (17, 15, 14, 14, 15, 12, 13)

_MIX: Final = {
    "order_status": 13, "refund": 10, "cancel_order": 7, "change_address": 7,
    "stock_check": 9, "shipping_time": 11, "warranty": 9, "opening_hours": 8,
    "care": 7, "return_policy": 7, "greeting": 6, "human_handover": 6,
}  # fmt: skip

# Autumn comes: in the fourth week more people ask about stock and care, fewer about returns.
_TILT: Final = {
    "stock_check": (1.0, 1.0, 1.05, 1.35),
    "care": (0.95, 1.0, 1.05, 1.3),
    "return_policy": (1.1, 1.05, 1.0, 0.75),
    "cancel_order": (1.0, 1.05, 1.0, 0.85),
    "opening_hours": (1.0, 0.95, 1.0, 1.1),
}


@dataclass(frozen=True)
class Turn:
    """Describe one planned customer message and its moment."""

    prompt: grammar.Prompt
    moment: datetime


@dataclass(frozen=True)
class Session:
    """Describe one planned conversation; a compared one ends with two answers and a vote."""

    name: str
    user: str
    turns: tuple[Turn, ...]
    compared: bool


def plan(seed: int, sessions_a_week: int = SESSIONS_A_WEEK) -> list[Session]:
    """Plan all conversations in order of time."""
    rng = random.Random(f"{seed}/traffic")
    users = [f"u-{number:04d}" for number in range(1, USERS + 1)]
    rng.shuffle(users)
    # A few people write often and most write rarely.
    activity = [1 / (rank + 5) ** 0.8 for rank in range(USERS)]
    starts = sorted(moment_in(rng, week) for week in range(WEEKS) for _ in range(sessions_a_week))
    return [
        draw_session(rng, f"c-{number:05d}", rng.choices(users, activity)[0], start)
        for number, start in enumerate(starts, 1)
    ]


def week_of(moment: datetime) -> int:
    """Return which of the four weeks a moment lies in, counting from 0."""
    return (moment - START).days // 7


def moment_in(rng: random.Random, week: int) -> datetime:
    """Draw a moment of a week, busy hours more often."""
    day = rng.choices(range(7), _DAYS)[0]
    hour = rng.choices(range(24), _HOURS)[0]
    within = timedelta(days=7 * week + day, hours=hour, milliseconds=rng.randrange(3_600_000))
    return START + within


def draw_session(rng: random.Random, name: str, user: str, start: datetime) -> Session:
    """Draw the conversation that begins at a moment."""
    slots = grammar.draw_slots(rng)
    intents = _intents(rng, week_of(start), rng.choices((1, 2, 3), (83, 13, 4))[0])
    turns, moment = [], start
    for intent in intents:
        # People mostly go on about the same order and the same town.
        kept = slots if rng.random() < 0.7 else grammar.draw_slots(rng)
        turns.append(Turn(grammar.draw(rng, intent, kept), moment))
        moment += timedelta(milliseconds=rng.randrange(20_000, 240_000))
    compared = start >= SWITCH and rng.random() < 0.07
    return Session(name, user, tuple(turns), compared)


def _intents(rng: random.Random, week: int, count: int) -> list[str]:
    tilts = {name: tilt[min(week, WEEKS - 1)] for name, tilt in _TILT.items()}
    weights = [_MIX[name] * tilts.get(name, 1.0) for name in grammar.INTENTS]
    chosen: list[str] = []
    while len(chosen) < count:
        intent = rng.choices(grammar.INTENTS, weights)[0]
        if intent not in chosen:
            chosen.append(intent)
    return chosen
