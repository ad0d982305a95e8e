"""JSON is stable, strict, inert, and can be read back."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopllm_cli.errors import BaselineNotFound, SchemaMismatch
from loopllm_cli.model import (
    AdapterCard,
    DriftResult,
    ForgetSummary,
    IngestSummary,
    PairsSummary,
    Verdict,
    VerifyResult,
)
from loopllm_cli.render import as_json

from . import results

ALL: dict[str, as_json.Result] = {
    "ingest": results.ingest(),
    "drift": results.drift(),
    "pairs": results.pairs(),
    "adapter": results.adapter(),
    "verify": results.verify(),
    "forget": results.forget(),
}

plain_text = st.text(st.characters(exclude_categories=["Cs"]))
finite = st.floats(allow_nan=False, allow_infinity=False)
comparisons = st.builds(
    lambda level, change, verdict, note: dataclasses.replace(
        results.comparisons()[0], current=level, change=change, verdict=verdict, note=note
    ),
    finite, finite, st.sampled_from(Verdict), plain_text,
)  # fmt: skip
drifts = st.builds(
    lambda created, found, note, skipped, settings: results.drift(
        created=created, comparisons=tuple(found), mix_note=note, skipped_signals=skipped,
        settings=settings,
    ),
    st.datetimes(timezones=st.just(UTC)),
    st.lists(comparisons, max_size=3),
    plain_text,
    st.dictionaries(plain_text, plain_text, max_size=3),
    st.dictionaries(plain_text, st.none() | st.booleans() | st.integers() | finite, max_size=3),
)  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_documents_are_as_agreed(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"{name}.json", as_json.to_json(ALL[name]))


def test_cards_and_errors_are_as_agreed(golden: Callable[[str, str], None]) -> None:
    golden("baseline.json", as_json.baseline_json(results.baseline_card()))
    golden("baselines.json", as_json.baselines_json([results.baseline_card()]))
    golden("error.json", as_json.error_json(BaselineNotFound("v2", ["v1"])))


@pytest.mark.parametrize("name", ALL)
def test_every_document_names_its_schema_and_ends_with_one_newline(name: str) -> None:
    shown = as_json.to_json(ALL[name])
    assert f"loopllm.{name}/1" == json.loads(shown)["schema"]
    assert shown.endswith("}\n")


@given(drifts)
def test_a_drift_verdict_survives_the_round_trip(result: DriftResult) -> None:
    assert result == as_json.drift_from_json(as_json.to_json(result))


@pytest.mark.parametrize("name", ALL)
def test_every_result_survives_the_round_trip(name: str) -> None:
    kinds: dict[str, Any] = {
        "ingest": IngestSummary, "drift": DriftResult, "pairs": PairsSummary,
        "adapter": AdapterCard, "verify": VerifyResult, "forget": ForgetSummary,
    }  # fmt: skip
    assert ALL[name] == as_json.from_json(as_json.to_json(ALL[name]), kinds[name])


def test_what_is_not_a_number_becomes_null_and_reads_as_nan() -> None:
    odd = dataclasses.replace(results.comparisons()[2], df=math.inf, p_value=math.nan)
    shown = as_json.to_json(results.drift(comparisons=(odd,)))
    document = json.loads(shown, parse_constant=lambda name: pytest.fail(name))
    assert document["comparisons"][0]["df"] is None
    back = as_json.drift_from_json(shown)
    assert math.isnan(back.comparisons[0].df)
    assert shown == as_json.to_json(back)


def test_times_are_utc_with_a_z() -> None:
    assert '"created": "2026-11-22T07:03:01Z"' in as_json.to_json(results.drift())


def test_hostile_text_is_escaped() -> None:
    shown = as_json.to_json(results.hostile_drift())
    assert shown.isascii()
    assert not set(shown) - {"\n"} & {chr(c) for c in range(32)}
    assert json.loads(shown)["mix_note"] == results.HOSTILE


def test_a_lone_surrogate_does_not_make_the_document_unreadable() -> None:
    assert "\\ud800" not in as_json.to_json(results.drift(mix_note="a\ud800b"))


def test_unknown_keys_are_left_out() -> None:
    document = json.loads(as_json.to_json(results.drift()))
    document["later"] = document["comparisons"][0]["later"] = 1
    assert results.drift() == as_json.drift_from_json(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "loopllm.drift/2"}, "loopllm.drift/2"),
        ({"status": "fine"}, "status cannot be 'fine'"),
        ({"created": 5}, "created cannot be int"),
        ({"comparisons": [{}]}, "comparisons[0].signal is missing"),
        ({"alpha": "0.05"}, "alpha cannot be str"),
        ({"family_size": True}, "family_size cannot be bool"),
    ],
)
def test_a_document_that_does_not_fit_names_the_place(change: dict[str, Any], said: str) -> None:
    document = json.loads(as_json.to_json(results.drift())) | change
    with pytest.raises(SchemaMismatch) as caught:
        as_json.drift_from_json(json.dumps(document))
    assert said in caught.value.message


@pytest.mark.parametrize("text", ["", "[]", "{", "null", b"\xff"])
def test_what_is_not_a_document_is_refused(text: str | bytes) -> None:
    with pytest.raises(SchemaMismatch):
        as_json.drift_from_json(text)


def test_the_same_result_is_written_the_same_way() -> None:
    assert as_json.to_json(datetime_twin()) == as_json.to_json(results.drift())


def datetime_twin() -> DriftResult:
    """Build the same result with its settings in another order and its time naive."""
    settings = dict(reversed(results.drift().settings.items()))
    return results.drift(settings=settings, created=datetime(2026, 11, 22, 7, 3, 1))
