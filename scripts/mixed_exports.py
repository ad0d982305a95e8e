"""Write a folder of exports as several tools leave it, for the proofs of exactly-once.

Chat calls with broken lines and repeats, votes, a batch's requests and results in two files, a
tree of messages, a stream's chunks, records that were changed later, and records that contradict
each other under one id.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from scripts.bench_logs import START, Texts, langfuse, write_logs

Record = dict[str, Any]
_ROOT = "00000000-0000-0000-0000-000000000000"


def write_exports(folder: Path, n_bytes: int, *, conflicts: bool = True) -> list[Path]:
    """Write about so many bytes, nine tenths of them chat calls, and return the files.

    Args:
        conflicts: whether records are among them whose outcome depends on the order of reading:
            of two contents under one id, the first one read keeps the id.
    """
    folder.mkdir(parents=True)
    n_calls = write_logs(folder / "a_calls.jsonl", "openai", int(n_bytes * 0.9))
    n = max(n_calls // 60, 8)
    texts = Texts(1)
    _write(folder / "b_votes.jsonl", _votes(n_calls))
    _write(folder / "c_batch_input.jsonl", (_batch_request(k, texts) for k in range(n)))
    _write(folder / "d_batch_output.jsonl", (_batch_result(k, texts) for k in range(n)))
    tree = [m for k in range(n) for m in _conversation(k, texts)]
    (folder / "e_messages.json").write_text(json.dumps(tree, indent=1))
    _write(folder / "f_stream.jsonl.gz", _chunks(max(n // 8, 2)))
    observations = [langfuse(k, texts) for k in range(n)]
    changed = [
        {**r, "level": "WARNING", "updated_at": "2026-10-30 00:00:00.000000"}
        | {"output": json.dumps({"role": "assistant", "content": texts.text(50)})}
        for r in observations[::3]
    ]
    # An older version after a newer one must not come back.
    _write(folder / "g_versions.jsonl", [*observations, *changed, *observations[: n // 2]])
    if conflicts:
        _write(folder / "h_conflicts.jsonl", _contradictions(n))
    return sorted(folder.iterdir())


def _write(path: Path, records: Iterable[Record]) -> None:
    content = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def _votes(n_calls: int) -> Iterator[Record]:
    for number in range(0, n_calls, 7):
        yield {
            "response_id": f"chatcmpl-{number:09d}",
            "kind": "thumbs",
            "value": "up" if number % 3 else "down",
            "user": f"user-{number % 5003}",
            "timestamp": START + 10_000_000 + number,
        }


def _batch_request(number: int, texts: Texts) -> Record:
    body = {"model": "assistant-1", "messages": [{"role": "user", "content": texts.text(40)}]}
    call = {"method": "POST", "url": "/v1/chat/completions"}
    return {"custom_id": f"row-{number}", **call, "body": body}


def _batch_result(number: int, texts: Texts) -> Record:
    message = {"role": "assistant", "content": texts.text(90)}
    body = {
        "id": f"chatcmpl-batch-{number}",
        "object": "chat.completion",
        "created": START + number,
        "model": "assistant-1",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
    response = {"status_code": 200, "request_id": f"req_{number}", "body": body}
    called = {"id": f"batch_req_{number}", "custom_id": f"row-{number}"}
    return {**called, "response": response, "error": None}


def _conversation(number: int, texts: Texts) -> Iterator[Record]:
    """Yield two turns, the second answer given twice, the last one voted on."""
    turns = [("u1", None), ("a1", "u1"), ("u2", "a1"), ("a2", "u2"), ("a2b", "u2")]
    for place, (name, parent) in enumerate(turns):
        when = f"2026-10-02T09:{number % 60:02d}:{place:02d}.000Z"
        message: Record = {
            "_id": f"{number:06x}{place:02x}",
            "messageId": f"m-{number}-{name}",
            "conversationId": f"c-{number}",
            "user": f"user-{number % 101}",
            "endpoint": "openAI",
            "model": "assistant-2",
            "parentMessageId": f"m-{number}-{parent}" if parent else _ROOT,
            "text": texts.text(25),
            "isCreatedByUser": name.startswith("u"),
            "unfinished": False,
            "error": False,
            "createdAt": when,
            "updatedAt": when,
        }
        yield {**message, "feedback": {"rating": "thumbsUp"}} if name == "a2b" else message


def _chunks(n: int) -> Iterator[Record]:
    for number in range(n):
        pieces = [{"role": "assistant", "content": ""}, {"content": "One, "}, {"content": "two."}]
        for place, delta in enumerate([*pieces, {}]):
            choice = {"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}
            yield {
                "id": f"chatcmpl-stream-{number}",
                "object": "chat.completion.chunk",
                "created": START + place,
                "model": "assistant-0",
                "choices": [choice],
            }


def _contradictions(n: int) -> Iterator[Record]:
    """Yield three contents per id, and each of them again."""
    for number in range(2 * 3 * n):
        content = number // n % 3
        yield {
            "id": f"twice-{number % n}",
            "timestamp": START,
            "model": "assistant-0",
            "prompt": "Which number is it?",
            "response": f"It is number {content}.",
        }
