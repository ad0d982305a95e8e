"""A user's judge program: what it is told, what is believed, and what ends the run."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from loopllm_cli.config import PairsConfig
from loopllm_cli.errors import ConfigError
from loopllm_cli.loop.judge import judge_scores
from loopllm_cli.pairs.evidence.answer import Answer

HEAD = "import json, sys, time\nrows = [json.loads(line) for line in sys.stdin]\n"


def one_answer(text: str) -> Answer:
    """Return an answer to one question."""
    asked = [{"role": "user", "parts": [{"type": "text", "content": "Where?\n\x1b[31m"}]}]
    return Answer(
        interaction_id=text,
        context_hash="c",
        prompt_hash="p",
        prompt_text="Where?",
        input_messages=json.dumps(asked),
        output_messages=None,
        text=text,
        content_state="full",
        finish_reason="stop",
        error_type=None,
        model=None,
        user_id=None,
        conversation_id=None,
        has_tools=False,
        request_time=datetime(2026, 10, 1, tzinfo=UTC),
    )


def scores(folder: Path, program: str, *texts: str, seconds: float = 20.0) -> list[float]:
    """Let a program judge some answers."""
    path = folder / "my judge.py"
    path.write_text(HEAD + program, encoding="utf-8")
    command = f"'{sys.executable}' '{path}'"
    config = replace(PairsConfig(), judge=command, judge_seconds=seconds)
    return judge_scores(config, [one_answer(text) for text in texts]).tolist()


def test_scores_come_back_to_their_answers_in_any_order(tmp_path: Path) -> None:
    program = (
        "for row in reversed(rows):\n"
        "    assert row['prompt'][0]['content'] == 'Where?\\n\\x1b[31m'\n"
        "    print(json.dumps({'id': row['id'], 'score': len(row['completion']) / 10}))\n"
    )
    assert [0.1, 0.3, 0.2] == scores(tmp_path, program, "a", "abc", "ab\n"[:2])


def test_what_cannot_be_used_is_no_score(tmp_path: Path) -> None:
    program = (
        "print('thinking ...')\n"
        "print(json.dumps({'id': '0', 'score': 'NaN'}))\n"
        "print(json.dumps({'id': '1', 'score': 7}))\n"
        "print(json.dumps({'id': '2'}))\n"
        "print(json.dumps({'id': '99', 'score': 1}))\n"
        "print(json.dumps([1, 2]))\n"
        "print(json.dumps({'id': '4', 'score': True}))\n"
    )
    found = np.array(scores(tmp_path, program, *"abcde"))
    assert [False, False, False, False, True] == np.isfinite(found).tolist()


@pytest.mark.parametrize(
    ("program", "why"),
    [("sys.exit(3)", "ended with code 3"), ("time.sleep(30)", "took longer than 1 s")],
)
def test_a_judge_that_fails_or_never_ends_is_an_error(
    tmp_path: Path, program: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        scores(tmp_path, program, "a", seconds=1.0 if "sleep" in program else 20.0)


@pytest.mark.parametrize("command", ["no-such-program-here", "'unclosed", " "])
def test_a_judge_that_is_not_there_is_an_error(command: str) -> None:
    with pytest.raises(ConfigError, match="cannot be run"):
        judge_scores(replace(PairsConfig(), judge=command), [one_answer("a")])
