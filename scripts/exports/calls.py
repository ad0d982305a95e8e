"""What was asked and answered at the desk of a made-up library, and its ids and times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

Record = dict[str, Any]

START = datetime(2026, 10, 12, 9, 30, tzinfo=UTC)
MODEL = "desk-model-2026-09"
SYSTEM = "You answer for the desk of the Harbour Street Library."
# The question, the answer, and how many words each costs; the third answer is wrong.
CALLS = (
    ("How do I renew a book?", "Open Loans, and choose Renew beside the title.", 31, 11),
    ("May I return a book at another branch?", "Yes, at any branch of the city.", 34, 9),
    ("Is the reading room open on Sundays?", "No, it is closed on Sundays.", 33, 8),
)
CORRECTION = "Yes, on Sundays it is open from noon to five."


def at(number: int, seconds: float = 0.0) -> datetime:
    """Return when a call began, or some seconds after that."""
    return START + timedelta(minutes=7 * number, seconds=seconds)


def iso(moment: datetime) -> str:
    """Write a time as most tools do."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def nanos(moment: datetime) -> str:
    """Write a time as OTLP does."""
    return f"{int(moment.timestamp())}{moment.microsecond * 1000:09d}"


def trace_id(number: int) -> str:
    """Return the id of a call's trace, as hex."""
    return f"5f{number:030x}"


def span_id(number: int) -> str:
    """Return the id of a call's span, as hex."""
    return f"a7{number:014x}"


def run_id(number: int) -> str:
    """Return a UUID for a call."""
    return f"6f0d2c1e-0000-4000-8000-{number:012x}"


def messages(number: int) -> list[Record]:
    """Return what was asked, as OpenAI's API takes it."""
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": CALLS[number][0]},
    ]


def completion(number: int, model: str = MODEL) -> Record:
    """Return what OpenAI's API, and servers like it, answer."""
    _, answer, n_in, n_out = CALLS[number]
    return {
        "id": f"chatcmpl-desk{number}",
        "object": "chat.completion",
        "created": int(at(number, 1).timestamp()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer, "refusal": None},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": n_in,
            "completion_tokens": n_out,
            "total_tokens": n_in + n_out,
        },
    }
