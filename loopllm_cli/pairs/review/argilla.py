"""Read what annotators said of pairs in Argilla, in any of the layouts in which it is exported.

- `dataset.records.to_list(flatten=True)`: `question.responses`, `.users` and `.status`;
- `dataset.records.to_json` or `to_list()`: responses by question, without their status;
- records of the server's API: a list of responses, each with its status, time and values.

Sources: argilla 2.8, https://github.com/argilla-io/argilla/blob/main/argilla/src/argilla/records/
_io/_generic.py and argilla-server/src/argilla_server/api/schemas/v1/responses.py
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from loopllm_cli.model import Choice, Pair
from loopllm_cli.sources.rows import normalise

Record = dict[str, Any]
SUBMITTED = "submitted"
_RESPONSES = ".responses"
# What the question's own words for "neither" begin with, as in Argilla's examples.
_BAD = ("both bad", "both_bad", "neither", "none")
_GOOD = ("both", "tie", "equal", "same", "no difference")


@dataclass(frozen=True, slots=True)
class Answered:
    """One annotator's answer to one question of a record.

    `status` is None where the layout does not tell it.
    """

    question: str
    value: Any
    user: str | None
    status: str | None
    time: datetime | None = None


def pair_id_of(record: Record) -> str | None:
    """Return the pair that a record is about: its metadata say so, else its own id."""
    metadata = record.get("metadata")
    places = (metadata if isinstance(metadata, dict) else {}, record)
    for place in places:
        if isinstance(place.get("pair_id"), str):
            return str(place["pair_id"])
    names = (record.get("external_id"), record.get("id"))
    return next((name for name in names if isinstance(name, str)), None)


def answers_of(record: Record) -> Iterator[Answered]:
    """Yield all answers in a record, whatever its layout."""
    responses = record.get("responses")
    if isinstance(responses, dict):
        yield from _nested(responses, record.get("status"))
    elif isinstance(responses, list):
        yield from _of_api(responses)
    for key, values in record.items():
        if key.endswith(_RESPONSES) and isinstance(values, list):
            yield from _flat(record, key, values)


def choice_of(value: Any, record: Record, pair: Pair) -> Choice | None:
    """Say what an answer means for a pair; None where it is no judgement of its two sides.

    An answer names a field of the record, ranks the fields, or is a word. Which field is which
    side is told by its text, so that it does not matter what the fields are called or in which
    order they were shown.
    """
    if isinstance(value, list):
        value = _best(value)
    if not isinstance(value, str):
        return None
    word = value.strip().lower()
    names = [value, f"response_{word}"] if len(word) == 1 else [value]
    side = next(filter(None, (_side_of(name, record, pair) for name in names)), None)
    if side is not None:
        return side
    if word in (Choice.CHOSEN.value, Choice.REJECTED.value):
        return Choice(word)
    if word.startswith(_BAD):
        return Choice.BOTH_BAD
    return Choice.BOTH_GOOD if word.startswith(_GOOD) else None


def _side_of(name: str, record: Record, pair: Pair) -> Choice | None:
    fields = record.get("fields")
    text = (fields if isinstance(fields, dict) else record).get(name)
    if isinstance(text, list) and text and isinstance(text[-1], dict):
        text = text[-1].get("content")
    if not isinstance(text, str):
        return None
    sides = {normalise(pair.rejected): Choice.REJECTED, normalise(pair.chosen): Choice.CHOSEN}
    return sides.get(normalise(text))


def _best(ranks: list[Any]) -> str | None:
    """Return what a ranking puts first; "tie" where two share the first rank."""
    if not all(isinstance(one, dict) for one in ranks):
        return ranks[0] if ranks and isinstance(ranks[0], str) else None
    known = [one for one in ranks if isinstance(one.get("rank"), int)]
    if not known:
        return None
    first = min(one["rank"] for one in known)
    best = [one.get("value") for one in known if one["rank"] == first]
    return "tie" if len(best) > 1 else best[0] if isinstance(best[0], str) else None


def _nested(responses: Record, status: Any) -> Iterator[Answered]:
    # A completed record has as many submitted responses as the dataset asks for; of one that is
    # pending, nothing tells a draft from an answer.
    told = SUBMITTED if status == "completed" else None
    for question, given in responses.items():
        for one in given if isinstance(given, list) else ():
            if isinstance(one, dict):
                state = one.get("status")
                yield Answered(
                    str(question),
                    one.get("value"),
                    _text(one.get("user_id")),
                    state if isinstance(state, str) else told,
                )


def _flat(record: Record, key: str, values: list[Any]) -> Iterator[Answered]:
    users, states = record.get(f"{key}.users"), record.get(f"{key}.status")
    for place, value in enumerate(values):
        state = _at(states, place)
        yield Answered(
            key[: -len(_RESPONSES)],
            value,
            _text(_at(users, place)),
            state if isinstance(state, str) else None,
        )


def _of_api(responses: list[Any]) -> Iterator[Answered]:
    for one in responses:
        if not isinstance(one, dict):
            continue
        values = one.get("values")
        state = one.get("status")
        for question, given in values.items() if isinstance(values, dict) else ():
            yield Answered(
                str(question),
                given.get("value") if isinstance(given, dict) else given,
                _text(one.get("user_id")),
                state if isinstance(state, str) else None,
                _moment(one.get("updated_at") or one.get("inserted_at")),
            )


def _at(values: Any, place: int) -> Any:
    return values[place] if isinstance(values, list) and place < len(values) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
