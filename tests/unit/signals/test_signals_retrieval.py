"""Signals about answers from retrieved context."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from signal_rows import batch_of, measure

from loopllm_cli.signals.batch import RowBatch

NAN = float("nan")


def rows(*logged, prompt="Who?"):
    """Make a batch from pairs of an answer and what its row logs as attributes."""
    return batch_of(
        response_text=[answer for answer, _ in logged],
        content_state=["full"] * len(logged),
        attributes_json=[None if a is None else json.dumps(a) for _, a in logged],
        prompt_text=[prompt] * len(logged),
    )


TEXT = "Rome is the capital of Italy."
PLACES = {
    "OpenInference, flat": {"retrieval.documents.0.document.content": TEXT},
    "OpenInference, a list": {"retrieval.documents": [{"document.content": TEXT}]},
    "nested": {"retrieval": {"documents": [{"document": {"content": TEXT}}]}},
    "LangChain": {"source_documents": [{"page_content": TEXT, "metadata": {}}]},
    "RAG data set": {"contexts": [TEXT]},
    "as a text": {"context": TEXT},
    "inside metadata": {"metadata": {"retrieved_contexts": [TEXT]}},
    "as JSON in a text": {"metadata": json.dumps({"documents": [{"text": TEXT}]})},
}


@pytest.mark.parametrize("attributes", PLACES.values(), ids=PLACES)
def test_context_is_found_where_frameworks_log_it(attributes):
    """Half of the answer's words stand in the context."""
    found = measure("context_overlap", rows(("Rome lies elsewhere, italy", attributes), ("x", {})))
    np.testing.assert_equal(found, [0.5, NAN])


def test_context_in_the_prompt_or_from_tools_counts():
    """Sections in angle brackets, and the results of this turn's tools."""
    prompt = f"<documents><document>{TEXT}</document></documents> Who?"
    assert [1.0] == measure("context_overlap", rows(("rome", None), prompt=prompt)).tolist()
    tool = {"type": "tool_call_response", "response": TEXT}
    batch = batch_of(response_text=["rome paris"], content_state=["full"])
    asked = json.dumps([{"role": "tool", "parts": [tool]}], separators=(",", ":"))
    table = batch.table.append_column("input_messages", [[asked]])
    assert [0.5] == measure("context_overlap", RowBatch(table)).tolist()


def test_an_empty_place_for_context_is_seen():
    """No place is no evidence; an empty one is a retriever that found nothing."""
    batch = rows(("a", {"contexts": []}), ("a", {"contexts": [TEXT]}), ("a", {"x": 1}), ("a", None))
    np.testing.assert_equal(measure("context_empty", batch), [1.0, 0.0, NAN, NAN])


@pytest.mark.parametrize(
    ("answer", "cites", "invents"),
    [
        ("Rome [1].", 1.0, 0.0),
        ("Rome [1, 2].", 1.0, NAN),
        ("Rome [^2].", 1.0, 0.0),
        ("Rome [3].", 1.0, 1.0),
        ("Rome [doc 1].", 1.0, NAN),
        ("Rome (source: atlas).", 1.0, NAN),
        ("Rome【1†source】.", 1.0, NAN),
        ("See https://atlas.example/rome.", 1.0, 0.0),
        ("See https://atlas.example/paris", 0.0, 1.0),
        ("Rome, in the year [sic] of 2021.", 0.0, NAN),
        ("Rome.", 0.0, NAN),
    ],
)
def test_citations_are_seen_and_held_against_the_context(answer, cites, invents):
    """Numbers beyond the list and links from nowhere are invented."""
    batch = rows((answer, {"contexts": [TEXT, "See https://atlas.example/rome"]}))
    np.testing.assert_equal(measure("citation", batch), [cites])
    np.testing.assert_equal(measure("citation_invented", batch), [invents])


def test_nothing_applies_without_context():
    """A citation in an answer without sources is no business of these signals."""
    batch = rows(("Rome [1]. https://a.example", None))
    for name in ("context_overlap", "context_empty", "citation", "citation_invented"):
        np.testing.assert_equal(measure(name, batch), [NAN])


N = 300_000


@pytest.mark.parametrize(
    "text",
    ["[" * N, "[1," * N, "[source: " * (N // 9), "<context>" * (N // 9), "<documents " * (N // 11),
     "https://" * (N // 8), "<context></context>" * (N // 19), "【1" * N],
)  # fmt: skip
def test_hostile_texts_take_linear_time(text):
    """No text makes these signals crawl."""
    batch = rows((text, {"contexts": [text]}), prompt=text)
    started = time.process_time()
    for name in ("context_overlap", "context_empty", "citation", "citation_invented"):
        assert (1,) == measure(name, batch).shape
    assert time.process_time() - started < 3
