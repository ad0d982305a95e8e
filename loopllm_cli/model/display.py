"""How results show themselves in a notebook, without knowing how that is done.

`loopllm_cli.api` says how when it is imported; this file only knows whom to ask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

HTML: list[Callable[[Any], str]] = []
PANDAS: list[Callable[[Any], Any]] = []


class Displayed:
    """A result that a notebook shows as the terminal does, and that becomes a data frame."""

    __slots__ = ()

    def to_pandas(self) -> Any:
        """Return the main table of the result as a `pandas.DataFrame`, one row per thing judged.

        Raises:
            RuntimeError: `loopllm_cli.api` has not been imported.
        """
        if not PANDAS:
            raise RuntimeError("import loopllm_cli.api first")
        return PANDAS[-1](self)

    def _repr_html_(self) -> str | None:
        return HTML[-1](self) if HTML else None
