"""What a format is, and the register of all that are known.

A format is one small file in `envelopes/` with a `FORMAT` (or several, `FORMATS`); it is found
by being there. Others add theirs by an entry point of the group `loopllm.formats` that names a
`Format` or a list of them. How to write one: docs/adding-a-format.md.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from importlib.metadata import entry_points

from loopllm_cli.errors import SetupError
from loopllm_cli.sources import envelopes
from loopllm_cli.sources.rows import Decoded, Origin, Record

ENTRY_POINTS = "loopllm.formats"


class Rank(IntEnum):
    """In which order shapes are tried: the more telling one first.

    A vendor's record also has a prompt and a response somewhere, so the vendor's own keys go
    before an API's body, and an API's body before the generic names.
    """

    ENVELOPE = 0  # keys that one vendor's export alone has
    VENDOR = 1  # keys that one vendor uses, and others might
    API = 2  # the body of an API call, whoever logged it
    DATASET = 3  # the shape of a public dataset
    GENERIC = 4  # home-made names


@dataclass(frozen=True, slots=True)
class Format:
    """One export shape.

    Args:
        name: what `--format` and the store call it, such as `langfuse_observation`.
        title: what people call it, such as "Langfuse observations".
        reason: by what it is recognised, in words that follow "because of".
        rank: when it is tried.
        recognises: whether a record has this shape. Called for every record: look at a few keys,
            and be exclusive of other formats whose records have the same keys.
        decode: turn one record into rows, votes and parts; raises `BadLine` with a reason for
            a record that is malformed.
        assemble: for formats with parts: put the contents of all known parts of one group
            together, given the group's name and the contents in order of their keys. It is called
            again whenever a part arrives, so the rows it builds need a `source_version` that
            grows, such as the number of parts.
        feedback_only: whether its records are votes, which need no response in the same file.
    """

    name: str
    title: str
    reason: str
    rank: Rank
    recognises: Callable[[Record], bool]
    decode: Callable[[Record, Origin], Decoded]
    assemble: Callable[[str, Sequence[Record], Origin], Decoded] | None = None
    feedback_only: bool = False


@cache
def all_formats() -> tuple[Format, ...]:
    """Return every known format in the order in which they are tried.

    Raises:
        SetupError: an installed plug-in cannot be loaded, or takes a name that is taken.
    """
    found: list[Format] = []
    for module in pkgutil.iter_modules(envelopes.__path__):
        loaded = importlib.import_module(f"{envelopes.__name__}.{module.name}")
        found += _formats_of(loaded)
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            loaded = entry.load()
            brought = [loaded] if isinstance(loaded, Format) else list(loaded)
            if not all(isinstance(shape, Format) for shape in brought):
                raise TypeError("it names something that is no Format")
            found += brought
        except Exception as error:  # a stranger's code may fail in any way
            raise SetupError(
                f"the format plug-in {entry.name!r} ({entry.value}) cannot be loaded ({error})",
                "update or uninstall the package that brings it",
            ) from error
    names = [f.name for f in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SetupError(
            f"two formats have the name {twice[0]!r}", "uninstall one of the format plug-ins"
        )
    return tuple(sorted(found, key=lambda f: (f.rank, f.name)))


def _formats_of(module: object) -> list[Format]:
    several = getattr(module, "FORMATS", None)
    single = getattr(module, "FORMAT", None)
    return list(several) if several is not None else [single] if single is not None else []


def format_by_name(name: str) -> Format:
    """Return a format by its name.

    Raises:
        KeyError: there is none.
    """
    return {f.name: f for f in all_formats()}[name]
