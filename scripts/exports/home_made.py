"""Logs that people write themselves: flat records, a table, votes in a file of their own."""

from __future__ import annotations

from scripts.exports.calls import (
    CALLS,
    CORRECTION,
    MODEL,
    Record,
    at,
    iso,
)

FIELDS = ("id", "timestamp", "model", "session_id", "user_id", "prompt", "response")


def flat(number: int) -> Record:
    """Return a record as people write it themselves."""
    question, answer, _, _ = CALLS[number]
    values = (
        *(f"call-{number}", iso(at(number)), MODEL, f"visit-{number // 2}", f"reader-{number}"),
        *(question, answer),
    )
    return dict(zip(FIELDS, values, strict=True))


def home_made() -> list[Record]:
    """Return flat records, two of them with the reader's verdict."""
    records = [flat(number) for number in range(3)]
    records[0]["feedback"] = "up"
    records[2] |= {"feedback": "down", "correction": CORRECTION}
    return records


def home_made_table() -> list[Record]:
    """Return flat records for a spreadsheet."""
    return [{**flat(number), "rating": rating} for number, rating in ((0, 5), (1, 4), (2, 1))]


def home_made_other_names() -> list[Record]:
    """Return records whose names nobody could guess."""
    return [
        {
            "ref": f"call-{number}",
            "asked": {"at": at(number).strftime("%d.%m.%Y %H:%M"), "text": CALLS[number][0]},
            "said": {"text": CALLS[number][1], "by": MODEL},
        }
        for number in range(3)
    ]


def home_made_feedback() -> list[Record]:
    """Return votes on the flat records, kept in a file of their own."""
    return [
        {"response_id": "call-1", "kind": "rating", "value": 4, "scale_min": 1, "scale_max": 5},
        {"response_id": "call-2", "kind": "thumbs", "value": "down", "user": "reader-2"},
        {"response_id": "call-2", "kind": "correction", "value": CORRECTION, "user": "desk-7"},
    ]


MAPPING = """\
date_format = "%d.%m.%Y %H:%M"

[columns]
id = "ref"
prompt = "asked.text"
request_time = "asked.at"
response = "said.text"
model = "said.by"
"""
