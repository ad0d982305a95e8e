"""A request beside its response, under whatever two names a wrapper or gateway gave them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loopllm_cli.sources.columns import PLAIN, common_values, leftovers
from loopllm_cli.sources.fields import as_json, to_text
from loopllm_cli.sources.labels import from_labels
from loopllm_cli.sources.payloads.body import Request, Response, exchange
from loopllm_cli.sources.rows import Decoded, Origin, Record, Row, to_json

SIDES = (
    ("request", "response"),
    ("input", "output"),
    ("req", "res"),
    ("request_body", "response_body"),
    ("body", "response"),
)


def find_sides(
    record: Record, fits: Callable[[dict[str, Any], Any], bool]
) -> tuple[str, str] | None:
    """Return the names of the two sides, or None where there are none.

    Args:
        fits: whether a request (always an object) and a response are of the API in question.
    """
    for request_key, response_key in SIDES:
        request, response = record.get(request_key), record.get(response_key)
        if isinstance(request, dict) and response is not None and fits(request, response):
            return request_key, response_key
    return None


def decode_sides(
    record: Record,
    origin: Origin,
    name: str,
    found: tuple[str, str],
    sides: tuple[Request, Response],
) -> Decoded:
    """Build the rows of one call; the wrapper's own fields overrule what the bodies say.

    Args:
        name: the format.
        found: the names of the two sides.
        sides: what was read of them.
    """
    request, response = sides
    values = common_values(record, origin)
    values["attributes_json"] = with_metadata(
        leftovers(record, {*found}, values), record[found[0]], record[found[1]]
    )
    if values["request_time"] is None and response.values.get("request_time") is not None:
        values["time_basis"] = "response_created"
    labels = from_labels(*(_metadata(record[key]) for key in found))
    request.values = {**labels, **known(request.values)}
    # A failed call has no response id; the wrapper may have one for the call.
    native_id = response.values.get("response_id") or to_text(PLAIN.get(record, "id"))
    return Decoded(exchange(origin, name, request, response, values, native_id=native_id))


def known(values: Row) -> Row:
    """Leave out the columns that are missing, so that others may fill them."""
    return {column: value for column, value in values.items() if value is not None}


def with_metadata(attributes: str | None, *bodies: Any) -> str | None:
    """Add the metadata that the caller put into a body to what no column holds."""
    merged: dict[str, Any] = {}
    for body in bodies:
        merged.update(_metadata(body))
    if not merged:
        return attributes
    rest = as_json(attributes) if attributes else {}
    return to_json({**(rest if isinstance(rest, dict) else {}), "body_metadata": merged})


def _metadata(body: Any) -> dict[str, Any]:
    metadata = body.get("metadata") if isinstance(body, dict) else None
    if not isinstance(metadata, dict):
        return {}
    # The user's id has a column of its own.
    return {key: value for key, value in metadata.items() if key != "user_id"}
