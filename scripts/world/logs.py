"""Let the two releases answer the planned traffic and write it as production logs."""

import gzip
import hashlib
import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from scripts.world import grammar, traffic

Messages = list[dict[str, str]]

TEMPERATURE: Final = 0.5
MODEL: Final = "halden-support"
RELEASES: Final = {"v1": f"{MODEL}-2026-09-01", "v2": f"{MODEL}-2026-09-21"}
_SPOT_CHECKS: Final = 0.2


@dataclass(frozen=True)
class Reply:
    """Hold one generated answer and its token counts."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str


Answerer = Callable[[str, Sequence[Messages]], list[Reply]]


@dataclass(frozen=True)
class Row:
    """Hold one logged response together with what only the simulation knows."""

    response_id: str
    session: traffic.Session
    prompt: grammar.Prompt
    messages: Messages
    moment: datetime
    release: str
    reply: Reply
    rival: str | None = None

    @property
    def right(self) -> bool:
        """Tell whether the answer is the right one."""
        return grammar.is_right(self.prompt.text, self.reply.text)


def simulate(seed: int, sessions: Sequence[traffic.Session], answerer: Answerer) -> list[Row]:
    """Answer every turn of every conversation, earlier turns being the history of later ones."""
    histories: dict[str, Messages] = {session.name: [] for session in sessions}
    rows: list[Row] = []
    for position in range(max(len(session.turns) for session in sessions)):
        asked: dict[str, list[tuple[traffic.Session, Messages]]] = {"v1": [], "v2": []}
        for session in sessions:
            if position < len(session.turns):
                turn = session.turns[position]
                question = {"role": "user", "content": turn.prompt.text}
                messages = [*histories[session.name], question]
                for release in _releases(session, position):
                    asked[release].append((session, messages))
        for release, pairs in asked.items():
            replies = answerer(release, [messages for _, messages in pairs])
            for (session, messages), reply in zip(pairs, replies, strict=True):
                rows.append(_row(seed, session, position, messages, release, reply))
                said = {"role": "assistant", "content": reply.text}
                histories[session.name] = [*messages, said]
    return sorted(rows, key=lambda row: (row.moment, row.release))


def _releases(session: traffic.Session, position: int) -> tuple[str, ...]:
    if session.turns[position].moment < traffic.SWITCH:
        return ("v1",)
    # Only the last turn is compared, since a history cannot go on from two answers.
    last = position == len(session.turns) - 1
    return ("v1", "v2") if session.compared and last else ("v2",)


def _row(
    seed: int,
    session: traffic.Session,
    position: int,
    messages: Messages,
    release: str,
    reply: Reply,
) -> Row:
    names = {
        other: _response_id(seed, session.name, position, other)
        for other in _releases(session, position)
    }
    response_id = names.pop(release)
    turn = session.turns[position]
    rival = next(iter(names.values()), None)
    return Row(response_id, session, turn.prompt, messages, turn.moment, release, reply, rival)


def _response_id(seed: int, session: str, position: int, release: str) -> str:
    digest = hashlib.sha256(f"{seed}/{session}/{position}/{release}".encode()).hexdigest()
    return f"chatcmpl-{digest[:20]}"


def stamp(moment: datetime) -> str:
    """Write a moment as ISO 8601 in UTC with milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_json(row: Row) -> dict[str, Any]:
    """Return the log entry of a row, with a reference answer if it was spot-checked."""
    rng = random.Random(row.response_id)
    reply = row.reply
    latency = (180 + 14 * reply.completion_tokens) * rng.lognormvariate(0, 0.3)
    created = row.moment + timedelta(milliseconds=latency)
    entry: dict[str, Any] = {
        "timestamp": stamp(row.moment),
        "latency_ms": round(latency, 1),
        "user": row.session.user,
        "session": row.session.name,
        "request": {"model": MODEL, "messages": row.messages, "temperature": TEMPERATURE},
        "response": _response(row, int(created.timestamp())),
        "cost_usd": round(1.5e-7 * reply.prompt_tokens + 6e-7 * reply.completion_tokens, 8),
    }
    if rng.random() < _SPOT_CHECKS:
        entry["reference_answer"] = grammar.answer(row.prompt.intent, row.prompt.slots)
    return entry


def _response(row: Row, created: int) -> dict[str, Any]:
    reply = row.reply
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": reply.text},
        "finish_reason": reply.finish_reason,
    }
    return {
        "id": row.response_id,
        "object": "chat.completion",
        "created": created,
        "model": RELEASES[row.release],
        "choices": [choice],
        "usage": {
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
            "total_tokens": reply.prompt_tokens + reply.completion_tokens,
        },
    }


def write_weeks(rows: Sequence[Row], folder: Path) -> None:
    """Write one compressed file a week, with three broken lines in the second."""
    folder.mkdir(parents=True, exist_ok=True)
    for week in range(traffic.WEEKS):
        entries = [as_json(row) for row in rows if traffic.week_of(row.moment) == week]
        lines = [json.dumps(entry) for entry in entries]
        if week == 1:
            lines = _damage(lines)
        write_gzip(lines, folder / f"week{week + 1}.jsonl.gz")


def _damage(lines: list[str]) -> list[str]:
    third = len(lines) // 3
    truncated = lines[third][: len(lines[third]) // 2]
    silent = json.dumps({"timestamp": "2026-09-17T03:12:44.000Z", "request": {"model": MODEL}})
    added = [truncated, silent, " \t ----"]
    pieces = [lines[:third], lines[third : 2 * third], lines[2 * third :]]
    return [line for piece, bad in zip(pieces, added, strict=True) for line in [*piece, bad]]


def write_gzip(lines: Iterable[str], path: Path) -> None:
    """Write lines compressed, without a file name or time in the header."""
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.write("".join(line + "\n" for line in lines).encode())
