"""`loopllm pairs review` and `import`: what people say of pairs before a model learns them."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loopllm_cli.commands import _options as opt
from loopllm_cli.commands._boundary import guarded
from loopllm_cli.commands._output import print_json, remark, stderr, stdout
from loopllm_cli.commands._projects import open_project
from loopllm_cli.commands.pairs_show import PairsOption

if TYPE_CHECKING:
    from rich.console import Console

    from loopllm_cli.commands._keys import Keys
    from loopllm_cli.model import Reply, ReviewCard

ReviewerOption = Annotated[
    str | None, typer.Option("--reviewer", help="Who reviews [default: the login name].")
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="Ask about so many pairs at most.")
]
StatusOption = Annotated[bool, typer.Option("--status", help="Ask nothing, only sum up.")]
FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="Records with responses: JSON or JSON Lines; or -.")
]
QuestionOption = Annotated[
    str | None,
    typer.Option("--question", help="The question that was answered [default: found by itself]."),
]


@guarded
def review(
    reviewer: ReviewerOption = None,
    limit: LimitOption = None,
    status: StatusOption = False,
    pairs: PairsOption = None,
    project: opt.ProjectOption = ".",
    as_json: opt.JsonOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Review pairs in the terminal, one key each, the least certain ones first.

    Sides are shown in random order, without models or votes. Every decision is on the disk
    before the next question, so a review goes on where it was left. The next `loopllm pairs`
    follows it. Without a terminal, answers are read from stdin, one per line.
    """
    from loopllm_cli.commands._keys import Keys
    from loopllm_cli.loop.review import ReviewRequest, review_pairs, summarise_reviews
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text_review import write_review

    store = open_project(project)
    if status:
        summary = summarise_reviews(store, ReviewRequest(reviewer, pairs))
    else:
        request = ReviewRequest(reviewer or _login(), pairs, limit)
        # A document on stdout stays alone there.
        console = stderr() if as_json else stdout()
        with Keys() as keys:
            summary = review_pairs(store, request, lambda card: _ask(console, keys, card))
    if as_json:
        print_json(to_json(summary))
    else:
        write_review(stdout(), summary)
    if summary.n_now and not as_json:
        remark("next: loopllm pairs", quiet=quiet)


def _login() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return None


def _ask(console: Console, keys: Keys, card: ReviewCard) -> Reply:
    """Show a pair until one of the keys that decide is pressed."""
    from loopllm_cli.model import Reply
    from loopllm_cli.render.text_review import write_card, write_keys

    replies = {
        "a": Reply.FIRST,
        "b": Reply.SECOND,
        "g": Reply.BOTH_GOOD,
        "x": Reply.BOTH_BAD,
        "s": Reply.SKIP,
        "u": Reply.UNDO,
        "q": Reply.QUIT,
    }
    page = 0
    more = write_card(console, card)
    while True:
        key = keys.read()
        if key is None:
            return Reply.QUIT
        if key in replies:
            return replies[key]
        if key == "m" and more:
            page += 1
            more = write_card(console, card, page)
        elif key:
            write_keys(console)


@guarded
def import_file(
    path: FileArgument,
    question: QuestionOption = None,
    pairs: PairsOption = None,
    project: opt.ProjectOption = ".",
    as_json: opt.JsonOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Read decisions on pairs that were reviewed in Argilla.

    Takes what `dataset.records.to_json`, `to_list` and Argilla's API write. Only submitted
    responses count. Annotators become pseudonyms. Reading a file again changes nothing.
    """
    from loopllm_cli.commands._output import read_artefact
    from loopllm_cli.loop.review_import import MAX_BYTES, import_reviews
    from loopllm_cli.render.as_json import to_json
    from loopllm_cli.render.text_review import write_review_import

    content = read_artefact(path, MAX_BYTES)
    result = import_reviews(open_project(project), content, pairs, question)
    if as_json:
        print_json(to_json(result))
        return
    write_review_import(stdout(), result)
    if result.n_decisions:
        remark("next: loopllm pairs", quiet=quiet)
