"""W&B Weave: calls as the trace server's export gives them, with their feedback.

Source: the trace server's interface,
https://github.com/wandb/weave/blob/master/weave/trace_server/trace_server_interface.py
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.columns import ALIASES
from loopllm_cli.sources.envelopes.weave_feedback import is_ref, weave_votes
from loopllm_cli.sources.fields import (
    as_json,
    first_of,
    get_path,
    to_count,
    to_number,
    to_text,
    to_time,
)
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.anything import read_request, read_response
from loopllm_cli.sources.payloads.body import Response, exchange
from loopllm_cli.sources.payloads.pieces import (
    as_dict,
    exception_name,
    is_answer,
    is_question,
    leftover,
    seconds_between,
    target_of,
    to_version,
)
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Row

NAME = "weave_call"
_MAX_DEPTH = 12
_PROVIDERS = {"mistralai": "mistral_ai"} | {
    name: name for name in ("openai", "anthropic", "cohere", "groq")
}
_READ = {
    *("id", "op_name", "trace_id", "parent_id", "thread_id", "started_at", "ended_at"),
    *("inputs", "output", "summary", "deleted_at", "attributes"),
    # Whose key it was that logged the call: no user of the application.
    "wb_user_id",
}
_USERS = ("user_id", "userId")
_ASKED = {"self", "messages", "model", *ALIASES["prompt"]}


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is a call."""
    return isinstance(record.get("op_name"), str) and "trace_id" in record and "inputs" in record


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one call: a model's, or a root function's that answers a question.

    Raises:
        BadLine: the call has no id, or a payload is malformed.
    """
    if record.get("deleted_at"):
        return Decoded(skipped=["deleted call"])
    call_id = to_text(record.get("id"))
    if not call_id:
        raise BadLine("a call without an id")
    inputs, output = as_dict(record.get("inputs")), as_json(record.get("output"))
    reason = _not_a_response(record, inputs, output)
    rows = [] if reason else _rows(record, origin, call_id, inputs)
    is_root = not to_text(record.get("parent_id"))
    target = target_of(rows, span=call_id, trace=to_text(record.get("trace_id")), is_root=is_root)
    found = Decoded(rows, skipped=[reason] if reason else [])
    given = get_path(as_dict(record.get("summary")), "weave.feedback")
    for item in given if isinstance(given, list) else []:
        if isinstance(item, dict) and isinstance(item.get("feedback_type"), str):
            found.feedback += weave_votes(item, origin, NAME, target)
        else:
            found.skipped.append("feedback of unknown kind")
    return found


def _not_a_response(record: dict[str, Any], inputs: dict[str, Any], output: Any) -> str | None:
    """Return why a call is no row, None where it is one."""
    failed = bool(record.get("exception"))
    if output in (None, "") and not failed and not record.get("ended_at"):
        return "call that has not ended"
    if _is_completion(output):
        return None
    answered = failed or is_ref(output) or is_answer(output)
    if "messages" in inputs:
        return None if answered else "call without a text answer"
    if to_text(record.get("parent_id")):
        return "child call"
    asked = {key: value for key, value in inputs.items() if key != "self"}
    is_asked = is_question(asked) or any(is_ref(asked.get(key)) for key in ALIASES["prompt"])
    return None if answered and is_asked else "root call without question and answer"


def _is_completion(output: Any) -> bool:
    if not isinstance(output, dict):
        return False
    if output.get("object") in ("chat.completion", "text_completion", "response"):
        return True
    if output.get("type") == "message" and isinstance(output.get("content"), list):
        return True
    lists = (output.get("choices"), output.get("candidates"))
    return any(isinstance(found, list) and found for found in lists)


def _rows(record: dict[str, Any], origin: Origin, call_id: str, given: dict[str, Any]) -> list[Row]:
    inputs = {key: value for key, value in given.items() if key != "self"}
    n_refs = sum(is_ref(inputs.get(key)) for key in ALIASES["prompt"])
    if "messages" in inputs:
        inputs["messages"], n_refs = _resolved(as_json(inputs["messages"]))
    output, n_refs_out = _resolved(record.get("output"))
    has_nothing = not inputs["messages"] if "messages" in inputs else bool(n_refs)
    known = {key: value for key, value in inputs.items() if not is_ref(value)}
    request = None if has_nothing else read_request(known)
    response = read_response(output)
    values = _values(record, inputs)
    if _is_completion(as_json(output)) or "messages" in inputs:
        _add_usage(values, as_dict(record.get("summary")), response)
    if response is None or not response.answers:
        values["content_state"] = "absent"
    elif n_refs or n_refs_out:
        values["content_state"] = "truncated" if n_refs_out else "partial_context"
    return exchange(origin, NAME, request, response, values, native_id=call_id)


def _resolved(value: Any, depth: int = 0) -> tuple[Any, int]:
    """Take out what the export left as a reference to another object; count these."""
    if is_ref(value):
        return None, 1
    if depth < _MAX_DEPTH and isinstance(value, dict):
        pairs = {key: _resolved(inner, depth + 1) for key, inner in value.items()}
        return {k: found for k, (found, _) in pairs.items()}, sum(n for _, n in pairs.values())
    if depth < _MAX_DEPTH and isinstance(value, list):
        items = [_resolved(inner, depth + 1) for inner in value]
        return [found for found, n in items if found is not None or not n], sum(n for _, n in items)
    return value, 0


def _values(record: dict[str, Any], inputs: dict[str, Any]) -> Row:
    start, end = to_time(record.get("started_at")), to_time(record.get("ended_at"))
    summary = as_dict(record.get("summary"))
    latency_ms = to_number(get_path(summary, "weave.latency_ms"))
    duration = seconds_between(start, end)
    parent = to_text(record.get("parent_id")) or None
    attributes = as_dict(record.get("attributes"))
    op = _op(to_text(record.get("op_name")) or "")
    error = exception_name(record.get("exception"))
    if error is None and get_path(summary, "weave.status") == "error":
        error = "error"
    rest = {
        **record,
        "op": op,
        "usage": summary.get("usage"),
        "logged_attributes": {k: v for k, v in attributes.items() if k not in _USERS},
    }
    if "messages" not in inputs:
        rest["inputs_beside"] = {k: v for k, v in inputs.items() if k not in _ASKED}
    return {
        "request_time": start,
        "time_basis": "request_start" if start else None,
        "duration_s": latency_ms / 1000 if duration is None and latency_ms else duration,
        "trace_id": to_text(record.get("trace_id")),
        "span_id": to_text(record.get("id")),
        "parent_span_id": parent,
        "is_root": parent is None,
        "conversation_id": to_text(record.get("thread_id")) or None,
        "user_id": to_text(first_of(attributes, *_USERS)),
        "deployment_environment": to_text(first_of(attributes, "environment", "env")),
        "provider_name": _PROVIDERS.get(op.split(".")[0]),
        "request_model": _plain_model(inputs.get("model")),
        "error_type": error,
        "source_version": to_version(start, end),
        "attributes_json": leftover(rest, _READ),
    }


def _op(ref: str) -> str:
    """Return an operation's name without project and version."""
    return ref.rsplit("/op/", 1)[-1].split(":", 1)[0] if is_ref(ref) else ref


def _plain_model(value: Any) -> str | None:
    return None if is_ref(value) else to_text(value) or None


def _add_usage(values: Row, summary: dict[str, Any], response: Response | None) -> None:
    """Fill in tokens, model and cost of a model's own call, where the response has none.

    A parent's summary sums up its children, so only a call to a model is asked.
    """
    known = response.values if response else {}
    usage = as_dict(summary.get("usage"))
    if len(usage) == 1 and known.get("input_tokens") is None:
        ((model, counts),) = usage.items()
        counts = counts if isinstance(counts, dict) else {}
        values["response_model"] = known.get("response_model") or model
        values["input_tokens"] = to_count(first_of(counts, "prompt_tokens", "input_tokens"))
        values["output_tokens"] = to_count(first_of(counts, "completion_tokens", "output_tokens"))
    costs = get_path(summary, "weave.costs")
    amounts = [
        to_number(per_model.get(key))
        for per_model in (costs.values() if isinstance(costs, dict) else ())
        if isinstance(per_model, dict)
        for key in ("prompt_tokens_total_cost", "completion_tokens_total_cost")
    ]
    known_amounts = [amount for amount in amounts if amount is not None]
    values["cost_usd"] = sum(known_amounts) if known_amounts else None


FORMAT = Format(
    NAME,
    "Weave calls",
    "`op_name`, `trace_id` and `inputs`",
    Rank.ENVELOPE,
    recognises,
    decode,
)
