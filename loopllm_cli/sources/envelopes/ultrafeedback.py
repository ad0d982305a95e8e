"""UltraFeedback: several answers per instruction rated by a model, or the best beside a lower one.

Ratings of the four aspects run from 1 to 5 and come as texts, "N/A" where an aspect does not
apply. The overall score stays without polarity: in the first release many a 1 was read as 10.
The binarised form keeps the scores of both answers; equal scores are a tie, whatever was chosen.

Source: https://huggingface.co/datasets/openbmb/UltraFeedback ;
https://huggingface.co/datasets/HuggingFaceH4/ultrafeedback_binarized ; on the scores of 10:
https://huggingface.co/datasets/argilla/ultrafeedback-binarized-preferences
"""

from __future__ import annotations

from typing import Any

from loopllm_cli.sources import votes
from loopllm_cli.sources.fields import first_of, to_number, to_text
from loopllm_cli.sources.formats import Format, Rank
from loopllm_cli.sources.payloads.preference import (
    Side,
    Verdict,
    answer_rows,
    comparison,
    inline_vote,
    read_sides,
)
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Row, feedback, text_message, to_json

NAME = "ultrafeedback"
_SIDES = ("chosen", "rejected")
_SCORES = {
    side: (f"score_{side}", f"{side}-rating", f"{side}_avg_rating", f"{side}_rating")
    for side in _SIDES
}
_COMPLETION = {"model", "response", "custom_system_prompt", "annotations", "critique"} | {
    "overall_score"
}
_RECORD = {
    *("prompt", "instruction", "completions", "models", "chosen", "rejected", "messages"),
    *("chosen_response", "rejected_response", "chosen-model", "rejected-model"),
    *("chosen_model", "rejected_model", *_SCORES["chosen"], *_SCORES["rejected"]),
}


def recognises(record: dict[str, Any]) -> bool:
    """Return whether a record holds rated completions, or two answers with their scores."""
    completions = record.get("completions")
    if isinstance(completions, list) and isinstance(record.get("instruction"), str):
        return (
            bool(completions)
            and isinstance(completions[0], dict)
            and "response" in (completions[0])
        )
    return all(
        isinstance(first_of(record, side, f"{side}_response"), str | list)
        and any(name in record for name in _SCORES[side])
        for side in _SIDES
    )


def decode(record: dict[str, Any], origin: Origin) -> Decoded:
    """Decode one instruction into a row per answer, with what a model said of them.

    Raises:
        BadLine: the instruction or an answer is missing or malformed.
    """
    if "completions" in record:
        return _completions(record, origin)
    return _binarised(record, origin)


def _completions(record: dict[str, Any], origin: Origin) -> Decoded:
    instruction, completions = record.get("instruction"), record.get("completions")
    if not isinstance(instruction, str):
        raise BadLine("no prompt")
    if not isinstance(completions, list) or not completions:
        raise BadLine("completions is no list of answers")
    found = Decoded()
    for place, completion in enumerate(completions):
        if not isinstance(completion, dict) or not isinstance(completion.get("response"), str):
            raise BadLine("a completion without a response")
        inputs = [text_message("user", instruction)]
        system = to_text(completion.get("custom_system_prompt"))
        if system:
            inputs.insert(0, text_message("system", system))
        values = {
            "response_model": to_text(completion.get("model")),
            "choice_index": place,
            "attributes_json": _rest({**_beside(record), **completion}, _COMPLETION),
        }
        side = Side(inputs, text_message("assistant", completion["response"]), values)
        (row,) = answer_rows(origin, NAME, [side])
        found.interactions.append(row)
        found.add(_ratings(completion, row, origin))
    return found


def _ratings(completion: dict[str, Any], row: Row, origin: Origin) -> Decoded:
    found = Decoded()
    aspects = completion.get("annotations")
    for name, given in aspects.items() if isinstance(aspects, dict) else ():
        said = given if isinstance(given, dict) else {"Rating": given}
        score = to_number(said.get("Rating"))
        if score is None or not 1 <= score <= 5:
            found.skipped.append("an aspect without a rating")
            continue
        why = to_text(first_of(said, "Rationale For Rating", "Rationale")) or None
        values = {"name": name, "explanation": why, **votes.rating(score, 1, 5)}
        found.feedback.append(_rating(origin, row, values))
    overall = to_number(completion.get("overall_score"))
    if overall is not None:
        values = {"score_value": overall, "explanation": to_text(completion.get("critique"))}
        found.feedback.append(_rating(origin, row, {"name": "overall_score", **values}))
    return found


def _rating(origin: Origin, row: Row, values: Row) -> Row:
    return feedback(origin, NAME, "rating", inline_vote(row, annotator_kind="LLM", **values))


def _binarised(record: dict[str, Any], origin: Origin) -> Decoded:
    prompt = first_of(record, "prompt", "instruction")
    chosen, rejected = (first_of(record, side, f"{side}_response") for side in _SIDES)
    if not isinstance(prompt, str | list | None):
        raise BadLine("no prompt")
    sides = read_sides(prompt, chosen, rejected)
    scores = [to_number(first_of(record, *_SCORES[name])) for name in _SIDES]
    for side, name in zip(sides, _SIDES, strict=True):
        model = first_of(record, f"{name}_model", f"{name}-model")
        side.values = {
            "response_model": to_text(model),
            "attributes_json": _rest(_beside(record), set()),
        }
    # A `prompt_id` names the prompt alone: several pairs of answers may share it.
    rows = answer_rows(origin, NAME, sides)
    found = Decoded(list({row["interaction_id"]: row for row in rows}.values()))
    for row, score in zip(rows, scores, strict=True):
        if score is not None:
            values = {"name": "overall_score", "score_value": score}
            found.feedback.append(_rating(origin, row, values))
    margin = None if None in scores else scores[0] - scores[1]  # type: ignore[operator]
    winner = None if margin == 0 else 0
    vote = {"annotator_kind": "LLM", "score_value": margin}
    found.add(comparison(origin, NAME, rows, Verdict(winner, vote)))
    return found


def _beside(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in _RECORD}


def _rest(record: dict[str, Any], used: set[str]) -> str | None:
    rest = {k: v for k, v in record.items() if k not in used and v not in (None, "", [], {})}
    return to_json(rest) if rest else None


FORMAT = Format(
    NAME,
    "UltraFeedback",
    "answers to one instruction with a model's scores",
    Rank.DATASET,
    recognises,
    decode,
)
