"""Show results in a notebook: the words of the terminal, and the main table as a data frame."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console

from loopllm_cli.model import (
    AdapterCard,
    Diagnosis,
    DriftResult,
    IngestSummary,
    LadderResult,
    NightsResult,
    PairsSummary,
    RunResult,
    Upkeep,
    VerifyResult,
    WatchResult,
)
from loopllm_cli.render.as_json import to_plain
from loopllm_cli.render.text import (
    write_adapter,
    write_drift,
    write_ingest,
    write_pairs,
    write_verify,
)
from loopllm_cli.render.text_ladder import write_ladder
from loopllm_cli.render.text_nights import write_nights
from loopllm_cli.render.text_run import write_diagnosis, write_run
from loopllm_cli.render.text_store import write_upkeep
from loopllm_cli.render.text_watch import write_watch

if TYPE_CHECKING:
    import pandas

_WIDTH = 100
_PAGE = '<pre style="line-height:1.3;overflow-x:auto">{code}</pre>'
_WRITERS: Mapping[type, Callable[[Console, Any], None]] = {
    IngestSummary: write_ingest,
    DriftResult: write_drift,
    NightsResult: write_nights,
    PairsSummary: write_pairs,
    AdapterCard: write_adapter,
    LadderResult: write_ladder,
    VerifyResult: write_verify,
    RunResult: lambda console, result: write_run(console, result, verbose=True),
    WatchResult: write_watch,
    Diagnosis: write_diagnosis,
    Upkeep: write_upkeep,
}
_ROWS: Mapping[type, str] = {
    DriftResult: "comparisons",
    NightsResult: "signals",
    LadderResult: "rungs",
    VerifyResult: "checks",
    RunResult: "steps",
    WatchResult: "events",
    Diagnosis: "examined",
    Upkeep: "tables",
}


def render_notebook(result: Any) -> str:
    """Return what a terminal would show, as HTML; log text in it is inert."""
    console = Console(
        record=True, file=io.StringIO(), width=_WIDTH, highlight=False, markup=False, emoji=False,
        force_terminal=True, color_system="truecolor", legacy_windows=False,
    )  # fmt: skip
    _WRITERS[type(result)](console, result)
    return console.export_html(inline_styles=True, code_format=_PAGE)


def to_data_frame(result: Any) -> pandas.DataFrame:
    """Return the main table of a result: one row per comparison, check, step and so on.

    Parts of parts become columns with a dot in their name (`signal.name`). A result without a
    table gives one row.
    """
    import pandas as pd

    name = _ROWS.get(type(result))
    rows = [to_plain(row) for row in getattr(result, name)] if name else [to_plain(result)]
    return pd.json_normalize(rows)
