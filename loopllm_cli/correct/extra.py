"""Ask for the training extra before its first import, and keep its libraries from phoning home."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from loopllm_cli.errors import MissingExtra

TRAIN_PACKAGES = ("torch", "transformers", "trl", "peft", "datasets", "safetensors", "accelerate")


def require_extra() -> None:
    """Refuse with the command that installs the training extra, when a part of it is missing.

    Also switches off usage telemetry: the hub client reads the variable when it is first
    imported, and TRL would report the construction of every trainer.

    Raises:
        MissingExtra: a package of the extra cannot be found.
    """
    missing = [name for name in TRAIN_PACKAGES if find_spec(name) is None]
    if missing:
        raise MissingExtra(
            f"training and generating need packages that are not installed: {', '.join(missing)}",
            "pip install 'loopllm[train]'",
        )
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def installed_versions() -> dict[str, str]:
    """Return the versions that an adapter's result depends on."""
    found = {}
    for name in ("loopllm", "torch", "transformers", "trl", "peft"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found
