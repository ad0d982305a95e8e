"""Single values are read strictly: times, numbers, errors, paths."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loopllm_cli.sources.fields import get_path, to_count, to_error, to_number, to_text, to_time
from loopllm_cli.sources.reading import BadLine

NOON = datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)
EPOCH = NOON.timestamp()


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-02T12:00:00Z",
        "2026-03-02T12:00:00+00:00",
        "2026-03-02T14:00:00+02:00",
        "2026-03-02T07:00:00-0500",
        "2026-03-02 12:00:00",
        "2026-03-02 12:00:00 UTC",
        "2026-03-02 12:00:00.000000",
        "2026-03-02T12:00:00.000000000Z",
        "2026/03/02 12:00:00",
        "2026/3/2 12:00:00",
        "20260302T120000Z",
        " 2026-03-02T12:00:00Z ",
        EPOCH,
        int(EPOCH),
        int(EPOCH * 1e3),
        int(EPOCH * 1e6),
        int(EPOCH) * 10**9,
        str(int(EPOCH)),
        f"{EPOCH}",
    ],
)
def test_every_usual_way_to_write_a_time_is_read(value: Any) -> None:
    assert to_time(value) == NOON


@pytest.mark.parametrize("value", ["03/02/2026", "3/2/26", "03.02.2026 12:00", "03-02-2026"])
def test_a_date_with_two_readings_is_refused_unless_its_format_is_given(value: str) -> None:
    with pytest.raises(BadLine, match="give --date-format"):
        to_time(value)


def test_an_explicit_format_settles_the_reading() -> None:
    assert datetime(2026, 3, 2, tzinfo=UTC) == to_time("03/02/2026", "%m/%d/%Y")
    assert datetime(2026, 2, 3, tzinfo=UTC) == to_time("03/02/2026", "%d/%m/%Y")
    assert NOON == to_time("20260302 12", "%Y%m%d %H")
    assert datetime(2026, 3, 2, tzinfo=UTC) == to_time("20260302", "%Y%m%d")
    assert NOON == to_time(str(int(EPOCH)), "%d/%m/%Y")
    assert NOON == to_time(EPOCH, "%d/%m/%Y")


def test_a_time_that_does_not_match_its_format_is_refused() -> None:
    with pytest.raises(BadLine, match="does not match"):
        to_time("2026-03-02", "%d/%m/%Y")


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", " ", "N/A", "soon", True, [], {}, {"$date": "2026-03-02"}),
        *(0, -1, 1e300, float("nan"), float("inf"), "1970-01-01T00:00:00Z", "2017-12-31"),
        *("9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+14:00", "2026-02-30"),
        pytest.param((datetime.now(UTC) + timedelta(days=3)).isoformat(), id="in three days"),
    ],
)
def test_what_is_no_time_or_a_default_or_in_the_future_is_missing(value: Any) -> None:
    assert to_time(value) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((61, 61.0), ("61", 61.0), ("0.03", 0.03), ("1,234", 1234.0), ("1,234,567.5", 1234567.5)),
        *((" 5 ", 5.0), ("-1,000", -1000.0), ("1e3", 1000.0)),
        *(("0,5", None), ("1,23", None), ("", None), ("1.8s", None), (None, None), (True, None)),
        *(("nan", None), ("inf", None), (float("inf"), None), (10**400, None), ([], None)),
    ],
)
def test_numbers_are_read_also_from_text_and_never_guessed(
    value: Any, expected: float | None
) -> None:
    assert expected == to_number(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3.0, 3), ("3", 3), (3.5, None), (-1, None), (2**63, None), (2**62, 2**62), (None, None)],
)
def test_counts_are_whole_not_negative_and_fit(value: Any, expected: int | None) -> None:
    assert expected == to_count(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(("a", "a"), (5, "5"), (2**70, str(2**70)), (True, None), (None, None)),
        *((float("inf"), None), ([], None), ({}, None)),
    ],
)
def test_ids_keep_their_digits(value: Any, expected: str | None) -> None:
    assert expected == to_text(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *(("timeout", "timeout"), ({"code": 5}, "5"), ({"x": 1}, "error"), (True, "error")),
        *((None, None), ("", None), ("None", None), (False, None), ({}, None), ([], None)),
        *((0, None), (500, "500")),
    ],
)
def test_an_error_has_a_name_and_no_error_has_none(value: Any, expected: str | None) -> None:
    assert expected == to_error(value)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a.b.1", 2), ("a.b", [1, 2]), ("a.c.d", "dotted"), ("a.b.9", None), ("a.b.²", None)],
)
def test_paths_lead_into_objects_and_lists(path: str, expected: Any) -> None:
    assert expected == get_path({"a": {"b": [1, 2]}, "a.c.d": "dotted"}, path)
