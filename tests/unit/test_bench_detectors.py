"""The comparison of detectors: its windows, its processes' protocol, its tables."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from scripts import bench_detectors
from scripts.detectors import runner
from scripts.detectors.draws import NULL_VERSIONS, PAIRS, PARTS, SHIFTS, list_cells
from scripts.detectors.invented import LAWS, Invented, draw_invented
from scripts.detectors.public import COLUMNS, Pool
from scripts.detectors.results import Results, threshold
from scripts.detectors.tables import powers, standard_error, to_markdown, write_null
from scripts.detectors.tools import PEERS, python_of
from scripts.detectors.windows import Finding, Windows, load_windows, minus_log

SETS = {"alpacaeval": 805, "prime": 1000, "sensitiveq": 100, "leetcode": 50}


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """A pool of the public answers' shape, with invented numbers."""
    names = {*NULL_VERSIONS, *(v for pair in PAIRS.values() for v in pair)}
    versions, start = {}, 0
    for name in sorted(names):
        n = SETS[name.split()[0]]
        versions[name] = np.arange(start, start + n)
        start += n
    rng = np.random.default_rng(0)
    task = np.zeros(start, dtype=np.int64)
    for name, rows in versions.items():
        task[rows] = list(SETS).index(name.split()[0])
    table = rng.random((start, len(COLUMNS)))
    return Pool(tmp_path / "answers.json", table, rng.random((start, 4)), task, versions)


def cell_of(pool: Pool, part: str, *labels: str) -> bench_detectors.Cell:
    """Return the cell with these labels."""
    return next(c for c in list_cells(pool, (part,)) if c.labels == labels)


def test_every_cell_has_a_name_of_its_own(pool: Pool) -> None:
    """Results are kept by that name."""
    keys = [cell.key for cell in list_cells(pool, PARTS)]
    assert len(keys) == len(set(keys))


def test_a_run_draws_the_same_windows_again(pool: Pool) -> None:
    """Run 3 is run 3 whatever ran before; run 4 is another."""
    cell = cell_of(pool, "null", "100")
    rows = [cell.windows(run).current.rows.tolist() for run in (3, 3, 4)]
    assert rows[0] == rows[1]
    assert rows[0] != rows[2]


def test_clean_windows_share_no_prompt_where_the_pool_allows(pool: Pool) -> None:
    """800 of 805 prompts are used once each, all of one version."""
    windows = cell_of(pool, "null", "400").windows(0)
    rows = np.concatenate([windows.baseline.rows, windows.current.rows])
    assert 800 == len(set(rows.tolist()))
    assert set(rows.tolist()) <= set(pool.versions[NULL_VERSIONS[0]].tolist())


@pytest.mark.parametrize(("share", "expected"), [("0%", 0), ("20%", 20), ("50%", 50)])
def test_a_diluted_window_holds_the_share_of_newer_rows(
    pool: Pool, share: str, expected: int
) -> None:
    """On prompts that the baseline does not have, and not in a block at the window's start."""
    windows = cell_of(pool, "power", "100", "prime gpt-4", share).windows(1)
    old, new = (pool.versions[v] for v in PAIRS["prime gpt-4"])
    is_new = np.isin(windows.current.rows, new)
    assert expected == is_new.sum()
    assert np.isin(windows.baseline.rows, old).all()
    prompt_of = {int(row): k for rows in (old, new) for k, row in enumerate(rows)}
    before, after = (
        {prompt_of[int(row)] for row in w.rows} for w in (windows.baseline, windows.current)
    )
    assert set() == before & after
    if expected:
        assert not is_new[:expected].all()


def test_only_the_traffic_moves_in_a_mix_cell(pool: Pool) -> None:
    """At 30 points, AlpacaEval falls from 70% to 40% on average, all of one service."""
    cell = cell_of(pool, "mix", f"{100 * SHIFTS[-1]:.0f} points")
    drawn = [cell.windows(run) for run in range(24)]
    shares = [[(w.segments == 0).mean() for w in (d.baseline, d.current)] for d in drawn]
    assert np.allclose([0.7, 0.4], np.mean(shares, axis=0), atol=0.02)


def test_rows_of_a_repeating_user_are_equal_half_of_the_time(pool: Pool) -> None:
    """The intra-class correlation of every measure is one half."""
    windows = cell_of(pool, "clusters", "answers, 50 users x 20 rows").windows(0)
    window = windows.current
    pairs = [
        (window.rows[members][:, None] == window.rows[members])[np.triu_indices(20, 1)].mean()
        for k in np.unique(window.clusters)
        for members in [np.flatnonzero(window.clusters == k)]
    ]
    assert 50 == len(pairs)
    assert abs(np.mean(pairs) - 0.5) < 0.06
    assert not set(windows.baseline.clusters.tolist()) & set(window.clusters.tolist())


def test_invented_columns_keep_their_law_among_users() -> None:
    """Alike rows change the correlation, not the rates."""
    alone = draw_invented(Invented(20_000, 10), np.random.default_rng(1)).baseline.table
    users = draw_invented(Invented(20_000, 10, 4), np.random.default_rng(2)).baseline.table
    rate = list(LAWS).index("70% zero")
    for table in (alone, users):
        assert abs((table[:, rate] == 0).mean() - 0.7) < 0.02


def test_windows_survive_the_way_to_a_tool(pool: Pool, tmp_path: Path) -> None:
    """What a tool's process reads is what was drawn."""
    drawn = cell_of(pool, "null", "100").windows(0)
    drawn.save(tmp_path / "w.npz")
    read = load_windows(tmp_path / "w.npz")
    assert (drawn.names, drawn.kinds, drawn.pool) == (read.names, read.kinds, read.pool)
    for side in ("baseline", "current"):
        for name, values in vars(getattr(drawn, side)).items():
            assert np.array_equal(values, getattr(getattr(read, side), name)), name


def test_a_tool_answers_each_request_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method that raises says why; the others' findings stand, numpy's own types included."""

    def alarm(windows: Windows) -> Finding:
        return Finding(np.bool_(True), None, np.float32(2.5), {"a": np.bool_(False)})

    def broken(windows: Windows) -> Finding:
        raise ValueError("no such column")

    peer = ModuleType("scripts.detectors.peers.invented")
    peer.VERSION, peer.METHODS, peer.SLOW = "1.0", {"a": alarm, "b": broken}, ("b",)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, peer.__name__, peer)
    path = tmp_path / "w.npz"
    draw_invented(Invented(20, 20), np.random.default_rng(0)).save(path)
    replies = io.StringIO()
    runner.serve("invented", io.StringIO(f"{path}\ta\tb\n{path}\ta\n"), replies)
    hello, both, one = (json.loads(line) for line in replies.getvalue().splitlines())
    assert {"version": "1.0", "methods": ["a", "b"], "slow": ["b"], "answers_only": []} == hello
    assert (True, 2.5) == (both["a"]["any_alarm"], both["a"]["score"])
    assert "ValueError: no such column" == both["b"]["error"]
    assert ["a"] == list(one)


def test_an_absent_environment_is_not_an_interpreter(tmp_path: Path) -> None:
    """Such a peer is reported as not run."""
    assert [None] * len(PEERS) == [python_of(peer, tmp_path) for peer in PEERS]


def test_the_threshold_is_exceeded_by_five_percent_of_clean_scores() -> None:
    """Never by more, and by nothing where there are too few runs to know."""
    scores = np.arange(99.0)
    assert 5 == (scores >= threshold(scores)).sum()
    assert 94.0 == threshold(scores)
    assert np.inf == threshold(np.arange(18.0))
    rng = np.random.default_rng(3)
    rates = [rng.random() > threshold(rng.random(40)) for _ in range(4_000)]
    assert np.mean(rates) < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 4_000)


def test_power_counts_the_drifted_runs_beyond_the_clean_threshold(pool: Pool) -> None:
    """Scores of the same pair and size decide; ties with the threshold are no finding."""
    cells = [c for c in list_cells(pool, ("power",)) if c.labels[:2] == ("100", "prime gpt-4")]
    results = Results(Path("unused"))
    for cell in cells:
        for run in range(20):
            score = {"0%": run, "20%": 19, "50%": 20}.get(cell.labels[2], 100)
            found = Finding(False, None, score).to_json()
            results.add(cell.key, "tool: method", run, found)
    found = powers(results, cells, "tool: method")
    rates = {labels[2]: float(hits.mean()) for labels, hits in found.items()}
    assert {"20%": 0.0, "50%": 1.0, "100%": 1.0} == rates


def test_results_of_another_version_are_dropped(tmp_path: Path) -> None:
    """Findings of the same version are kept over calls."""
    results = Results(tmp_path / "null.json")
    results.settle("tool", "1.0")
    results.add("cell", "tool: a", 0, Finding(True).to_json())
    results.write()
    again = Results.read(results.path)
    again.settle("tool", "1.0")
    assert again.has("cell", "tool: a", 0)
    again.settle("tool", "2.0")
    assert not again.has("cell", "tool: a", 0)


def test_a_failed_run_counts_in_no_rate(pool: Pool) -> None:
    """One alarm in two runs with a finding, one run without."""
    cells = list_cells(pool, ("null",))
    results = Results(Path("unused"))
    for run, finding in enumerate((Finding(True, True), Finding(False, False), Finding(error="x"))):
        results.add(cells[0].key, "tool: a", run, finding.to_json())
    found = results.of(cells[0].key, "tool: a")
    assert found is not None
    assert (2, 1) == (len(found), found.n_errors)
    expected = "| method | n = 100 | runs |\n| --- | --- | --- |\n| tool: a | 50 ±35 / 50 ±35 | 2 |"
    assert expected in write_null(results, cells)


def test_standard_errors_are_the_binomial_ones() -> None:
    """And not zero where nothing or everything alarmed."""
    assert abs(standard_error(0.05, 350) - 0.01165) < 1e-5
    assert 0 < standard_error(0.0, 100) < 0.01


def test_tables_go_between_their_markers(tmp_path: Path) -> None:
    """The page around them stays; an unknown part is refused."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- mix: begin -->\nold\n<!-- mix: end -->\nafter\n", "utf-8")
    table = to_markdown(["a"], [["1"]])
    bench_detectors.into_docs("mix", table, page)
    bench_detectors.into_docs("mix", table, page)
    expected = f"before\n<!-- mix: begin -->\n\n{table}\n\n<!-- mix: end -->\nafter\n"
    assert expected == page.read_text("utf-8")
    with pytest.raises(ValueError, match="null"):
        bench_detectors.into_docs("null", table, page)


def test_a_p_value_of_zero_is_the_greatest_score() -> None:
    """And stays a number."""
    assert (400.0, 2.0) == (minus_log(0.0), minus_log(0.01))
