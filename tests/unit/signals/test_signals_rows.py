"""Signals of serving, feedback and right answers."""

from __future__ import annotations

import numpy as np
import pytest
from signal_rows import batch_of, measure, read_public

from loopllm_cli.signals.answers import is_right

NAN = float("nan")


@pytest.mark.parametrize(
    ("name", "column", "values", "expected"),
    [
        ("latency", "duration_s", [1.5, None, -1.0, float("inf")], [1.5, NAN, NAN, NAN]),
        ("first_chunk", "time_to_first_chunk_s", [0.2, None], [0.2, NAN]),
        ("input_tokens", "input_tokens", [10, None], [10.0, NAN]),
        ("output_tokens", "output_tokens", [0, 5], [0.0, 5.0]),
        ("cost", "cost_usd", [0.01, None], [0.01, NAN]),
        ("cut_off", "finish_reason", ["length", "stop", None], [1.0, 0.0, NAN]),
        ("filtered", "finish_reason", ["content_filter", "stop", None], [1.0, 0.0, NAN]),
        ("error", "error_type", ["timeout", None], [1.0, 0.0]),
        ("tool_call", "n_tool_calls", [2, 0, None], [1.0, 0.0, NAN]),
        ("content_missing", "content_state", ["full", "redacted", None], [0.0, 1.0, NAN]),
        ("thumbs_down", "polarity", [-1, 0, 1, None], [1.0, 0.0, 0.0, 0.0]),
        ("thumbs_up", "polarity", [-1, 0, 1, None], [0.0, 0.0, 1.0, 0.0]),
        ("corrected", "n_corrections", [0, 2, None], [0.0, 1.0, 0.0]),
        ("escalated", "n_escalations", [0, 1, None], [0.0, 1.0, 0.0]),
        ("dissatisfied_next", "n_implicit_bad", [0, 2, None], [0.0, 1.0, 0.0]),
        ("thanked_next", "n_implicit_good", [0, 1, None], [0.0, 1.0, 0.0]),
        ("rating", "rating", [0.5, None], [0.5, NAN]),
    ],
)
def test_a_logged_column_becomes_a_number_per_row(name, column, values, expected):
    """Each row gives its number, and NaN where nothing was logged."""
    np.testing.assert_equal(measure(name, batch_of(**{column: values})), expected)


@pytest.mark.parametrize(
    "name",
    ["latency", "cost", "cut_off", "error", "tool_call", "content_missing", "thumbs_down",
     "thumbs_up", "corrected", "escalated", "rating", "right_answer", "refusal"],
)  # fmt: skip
def test_an_absent_column_does_not_apply(name):
    """A log without a column says nothing, rather than no."""
    np.testing.assert_equal(measure(name, batch_of(seed=[1, 2])), [NAN, NAN])


@pytest.mark.parametrize(
    ("expected", "answer", "reference"),
    [
        (True, "Yes", "yes"),
        (True, " yes.\n", "Yes"),
        (True, "It is prime. [Yes]", "yes"),
        (True, "It is prime. **Yes**", "yes"),
        (True, "So \\boxed{42}", "42"),
        (True, "Working.\n\nAnswer: 42.", "42"),
        (True, "**Answer:** 42", "42"),
        (True, "The answer is 42.", "42"),
        (True, "[B]", "[B]"),
        (True, "b", "[B]"),
        (True, '{"a": 1, "b": [2]}', '{"b": [2], "a": 1.0}'),
        (True, '```json\n{"a": 1}\n```', '{"a": 1}'),
        (True, "42.0", "42"),
        (True, "The tower stands in the city of Paris, France.", "the city of Paris"),
        (False, "Yes, but 4 divides it", "yes"),
        (False, "It is prime, yes indeed", "yes"),
        (False, "I do not know", "no"),
        (False, "The answer is no longer known", "no"),
        (False, "Answer: 42.5", "42"),
        (False, "Answer: 421", "42"),
        (False, "[No]", "yes"),
        (False, "in the city of Parisians", "the city of Paris"),
        (False, '{"a": 2}', '{"a": 1}'),
        (False, "true", "1"),
        (False, "", "yes"),
    ],
)
def test_an_answer_is_right_when_equal_or_marked(expected, answer, reference):
    """A bare short word in running text never counts."""
    assert expected == is_right(answer, reference)


def test_a_prompt_that_dictates_brackets_is_taken_at_its_word():
    """Where "[Yes]" is asked for literally, a bare yes misses the form."""
    prompt = 'Is 7 prime? Answer "[Yes]" or "[No]".'
    assert not is_right("Yes", "yes", prompt)
    assert is_right("[Yes]", "yes", prompt)


def test_lettered_choices_in_a_prompt_dictate_nothing():
    """Options written [A] and [B] may be answered by the bare letter."""
    assert is_right("B", "B", "Which city? [A] Rome [B] Paris. Give the letter.")


def test_references_nested_too_deep_to_compare_are_not_met():
    """Depth never ends a run."""
    assert not is_right("[" * 1000 + "]" * 1000, "[ " * 1000 + "]" * 1000)


def test_rows_without_a_reference_do_not_apply():
    """Only rows that carry a reference answer are judged."""
    batch = batch_of(response_text=["4", "4", None], reference_answer=["4", None, "4"])
    np.testing.assert_equal(measure("right_answer", batch), [1.0, NAN, NAN])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4-0314", 84.0),
        ("gpt-4-0613", 50.2),
        ("gpt-3.5-turbo-0301", 52.0),
        ("gpt-3.5-turbo-0613", 68.1),
    ],
)
def test_the_published_shares_of_right_answers_are_met(model, expected):
    """Chen, Zaharia and Zou (2023), primality of 1,000 numbers."""
    rows = [row for row in read_public("llmdrift_prime_full") if row["model"] == model]
    batch = batch_of(
        prompt_text=[row["prompt"] for row in rows],
        response_text=[row["response"] for row in rows],
        reference_answer=[row["reference_answer"] for row in rows],
    )
    assert expected == round(100 * measure("right_answer", batch).mean(), 1)
