"""Records and whole logs as exporters write them, made from a seed, with a shift where wanted."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Record = dict[str, Any]

START = datetime(2026, 10, 1, tzinfo=UTC)
TOPICS = {
    "refund": ("Please refund order {n}.", "I have started the refund of order {n}."),
    "hours": ("When is shop {n} open?", "Shop {n} is open from nine to six on weekdays."),
    "track": ("Where is parcel {n}?", "Parcel {n} left the depot and arrives tomorrow."),
    "json": ("Give me ticket {n} as JSON.", '{{"ticket": {n}, "state": "open"}}'),
}
REFUSAL = "I'm sorry, but I cannot help with that request."


def stamp(moment: datetime) -> str:
    """Write a time as exporters do."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def flat_record(number: int = 0, **fields: Any) -> Record:
    """Return a flat record; a field given as None is left out."""
    record = {
        "id": f"r-{number}",
        "timestamp": stamp(START + timedelta(minutes=number)),
        "model": "m-1",
        "user_id": f"u-{number % 7}",
        "prompt": f"Where is parcel {number}?",
        "response": f"Parcel {number} arrives tomorrow.",
        **fields,
    }
    return {key: value for key, value in record.items() if value is not None}


def chat_pair(number: int = 0, **fields: Any) -> Record:
    """Return an OpenAI request/response pair.

    Args:
        fields: `prompt`, `response` (None for an empty message), `model`, `choices`, `error`
            (instead of choices), `user`, `system`; everything else goes to the wrapper.
    """
    messages = [{"role": "user", "content": fields.pop("prompt", f"Where is parcel {number}?")}]
    if system := fields.pop("system", None):
        messages.insert(0, {"role": "system", "content": system})
    model = fields.pop("model", "m-1")
    answer = fields.pop("response", f"Parcel {number} arrives tomorrow.")
    choices = fields.pop("choices", None) or [
        {
            "index": 0,
            "message": {"role": "assistant", "content": answer},
            "finish_reason": fields.pop("finish_reason", "stop"),
        }
    ]
    error = fields.pop("error", None)
    request = {"model": model, "messages": messages, "user": fields.pop("user", f"u-{number % 7}")}
    response: Record = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "model": model,
        "choices": choices,
        "usage": {"prompt_tokens": 12, "completion_tokens": 8, "total_tokens": 20},
    }
    return {
        "request": request,
        "response": {"error": error} if error else response,
        "timestamp": stamp(START + timedelta(minutes=number)),
        **fields,
    }


def feedback_record(target: str, kind: str = "thumbs", value: Any = "up", **fields: Any) -> Record:
    """Return one piece of feedback on a response, named by its `response_id`."""
    record = {
        "response_id": target,
        "kind": kind,
        "value": value,
        "user": "u-1",
        "timestamp": stamp(START + timedelta(days=1)),
        **fields,
    }
    return {key: value for key, value in record.items() if value is not None}


def shifted_logs(
    n: int = 400,
    *,
    seed: int = 0,
    shift_at: float = 0.5,
    refusal_before: float = 0.02,
    refusal_after: float = 0.30,
    topic: str | None = "refund",
    model: tuple[str, str] = ("m-1", "m-2"),
) -> list[Record]:
    """Return flat records of some weeks in which the answers get worse at a known point.

    Args:
        shift_at: the share of the records after which the second model answers.
        refusal_before: how often the topic's prompts are refused before that.
        refusal_after: how often after that.
        topic: the topic that is hit; None for all of them.
    """
    rng = random.Random(seed)
    step = timedelta(days=28) / n
    records = []
    for number in range(n):
        late = number >= shift_at * n
        name = rng.choice(sorted(TOPICS))
        asked, answered = (text.format(n=rng.randrange(10_000, 99_999)) for text in TOPICS[name])
        hit = topic in (None, name)
        refused = rng.random() < (refusal_after if late and hit else refusal_before)
        records.append(
            flat_record(
                number,
                timestamp=stamp(START + number * step),
                model=model[late],
                user_id=f"u-{rng.randrange(max(n // 4, 1))}",
                prompt=asked,
                response=REFUSAL if refused else answered,
                latency_ms=round(rng.lognormvariate(6, 0.3)),
            )
        )
    return records


def corrections_for(
    records: Iterable[Record], text: str = "A better answer, {id}."
) -> list[Record]:
    """Return a correction of every given flat record."""
    return [
        feedback_record(
            record["id"],
            "correction",
            text.format(id=record["id"]),
            user=record["user_id"],
            timestamp=stamp(START + timedelta(days=40)),
        )
        for record in records
    ]


def write_jsonl(path: Path, records: Iterable[Record | bytes | str]) -> Path:
    """Write records, or raw lines, as JSON Lines (compressed where the name ends in .gz)."""
    lines = [
        record
        if isinstance(record, bytes)
        else (record if isinstance(record, str) else json.dumps(record)).encode()
        for record in records
    ]
    content = b"".join(line + b"\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if path.name.endswith(".gz") else content)
    return path
