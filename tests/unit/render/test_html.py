"""The report: one inert, self-contained, well-formed page."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import math
import re
from html.parser import HTMLParser

import pytest

from loopllm_cli.model import Gate, Status
from loopllm_cli.render.html import render_drift_html, render_loop_html, render_verify_html

from . import results

VOID = {"meta", "br", "hr", "img", "input", "link", "rect", "line", "circle"}


class Page(HTMLParser):
    """Check nesting and collect what the tests look at."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.style = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text.append(data)

    def names(self) -> list[str]:
        return [tag for tag, _ in self.tags]

    def words(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.text))


def loop_html() -> str:
    return render_loop_html(
        results.drift(), results.pairs(), results.adapter(), results.verify(), results.quality()
    )


def hostile_loop_html() -> str:
    bad = results.HOSTILE
    repair = dataclasses.replace(results.verify().repairs[0], label=bad, reason=bad, segment=bad)
    check = dataclasses.replace(results.verify().checks[0], name=bad, text=bad)
    other = dataclasses.replace(results.failed_verify().untouched[0], segment=bad, note=bad)
    verify = results.verify(
        reasons=(bad, bad), repairs=(repair,), checks=(check,), untouched=(other,), model=bad,
        adapter=bad, run_id=bad, baseline_name=bad, n_prompts={bad: 2},
    )  # fmt: skip
    pairs = results.pairs(
        path=bad,
        by_rule={bad: 1},
        dropped={bad: 1},
        by_segment={bad: 1},
        findings=results.hostile_findings(),
    )
    adapter = results.adapter(
        model=bad, method=bad, recipe={bad: bad}, versions={bad: bad}, notes=(bad,), device=bad
    )
    quality = [{"intent": bad, "broken": True, "v1": 1.0, "v2": 0.0, "corrected": math.nan}]
    return render_loop_html(results.hostile_drift(), pairs, adapter, verify, quality)


PAGES = {
    "drift": render_drift_html(results.drift()),
    "quiet": render_drift_html(results.quiet_drift()),
    "hostile": render_drift_html(results.hostile_drift()),
    "verify": render_verify_html(results.verify()),
    "failed": render_verify_html(results.failed_verify()),
    "loop": loop_html(),
    "loop_hostile": hostile_loop_html(),
    "loop_drift_only": render_loop_html(results.quiet_drift(), None, None, None, None),
}
pages = pytest.mark.parametrize("name", PAGES)


@pages
def test_the_page_is_well_formed(name: str) -> None:
    page = Page(PAGES[name])
    assert page.open == []
    identities = [a["id"] for _, a in page.tags if "id" in a]
    assert len(set(identities)) == len(identities)
    targets = {str(a["href"])[1:] for tag, a in page.tags if tag == "a"}
    assert set() == targets - set(identities)
    labels = {a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a}
    assert set() == labels - set(identities)


@pages
def test_nothing_runs_and_nothing_is_loaded(name: str) -> None:
    page = Page(PAGES[name])
    loading = {"script", "link", "img", "iframe", "object", "embed", "base", "form", "use", "image"}
    assert set() == loading & set(page.names())
    for tag, attributes in page.tags:
        assert not any(key.startswith("on") or key in ("src", "style") for key in attributes)
        assert tag != "a" or str(attributes["href"]).startswith("#")
    assert not re.search(r"url\(|@import|https?:", PAGES[name])


@pages
def test_the_policy_allows_this_style_sheet_and_nothing_else(name: str) -> None:
    page = Page(PAGES[name])
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    policies = [
        str(a["content"])
        for tag, a in page.tags
        if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    assert policies[0].startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert page.names().count("style") == 1


@pages
def test_headings_descend_without_gaps_from_one_h1(name: str) -> None:
    levels = [int(tag[1]) for tag in Page(PAGES[name]).names() if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


@pages
def test_tables_have_captions_and_scopes_and_drawings_have_words(name: str) -> None:
    page = Page(PAGES[name])
    assert page.names().count("table") == page.names().count("caption")
    assert all(a.get("scope") in ("col", "row") for tag, a in page.tags if tag == "th")
    assert all(a.get("aria-label") or a.get("aria-hidden") for tag, a in page.tags if tag == "svg")
    assert {"header", "nav", "main", "footer"} <= set(page.names())


@pages
def test_the_page_is_small(name: str) -> None:
    assert len(PAGES[name].encode()) < 1_000_000


@pytest.mark.parametrize("name", ["hostile", "loop_hostile"])
def test_log_text_is_words_and_nothing_else(name: str) -> None:
    text = PAGES[name]
    assert "<script" not in text
    assert not set(text) & set("\x1b\x9b\x00\x07\u202e\u200b\u2028")
    assert "<script>alert(1)</script> [bold red]x[/]" in Page(text).words()
    assert "{{ 7*7 }}" in Page(text).words()
    assert "49" not in re.findall(r">\s*(\d+)\s*<", text)


def test_the_verdict_comes_first_in_the_terminals_words() -> None:
    words = Page(PAGES["drift"]).words()
    assert "DEGRADED 2 of 8 signals worse beyond tolerance" in words
    assert words.index("2 of 8") < words.index("What changed most")


def test_a_page_of_a_huge_comparison_stays_small() -> None:
    few = results.drift()
    label = "long label " * 400
    segments = [dataclasses.replace(s, label=label) for s in few.segments] * 400
    daily = {name: points * 60 for name, points in few.daily.items()}
    page = render_drift_html(
        results.drift(
            comparisons=few.comparisons * 300, segments=tuple(segments), daily=daily,
            settings={f"key{i}": label for i in range(5000)},
        )
    )  # fmt: skip
    assert len(page.encode()) < 1_000_000


def test_a_page_without_a_single_number_is_still_a_page() -> None:
    nothing = math.nan
    empty = dataclasses.replace(
        results.comparisons()[2],
        **dict.fromkeys(
            ["baseline", "current", "total", "behaviour", "mix", "new_traffic", "change", "low",
             "high", "vanished_traffic", "p_value", "p_adjusted", "visible_change", "df"],
            nothing,
        ),  # type: ignore[arg-type]
    )  # fmt: skip
    page = render_drift_html(results.drift(comparisons=(empty,), segments=()))
    assert Page(page).open == []
    assert "nan" not in re.sub("[a-z-]*nan[a-z-]+", "", page)


@pytest.mark.parametrize("gate", Gate)
def test_the_loop_is_headed_by_its_last_verdict(gate: Gate) -> None:
    page = render_loop_html(results.drift(), None, None, results.verify(gate=gate), None)
    assert f'<span class="badge {gate.value}">{gate.value.upper()}</span>' in page


@pytest.mark.parametrize("status", Status)
def test_every_status_has_a_page(status: Status) -> None:
    page = Page(render_drift_html(results.drift(status=status)))
    assert status.value.upper() in page.words()


def test_the_same_result_gives_the_same_page() -> None:
    assert PAGES["loop"] == loop_html()
