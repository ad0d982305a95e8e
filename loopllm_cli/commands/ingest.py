"""`loopllm ingest`: read exported logs and feedback into the store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, remark, stdout
from loopllm_cli.commands._progress import ProgressLine
from loopllm_cli.commands._projects import open_project

MapOption = Annotated[
    Path | None, typer.Option("--map", help="TOML file that says which key holds which field.")
]
FormatOption = Annotated[
    str | None,
    typer.Option("--format", help="Name of the format (docs/formats.md); seen by itself."),
]
DateOption = Annotated[
    str | None,
    typer.Option("--date-format", help="How times are written, e.g. '%m/%d/%Y, %H:%M:%S'."),
]
RejectOption = Annotated[
    float,
    typer.Option("--max-reject-rate", min=0.0, max=1.0, help="Share of bad lines to accept."),
]
EncodingOption = Annotated[
    str | None,
    typer.Option("--encoding", help="Of text that is not UTF-8, e.g. cp1252."),
]
RedactOption = Annotated[
    str,
    typer.Option(
        "--redact",
        envvar="LOOPLLM_REDACT",
        help="What to mask before storing: off, secrets, basic or presidio (docs/privacy.md).",
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", min=1, help="Decoding processes; chosen by size and cores."),
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Stop at any bad record.")]
WaitOption = Annotated[
    float, typer.Option("--lock-wait", min=0.0, help="Seconds to wait for another writer.")
]


@guarded
def ingest(
    paths: Annotated[
        list[str],
        typer.Argument(help="Files, folders, patterns, or - for stdin.", metavar="PATH..."),
    ],
    project: opt.ProjectOption = ".",
    map_file: MapOption = None,
    only_format: FormatOption = None,
    date_format: DateOption = None,
    encoding: EncodingOption = None,
    redact: RedactOption = "secrets",
    max_reject_rate: RejectOption = 0.05,
    strict: StrictOption = False,
    jobs: JobsOption = None,
    lock_wait: WaitOption = 600.0,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Show what a sample gives; store nothing.")
    ] = False,
    as_json: opt.JsonOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Read exported logs and feedback into the store, each row once.

    Exports of any known tool (docs/formats.md) as JSON, JSON Lines, CSV or Parquet, plain or
    compressed. What cannot be read is kept in .loopllm/rejects with its line and reason.
    """
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text import write_ingest
    from loopllm_cli.sources.columns import PLAIN, read_mapping
    from loopllm_cli.sources.ingest import IngestOptions
    from loopllm_cli.sources.ingest import ingest as run_ingest

    progress = ProgressLine(quiet=quiet)
    options = IngestOptions(
        mapping=read_mapping(map_file) if map_file else PLAIN,
        only_format=only_format,
        date_format=date_format,
        encoding=encoding,
        redact=redact,
        max_reject_rate=0.0 if strict else max_reject_rate,
        n_processes=jobs,
        lock_wait_s=lock_wait,
        dry_run=dry_run,
        on_progress=lambda path, n, total: progress.show(_progress_words(path, n, total)),
    )
    try:
        summary = run_ingest(open_project(project), paths, options)
    finally:
        progress.done()
    if as_json:
        print_json(to_json(summary))
        return
    write_ingest(stdout(), summary)
    if not dry_run:
        remark("next: loopllm baseline create v1", quiet=quiet)


def _progress_words(path: str, n_bytes: int, n_bytes_total: int) -> str:
    read = f"{Path(path).name}: {n_bytes / 1e6:,.0f}"
    if not n_bytes_total:
        return f"{read} MB"
    return f"{read} of {n_bytes_total / 1e6:,.0f} MB, {n_bytes / n_bytes_total:.0%}"
