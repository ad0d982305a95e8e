"""The page on signals says what the code has."""

from __future__ import annotations

from pathlib import Path

import pytest

from loopllm_cli.signals.catalogue import load_signals
from scripts.list_signals import Description, built_in, put, sections, table

PAGE = (Path(__file__).parents[2] / "docs" / "signals.md").read_text("utf-8")


def test_the_page_holds_the_sections_on_the_signals() -> None:
    """`python -m scripts.list_signals --write` puts them there."""
    assert PAGE == put(PAGE, "signals", sections())


def test_every_built_in_signal_has_a_row_and_a_cost() -> None:
    names = [name for name, one in load_signals().items() if not one.user_defined]
    costs = PAGE.partition("<!-- costs -->")[2]
    assert [] == [name for name in names if f"\n| `{name}` |" not in sections()]
    assert [] == [name for name in names if f"\n| `{name}` |" not in costs]


@pytest.mark.parametrize("described", built_in(), ids=lambda d: d.signal.info.name)
def test_every_built_in_signal_says_what_it_does_not_see(described: Description) -> None:
    """And why its tolerance is what it is."""
    assert described.blind_spots
    assert described.tolerance_reason


def test_a_cell_cannot_break_its_table() -> None:
    expected = "| a &#124; b | &lt;x> three backticks |\n"
    assert expected == table(("h", "i"), [("a | b", "<x> ```")]).splitlines(keepends=True)[2]


def test_a_page_without_the_place_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks"):
        put("# A page\n", "signals", "text")
