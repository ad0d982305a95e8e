"""What gateways and chat applications write: LiteLLM, Helicone, Open WebUI."""

from __future__ import annotations

from scripts.exports.calls import (
    CALLS,
    CORRECTION,
    MODEL,
    Record,
    at,
    completion,
    iso,
    messages,
)


def litellm_payloads() -> list[Record]:
    """Return LiteLLM's standard logging payloads."""
    return [
        {
            "id": f"chatcmpl-desk{number}",
            "trace_id": f"trace-{number}",
            "call_type": "acompletion",
            "stream": False,
            "status": "success",
            "custom_llm_provider": "openai",
            "model": MODEL,
            "model_group": "desk",
            "model_map_information": {},
            "prompt_tokens": CALLS[number][2],
            "completion_tokens": CALLS[number][3],
            "total_tokens": CALLS[number][2] + CALLS[number][3],
            "startTime": at(number).timestamp(),
            "endTime": at(number, 0.9).timestamp(),
            "completionStartTime": at(number, 0.9).timestamp(),
            "response_time": 0.9,
            "response_cost": 0.0001,
            "cache_hit": None,
            "end_user": f"reader-{number}",
            "request_tags": ["web"],
            "messages": messages(number),
            "response": completion(number),
            "model_parameters": {"temperature": 0.2},
            "metadata": {},
        }
        for number in range(3)
    ]


def helicone_requests() -> list[Record]:
    """Return requests as Helicone's export tool writes them with their bodies."""
    return [
        {
            "request_id": f"request-{number}",
            "response_id": f"response-{number}",
            "request_created_at": iso(at(number)),
            "response_created_at": iso(at(number, 0.9)),
            "response_status": 200,
            "request_path": "/v1/chat/completions",
            "request_body": {"model": MODEL, "messages": messages(number)},
            "response_body": completion(number),
            "request_user_id": f"reader-{number}",
            "request_properties": {"Helicone-Session-Id": f"visit-{number // 2}"},
            "request_model": MODEL,
            "response_model": MODEL,
            "provider": "OPENAI",
            "delay_ms": 900,
            "prompt_tokens": CALLS[number][2],
            "completion_tokens": CALLS[number][3],
            "feedback_rating": (True, None, False)[number],
            "feedback_created_at": None if number == 1 else iso(at(3, number)),
            "costUSD": 0.0001,
        }
        for number in range(3)
    ]


def openwebui_feedbacks() -> list[Record]:
    """Return the export of ratings: a thumb up, and a vote against a second model's answer."""
    return [_rating(0, 1, None), _rating(2, -1, CORRECTION)]


def _rating(number: int, rating: int, other: str | None) -> Record:
    question, answer, _, _ = CALLS[number]
    seconds = int(at(number).timestamp())
    answers = [(f"m-{number}a", MODEL, answer)]
    if other:
        answers.append((f"m-{number}b", "desk-model-2026-10", other))
    history: Record = {
        f"q-{number}": {
            "id": f"q-{number}",
            "parentId": None,
            "childrenIds": [key for key, _, _ in answers],
            "role": "user",
            "content": question,
            "timestamp": seconds,
        }
    }
    for key, model, text in answers:
        history[key] = {
            "id": key,
            "parentId": f"q-{number}",
            "childrenIds": [],
            "role": "assistant",
            "content": text,
            "model": model,
            "done": True,
            "timestamp": seconds + 1,
        }
    chat = {
        "title": "Desk",
        "models": [model for _, model, _ in answers],
        "history": {"messages": history, "currentId": answers[0][0]},
    }
    chat_id = f"chat-{number}"
    return {
        "id": f"feedback-{number}",
        "user_id": f"reader-{number}",
        "version": 0,
        "type": "rating",
        "data": {
            "rating": rating,
            "model_id": MODEL,
            "sibling_model_ids": [model for _, model, _ in answers[1:]] or None,
            "reason": None,
            "comment": "",
            "tags": [],
        },
        "meta": {
            "arena": False,
            "chat_id": chat_id,
            "message_id": answers[0][0],
            "message_index": 2,
            "model_id": MODEL,
        },
        "snapshot": {"chat": {"id": chat_id, "user_id": f"reader-{number}", "chat": chat}},
        "created_at": seconds + 60,
        "updated_at": seconds + 60,
    }
