"""Options that several commands share, defined once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from loopllm_cli.model import Window

ProjectOption = Annotated[
    str,
    typer.Option(
        "--project",
        envvar="LOOPLLM_PROJECT",
        help="Directory that holds .loopllm/, or a URL such as s3://BUCKET/PREFIX.",
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", envvar="LOOPLLM_CONFIG", help="TOML file [default: PROJECT/loopllm.toml]."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
QuietOption = Annotated[bool, typer.Option("-q", "--quiet", help="No progress, no hints.")]
VerboseOption = Annotated[bool, typer.Option("-v", "--verbose", help="Show everything.")]
HtmlOption = Annotated[
    Path | None, typer.Option("--html-out", help="Write a self-contained HTML report here.")
]
JsonOutOption = Annotated[
    Path | None, typer.Option("--json-out", help="Write the result as JSON here.")
]
MarkdownOption = Annotated[
    Path | None,
    typer.Option("--markdown-out", help="Write Markdown for a pull request or a CI summary here."),
]
JunitOption = Annotated[
    Path | None, typer.Option("--junit-out", help="Write JUnit XML for a CI server here.")
]
LogOption = Annotated[
    Path | None, typer.Option("--log-out", help="Append what is said to this file, as JSON lines.")
]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", help="First moment: an ISO date or time (UTC), or an age such as 7d."),
]
UntilOption = Annotated[
    str | None, typer.Option("--until", help="First moment that is no longer in the window.")
]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Only answers of this model, as logged.")
]
WhereOption = Annotated[
    str | None,
    typer.Option("--where", help='SQL condition on the store\'s columns, e.g. "cost_usd > 0".'),
]


def to_window(since: str | None, until: str | None, model: str | None, where: str | None) -> Window:
    """Build the window that the options ask for.

    Raises:
        ConfigError: a moment cannot be read.
    """
    from loopllm_cli.sources.rows import safe_id
    from loopllm_cli.store.windows import parse_moment

    now = datetime.now(UTC)
    return Window(
        since=parse_moment(since, now) if since else None,
        until=parse_moment(until, now) if until else None,
        # Names are stored bounded and printable; asked for, they are made so in the same way.
        model=safe_id(model),
        where=where,
    )
