"""Progress on stderr: a line that moves on a terminal, one line every 30 s in a log."""

from __future__ import annotations

import sys
import time

from loopllm_cli.render.clean import clean_text

_LOG_EVERY_S = 30.0
_TERMINAL_EVERY_S = 0.2


class ProgressLine:
    """One line of progress that replaces itself on a terminal.

    Args:
        quiet: write nothing at all.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._moving = sys.stderr.isatty()
        self._last = time.monotonic()
        self._shown = False

    def show(self, text: str) -> None:
        """Show the newest state, not more often than a reader can follow."""
        every = _TERMINAL_EVERY_S if self._moving else _LOG_EVERY_S
        if self._quiet or time.monotonic() - self._last < every:
            return
        self._last = time.monotonic()
        line = f"│ {clean_text(text, 76)}"
        sys.stderr.write(f"\r\x1b[K{line}" if self._moving else f"{line}\n")
        sys.stderr.flush()
        self._shown = self._moving

    def done(self) -> None:
        """Take the moving line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False
