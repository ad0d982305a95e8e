"""One week of traffic: planned, answered by what serves, logged, and judged by its users."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from scripts.world import feedback, grammar, logs, traffic

Answerer = Callable[[Sequence[logs.Messages], int], list[logs.Reply]]


@dataclass(frozen=True)
class Week:
    """What a week left behind: two files for `ingest`, and how many of its answers were right."""

    logs: Path
    feedback: Path
    n_rows: int
    n_right: int


def plan_week(seed: int, week: int, n_sessions: int) -> list[traffic.Session]:
    """Plan the conversations of a week; who writes, and what, does not depend on who answers."""
    rng = random.Random(f"{seed}/production/{week}")
    users = [f"u-{number:04d}" for number in range(1, traffic.USERS + 1)]
    activity = [1 / (rank + 5) ** 0.8 for rank in range(traffic.USERS)]
    starts = sorted(traffic.moment_in(rng, week) for _ in range(n_sessions))
    return [
        traffic.draw_session(rng, f"c-{week}-{number:05d}", rng.choices(users, activity)[0], start)
        for number, start in enumerate(starts)
    ]


def live_through(
    week: int, sessions: Sequence[traffic.Session], answerer: Answerer, folder: Path
) -> Week:
    """Let a week happen and write its logs and feedback into a folder."""
    rows = _answer(sessions, answerer)
    events = feedback.simulate_feedback(rows)
    written = []
    for name, entries in (("logs", map(logs.as_json, rows)), ("feedback", iter(events))):
        path = folder / f"{name}-{week:02d}.jsonl"
        path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        written.append(path)
    return Week(written[0], written[1], len(rows), sum(row.right for row in rows))


def _answer(sessions: Sequence[traffic.Session], answerer: Answerer) -> list[logs.Row]:
    histories: dict[str, logs.Messages] = {session.name: [] for session in sessions}
    rows: list[logs.Row] = []
    for position in range(max(len(session.turns) for session in sessions)):
        talking = [session for session in sessions if position < len(session.turns)]
        asked = [
            [*histories[s.name], {"role": "user", "content": s.turns[position].prompt.text}]
            for s in talking
        ]
        for session, messages, reply in zip(talking, asked, answerer(asked, position), strict=True):
            turn = session.turns[position]
            name = f"chatcmpl-{session.name}-{position}"
            rows.append(logs.Row(name, session, turn.prompt, messages, turn.moment, "v1", reply))
            said: dict[str, str] = {"role": "assistant", "content": reply.text}
            histories[session.name] = [*messages, said]
    return sorted(rows, key=lambda row: row.moment)


def week_start(week: int) -> str:
    """Return the first day of a week as ISO 8601."""
    return (traffic.START + timedelta(weeks=week)).date().isoformat()


def by_intent(marks: dict[str, float], changed: Sequence[str]) -> dict[str, Any]:
    """Average shares of right answers over the intents that have changed, and over the others."""
    groups = {
        "changed": [marks[name] for name in changed],
        "others": [marks[name] for name in grammar.INTENTS if name not in changed],
    }
    return {name: sum(g) / len(g) if g else None for name, g in groups.items()}
