"""Simulate what customers and support staff say about the answers."""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from scripts.world import grammar
from scripts.world.logs import Row, stamp

Event = dict[str, Any]


def simulate_feedback(rows: Sequence[Row]) -> list[Event]:
    """Return all feedback in order of time; most responses get none."""
    by_id = {row.response_id: row for row in rows}
    events: list[Event] = []
    for row in rows:
        rng = random.Random(f"feedback/{row.response_id}")
        if row.rival is None:
            events += _opinion(rng, row)
        elif row.release == "v2":
            events.append(_comparison(rng, row, by_id[row.rival]))
    return sorted(events, key=lambda event: (event["timestamp"], event["response_id"]))


def _event(row: Row, user: str, kind: str, delay_s: float) -> Event:
    moment = row.moment + timedelta(seconds=delay_s)
    return {
        "response_id": row.response_id,
        "timestamp": stamp(moment),
        "user": user,
        "kind": kind,
    }


def _opinion(rng: random.Random, row: Row) -> list[Event]:
    if rng.random() >= (0.12 if row.right else 0.45):
        return []
    mistaken = rng.random() < 0.025
    liked = row.right != mistaken
    event = _event(row, row.session.user, "thumbs", rng.uniform(4, 200))
    if rng.random() < 0.05:
        stars = rng.choice((4, 5) if liked else (1, 2))
        event |= {"kind": "rating", "value": stars, "scale_min": 1, "scale_max": 5}
    else:
        event |= {"value": "up" if liked else "down"}
    if liked or row.right or rng.random() >= 0.45:
        return [event]
    return [event, _correction(rng, row)]


def _correction(rng: random.Random, row: Row) -> Event:
    person = f"agent-{rng.randint(1, 6)}"
    event = _event(row, person, "correction", rng.uniform(1_800, 40_000))
    # Staff err too: now and then one answers for another order, town or product.
    slots = grammar.draw_slots(rng) if rng.random() < 0.03 else row.prompt.slots
    return event | {"value": grammar.answer(row.prompt.intent, slots)}


def _comparison(rng: random.Random, new: Row, old: Row) -> Event:
    candidates = [new.response_id, old.response_id]
    rng.shuffle(candidates)
    if new.right != old.right:
        good, bad = (new, old) if new.right else (old, new)
        winner = good.response_id if rng.random() < 0.95 else bad.response_id
    else:
        winner = "tie" if rng.random() < 0.8 else rng.choice(candidates)
    event = _event(new, new.session.user, "comparison", rng.uniform(4, 120))
    return event | {
        "response_id": candidates[0],
        "candidates": candidates,
        "winner": winner,
    }
