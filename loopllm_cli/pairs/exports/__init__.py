"""Exports: a dataset of pairs in the files of other tools, one small module per tool.

A module of this folder is an export if it has a `TARGET`; there is no list to keep. What a tool
cannot express is left out and counted, never changed.
"""

from __future__ import annotations

import importlib
import pkgutil

from loopllm_cli.pairs.exports.target import Target


def load_targets() -> dict[str, Target]:
    """Return all exports by name, in order of name."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        target = getattr(importlib.import_module(f"{__name__}.{module.name}"), "TARGET", None)
        if isinstance(target, Target):
            found[target.name] = target
    return found
