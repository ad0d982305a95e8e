"""A group that is a command itself: it runs where no subcommand is given."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup


class DefaultGroup(TyperGroup):
    """A group whose own options and callback count only without a subcommand.

    Typer runs a group's callback before any subcommand; here it would build a dataset when one
    is only to be shown.
    """

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the subcommand; from here on, the group itself has nothing left to do.

        Raises:
            BadParameter: an option stands before the subcommand, where it would have no effect.
        """
        found = super().resolve_command(ctx, args)
        for param in self.params:
            source = ctx.get_parameter_source(param.name)
            if source is not None and source.name == "COMMANDLINE":
                said = f"give {param.opts[-1]} after {args[0]}, not before it"
                raise typer.BadParameter(said, ctx=ctx)
        self.callback = None
        return found
