"""Keep the training libraries from writing to the terminal while they work."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator

# PEFT and TRL still use the old name of a setting that transformers renamed; a run is not affected.
_HARMLESS = (".*gradient_checkpointing.* is deprecated",)
_LOGGERS = ("transformers", "trl", "peft", "datasets", "accelerate", "huggingface_hub")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence progress bars, known warnings and log lines below ERROR, and restore them after."""
    import datasets
    from huggingface_hub import constants
    from transformers.utils import logging as hf_logging

    levels = {name: logging.getLogger(name).level for name in _LOGGERS}
    had_bars, tqdm_was = hf_logging.is_progress_bar_enabled(), os.environ.get("TQDM_DISABLE")
    datasets_bars = datasets.are_progress_bars_disabled()
    # The variable alone does not help when the hub client was imported before us.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    os.environ["TQDM_DISABLE"] = "1"
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    hf_logging.disable_progress_bar()
    datasets.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            for message in _HARMLESS:
                warnings.filterwarnings("ignore", message=message, category=FutureWarning)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if tqdm_was is None:
            os.environ.pop("TQDM_DISABLE", None)
        else:
            os.environ["TQDM_DISABLE"] = tqdm_was
        if had_bars:
            hf_logging.enable_progress_bar()
        if not datasets_bars:
            datasets.enable_progress_bars()
