"""Chatbot Arena battles: two conversations side by side, and one vote on both.

From the second turn on the two models have answered different conversations, so only a battle of
one turn is a comparison of answers; a vote on more stays with the two conversations.

Source: https://huggingface.co/datasets/lmsys/chatbot_arena_conversations ;
https://huggingface.co/datasets/lmarena-ai/arena-human-preference-140k
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources.fields import first_of, to_text, to_time
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.conversation import Conversation, rows_per_turn
from loopllm_cli.sources.payloads.openai_chat import to_messages
from loopllm_cli.sources.payloads.preference import OTHER_CONTEXT, Verdict, comparison
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Row, digest, feedback, to_json

NAME = "chatbot_arena"
_WINNERS = {"model_a": 0, "model_b": 1}
_USED = {
    *("id", "question_id", "model_a", "model_b", "winner", "judge", "tstamp", "timestamp"),
    # Both conversations once more.
    *("conversation_a", "conversation_b", "full_conversation"),
}


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record holds two conversations and a winner."""
    return (
        isinstance(record.get("conversation_a"), list)
        and isinstance(record.get("conversation_b"), list)
        and "winner" in record
        and "model_a" in record
    )


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one battle into a row per turn of either side, and its vote.

    Raises:
        BadLine: a conversation is malformed, or the winner is neither side nor a tie.
    """
    winner = record.get("winner")
    if not isinstance(winner, str) or not (
        winner in _WINNERS or winner.startswith(("tie", "both"))
    ):
        raise BadLine("a comparison whose winner is neither side")
    talks = [to_messages(record.get(f"conversation_{side}")) for side in "ab"]
    native_id = to_text(first_of(record, "id", "question_id"))
    key = native_id or digest(talks, record.get("judge"))
    time = to_time(first_of(record, "tstamp", "timestamp"), origin.date_format)
    rest = {k: v for k, v in record.items() if k not in _USED and v not in (None, "", [], {})}
    sides = []
    for side, messages in zip("ab", talks, strict=True):
        values: Row = {
            "response_model": to_text(record.get(f"model_{side}")),
            # Whoever voted had written the prompts.
            "user_id": to_text(record.get("judge")),
            "request_time": time,
            "conversation_id": f"{key}.{side}",
        }
        once = {"attributes_json": to_json(rest) if rest else None}
        talk = Conversation(messages, values, native_id, f".{side}" if native_id else "", once=once)
        sides.append(rows_per_turn(origin, NAME, talk))
    found = Decoded([row for rows in sides for row in rows])
    vote = {
        "annotator_kind": "HUMAN",
        "annotator_role": "end_user",
        "annotator_id": to_text(record.get("judge")),
        "feedback_time": time,
        "score_label": winner,
    }
    if max(len(rows) for rows in sides) == 1:
        verdict = Verdict(_WINNERS.get(winner), vote)
        found.add(comparison(origin, NAME, [rows[0] for rows in sides], verdict))
    else:
        found.skipped.append(OTHER_CONTEXT)
        found.feedback += _on_conversations(origin, key, winner, vote)
    return found


def _on_conversations(origin: Origin, key: str, winner: str, vote: Row) -> list[Row]:
    """Keep a vote on more than one turn as a score of either conversation: won, lost or tied."""
    return [
        feedback(
            origin,
            NAME,
            "score",
            {
                **vote,
                "name": "winner",
                "score_value": 0.5 if winner not in _WINNERS else float(_WINNERS[winner] == place),
                "target_kind": "conversation",
                "target_conversation_id": f"{key}.{side}",
                "target_key": "conversation_id",
            },
        )
        for place, side in enumerate("ab")
    ]


FORMAT = Format(
    NAME,
    "Chatbot Arena battles",
    "two conversations, two models and a winner",
    Rank.DATASET,
    recognises,
    decode,
)
