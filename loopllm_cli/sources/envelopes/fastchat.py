"""FastChat: the log of its web server, with chats and the votes on them.

A response's id is made of its conversation, its turn and its text: a turn that was generated anew
has the same conversation and turn, and a vote is on the text that stood there. Addresses of
callers are left out.

Source: https://github.com/lm-sys/FastChat (fastchat/serve/gradio_web_server.py,
gradio_block_arena_named.py, fastchat/conversation.py)
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import to_count, to_number, to_text, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.pieces import as_dict, leftover, seconds_between, text_of_value
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import (
    Decoded,
    Message,
    Origin,
    Row,
    digest,
    feedback,
    interaction,
    normalise,
    text_message,
)
from loopllm_cli.sources.votes import thumb

NAME = "fastchat_log"
SOURCE = "fastchat"
_SINGLE = {"chat", "upvote", "downvote", "flag"}
_PAIRED = {"leftvote": 0, "rightvote": 1, "tievote": None, "bothbad_vote": None}
_CURSOR = "▌"
# What the server shows in place of an answer that failed.
_FAILURES = {"**NETWORK ERROR": "network_error", "$MODERATION$": "moderation"}
_READ = {
    *("tstamp", "type", "model", "models", "gen_params", "start", "finish", "state", "states"),
    "ip",
}
_PARAMETERS = {"temperature", "top_p", "max_new_tokens"}


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record is an event of the log."""
    kind = record.get("type")
    if not isinstance(kind, str) or "tstamp" not in record:
        return False
    if kind in _SINGLE:
        return isinstance(record.get("state"), dict)
    return kind in _PAIRED and isinstance(record.get("states"), list)


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one event: the row of the last answer (of both, in a duel), and the vote on it.

    Raises:
        BadLine: a conversation is missing or malformed.
    """
    kind = to_text(record.get("type")) or ""
    states = record.get("states") if kind in _PAIRED else [record.get("state")]
    if not isinstance(states, list) or len(states) != (2 if kind in _PAIRED else 1):
        raise BadLine("a vote without its conversations")
    rows = [_row(record, state, origin, is_chat=kind == "chat") for state in states]
    if kind == "chat":
        return Decoded(rows)
    ids = [row["interaction_id"] for row in rows]
    values: Row = {
        "annotator_kind": "HUMAN",
        "annotator_role": "end_user",
        "feedback_time": to_time(record.get("tstamp")),
        "target_key": "interaction_id",
    }
    if kind in _PAIRED:
        return Decoded(rows, [_comparison(kind, rows, ids, values, origin)])
    values["target_id"] = ids[0]
    values["target_response_hash"] = rows[0].get("response_hash")
    if kind == "flag":
        values |= {"name": "flag", "score_label": "flag"}
        return Decoded(rows, [feedback(origin, SOURCE, "label", values)])
    return Decoded(rows, [feedback(origin, SOURCE, "thumbs", {**values, **thumb(kind)})])


def _comparison(kind: str, rows: list[Row], ids: list[str], values: Row, origin: Origin) -> Row:
    side = _PAIRED[kind]
    if ids[0] == ids[1]:
        raise BadLine("a comparison of a response with itself")
    shares_context = rows[0].get("context_hash") == rows[1].get("context_hash")
    values = {
        **values,
        # After the first turn the two conversations differ: the vote is on them as a whole.
        "target_kind": "response" if shares_context else "conversation",
        "candidate_ids": ids,
        "winner_id": None if side is None else ids[side],
        "tie": side is None,
        "score_label": kind,
    }
    return feedback(origin, SOURCE, "comparison", values)


def _row(record: dict[str, Any], state: Any, origin: Origin, *, is_chat: bool) -> Row:
    """Build the row of a conversation's last answer."""
    if not isinstance(state, dict):
        raise BadLine("a vote without its conversations")
    conversation_id = text_of_value(state.get("conv_id"))
    if conversation_id is None:
        raise BadLine("a conversation without an id")
    messages, n_template = _messages(state)
    answers = [at for at, message in enumerate(messages) if message["role"] == "assistant"]
    own = [at for at in answers if at >= n_template]
    if not own:
        raise BadLine("no response: the messages hold no assistant turn")
    last = messages[own[-1]]
    text = "\n".join(p["content"] for p in last["parts"] if p["type"] == "text")
    turn = len(own) - 1
    values = {
        **_values(record, state, is_chat=is_chat),
        "conversation_id": conversation_id,
        "turn_index": turn,
    }
    output: Message | None = text_message("assistant", text) if text else None
    failure = next((name for mark, name in _FAILURES.items() if text.startswith(mark)), None)
    if failure:
        values["error_type"], output = failure, None
    elif text.rstrip().endswith(_CURSOR):
        text = text.rstrip().removesuffix(_CURSOR)
        values["content_state"], output = "partial_stream", text_message("assistant", text)
    return interaction(
        origin,
        SOURCE,
        native_id=f"{conversation_id}.{turn}~{digest(normalise(text))[:8]}",
        inputs=messages[: own[-1]],
        output=output,
        values=values,
    )


def _messages(state: dict[str, Any]) -> tuple[list[Message], int]:
    """Return everything that the model saw and said, and where the template's examples end."""
    logged, roles = state.get("messages"), state.get("roles")
    if not isinstance(logged, list):
        raise BadLine("a conversation without messages")
    assistant = roles[1] if isinstance(roles, list) and len(roles) > 1 else "assistant"
    messages = []
    for turn in logged:
        if not isinstance(turn, list) or len(turn) < 2:
            raise BadLine("a turn that is no pair of role and text")
        role = "assistant" if turn[0] == assistant else "user"
        messages.append({"role": role, "parts": _parts(turn[1])})
    n_template = to_count(state.get("offset")) or 0
    system = text_of_value(state.get("system_message")) or text_of_value(state.get("system"))
    if system:
        messages.insert(0, text_message("system", system))
    return messages, n_template + bool(system)


def _parts(said: Any) -> list[dict[str, Any]]:
    """Read a turn: a text, or a text and its pictures; None where the answer is still to come."""
    if isinstance(said, str):
        return [{"type": "text", "content": said}]
    if said is None:
        return []
    if isinstance(said, list) and said and isinstance(said[0], str):
        parts: list[dict[str, Any]] = [{"type": "text", "content": said[0]}]
        pictures = said[1] if len(said) > 1 and isinstance(said[1], list) else []
        return parts + [{"type": "blob", "modality": "image", "sha": digest(p)} for p in pictures]
    raise BadLine("a turn that is no pair of role and text")


def _values(record: dict[str, Any], state: dict[str, Any], *, is_chat: bool) -> Row:
    values: Row = {
        "operation_name": "chat",
        "response_model": text_of_value(state.get("model_name"))
        or text_of_value(record.get("model")),
        # A vote repeats the chat's text and knows less of it: the chat's own event goes before.
        "source_version": 2 if is_chat else 1,
    }
    if not is_chat:
        values["request_time"] = to_time(record.get("tstamp"))
        return values
    parameters = as_dict(record.get("gen_params"))
    start = to_time(record.get("start"))
    rest = {
        **record,
        "parameters": {k: v for k, v in parameters.items() if k not in _PARAMETERS},
        "template_name": state.get("template_name"),
    }
    return {
        **values,
        "request_time": start or to_time(record.get("tstamp")),
        "time_basis": "request_start" if start else None,
        "duration_s": seconds_between(start, to_time(record.get("finish"))),
        "request_temperature": to_number(parameters.get("temperature")),
        "request_top_p": to_number(parameters.get("top_p")),
        "request_max_tokens": to_count(parameters.get("max_new_tokens")),
        "attributes_json": leftover(rest, _READ),
    }


FORMAT = Format(
    NAME,
    "FastChat chats and votes",
    "`tstamp`, a `type` of event and its `state`",
    Rank.ENVELOPE,
    recognises,
    decode,
)
