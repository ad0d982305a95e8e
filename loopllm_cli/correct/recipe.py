"""Every choice of a training run in one frozen place, read from the `[correct]` table of a TOML.

Must not import: torch and its relatives.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from loopllm_cli.errors import ConfigError

# Losses of TRL's DPOTrainer that need no further setting of their own. TRL notices a misspelt
# name only inside the first training step, after the model is loaded, so it is checked here.
LOSSES = (
    "sigmoid", "hinge", "ipo", "nca_pair", "bco_pair", "sppo_hard", "apo_zero", "apo_down",
    "aot", "aot_unpaired", "sigmoid_norm", "sft",
)  # fmt: skip
SCHEDULES = ("cosine", "linear", "constant_with_warmup")
DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hold the settings of one correction; the defaults are for models of billions of parameters.

    The preference loss alone only widens the margin and may lower both answers; the likelihood
    term (`sft`) holds the chosen answer up. Retention answers (liked answers of traffic that
    must not change) are trained with the likelihood term only.

    Units: `warmup` is a share of the steps; `retention_ratio` is retention answers per training
    pair; `kl_limit` is nats per answer token, 0 switches the guard off; `threads` 0 leaves
    torch's own choice; `checkpoints` is how many checkpoints a run is cut into.

    Source: Rafailov et al. (2023) arXiv 2305.18290, eq. 7 (the preference loss and beta); Pang
    et al. (2024) arXiv 2404.19733, eq. 1 (the likelihood term); Hu et al. (2021)
    arXiv 2106.09685 (rank and alpha).
    """

    method: str = "dpo"
    loss_type: tuple[str, ...] = ("sigmoid", "sft")
    loss_weights: tuple[float, ...] = (1.0, 1.0)
    beta: float = 0.1
    learning_rate: float = 1e-5
    schedule: str = "cosine"
    warmup: float = 0.1
    epochs: float = 3.0
    batch_size: int = 16
    micro_batch_size: int = 2
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target_modules: tuple[str, ...] = ("all-linear",)
    max_length: int = 1024
    precompute_reference: bool = True
    retention_ratio: float = 1.0
    kl_limit: float = 0.05
    checkpoints: int = 10
    gradient_checkpointing: bool = True
    seed: int = 0
    threads: int = 0
    device: str = "auto"
    dtype: str = "auto"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON and TOML take them."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }


_FIELDS = {field.name: field for field in fields(Recipe)}
_DEFAULTS = Recipe()

# name -> (lowest, highest, lowest itself allowed)
_RANGES: dict[str, tuple[float, float, bool]] = {
    "beta": (0.0, 10.0, False),
    "learning_rate": (0.0, 1.0, False),
    "warmup": (0.0, 1.0, True),
    "epochs": (0.0, 1000.0, False),
    "batch_size": (1, 4096, True),
    "micro_batch_size": (1, 4096, True),
    "rank": (1, 1024, True),
    "alpha": (1, 4096, True),
    "dropout": (0.0, 0.9, True),
    "max_length": (8, 1_000_000, True),
    "retention_ratio": (0.0, 100.0, True),
    "kl_limit": (0.0, 100.0, True),
    "checkpoints": (1, 1000, True),
    "seed": (0, 2**32 - 1, True),
    "threads": (0, 1024, True),
}


def load_recipe(path: Path | None, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe from the `[correct]` table of a TOML file, then apply overrides.

    Args:
        path: the file, or None for the defaults.
        overrides: values by key that win over the file, for example from command-line options;
            None values are left out.

    Raises:
        ConfigError: the file cannot be read, a key is unknown, or a value has the wrong type or
            is out of range.
    """
    place = str(path) if path is not None else "options"
    values = _read_table(path) if path is not None else {}
    recipe = _with_values(Recipe(), values, place)
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    recipe = _with_values(recipe, given, "options")
    _check(recipe, place)
    return recipe


def _read_table(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read the recipe {path}: {error.strerror or error}",
            "give the path of a TOML file with a [correct] table",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", "fix the file") from error
    table = document.get("correct")
    if not isinstance(table, dict):
        raise ConfigError(f"{path} has no [correct] table", "put the settings under [correct]")
    return table


def _with_values(recipe: Recipe, values: Mapping[str, Any], place: str) -> Recipe:
    changes = {}
    for key, value in values.items():
        if key not in _FIELDS:
            near = get_close_matches(key, _FIELDS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(_FIELDS)}"
            raise ConfigError(f"unknown key {key!r} in [correct] ({place})", hint)
        changes[key] = _converted(key, value, place)
    return replace(recipe, **changes)


def _converted(key: str, value: Any, place: str) -> Any:
    default = getattr(_DEFAULTS, key)
    if isinstance(default, tuple):
        parts = value if isinstance(value, list | tuple) else [value]
        return tuple(_scalar(key, part, default[0], place) for part in parts)
    return _scalar(key, value, default, place)


def _scalar(key: str, value: Any, default: Any, place: str) -> Any:
    wanted = type(default)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not wanted:
        raise ConfigError(
            f"{key} = {value!r} ({place}) is of type {type(value).__name__}",
            f"give a value of type {wanted.__name__}, like {default!r}",
        )
    return value


def _check(recipe: Recipe, place: str) -> None:
    for key, (low, high, closed) in _RANGES.items():
        value = getattr(recipe, key)
        inside = (value >= low if closed else value > low) and value <= high
        if not inside or not math.isfinite(value):
            edge = "[" if closed else "("
            raise ConfigError(
                f"{key} = {value!r} ({place}) is out of range", f"allowed: {edge}{low}, {high}]"
            )
    _check_choice("method", recipe.method, ("dpo",), place)
    _check_choice("schedule", recipe.schedule, SCHEDULES, place)
    _check_choice("dtype", recipe.dtype, DTYPES, place)
    _check_choice("device", recipe.device, DEVICES, place)
    for loss in recipe.loss_type:
        _check_choice("loss_type", loss, LOSSES, place)
    _check_together(recipe, place)


def _check_choice(key: str, value: str, known: tuple[str, ...], place: str) -> None:
    if value not in known:
        near = get_close_matches(value, known, n=1)
        guess = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(
            f"{key} = {value!r} ({place}) is not known", f"{guess}known: {', '.join(known)}"
        )


def _check_together(recipe: Recipe, place: str) -> None:
    if not recipe.loss_type or not recipe.target_modules:
        raise ConfigError(f"loss_type or target_modules is empty ({place})", "name at least one")
    if len(recipe.loss_type) != len(recipe.loss_weights):
        raise ConfigError(
            f"{len(recipe.loss_type)} losses but {len(recipe.loss_weights)} weights ({place})",
            "give loss_weights one number per loss_type",
        )
    if min(recipe.loss_weights) < 0 or sum(recipe.loss_weights) <= 0:
        raise ConfigError(
            f"loss_weights = {list(recipe.loss_weights)} ({place})",
            "no weight may be negative and one must be positive",
        )
    if recipe.batch_size % recipe.micro_batch_size:
        raise ConfigError(
            f"batch_size {recipe.batch_size} is not a multiple of micro_batch_size "
            f"{recipe.micro_batch_size} ({place})",
            "a batch is made of whole micro batches",
        )
    if "lm_head" in recipe.target_modules:
        raise ConfigError(
            f"target_modules names lm_head ({place})",
            "TRL reads the output weights directly, so an adapter there would never be trained",
        )
