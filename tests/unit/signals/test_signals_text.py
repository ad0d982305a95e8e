"""Signals of form, texture, language and use of the prompt."""

from __future__ import annotations

import numpy as np
import pytest
from signal_rows import answers, batch_of, measure, one, read_public

from loopllm_cli.signals.texts import find_fences, split_words, without_fences

NAN = float("nan")
ENGLISH = "What is the capital of France and how big is it?"
SPANISH = "¿Cuál es la capital de Francia y qué hay para ver en los museos?"
CHINESE = "法国的首都是哪里？请告诉我"


@pytest.mark.parametrize(
    ("answer", "broken", "text"),
    [
        (1, 0, '{"a": 1}'),
        (1, 0, " [1, 2, 3]\n"),
        (1, 0, "{}"),
        (1, 0, '```json\n{"a": [1, 2]}\n```'),
        (1, 0, 'Here you are:\n\n```\n{"a": 1}\n```\nAnything else?'),
        (0, 1, '{"a": 1,}'),
        (0, 1, '{"a": "cut o'),
        (0, 1, "{'a': 1}"),
        (0, 1, "{a: 1}"),
        (0, 1, '{"a": 1} This is the object.'),
        (0, 1, '[{"a": 1}, {"a": 2'),
        (0, 1, '["a", "b"'),
        (0, 1, "[1, 2, 3"),
        (0, 1, '```json\n{"a": }\n```'),
        (0, 1, '```json\n{"a": 1'),
        (0, 1, "[" * 5000 + "{"),
        (0, 0, '{"a": 1}\n{"a": 2}'),
        (0, 0, "[Yes]"),
        (0, 0, "[1] Knuth, The Art of Computer Programming."),
        (0, 0, "[1, 2, 3] is the sorted list."),
        (0, 0, "[a link](https://example.org) and more"),
        (0, 0, "{name}, welcome back"),
        (0, 0, '"just a string"'),
        (0, 0, "42"),
        (0, 0, "```python\nx = {}\n```"),
        (0, 0, ""),
    ],
)
def test_json_is_whole_broken_or_absent(answer, broken, text):
    """JSON counts when it parses, as broken when it was meant as JSON and does not."""
    assert (answer, broken) == (one("json_answer", text), one("json_broken", text))


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (0.0, "```python\nprint(1)\n```"),
        (1.0, "```python\nprint(1\n```"),
        (1.0, "```py\nprint 1\n```"),
        (0.0, "```\ndef f(x):\n    return x\n```"),
        (1.0, "```\ndef f(x):\nreturn x\n```"),
        (0.0, "1. First:\n   ```python\n   x = 1\n   ```"),
        (0.0, "```python\n!pip install x\nimport x\n```"),
        (1.0, "```python\nx = 1\n```\n\n```python\nx = = 1\n```"),
        (1.0, "```python\nx = 1\x00\n```"),
        (NAN, "```python\n>>> 1 + 1\n2\n```"),
        (NAN, "```java\nclass A {\n```"),
        (NAN, "```\nimport java.util.List;\nclass A {}\n```"),
        (NAN, "```\nx\n```"),
        (NAN, "def f(x): return x"),
        (NAN, "no code"),
        (NAN, "```python\n```"),
    ],
)
def test_python_that_does_not_parse_is_broken(expected, text):
    """Only fenced Python is judged, by its grammar alone."""
    np.testing.assert_equal(one("code_broken", text), expected)


@pytest.mark.parametrize("deep", ["(" * 30000, "-" * 40000 + "1", "1" + "+1" * 20000])
def test_code_nested_beyond_the_parser_does_not_raise(deep):
    """The parser's own limits never end a run."""
    value = one("code_broken", f"```python\n{deep}\n```")
    assert value in (0.0, 1.0) or np.isnan(value)


@pytest.mark.parametrize(
    ("name", "expected", "text"),
    [
        ("code_fence", 1.0, "Here:\n```\nx\n```"),
        ("code_fence", 1.0, "~~~sh\nls\n~~~"),
        ("code_fence", 0.0, "use `x` and ```y``` inline"),
        ("list_answer", 1.0, "- one\n- two"),
        ("list_answer", 1.0, "Steps:\n1. one\n2) two"),
        ("list_answer", 0.0, "- only one"),
        ("list_answer", 0.0, "2023 was good.\n2024 was better."),
        ("link", 1.0, "see https://example.org"),
        ("link", 1.0, "see WWW.example.org"),
        ("link", 0.0, "the http protocol"),
        ("question_back", 1.0, "It is 4. Anything else?"),
        ("question_back", 1.0, "**Which one?**\n"),
        ("question_back", 1.0, "还有什么问题吗？"),
        ("question_back", 0.0, "Why? Because."),
        ("empty_answer", 1.0, "  \n"),
        ("empty_answer", 1.0, None),
        ("empty_answer", 0.0, "4"),
        ("repetition", 0.0, "A short answer."),
        ("repetition", 1.0, "I will help you with this. " * 40),
        ("repetition", 1.0, "Some sensible words to begin with, then: " + "no " * 100),
        ("repetition", 1.0, "ha" * 60),
        ("repetition", 1.0, "哈" * 60),
        ("repetition", 0.0, "\n".join(f"- item number {n} costs {n * 3}" for n in range(30))),
        ("response_chars", 5.0, "héllo"),
        ("response_words", 3.0, "it's a test"),
        ("response_words", 4.0, "你好世界"),
        ("response_words", 2.0, "नमस्ते दुनिया"),
        ("distinct_words", 0.5, "a b c d e f g h i j " * 2),
        ("distinct_words", NAN, "too short"),
    ],
)
def test_form_and_texture(name, expected, text):
    """Each text shows what its signal sees."""
    np.testing.assert_equal(one(name, text), expected)


def test_an_answer_that_calls_a_tool_or_fails_is_not_empty():
    """No text is expected beside a tool call, and an error is counted elsewhere."""
    batch = batch_of(
        response_text=["", "", "", ""],
        content_state=["full", "full", "full", "absent"],
        n_tool_calls=[1, None, None, None],
        finish_reason=["tool_call", "error", None, None],
        error_type=[None, "timeout", None, None],
    )
    np.testing.assert_equal(measure("empty_answer", batch), [0.0, NAN, 1.0, NAN])


def test_answers_not_logged_in_full_are_not_judged():
    """A truncated or redacted text says nothing about the answer."""
    batch = batch_of(response_text=["I can't help with", "ok"], content_state=["truncated", "full"])
    np.testing.assert_equal(measure("refusal", batch), [NAN, 0.0])


@pytest.mark.parametrize(
    ("expected", "prompt", "answer"),
    [
        (0.0, ENGLISH, "It is the city of Paris, and you can see that it is big."),
        (1.0, ENGLISH, "C'est la ville de Paris, qui est dans le nord et pas les Alpes."),
        (1.0, ENGLISH, "Столица Франции — Париж."),
        (1.0, SPANISH, "The capital of France is Paris, and you can see the Louvre with it."),
        (0.0, SPANISH, "La capital es París y en los museos hay una parte del arte más visto."),
        (0.0, CHINESE, "法国的首都是巴黎。"),
        (1.0, CHINESE, "The capital of France is Paris."),
        (1.0, CHINESE, "フランスの首都はパリです。"),
        (
            0.0,
            CHINESE,
            "好的：\n```python\ndef square_of_a_number(x):\n    return x\n```\n希望有帮助。",
        ),
        (NAN, CHINESE, '{"capital": "Paris, the city"}'),
        (0.0, "Столица Франции?", "Париж, столица Франции."),
        (NAN, "Capital of France?", "Paris."),
        (NAN, "17 + 4", "21"),
    ],
)
def test_the_answer_keeps_the_language_of_the_prompt(expected, prompt, answer):
    """Scripts and small words decide, and short texts are left undecided."""
    batch = batch_of(prompt_text=[prompt], response_text=[answer])
    np.testing.assert_equal(measure("language_mismatch", batch), [expected])


@pytest.mark.parametrize("name", ["alpacaeval_gpt4_0314", "alpacaeval_vicuna-7b-v1.3"])
def test_english_answers_to_english_prompts_match(name):
    """Two in a thousand are requested translations."""
    rows = read_public(name)
    batch = batch_of(
        prompt_text=[row["prompt"] for row in rows], response_text=[row["response"] for row in rows]
    )
    assert np.nanmean(measure("language_mismatch", batch)) <= 0.003


@pytest.mark.parametrize(
    ("expected", "prompt", "answer"),
    [
        (1.0, "say Hello World", "hello, world!"),
        (0.5, "say hello", "Hello there"),
        (0.0, "say hello", "Good morning"),
        (NAN, None, "Good morning"),
        (NAN, "say hello", "!"),
    ],
)
def test_overlap_is_the_share_of_words_taken_from_the_prompt(expected, prompt, answer):
    """Different words count once, whatever their case."""
    batch = batch_of(prompt_text=[prompt], response_text=[answer])
    np.testing.assert_equal(measure("prompt_overlap", batch), [expected])


def test_fences_are_found_with_label_body_and_place():
    """A longer fence may hold a shorter one, and the last may be open."""
    text = "a\n````md\n```\nx\n```\n````\nb\n```Python title=x\ny"
    fences = find_fences(text)
    expected = [("md", "```\nx\n```\n"), ("python", "y")]
    assert expected == [(fence.label, fence.body) for fence in fences]
    prose = "a\n\nb\n"
    assert prose == without_fences(text, fences)


def test_words_keep_marks_and_apostrophes():
    """Combining marks belong to their word."""
    expected = ["don't", "naïve", "नमस्ते"]
    assert expected == split_words("don't naïve नमस्ते!")


def test_fences_arrive_with_the_june_models():
    """The wrapping of code in fences that broke programs in 2023 is seen."""
    rows = read_public("llmdrift_leetcode_easy")
    shares = {
        model: measure("code_fence", answers(*[r["response"] for r in rows if r["model"] == model]))
        .mean()
        .round(2)
        for model in ("gpt-4-0314", "gpt-4-0613", "gpt-3.5-turbo-0301", "gpt-3.5-turbo-0613")
    }
    expected = [0.0, 0.88, 0.62, 0.98]
    assert expected == list(shares.values())
