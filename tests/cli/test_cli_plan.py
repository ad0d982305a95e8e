"""`loopllm plan`: what a night would show, and what a wanted change takes."""

from __future__ import annotations

import pytest
from command_line import loopllm
from factories import shifted_logs, write_jsonl

AT = ("plan", "--baseline", "v1", "--project")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make a project with a baseline of 600 rows in 28 nights."""
    folder = tmp_path_factory.mktemp("plan")
    logs = write_jsonl(folder / "logs.jsonl", shifted_logs(600, seed=2))
    assert 0 == loopllm("ingest", str(logs), "--project", str(folder), "-q").code
    made = ("baseline", "create", "v1", "--segment-by", "prompt_name", "-q")
    assert 0 == loopllm(*made, "--project", str(folder)).code
    return str(folder)


def test_the_table_fits_80_columns_and_names_the_rows_to_expect(place: str) -> None:
    said = loopllm(*AT, place)
    assert (0, "") == (said.code, said.err)
    assert "600 rows" in said.out
    assert "refusal" in said.out
    assert [] == [line for line in said.out.splitlines() if len(line) > 80]


def test_a_night_is_the_baselines_own_by_default(place: str) -> None:
    plan = loopllm(*AT, place, "--json").document
    assert "loopllm.plan/1" == plan["schema"]
    assert 600 == plan["n_baseline"]
    assert round(600 / plan["n_nights"]) == plan["n_rows"]
    assert plan["family_size"] == len(plan["signals"])


def test_more_rows_see_smaller_changes(place: str) -> None:
    few, many = (
        loopllm(*AT, place, "--rows-per-night", n, "--signal", "refusal", "--json").document
        for n in ("300", "3000")
    )
    (few,), (many,) = few["signals"], many["signals"]
    assert many["visible"] < few["visible"]
    assert many["visible_larger_baseline"] < many["visible"]
    assert few["rows_needed"] == many["rows_needed"]


def test_a_larger_change_takes_fewer_rows_and_more_power_takes_more(place: str) -> None:
    def rows(*options: str) -> float:
        asked = (*AT, place, "--signal", "refusal", "--json", *options)
        (signal,) = loopllm(*asked).document["signals"]
        return float(signal["rows_needed"])

    assert rows("--change", "0.3") < rows("--change", "0.2") < rows("--change", "0.15")
    assert rows("--change", "0.2") < rows("--change", "0.2", "--power", "0.95")


def test_a_change_that_the_baseline_cannot_show_is_never_seen(place: str) -> None:
    said = loopllm(*AT, place, "--signal", "refusal", "--change", "0.0101")
    assert 0 == said.code
    assert "never" in said.out
    (signal,) = loopllm(*AT, place, "--signal", "refusal", "--change", "0.0101", "--json").document[
        "signals"
    ]
    assert signal["rows_needed"] is None


@pytest.mark.parametrize(
    "options",
    [
        ("--signal", "no_such"),
        ("--signal", "answer_chars"),
        ("--change", "0"),
        ("--power", "1"),
        ("--rows-per-night", "0"),
    ],
)
def test_what_cannot_be_planned_is_a_mistake_in_two_lines(
    options: tuple[str, ...], place: str
) -> None:
    said = loopllm(*AT, place, *options)
    assert (2, "") == (said.code, said.out)
    assert said.err.startswith("error: ")
    assert 2 == len(said.err.splitlines())


def test_a_baseline_that_is_not_there_is_named(place: str) -> None:
    said = loopllm("plan", "--baseline", "v9", "--project", place)
    assert 2 == said.code
    assert "v9" in said.err
