"""The audit on the sample world: silent on its pairs, loud on spoiled ones, and as documented."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from loopllm_cli.model import Severity
from scripts.audit_faults import FAULTS
from scripts.simulate_audit import BEGIN, END, World, card, load_world

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "pairs-audit.md"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Make the sample world's pairs once."""
    return load_world(tmp_path_factory.mktemp("audited"))


def failed(world: World, name: str, share: float, seed: int) -> set[str]:
    """Return what fails a set with a planted fault."""
    spoiled = FAULTS[name].plant(world.built, share, random.Random(seed))
    return {one.name for one in world.audit(spoiled) if one.severity is Severity.FAIL}


def test_good_pairs_of_the_sample_world_do_not_fail(world: World) -> None:
    rng = random.Random(3)
    sets = [world.built, *(world.subset(60, rng) for _ in range(100))]
    found = [one for built in sets for one in world.audit(built)]
    assert [] == [one for one in found if one.severity is Severity.FAIL]


@pytest.mark.parametrize(
    ("name", "share", "finding"),
    [
        ("flipped labels", 0.6, "flipped-labels"),
        ("flipped labels", 1.0, "flipped-labels"),
        ("identical sides", 1.0, "identical-sides"),
        ("wrong segment", 1.0, "drifted-segments"),
        ("leaked prompts", 0.1, "prompt-leak"),
    ],
)
def test_pairs_that_cannot_help_fail_before_anything_is_trained(
    world: World, name: str, share: float, finding: str
) -> None:
    assert all(finding in failed(world, name, share, seed) for seed in range(10))


def test_the_documented_data_card_is_the_sample_worlds(world: World) -> None:
    """Make it anew with: python -m scripts.simulate_audit card --write docs/pairs-audit.md."""
    said = PAGE.read_text("utf-8").split(BEGIN)[1].split(END)[0].strip()
    assert "\n".join(card(world)).strip() == said
