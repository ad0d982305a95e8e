"""Hand a run's metrics to a tracker that the Trainer knows: numbers and settings, never texts.

Imports nothing heavy at the top.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loopllm_cli.correct.recipe import Recipe
from loopllm_cli.errors import ConfigError

_TENSORBOARD = "TENSORBOARD_LOGGING_DIR"


def reporting(recipe: Recipe, checkpoints: Path) -> dict[str, Any]:
    """Return the arguments for trackers; checkpoints go when a run ends, so logs lie beside them.

    Args:
        recipe: `report_to` names trackers; nothing is sent anywhere unless it does.
        checkpoints: the folder in the run's workplace.
    """
    name = checkpoints.parent.name.removesuffix(".partial")
    if "tensorboard" in recipe.report_to:
        os.environ.setdefault(_TENSORBOARD, str(checkpoints.parent.with_name(f"{name}.runs")))
    return {"report_to": list(recipe.report_to), "run_name": name}


@contextmanager
def tracker_errors(recipe: Recipe) -> Iterator[None]:
    """Say what is wrong with the trackers that a recipe names.

    Raises:
        ConfigError: one is not known, or not installed.
    """
    try:
        yield
    except (ValueError, RuntimeError, ImportError) as error:
        said = str(error)
        if not recipe.report_to or ("not supported, only" not in said and "install" not in said):
            raise
        raise ConfigError(
            f"report_to = {list(recipe.report_to)}: {said.splitlines()[0]}",
            "install the tracker, or set report_to = []",
        ) from error
