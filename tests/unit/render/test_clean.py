"""Hostile text is inert after cleaning."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from loopllm_cli.render.clean import clean_markup, clean_text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("plain", "plain"),
        ("two\nlines\r\n\ttab", "two lines tab"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("a\x1b]0;title\x07b", "ab"),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP+q544e\x1b\\x", "x"),
        ("\x1b]0;never ended", "0;never ended"),
        ("\x1b", ""),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("ze\u200bro\u2060wi\ufeffdth", "zerowidth"),
        ("line\u2028sep", "line sep"),
        ("nul\x00del\x7f", "nuldel"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("tag\U000e0041s", "tags"),
        ("e\u0301", "e\u0301"),
        ("z" + "\u0335" * 40, "z\u0335\u0335"),
        ("日本語", "日本語"),
    ],
)
def test_what_is_left_of_a_text(raw: str, expected: str) -> None:
    assert expected == clean_text(raw)


def test_cutting_counts_terminal_cells() -> None:
    assert clean_text("日本語日本語", 6) == "日本…"
    assert clean_text("abcdefgh", 6) == "abcde…"
    assert clean_text("abc", 0) == ""


@given(st.text(), st.integers(0, 30))
def test_no_text_keeps_control_or_format_characters_or_exceeds_its_width(
    raw: str, width: int
) -> None:
    shown = clean_text(raw, width)
    assert cell_len(shown) <= width
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert shown.encode("utf-8").decode() == shown


@given(st.text())
def test_cleaning_twice_changes_nothing(raw: str) -> None:
    assert clean_text(raw) == clean_text(clean_text(raw))


def test_markup_is_shown_not_obeyed() -> None:
    shown = Text.from_markup(clean_markup("[bold red]x[/] [link=file:///]y"))
    assert shown.plain == "[bold red]x[/] [link=file:///]y"
    assert shown.spans == []


def test_many_unfinished_escapes_take_linear_time() -> None:
    # Quadratic matching would take minutes here.
    assert clean_text("\x1b]0" * 200_000) == "0" * 200_000
