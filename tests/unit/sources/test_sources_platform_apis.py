"""Langfuse's and LangSmith's newer APIs give the same rows and votes as the older ones."""

from __future__ import annotations

from decoding import decoded, row_of, vote_of

from scripts.exports.calls import CORRECTION
from scripts.exports.platforms import langfuse_scores, langsmith_runs

SCORES = langfuse_scores()


def test_a_langfuse_score_of_a_trace_keeps_to_the_trace() -> None:
    vote = vote_of(SCORES[0])
    assert ("thumbs", 1, "trace", "trace-0", None) == (
        *(vote["kind"], vote["polarity"]),
        *(vote["target_kind"], vote["target_trace_id"], vote["target_span_id"]),
    )


def test_a_langfuse_score_of_an_observation_names_it_and_its_trace() -> None:
    vote = vote_of(SCORES[1])
    assert (-1, "span", "obs-2", "trace-2") == (
        *(vote["polarity"], vote["target_kind"]),
        *(vote["target_span_id"], vote["target_trace_id"]),
    )


def test_a_langfuse_correction_is_its_value() -> None:
    vote = vote_of(SCORES[2])
    assert ("correction", CORRECTION, "expert") == (
        *(vote["kind"], vote["text"], vote["annotator_role"]),
    )


def test_a_langfuse_score_of_an_experiment_is_about_a_group() -> None:
    vote = vote_of({**SCORES[3], "subject": {"kind": "experiment", "id": "run-1"}})
    assert ("group", "run-1") == (vote["target_kind"], vote["target_id"])


def test_langsmiths_newer_query_gives_the_row_of_the_older_one() -> None:
    """Upper case, the parents as a list, the thread beside the run."""
    older = langsmith_runs()[1]
    newer = {
        **{k: v for k, v in older.items() if k not in ("parent_run_id", "session_id", "extra")},
        "run_type": "LLM",
        "status": "SUCCESS",
        "parent_run_ids": [older["parent_run_id"]],
        "project_id": older["session_id"],
        "thread_id": older["extra"]["metadata"]["thread_id"],
        "metadata": {k: v for k, v in older["extra"]["metadata"].items() if k != "thread_id"},
    }
    left_over = {"attributes_json": None}
    assert row_of(older) | left_over == row_of(newer) | left_over


def test_a_failed_run_of_langsmiths_newer_query_is_an_error() -> None:
    run = {**langsmith_runs()[1], "status": "ERROR", "outputs": None}
    assert "error" == row_of(run)["error_type"]


def test_a_chain_of_langsmiths_newer_query_below_another_is_no_answer() -> None:
    chain = {**langsmith_runs()[0], "run_type": "CHAIN", "parent_run_ids": ["r-1"]}
    chain.pop("child_run_ids")
    assert ["chain run"] == decoded(chain)[1].skipped
