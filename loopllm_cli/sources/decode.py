"""Choose the decoder for a record, by what is in it, vendor shapes before generic ones."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches
from functools import partial

from loopllm_cli.errors import ConfigError
from loopllm_cli.sources.columns import PLAIN, Mapping
from loopllm_cli.sources.envelopes import flat, messages
from loopllm_cli.sources.formats import Format, all_formats
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin, Record

UNKNOWN_SHAPE = "unknown record shape"
_MAX_SHAPES = 4096


def formats(mapping: Mapping = PLAIN) -> tuple[Format, ...]:
    """Return the known formats in the order in which they are tried.

    An explicit mapping says what the records are: it comes before every recognition.
    """
    if not mapping.columns:
        return all_formats()
    mapped = tuple(
        replace(
            room.FORMAT,
            recognises=partial(room.recognises, mapping=mapping),
            decode=partial(room.decode, mapping=mapping),
        )
        for room in (flat, messages)
    )
    names = {f.name for f in mapped}
    return (*mapped, *(f for f in all_formats() if f.name not in names))


class Router:
    """Send each record to its decoder.

    Args:
        mapping: the user's names for fields.
        only: the name of the one format to use, None to recognise it per record.

    Raises:
        ConfigError: `only` names no format.
    """

    def __init__(self, mapping: Mapping = PLAIN, only: str | None = None) -> None:
        self._formats = formats(mapping)
        if only is not None:
            known = sorted(f.name for f in self._formats)
            self._formats = tuple(f for f in self._formats if f.name == only)
            if not self._formats:
                near = get_close_matches(only, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                raise ConfigError(f"unknown format {only!r}", hint)
        self._forced = only is not None
        # Files are uniform: records with the same keys are tried with the same format first.
        self._by_keys: dict[tuple[str, ...], Format] = {}

    def find(self, record: Record) -> Format | None:
        """Return the format of a record, None where none fits."""
        if self._forced:
            return self._formats[0]
        keys = tuple(record)
        known = self._by_keys.get(keys)
        if known is not None and known.recognises(record):
            return known
        for shape in self._formats:
            if shape.recognises(record):
                if len(self._by_keys) < _MAX_SHAPES:
                    self._by_keys[keys] = shape
                return shape
        return None

    def decode(self, record: Record, origin: Origin) -> tuple[str, Decoded]:
        """Return the format's name and the rows of one record.

        Raises:
            BadLine: no format fits, or the record is malformed.
        """
        shape = self.find(record)
        if shape is None:
            asked = PLAIN.get(record, "prompt") is not None
            raise BadLine("no response" if asked else UNKNOWN_SHAPE)
        return shape.name, shape.decode(record, origin)
