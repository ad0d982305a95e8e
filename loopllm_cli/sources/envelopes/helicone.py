"""Helicone: requests as its export tool writes them, as JSON Lines, JSON or CSV.

Bodies are those of the provider's API; an export without bodies has `{}` in their place, and the
CSV file has no response body at all.

Source: https://github.com/Helicone/helicone/tree/main/export ;
https://docs.helicone.ai/rest/request/post-v1requestquery
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources import votes
from loopllm_cli.sources.fields import as_json, first_of, to_count, to_number, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.anything import read_request, read_response
from loopllm_cli.sources.payloads.body import exchange
from loopllm_cli.sources.payloads.pieces import as_dict, leftover, seconds_between, text_of_value
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Row, feedback

NAME = "helicone_request"
_OTHER_CALLS = {
    "/embeddings": "embedding call",
    ":embedContent": "embedding call",
    "/moderations": "moderation call",
    "/images": "image call",
    "/audio": "audio call",
    "/rerank": "rerank call",
}
_PENDING = -2
_PSEUDO_STATUS = {-1: "timeout", -3: "cancelled", -4: "threat"}
_COUNTS = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "cache_read_input_tokens": "prompt_cache_read_tokens",
    "cache_write_input_tokens": "prompt_cache_write_tokens",
    "reasoning_output_tokens": "reasoning_tokens",
}
_READ = {
    *("request_id", "request_created_at", "response_created_at", "response_status"),
    *("request_body", "response_body", "request_user_id", "request_model", "provider"),
    *("delay_ms", "time_to_first_token", "total_tokens", "feedback_created_at", "feedback_id"),
    *("feedback_rating", "scores", "costUSD", "cost_usd", *_COUNTS.values()),
    # A signed address opens the body to whoever has it, for a while.
    "signed_body_url",
    "request_ip",
}


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is a logged request."""
    return (
        "request_id" in record
        and "request_created_at" in record
        and any(key in record for key in ("request_body", "response_status", "signed_body_url"))
    )


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one request into a row per choice, with its rating and scores.

    Raises:
        BadLine: the request has no id, or a body is malformed.
    """
    request_id = text_of_value(record.get("request_id"))
    if request_id is None:
        raise BadLine("a request without an id")
    path = text_of_value(first_of(record, "request_path", "target_url")) or ""
    other = next((reason for part, reason in _OTHER_CALLS.items() if part in path), None)
    status = to_number(record.get("response_status"))
    if other or status == _PENDING:
        return Decoded(skipped=[other or "pending request"])
    request = read_request(_body(record.get("request_body")))
    response = read_response(_body(record.get("response_body")))
    known = response.values if response else {}
    values = _values(record, request_id, status, known)
    rows = exchange(origin, NAME, request, response, values, native_id=request_id)
    return Decoded(rows, _votes(record, origin, rows))


def _body(value: Any) -> dict[str, Any] | list[Any] | None:
    """Return a body, also from the export tool's CSV, which doubles its quotes twice."""
    body = as_json(value)
    if isinstance(body, str) and '""' in body:
        inner = body[1:-1] if body[:1] == body[-1:] == '"' else body
        body = as_json(inner.replace('""', '"'))
    return body if isinstance(body, dict | list) else None


def _values(record: dict[str, Any], request_id: str, status: float | None, known: Row) -> Row:
    get = record.get
    start = to_time(get("request_created_at"))
    delay, first = to_number(get("delay_ms")), to_number(get("time_to_first_token"))
    duration = seconds_between(start, to_time(get("response_created_at")))
    properties = {
        **as_dict(_body(get("properties"))),
        **as_dict(_body(get("request_properties"))),
    }
    names = {name.lower(): value for name, value in properties.items()}
    body_id = known.get("response_id")
    cost = to_number(first_of(record, "costUSD", "cost_usd"))
    values: Row = {
        "request_time": start,
        "time_basis": "request_start" if start else None,
        "duration_s": delay / 1000 if delay is not None and delay >= 0 else duration,
        "time_to_first_chunk_s": first / 1000 if first else None,
        "request_id": request_id,
        "response_id": body_id or text_of_value(get("response_id")),
        "conversation_id": text_of_value(names.get("helicone-session-id")),
        "user_id": text_of_value(get("request_user_id")),
        "provider_name": (text_of_value(get("provider")) or "").lower() or None,
        "request_model": text_of_value(get("request_model")),
        "response_model": text_of_value(first_of(record, "response_model", "model")),
        "prompt_name": text_of_value(get("prompt_id") or names.get("helicone-prompt-id")),
        "prompt_version": text_of_value(get("prompt_version")),
        "cost_usd": cost,
        "http_status": to_count(status) if status and status >= 100 else None,
        "error_type": known.get("error_type") or _error(status),
    }
    if known.get("input_tokens") is None:
        values.update(_counts(record))
    used = _READ | {"request_properties", "properties", "response_model", "model", "prompt_id"}
    rest = {**record, "request_properties_rest": _rest_of(properties)}
    if body_id is None:
        used = used | {"response_id"}
    values["attributes_json"] = leftover(rest, used)
    return values


def _counts(record: dict[str, Any]) -> Row:
    """Read the counts of a call whose body was not exported."""
    counts = {column: to_count(record.get(name)) for column, name in _COUNTS.items()}
    given = counts["input_tokens"]
    cached = sum(counts[f"cache_{way}_input_tokens"] or 0 for way in ("read", "write"))
    # More of a prompt cannot come from the cache than there is: here the prompt is counted apart.
    if given is not None and cached > given:
        counts["input_tokens"] = to_count(given + cached)
    return dict(counts)


def _rest_of(properties: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in properties.items() if k.lower() != "helicone-session-id"}


def _error(status: float | None) -> str | None:
    if status is None or 0 <= status < 400:
        return None
    return _PSEUDO_STATUS.get(int(status), str(int(status)))


def _votes(record: dict[str, Any], origin: Origin, rows: list[Row]) -> list[Row]:
    one = rows[0]["interaction_id"] if len(rows) == 1 else rows[0]["request_id"]
    key = "interaction_id" if len(rows) == 1 else "request_id"
    target: Row = {"target_id": one, "target_key": key}
    found = []
    rating = record.get("feedback_rating")
    if rating not in (None, ""):
        values = {
            **target,
            "feedback_id": text_of_value(record.get("feedback_id")),
            "feedback_time": to_time(record.get("feedback_created_at")),
            "annotator_kind": "HUMAN",
            "annotator_role": "end_user",
            "annotator_id": text_of_value(record.get("request_user_id")),
            **votes.thumb(rating),
        }
        found.append(feedback(origin, NAME, "thumbs", values))
    for name, value in as_dict(_body(record.get("scores"))).items():
        number = to_number(value.get("value") if isinstance(value, dict) else value)
        # The rating is also kept as a score of its own name.
        if number is None or name == "helicone-score-feedback":
            continue
        plain = name.removesuffix("-hcone-bool")
        kind, values = votes.score(plain, number)
        found.append(feedback(origin, NAME, kind, {**target, "name": plain, **values}))
    return found


FORMAT = Format(
    NAME,
    "Helicone requests",
    "`request_id` and `request_created_at`",
    Rank.ENVELOPE,
    recognises,
    decode,
)
