"""Windows hold what was asked for, votes find their responses, and damage is told from mistakes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import chat_pair, feedback_record, flat_record, write_jsonl
from store_runs import read_in

from loopllm_cli.commands._options import to_window
from loopllm_cli.errors import ConfigError, EmptyWindow, StoreUnavailable
from loopllm_cli.model import Window
from loopllm_cli.store import tables
from loopllm_cli.store.linking import read_links
from loopllm_cli.store.project import Project
from loopllm_cli.store.windows import parse_moment, read_window, summarise_window

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def stored(root: Path, *records: dict[str, Any]) -> Project:
    """Return a project that holds some records."""
    read_in(root, write_jsonl(root / f"{len(list(root.iterdir()))}.jsonl", records))
    return Project(root)


def ids(project: Project, **window: Any) -> list[str]:
    """Return the ids in a window, in their order."""
    found = read_window(project, Window(**window), "the window")
    return list(found.column("interaction_id").to_pylist())


def sums(project: Project, column: str) -> list[float | None]:
    """Return a feedback column of all rows, in order of time."""
    return list(read_window(project, Window(), "the window").column(column).to_pylist())


def test_a_vote_that_comes_before_its_response_is_linked_later(tmp_path: Path) -> None:
    first = read_in(tmp_path, write_jsonl(tmp_path / "v.jsonl", [feedback_record("chatcmpl-1")]))
    later = read_in(tmp_path, write_jsonl(tmp_path / "r.jsonl", [chat_pair(1), chat_pair(2)]))
    assert (0, 1) == (first.n_feedback_linked, first.n_feedback_orphans)
    assert (1, 0) == (later.n_feedback_linked, later.n_feedback_orphans)
    assert [1.0, None] == sums(Project(tmp_path), "polarity")


def test_a_vote_that_fits_several_responses_stays_unlinked(tmp_path: Path) -> None:
    choices = [{"index": k, "message": {"content": str(k)}} for k in (0, 1)]
    project = stored(tmp_path, chat_pair(1, choices=choices), feedback_record("chatcmpl-1"))
    assert [None, None] == sums(project, "polarity")
    assert read_links(project).resolve("chatcmpl-1") is None
    read_in(
        tmp_path, write_jsonl(tmp_path / "v.jsonl", [feedback_record("openai_chat:chatcmpl-1#1")])
    )
    assert [None, 1.0] == sums(project, "polarity")


def test_a_vote_on_a_conversation_of_several_answers_stays_unlinked(tmp_path: Path) -> None:
    turns = [{"role": r, "content": f"{r} {k}"} for k in (0, 1) for r in ("user", "assistant")]
    project = stored(tmp_path, {"id": "c", "messages": turns}, {"message_id": "c", "thumbs": "up"})
    assert read_links(project).resolve("c") is None


@pytest.mark.parametrize("column", ["request_id", "trace_id", "span_id", "id"])
def test_a_vote_finds_its_response_by_any_id_that_exporters_use(
    column: str, tmp_path: Path
) -> None:
    project = stored(
        tmp_path,
        flat_record(1, **{"id": None, column: "x-1"}),
        flat_record(2, **{"id": None, column: "x-2"}),
        {column: "x-2", "thumbs": "down"},
    )
    assert [None, -1.0] == sums(project, "polarity")


def test_the_loser_of_a_comparison_is_counted(tmp_path: Path) -> None:
    vote = {"candidates": ["chatcmpl-1", "chatcmpl-2"], "winner": "chatcmpl-2"}
    tie = {**vote, "winner": "tie"}
    project = stored(
        tmp_path,
        chat_pair(1),
        chat_pair(2),
        {**vote, "response_id": "chatcmpl-1"},
        {**tie, "response_id": "chatcmpl-1"},
    )
    assert [1.0, 0.0] == sums(project, "n_comparisons_lost")


def test_a_comparison_is_linked_only_with_all_its_candidates(tmp_path: Path) -> None:
    vote = {"candidates": ["chatcmpl-1", "gone"], "winner": "chatcmpl-1", "response_id": "x"}
    path = write_jsonl(tmp_path / "a.jsonl", [chat_pair(1), vote])
    summary = read_in(tmp_path, path)
    assert (0, 1) == (summary.n_feedback_linked, summary.n_feedback_orphans)


def test_the_last_vote_counts_and_one_without_a_time_is_not_last(tmp_path: Path) -> None:
    project = stored(
        tmp_path,
        chat_pair(1),
        feedback_record("chatcmpl-1", value="up", timestamp="2026-10-05"),
        feedback_record("chatcmpl-1", value="down", timestamp="2026-10-06"),
        feedback_record("chatcmpl-1", value="up", timestamp=None),
    )
    assert [-1.0] == sums(project, "polarity")


def test_ratings_and_corrections_are_summed(tmp_path: Path) -> None:
    project = stored(
        tmp_path,
        chat_pair(1),
        feedback_record("chatcmpl-1", "rating", 4, scale_min=1, scale_max=5),
        feedback_record("chatcmpl-1", "correction", "a"),
        feedback_record("chatcmpl-1", "correction", "b"),
    )
    assert ([0.75], [2.0]) == (sums(project, "rating"), sums(project, "n_corrections"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-10-01", datetime(2026, 10, 1, tzinfo=UTC)),
        ("2026-10-01T06:00", datetime(2026, 10, 1, 6, tzinfo=UTC)),
        ("2026-10-01T06:00+02:00", datetime(2026, 10, 1, 4, tzinfo=UTC)),
        ("7d", NOW - timedelta(days=7)),
        (" 12 h ", NOW - timedelta(hours=12)),
        ("2w", NOW - timedelta(weeks=2)),
        ("90m", NOW - timedelta(minutes=90)),
    ],
)
def test_moments_are_dates_times_or_ages(text: str, expected: datetime) -> None:
    assert expected == parse_moment(text, NOW)


@pytest.mark.parametrize(
    "text", ["yesterday", "", "7", "-7d", "7y", "999999999999d", "0001-01-01T00:00+14:00", "1/2/26"]
)
def test_other_moments_are_refused_with_examples(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_moment(text, NOW)


def test_a_window_begins_with_since_and_ends_before_until(tmp_path: Path) -> None:
    days = [flat_record(k, timestamp=f"2026-10-0{k}T00:00:00Z") for k in range(1, 6)]
    project = stored(tmp_path, *days, flat_record(9, timestamp=None))
    since, until = (datetime(2026, 10, d, tzinfo=UTC) for d in (2, 4))
    assert ["flat:r-2", "flat:r-3"] == ids(project, since=since, until=until)
    assert 4 == len(ids(project, since=since))
    assert 6 == len(ids(project))


def test_a_window_of_a_model_falls_back_to_the_requested_name(tmp_path: Path) -> None:
    failed = chat_pair(2, error={"code": "x"}, model="m-2", id="e")
    project = stored(tmp_path, chat_pair(1), failed)
    assert ["openai_chat:e"] == ids(project, model="m-2")


@pytest.mark.parametrize(
    "model", ["o'brien", "x' OR '1'='1", "'; DROP TABLE rows; --", 'a"b', "a\\", "%", "ü\n\t"]
)
def test_any_model_name_is_taken_literally(model: str, tmp_path: Path) -> None:
    project = stored(
        tmp_path, flat_record(1, model=to_window(None, None, model, None).model), flat_record(2)
    )
    assert ["flat:r-1"] == ids(project, model=to_window(None, None, model, None).model)
    assert 2 == len(ids(project))


def test_where_takes_sql_conditions(tmp_path: Path) -> None:
    project = stored(tmp_path, *(flat_record(k, output_tokens=k) for k in range(5)))
    assert 2 == len(ids(project, where="output_tokens > 2 AND response_model = 'm-1'"))
    assert 5 == len(ids(project, where="output_tokens > 2 OR TRUE", model="m-1"))


@pytest.mark.parametrize(
    "where",
    [
        *("nope = 1", "output_tokens >", "'", "1=1); DROP TABLE rows; --", "TRUE --"),
        *("CAST(response_text AS INT) = 1", "output_tokens", "COUNT(*) > 1", ")", "SELECT 1"),
    ],
)
def test_an_invalid_condition_is_the_callers_mistake(where: str, tmp_path: Path) -> None:
    project = stored(tmp_path, flat_record(1))
    with pytest.raises(ConfigError) as caught:
        ids(project, where=where)
    assert "--where" in caught.value.hint
    assert "\n" not in caught.value.message


def test_an_empty_window_names_the_span_of_the_store(tmp_path: Path) -> None:
    project = stored(tmp_path, flat_record(1))
    with pytest.raises(EmptyWindow) as caught:
        ids(project, model="nope")
    assert "2026-10-01 00:01 to 2026-10-01 00:01 UTC" in caught.value.hint


def test_a_summary_of_a_window_counts_users_and_models(tmp_path: Path) -> None:
    project = stored(tmp_path, *(flat_record(k, user_id=f"u{k % 2}") for k in range(4)))
    summary = summarise_window(read_window(project, Window(), "w"), ["a", "a", "b", "b"])
    assert (4, 2, 2, ("m-1",)) == (
        summary.n_rows,
        summary.n_users,
        summary.n_clusters,
        summary.models,
    )


def test_an_empty_project_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        ids(Project(tmp_path))
    assert "loopllm ingest" in caught.value.hint


def damage(table: Path, how: str) -> None:
    """Damage a table's files."""
    (data,) = table.glob("*.parquet")
    log = min((table / "_delta_log").glob("*.json"))
    if how == "missing data":
        data.unlink()
    elif how == "truncated data":
        data.write_bytes(data.read_bytes()[:300])
    elif how == "other bytes":
        data.write_bytes(bytes(len(data.read_bytes())))
    elif how == "empty log":
        log.write_bytes(b"")
    else:
        log.write_bytes(b"garbage")


@pytest.mark.parametrize("where", [None, "output_tokens > 5"])
@pytest.mark.parametrize(
    "how", ["missing data", "truncated data", "other bytes", "empty log", "garbage log"]
)
def test_a_damaged_store_is_not_blamed_on_the_question(
    how: str, where: str | None, tmp_path: Path
) -> None:
    project = stored(tmp_path, *(flat_record(k, output_tokens=k) for k in range(9)))
    damage(project.interactions, how)
    with pytest.raises(StoreUnavailable) as caught:
        ids(project, where=where)
    assert "cannot read the table" in caught.value.message
    assert "\n" not in caught.value.message
    with pytest.raises(StoreUnavailable):
        read_in(tmp_path, write_jsonl(tmp_path / "b.jsonl", [flat_record(10)]))


def test_string_columns_come_as_plain_strings(tmp_path: Path) -> None:
    project = stored(tmp_path, flat_record(1))
    found = tables.select(project.interactions, "SELECT * FROM rows")
    assert found is not None
    assert "string" == str(found.schema.field("response_text").type)
