"""`loopllm watch`: the same judgement, minute by minute, on files that are being written to."""

from __future__ import annotations

from typing import Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._log import LOG, log_to
from loopllm_cli.commands._output import print_json, remark, stdout
from loopllm_cli.commands._progress import ProgressLine
from loopllm_cli.commands._projects import open_project
from loopllm_cli.errors import ExitCode, StoreUnavailable, UsageError
from loopllm_cli.model import Status, WatchEvent, WatchResult

SourcesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        help="Files, folders, patterns, or - for stdin [default: those of \\[run]].",
        metavar="[SOURCE]...",
    ),
]
BaselineOption = Annotated[
    str | None, typer.Option("--baseline", help="The baseline's name [default: that of \\[run]].")
]
StartOption = Annotated[
    bool, typer.Option("--from-start", help="At the first start, read what is there already.")
]
OnceOption = Annotated[
    bool, typer.Option("--once", help="Judge what has come since the last time, and end.")
]


@guarded
def watch(
    sources: SourcesArgument = None,
    baseline: BaselineOption = None,
    model: opt.ModelOption = None,
    from_start: StartOption = False,
    once: OnceOption = False,
    config: opt.ConfigOption = None,
    log_out: opt.LogOption = None,
    project: opt.ProjectOption = ".",
    as_json: opt.JsonOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Follow logs as they are written, and say within minutes that something got worse.

    Stores nothing of what it reads: `run` does, on the same files. Stop it as you like; started
    again, it goes on. Exit codes, at the end of stdin and with --once: 0 nothing is worse,
    10 degraded.
    """
    from loopllm_cli.config import load_config
    from loopllm_cli.loop.alarms import addresses, announce_watch
    from loopllm_cli.loop.watching import WatchRequest, keep_watching, watching
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text_watch import beat_words, event_words, write_watch

    log_to(log_out)
    store = open_project(project)
    settings = load_config(store.root, config)
    asked = tuple(sources or (str(store.root / one) for one in settings.run.sources))
    if not asked:
        raise UsageError("nothing to watch", "name files or folders, or sources under [run]")
    addresses(settings.alarms)
    request = WatchRequest(
        asked, baseline or settings.run.baseline, model or settings.run.watch_model, from_start
    )
    progress = ProgressLine(quiet=quiet)

    def listen(events: list[WatchEvent], result: WatchResult) -> None:
        progress.done()
        _write_events(events, as_json=as_json, once=once)
        progress.show(beat_words(result))
        try:
            said = [event_words(event) for event in result.worse]
            told = announce_watch(store, settings.alarms, result, said)
        except StoreUnavailable as error:
            told = error.message
        remark(f"alarm: {told}", quiet=quiet or not told)

    with watching(store, settings, request) as watcher:
        result = keep_watching(watcher, listen, once=once)
    progress.done()
    if as_json and once:
        print_json(to_json(result))
    elif not as_json:
        write_watch(stdout(), result)
    raise typer.Exit(ExitCode.DEGRADED if result.status is Status.DEGRADED else ExitCode.OK)


def _write_events(events: list[WatchEvent], *, as_json: bool, once: bool) -> None:
    """Write what changed; a single document of JSON, at the end, holds it all."""
    from loopllm_cli.render.as_json import to_json_line
    from loopllm_cli.render.text_watch import event_words, write_event

    for event in events:
        facts = {"signal": event.signal.name, "worse": event.worse}
        LOG.warning("%s", event_words(event), extra={"facts": facts})
        if as_json and not once:
            print_json(to_json_line(event))
        elif not as_json:
            write_event(stdout(), event)
