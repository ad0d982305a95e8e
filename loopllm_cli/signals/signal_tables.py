"""Reading of the tables that define users' signals, and the errors in them.

A table stands under `[signals.<name>]` in the project's settings or in a signal file.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loopllm_cli.config import FILE_NAME, read_toml
from loopllm_cli.errors import ConfigError


@dataclass(frozen=True, slots=True)
class SignalTable:
    """One signal's table; `root` is the folder that its paths start from."""

    name: str
    values: Mapping[str, Any]
    root: Path

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text.

        Raises:
            ConfigError: it is missing or no text.
        """
        value = self.values.get(key, default)
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(f"{self.wrong(key)}", f"give {key} as a text")
        return value

    def choice(self, key: str, options: Sequence[str], default: str | None = None) -> str:
        """Return one of some words.

        Raises:
            ConfigError: it is missing or another.
        """
        value = self.values.get(key, default)
        if value not in options:
            raise ConfigError(self.wrong(key), f"choose from: {', '.join(options)}")
        return str(value)

    def flag(self, key: str) -> bool:
        """Return a truth value, false where it is missing.

        Raises:
            ConfigError: it is something else.
        """
        value = self.values.get(key, False)
        if not isinstance(value, bool):
            raise ConfigError(self.wrong(key), "use true or false")
        return value

    def wrong(self, key: str) -> str:
        """Say what is wrong with a key's value."""
        said = f"is {self.values[key]!r}" if key in self.values else "is missing"
        return f"signals.{self.name}.{key} {said}"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the hint that names the known word nearest to an unknown one."""
    options = sorted(known)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(options)}"


def check_tolerance(place: str, value: Any) -> float:
    """Return a tolerance as a number; `place` names it in the error.

    Raises:
        ConfigError: it is not a number above zero.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        raise ConfigError(
            f"{place} is {value!r}",
            "a tolerance is a number above 0: 0.01 is one point of a rate, 0.10 a tenth of a mean",
        )
    return float(value)


def check_seconds(value: float) -> float:
    """Return the time limit of a user's signal.

    Raises:
        ConfigError: it is not above zero.
    """
    if not math.isfinite(value) or value <= 0:
        raise ConfigError(
            f"[drift] signal_seconds is {value!r}", "give each of your signals some seconds: 60"
        )
    return value


def read_signal_files(
    tables: Mapping[str, Mapping[str, Any]], files: Sequence[str], root: Path
) -> dict[str, Mapping[str, Any]]:
    """Return the tables of the settings and of all signal files together, by name.

    Args:
        tables: the settings' own.
        files: paths of TOML files; relative ones start from `root`.

    Raises:
        ConfigError: a file cannot be read, holds something else, or repeats a name.
    """
    found = dict(tables)
    places = dict.fromkeys(found, FILE_NAME)
    for file in files:
        content = read_toml(root / file)
        for key in content:
            if key != "signals":
                raise ConfigError(
                    f"{file} has an unknown key {key!r}",
                    "a signal file holds [signals.<name>] tables only",
                )
        more = content.get("signals", {})
        if not isinstance(more, dict):
            raise ConfigError(f"{file}: signals is no table", "write it as [signals.<name>]")
        for name, table in more.items():
            if name in found:
                raise ConfigError(
                    f"signals.{name} is defined in {places[name]} and in {file}",
                    "give one of them another name",
                )
            found[name], places[name] = table, file
    return found
