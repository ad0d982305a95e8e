"""`loopllm pairs`: what its options say when they do not fit, and what a second run says."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import Said, loopllm
from factories import feedback_record, flat_record, write_jsonl

BETTER = "Parcel {} was handed to the courier and arrives today before noon."


@pytest.fixture
def filled(project_dir: Path) -> Path:
    """Return a project with corrections, and without a drift run."""
    logs = [flat_record(k, session_id=f"k-{k}") for k in range(12)]
    votes = [feedback_record(f"r-{k}", "correction", BETTER.format(k)) for k in range(12)]
    assert 0 == loopllm("ingest", str(write_jsonl(project_dir / "l.jsonl", [*logs, *votes]))).code
    return project_dir


def flat(said: Said) -> str:
    """Return all output as one line."""
    return " ".join(f"{said.out} {said.err}".replace("│", " ").split())


def test_a_second_run_says_that_nothing_is_new(filled: Path) -> None:
    assert "nothing new" not in loopllm("pairs").out
    pointer = filled / ".loopllm" / "pairs" / "latest"
    before = pointer.read_text()
    assert "nothing new since the last time" in loopllm("pairs").out
    assert before == pointer.read_text()
    later = [flat_record(20, session_id="k-20"), feedback_record("r-20", "correction", BETTER)]
    assert 0 == loopllm("ingest", str(write_jsonl(filled / "more.jsonl", later))).code
    assert "1 new and 0 gone since the last time" in loopllm("pairs").out


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--from-drift", "a", "--drift-run", "b"), "name two runs"),
        (("--rank-by", "refusal"), "needs --sample-from"),
        (("--from-drift", "latest"), "no drift run to repair"),
        (("--from-drift", "never-run"), "never-run"),
        (("--sample-from", "."), "no drift run to repair"),
        (("--n-samples", "1"), "--n-samples"),
        (("--join-contexts", "perhaps"), "perhaps"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    filled: Path, options: tuple[str, ...], why: str
) -> None:
    said = loopllm("pairs", *options)
    assert 1 <= said.code <= 4
    assert why in flat(said)
    assert not (filled / ".loopllm" / "pairs").exists()


@pytest.mark.train
def test_tokens_are_counted_with_a_models_tokenizer_and_else_estimated(filled: Path) -> None:
    pytest.importorskip("transformers")
    model = Path(__file__).parents[2] / "sample_data" / "models" / "v2"
    assert "(estimated)" in loopllm("pairs", "--verbose").out
    assert "(counted)" in loopllm("pairs", "--verbose", "--tokenizer", str(model)).out
    refused = loopllm("pairs", "--tokenizer", str(filled))
    assert "has no tokenizer" in flat(refused)
