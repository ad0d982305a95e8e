"""Batches of calls: the requests are in one file, the results in another, joined by custom id.

Either file may come first, and results come in any order. A custom id is unique only within its
batch: where several requests share one, a result belongs to the one that lies in its folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from loopllm_cli.sources.fields import to_text
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Origin, Part, Record, digest

_NOT_CHATS = {
    "embedding": "embedding call",
    "moderation": "moderation call",
    "rerank": "rerank call",
    # A chat model whose name has "image" in it may answer in pictures and texts.
    **dict.fromkeys(("/images", "imagen-", "gpt-image", "dall-e"), "image call"),
}


def custom_id(record: Record) -> str:
    """Return the id that the caller gave a request.

    Raises:
        BadLine: there is none.
    """
    name = to_text(record.get("custom_id"))
    if not name:
        raise BadLine("a batch record without a custom id")
    return name


def other_call(*names: Any) -> str | None:
    """Return what kind of call a URL, a model or an object is of, where it is no chat."""
    for name in names:
        for word, reason in _NOT_CHATS.items():
            if isinstance(name, str) and word in name.lower():
                return reason
    return None


def request_part(record: Record, body: Record, origin: Origin) -> Part:
    """Keep a request until its result comes."""
    folder = str(PurePath(origin.path).parent)
    content = {"kind": "request", "folder": folder, "body": body}
    return Part(custom_id(record), f"request:{digest(folder, body)}", content)


def result_part(record: Record, result: Record, native_id: str | None, origin: Origin) -> Part:
    """Keep a result until its request comes.

    Args:
        native_id: the API's id of the result; without one it is made from folder and content.
    """
    folder, name = str(PurePath(origin.path).parent), custom_id(record)
    made = native_id or f"{name}~{digest(folder, result)[:12]}"
    content = {"kind": "result", "id": made, "folder": folder, "result": result}
    return Part(name, f"result:{made}", content)


def joined(contents: Sequence[Record]) -> Iterator[tuple[str, Record, Record | None]]:
    """Yield each result: its id, itself, and its request's body if it is known."""
    requests = [content for content in contents if content["kind"] == "request"]
    for content in contents:
        if content["kind"] == "result":
            yield content["id"], content["result"], _request_of(content, requests)


def _request_of(result: Record, requests: list[Record]) -> Record | None:
    for candidates in (requests, [r for r in requests if r["folder"] == result["folder"]]):
        bodies = {digest(candidate["body"]): candidate["body"] for candidate in candidates}
        if len(bodies) == 1:
            (body,) = bodies.values()
            return dict(body)
    return None
