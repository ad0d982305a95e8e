"""Choose the decoder for a record, by what is in it, vendor shapes before generic ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from loopllm_cli.errors import ConfigError
from loopllm_cli.sources.columns import PLAIN, Mapping
from loopllm_cli.sources.envelopes import feedback, flat, messages, openai_chat
from loopllm_cli.sources.reading import BadLine
from loopllm_cli.sources.rows import Decoded, Origin

UNKNOWN_SHAPE = "unknown record shape"


@dataclass(frozen=True, slots=True)
class Format:
    """One export shape."""

    name: str
    recognises: Callable[[dict[str, Any]], bool]
    decode: Callable[[dict[str, Any], Origin], Decoded]


def formats(mapping: Mapping = PLAIN) -> list[Format]:
    """Return the known shapes in the order in which they are tried."""
    generic = [
        Format(
            room.NAME,
            partial(room.recognises, mapping=mapping),
            partial(room.decode, mapping=mapping),
        )
        for room in (flat, messages)
    ]
    # An explicit mapping says what the records are: it comes before every recognition.
    ready = [Format(r.NAME, r.recognises, r.decode) for r in (openai_chat, feedback)]
    return [*generic, *ready] if mapping.columns else [*ready, *generic]


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
            known = [f.name for f in self._formats]
            self._formats = [f for f in self._formats if f.name == only]
            if not self._formats:
                raise ConfigError(
                    f"unknown format {only!r}", f"known formats: {', '.join(sorted(known))}"
                )
        self._forced = only is not None

    def decode(self, record: dict[str, Any], origin: Origin) -> tuple[str, Decoded]:
        """Return the format's name and the rows of one record.

        Raises:
            BadLine: no format fits, or the record is malformed.
        """
        for shape in self._formats:
            if self._forced or shape.recognises(record):
                return shape.name, shape.decode(record, origin)
        raise BadLine(_why_unknown(record))


def _why_unknown(record: dict[str, Any]) -> str:
    asked = PLAIN.get(record, "prompt") is not None
    return "no response" if asked else UNKNOWN_SHAPE
