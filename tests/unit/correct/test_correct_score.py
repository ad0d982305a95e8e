"""Answers are scored alike however they fall into batches, and batches fit their logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loopllm_cli.correct import score
from loopllm_cli.correct.encoding import EncodedAnswer
from loopllm_cli.correct.loading import load_model

pytestmark = pytest.mark.train
torch = pytest.importorskip("torch")


def answers() -> list[EncodedAnswer]:
    """Return answers of many lengths, to contexts of many lengths."""
    rng = np.random.default_rng(0)
    draw = lambda n: rng.integers(5, 300, size=n).tolist()  # noqa: E731
    return [EncodedAnswer(draw(2 + i % 7), draw(1 + i % 5), True) for i in range(21)]


def alone(model: Any, one: EncodedAnswer) -> Any:
    """Score one answer by itself, from all logits."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([one.prompt + one.answer])).logits[0]
    logps = logits[len(one.prompt) - 1 : -1].log_softmax(-1)
    return logps.gather(-1, torch.tensor(one.answer)[:, None])[:, 0].numpy()


@pytest.mark.parametrize("most", [1, 2_000, 64_000_000])
def test_scores_do_not_depend_on_the_batches(
    micro_model: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(score, "MOST_LOGITS", most)
    model, given = load_model(str(micro_model), "cpu"), answers()
    for one, found in zip(given, score.token_logps(model, given), strict=True):
        assert found == pytest.approx(alone(model, one), abs=1e-5)


@pytest.mark.parametrize("vocabulary", [10, 1_000, 10**9])
def test_batches_hold_every_row_once_and_stay_in_their_room(
    monkeypatch: pytest.MonkeyPatch, vocabulary: int
) -> None:
    monkeypatch.setattr(score, "MOST_LOGITS", 30_000)
    given = answers()
    batches = list(score._batches(given, vocabulary))
    assert sorted(i for batch in batches for i in batch) == list(range(len(given)))
    for batch in batches:
        longest = max(len(given[i].prompt) + len(given[i].answer) for i in batch)
        span = longest - min(len(given[i].prompt) for i in batch)
        assert len(batch) == 1 or len(batch) * span * vocabulary <= 30_000
        assert len(batch) <= score.MOST_ROWS


def test_nothing_to_score_is_nothing(micro_model: Path) -> None:
    assert [] == score.token_logps(load_model(str(micro_model), "cpu"), [])
