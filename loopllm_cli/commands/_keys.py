"""Read single keys from a terminal, or lines from a pipe."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Any, Self

try:
    import termios
    import tty
except ImportError:  # Windows has neither: lines are read there, as from a pipe.
    termios = tty = None  # type: ignore[assignment]

_ESCAPE = b"\x1b"
_END = b"\x04"
_INTRODUCERS = (b"[", b"O")


class Keys:
    """The keyboard, without echo and without Enter, as long as the context lasts.

    The terminal is as it was afterwards, also after Ctrl-C or an error. Where stdin is no
    terminal, a line stands for a key.
    """

    def __init__(self) -> None:
        self.is_terminal = termios is not None and sys.stdin.isatty()
        self._before: list[Any] | None = None

    def __enter__(self) -> Self:
        if self.is_terminal:
            self._before = termios.tcgetattr(sys.stdin.fileno())
            # Ctrl-C still interrupts in this mode.
            tty.setcbreak(sys.stdin.fileno(), termios.TCSADRAIN)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if self._before is not None:
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)

    def read(self) -> str | None:
        """Return the next key in lower case ("" for one without a letter); None at the end."""
        if not self.is_terminal:
            line = sys.stdin.readline()
            return line.strip()[:1].lower() if line else None
        handle = sys.stdin.fileno()
        read = os.read(handle, 1)
        if read == _ESCAPE:
            _read_sequence(handle)
            return ""
        if read in (b"", _END):
            return None
        return read.decode("ascii", "ignore").strip().lower()


def _read_sequence(handle: int) -> None:
    """Read the rest of an arrow's or a function key's sequence (ECMA-48, section 5.4)."""
    os.set_blocking(handle, False)
    try:
        if os.read(handle, 1) in _INTRODUCERS:
            while not b"@" <= os.read(handle, 1) <= b"~":
                pass
    except BlockingIOError:
        pass  # the escape key alone
    finally:
        os.set_blocking(handle, True)
