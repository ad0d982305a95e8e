"""`loopllm forget`: erase a user, a conversation or a response from the project."""

from __future__ import annotations

from typing import Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, stdout
from loopllm_cli.commands._projects import open_project
from loopllm_cli.errors import UsageError

UserOption = Annotated[str | None, typer.Option("--user", help="A user's id, as it was logged.")]
ConversationOption = Annotated[
    str | None, typer.Option("--conversation", help="A conversation's id.")
]
IdOption = Annotated[
    str | None, typer.Option("--id", help="A response: its interaction_id in the store.")
]
WaitOption = Annotated[
    float, typer.Option("--lock-wait", min=0.0, help="Seconds to wait for another writer.")
]
DryRunOption = Annotated[bool, typer.Option("-n", "--dry-run", help="Only say what would go.")]


@guarded
def forget(
    user: UserOption = None,
    conversation: ConversationOption = None,
    interaction_id: IdOption = None,
    project: opt.ProjectOption = ".",
    lock_wait: WaitOption = 60.0,
    dry_run: DryRunOption = False,
    as_json: opt.JsonOption = False,
) -> None:
    """Erase a user, a conversation or a response, and every vote on it, for good.

    Goes from the tables with their history, from rejects, run records, reviews and sampled
    answers. Datasets of pairs that hold any of it are removed; adapters trained on them are
    listed. There is no way back.
    """
    from loopllm_cli.loop.forget import forget as erase_from
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text import write_forget

    asked = {"user": user, "conversation": conversation, "id": interaction_id}
    given = [(name, value) for name, value in asked.items() if value]
    if len(given) != 1:
        raise UsageError(
            f"{len(given)} selectors are given, one is needed",
            "give one of --user ID, --conversation ID, --id INTERACTION_ID",
        )
    selector, value = given[0]
    summary = erase_from(
        open_project(project), selector, value, dry_run=dry_run, lock_wait_s=lock_wait
    )
    if as_json:
        print_json(to_json(summary))
    else:
        write_forget(stdout(), summary)
