"""The register of formats: what is found, in which order, and what a bad plug-in says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from loopllm_cli.errors import SetupError
from loopllm_cli.sources import formats
from loopllm_cli.sources.formats import Format, Rank, all_formats, format_by_name
from loopllm_cli.sources.rows import Decoded
from tests.cli.command_line import loopllm

PlugIn = Callable[[Any], None]


def other(name: str = "made_up", rank: Rank = Rank.ENVELOPE) -> Format:
    """Return a format of somebody else's."""
    return Format(
        name,
        "Made-up calls",
        "a made-up key",
        rank,
        lambda r: "made_up" in r,
        lambda r, o: Decoded(),
    )


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[PlugIn]:
    """Install a plug-in that loads to a given value, or fails with a given error."""

    class Entry(EntryPoint):
        def load(self) -> Any:
            if isinstance(loaded[0], Exception):
                raise loaded[0]
            return loaded[0]

    loaded: list[Any] = []
    entries = [Entry("calls", "made_up.calls:FORMAT", formats.ENTRY_POINTS)]
    monkeypatch.setattr(formats, "entry_points", lambda group: entries if loaded else [])
    all_formats.cache_clear()
    yield loaded.append
    all_formats.cache_clear()


def test_formats_are_tried_by_rank_and_then_by_name() -> None:
    found = [(f.rank, f.name) for f in all_formats()]
    assert sorted(found) == found


def test_an_unknown_name_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        format_by_name("made_up")


@pytest.mark.parametrize("several", [False, True])
def test_a_plug_in_brings_one_format_or_several(plug_in: PlugIn, several: bool) -> None:
    plug_in([other(), other("made_up_too")] if several else other())
    names = [f.name for f in all_formats() if f.name.startswith("made_up")]
    assert (["made_up", "made_up_too"] if several else ["made_up"]) == names


def test_a_plug_in_of_a_high_rank_goes_before_the_generic_names(plug_in: PlugIn) -> None:
    plug_in(other(rank=Rank.VENDOR))
    names = [f.name for f in all_formats()]
    assert names.index("made_up") < names.index("flat")


@pytest.mark.parametrize(
    "broken", [ImportError("No module named 'made_up'"), AttributeError("no FORMAT"), 7, None]
)
def test_a_plug_in_that_cannot_be_loaded_is_named_with_its_remedy(
    plug_in: PlugIn, broken: Any
) -> None:
    plug_in(broken)
    with pytest.raises(SetupError, match=r"'calls' \(made_up\.calls:FORMAT\)") as caught:
        all_formats()
    assert "uninstall" in str(caught.value.hint)


def test_a_name_that_is_taken_is_named(plug_in: PlugIn) -> None:
    plug_in(other("openai_chat"))
    with pytest.raises(SetupError, match="two formats have the name 'openai_chat'"):
        all_formats()


def test_a_broken_plug_in_stops_an_ingest_with_the_code_for_setups(
    plug_in: PlugIn, project_dir: Any
) -> None:
    plug_in(ImportError("No module named 'made_up'"))
    (project_dir / "a.jsonl").write_text('{"prompt": "Open?", "response": "Yes."}\n', "utf-8")
    said = loopllm("ingest", "a.jsonl")
    assert 4 == said.code
    assert "made_up" in said.err
    assert "uninstall" in said.err
