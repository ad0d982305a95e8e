"""Values that no exporter should write and some do: each is read, left out, or refused."""

from __future__ import annotations

import json
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from decoding import decode_all, ingest_file, row_of

from loopllm_cli.sources import votes
from loopllm_cli.sources.fields import read_stored, to_text
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import to_json
from scripts.exports import providers

HUGE = 10**400


def nested(depth: int) -> Any:
    """Return lists in lists."""
    return reduce(lambda inner, _: [inner], range(depth), 1)


def test_an_id_beyond_the_range_of_floats_keeps_its_digits() -> None:
    assert str(HUGE) == to_text(HUGE)


@pytest.mark.parametrize("number", [HUGE, -HUGE, 2**64, 10**20 + 1, 2**63, 7])
def test_what_was_stored_is_read_with_its_numbers_exact(number: int) -> None:
    assert {"n": number} == read_stored(to_json({"n": number}))


def test_counts_whose_sum_does_not_fit_the_store_are_missing() -> None:
    most = 2**63 - 1
    usage = {"input_tokens": most, "cache_read_input_tokens": most, "output_tokens": 1}
    record = providers.anthropic_wrapper()[0]
    record["response"]["usage"] = usage
    row = row_of(record)
    assert (None, 1) == (row["input_tokens"], row["output_tokens"])


@pytest.mark.parametrize("value", [nested(900), {"a": 1}, None, []])
def test_a_thumb_that_is_no_word_is_refused(value: Any) -> None:
    with pytest.raises(BadLine, match="neither up nor down"):
        votes.thumb(value)


def test_a_part_that_cannot_be_written_is_rejected_and_its_neighbours_are_kept(
    tmp_path: Path,
) -> None:
    """Its number beyond the range of floats is no reason: that one is put together."""
    first, second, third = providers.openai_batch_output()
    first["response"]["body"]["deep"] = "DEEP"
    second["response"]["body"]["huge"] = HUGE
    path = tmp_path / "batch.jsonl"
    text = "".join(json.dumps(record) + "\n" for record in (first, second, third))
    path.write_text(text.replace('"DEEP"', "[" * 980 + "]" * 980), "utf-8")
    summary = ingest_file(path)
    assert (2, 2, {"nested too deeply": 1}) == (
        summary.n_parts,
        summary.n_extra_rows,
        summary.rejected_by_reason,
    )


def test_ranked_answers_whose_question_is_missing_are_compared() -> None:
    both = [
        {
            "message_tree_id": "t-1",
            "message_id": f"m-{rank}",
            "parent_id": "m-gone",
            "role": "assistant",
            "text": f"Answer {rank}.",
            "rank": rank,
        }
        for rank in (0, 1)
    ]
    kinds = [vote["kind"] for vote in decode_all(both)[1].feedback]
    assert ["ranking", "ranking", "comparison"] == kinds


def test_a_date_with_two_readings_in_a_tree_is_refused_when_it_is_read() -> None:
    message = {
        "message_tree_id": "t-1",
        "message_id": "m-1",
        "role": "assistant",
        "text": "Yes.",
        "created_date": "01/02/2026",
    }
    with pytest.raises(BadLine, match="two readings"):
        decode_all([message])
