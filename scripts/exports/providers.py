"""What the SDKs of OpenAI and Anthropic give: logged calls, batches, stored completions."""

from __future__ import annotations

from scripts.exports.calls import (
    CALLS,
    MODEL,
    SYSTEM,
    Record,
    at,
    completion,
    messages,
)


def openai_wrapper(model: str = MODEL) -> list[Record]:
    """Return requests beside responses, as our wrapper logs them; the last call failed."""
    records: list[Record] = [
        {
            "timestamp": at(number).timestamp(),
            "session_id": f"visit-{number // 2}",
            "user_id": f"reader-{number}",
            "request": {"model": model, "messages": messages(number), "temperature": 0.2},
            "response": completion(number, model),
            "latency_s": 0.9,
        }
        for number in range(3)
    ]
    failed = {"error": {"type": "RateLimitError", "message": "too many requests"}}
    records.append({**records[0], "timestamp": at(3).timestamp(), "response": failed})
    return records


def openai_compatible() -> list[Record]:
    """Return the same log of a server that speaks OpenAI's API."""
    return openai_wrapper("local/desk-7b")[:3]


def openai_batch_input() -> list[Record]:
    """Return the file that was uploaded as a batch."""
    return [
        {
            "custom_id": f"desk-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": MODEL, "messages": messages(number)},
        }
        for number in range(3)
    ]


def openai_batch_output() -> list[Record]:
    """Return the batch's results, in an order of their own."""
    return [
        {
            "id": f"batch_req_{number}",
            "custom_id": f"desk-{number}",
            "response": {
                "status_code": 200,
                "request_id": f"req_{number}",
                "body": completion(number),
            },
            "error": None,
        }
        for number in (2, 0, 1)
    ]


def openai_stored() -> list[Record]:
    """Return stored completions, each with its messages."""
    return [
        {**completion(n), "metadata": {"session_id": f"visit-{n // 2}"}, "messages": messages(n)}
        for n in range(3)
    ]


def claude_message(number: int) -> Record:
    """Return what Anthropic's API answers."""
    _, answer, n_in, n_out = CALLS[number]
    return {
        "id": f"msg_desk{number}",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": answer}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": n_in,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": n_out,
        },
    }


def anthropic_wrapper() -> list[Record]:
    """Return requests beside messages, as our wrapper logs them."""
    return [
        {
            "timestamp": at(number).timestamp(),
            "user_id": f"reader-{number}",
            "request": {**_claude_request(number), "system": SYSTEM},
            "response": claude_message(number),
            "latency_s": 1.1,
        }
        for number in range(3)
    ]


def anthropic_batch_requests() -> list[Record]:
    """Return the requests that were sent as a batch."""
    return [
        {"custom_id": f"desk-{number}", "params": _claude_request(number)} for number in range(3)
    ]


def anthropic_batch_results() -> list[Record]:
    """Return the batch's results; the last request expired."""
    done: list[Record] = [
        {
            "custom_id": f"desk-{number}",
            "result": {"type": "succeeded", "message": claude_message(number)},
        }
        for number in (1, 0)
    ]
    return [*done, {"custom_id": "desk-2", "result": {"type": "expired"}}]


def _claude_request(number: int) -> Record:
    return {
        "model": MODEL,
        "max_tokens": 200,
        "messages": [{"role": "user", "content": CALLS[number][0]}],
    }
