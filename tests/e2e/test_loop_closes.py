"""The loop closes on the sample world, and the gate refuses what must not ship."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest

from scripts.world import grammar
from tests.e2e.world import BROKEN, copy_pairs, loopllm, prepare, quality, rewrite, train

pytestmark = [pytest.mark.slow, pytest.mark.train]
pytest.importorskip("trl")

Row = tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with logs, baseline, drift verdict and pairs."""
    return prepare(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_correction_repairs_the_broken_intents_and_keeps_the_others(
    project: Path, seed: int
) -> None:
    """The adapter is verified, and the world's own truth agrees."""
    trained = train(project, f"adapter-{seed}", "--seed", str(seed))
    assert 0 == trained.code, trained.stderr
    verified = loopllm(project, "verify", str(project / f"adapter-{seed}"))
    shares = quality(project, f"adapter-{seed}")
    fixed = [shares[intent] for intent in BROKEN]
    kept = [share for intent, share in shares.items() if intent not in BROKEN]
    print(f"seed {seed}: fixed {fixed}, kept {kept}\n{verified.stdout}")
    assert statistics.mean(fixed) >= 0.90
    assert min(fixed) >= 0.80
    assert statistics.mean(kept) >= 0.97
    assert 0 == verified.code, verified.stdout
    assert verified.stdout.startswith("PASS")


def test_flipped_pairs_do_not_pass(project: Path) -> None:
    """With chosen and rejected exchanged, training looks fine and the gate refuses."""
    folder = copy_pairs(project, "pairs-flipped")
    rewrite(folder, lambda rows: [(_flip(row), origin) for row, origin in rows])
    assert 0 == train(project, "flipped", pairs="pairs-flipped").code
    ended = loopllm(project, "verify", str(project / "flipped"))
    print(ended.stdout)
    assert 11 == ended.code
    assert "of the loss is back" in ended.stdout


def test_identical_sides_are_refused_before_training(project: Path) -> None:
    """Pairs without a difference cannot teach anything, and nothing is trained."""
    folder = copy_pairs(project, "pairs-same")
    rewrite(folder, lambda rows: [({**r, "rejected": r["chosen"]}, o) for r, o in rows])
    ended = train(project, "same", pairs="pairs-same")
    assert 3 == ended.code
    assert "nothing to learn" in ended.stderr
    assert not (project / "same").exists()


def test_an_adapter_that_learnt_nothing_does_not_pass(project: Path) -> None:
    """A run whose rate is too small to change an answer ends in a refusal."""
    assert 0 == train(project, "idle", "--learning-rate", "1e-9").code
    ended = loopllm(project, "verify", str(project / "idle"))
    print(ended.stdout)
    assert 11 == ended.code
    assert "only 0% of the loss is back" in ended.stdout


def test_a_learning_rate_ten_times_too_high_does_not_pass(project: Path) -> None:
    """What destroys other intents, or is stopped before it repairs, is not shipped."""
    trained = train(project, "hot", "--learning-rate", "1e-2")
    if trained.code == 2:  # the run itself diverged and said so
        assert "learning_rate" in trained.stderr
        return
    ended = loopllm(project, "verify", str(project / "hot"))
    print(trained.stdout, ended.stdout)
    assert ended.code in (11, 12)


def test_pairs_for_one_of_four_broken_intents_do_not_pass(project: Path) -> None:
    """A partial repair is named as such."""
    folder = copy_pairs(project, "pairs-one")
    rewrite(folder, lambda rows: [row for row in rows if _intent(row) == "warranty"])
    assert 0 == train(project, "one", pairs="pairs-one").code
    ended = loopllm(project, "verify", str(project / "one"))
    print(ended.stdout)
    assert ended.code in (11, 12)
    assert "of the loss is back" in ended.stdout


def test_an_adapter_that_is_not_there_is_said_so(project: Path) -> None:
    """Verifying a folder without an adapter names the command that makes one."""
    ended = loopllm(project, "verify", str(project / "never-made"))
    assert 4 == ended.code
    assert "loopllm correct" in ended.stderr


def _flip(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "chosen": row["rejected"], "rejected": row["chosen"]}


def _intent(row: Row) -> str:
    return grammar.parse(row[0]["prompt"][-1]["content"]).intent
