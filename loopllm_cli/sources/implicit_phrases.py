"""The phrases of implicit feedback, compiled by sign and language from `implicit_phrases.toml`."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from typing import Any

Patterns = dict[str, tuple[tuple[int, re.Pattern[str]], ...]]
"""By sign: the bit and the pattern of each language."""

_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_PIECE = re.compile(r"<(\w+)>")


def _read() -> dict[str, Any]:
    found = files("loopllm_cli.sources").joinpath("implicit_phrases.toml")
    return tomllib.loads(found.read_text(encoding="utf-8"))


def _filled(pattern: str) -> str:
    """Replace the names of pieces, which may name pieces themselves."""
    while _PIECE.search(pattern):
        pattern = _PIECE.sub(lambda name: str(_PHRASES["pieces"][name[1]]), pattern)
    return pattern


def _compiled() -> tuple[Patterns, dict[str, int]]:
    """Compile the patterns, and map each trigger to the bits of those that may hold it.

    A message is tried only with the patterns that may hold one of its words. Patterns are written
    in pieces ("obrigad[oa]"), so a piece of some length stands for every trigger that it is in.
    """
    triggers, correcting = (set(_PHRASES[name].split()) for name in ("triggers", "correcting"))
    negations = set(_PHRASES["negations"].split())
    bits = dict.fromkeys(triggers | correcting, 0)
    patterns: Patterns = {}
    bit = 1
    for name, languages in _PHRASES["signs"].items():
        compiled = []
        for phrases in languages.values():
            source = "|".join(map(_filled, phrases))
            words = set(_WORD.findall(source.replace(r"\b", " ").replace(r"\w", " ")))
            pieces = [word for word in words if len(word) > 3]
            if "n't" in source:
                words |= negations
            for word in triggers:
                if word in words or any(piece in word for piece in pieces):
                    bits[word] |= bit
            compiled.append((bit, re.compile(source)))
            bit <<= 1
        patterns[name] = tuple(compiled)
    for word in correcting:
        bits[word] |= bit
    return patterns, bits


_PHRASES = _read()
PATTERNS, TRIGGER_BITS = _compiled()
CORRECTING = frozenset(_PHRASES["correcting"].split())
STOPWORDS = frozenset(_PHRASES["stopwords"].split())
FILLER = re.compile(_PHRASES["filler"])
JOINED = {name: re.compile("|".join(found)) for name, found in _PHRASES["joined"].items()}
JOINED_NOT = re.compile(_PHRASES["joined_not"])
