"""`loopllm correct --auto` finds a rate that repairs the sample world, or refuses to."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from tests.e2e.test_loop_closes import _flip
from tests.e2e.world import BROKEN, copy_pairs, loopllm, prepare, quality, rewrite, train

pytestmark = [pytest.mark.slow, pytest.mark.train]
pytest.importorskip("trl")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project with logs, baseline, drift verdict and pairs."""
    return prepare(tmp_path_factory.mktemp("world"))


def test_a_rate_is_found_that_repairs_and_keeps(project: Path) -> None:
    """Nobody names a rate; the world's own truth agrees with what was chosen."""
    ended = train(project, "auto", "--auto", "--json")
    print(ended.stdout, ended.stderr)
    assert 0 == ended.code, ended.stderr
    result = json.loads(ended.stdout)
    assert "passed" == next(
        r["end"] for r in result["rungs"] if r["learning_rate"] == result["learning_rate"]
    )
    shares = quality(project, "auto")
    fixed = [shares[intent] for intent in BROKEN]
    kept = [share for intent, share in shares.items() if intent not in BROKEN]
    print(f"rate {result['learning_rate']}: fixed {fixed}, kept {kept}")
    assert statistics.mean(fixed) >= 0.90
    assert min(fixed) >= 0.80
    assert statistics.mean(kept) >= 0.97
    assert 0 == loopllm(project, "verify", str(project / "auto")).code


@pytest.mark.long
def test_flipped_pairs_end_in_a_refusal_with_the_reason(project: Path) -> None:
    """No rate makes the opposite of a correction into one, and nothing is shipped."""
    folder = copy_pairs(project, "pairs-flipped")
    rewrite(folder, lambda rows: [(_flip(row), origin) for row, origin in rows])
    ended = train(project, "flipped", "--auto", "--json", pairs="pairs-flipped")
    print(ended.stdout, ended.stderr)
    assert 11 == ended.code
    result = json.loads(ended.stdout)
    assert result["adapter"] is None
    assert {r["end"] for r in result["rungs"]} <= {"too little", "too much"}
    assert "the opposite of what is wanted" in " ".join(result["advice"])
    assert not (project / "flipped").exists()
