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

from loopllm_cli.correct.methods.losses import (
    DEFAULT_LOSSES,
    LOSSES,
    LossChoice,
    find_conflict,
)
from loopllm_cli.errors import ConfigError

METHODS = tuple(LOSSES)
SCHEDULES = ("cosine", "linear", "constant_with_warmup")
DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16", "float16")
QUANTIZATIONS = ("none", "auto", "4bit")
ATTENTIONS = ("auto", "eager", "sdpa", "flash_attention_2")
BATCHINGS = ("random", "auto", "balanced")
AUTO = "auto"
# Keys that a recipe may leave to the hardware, by the word "auto".
FITTED = ("micro_batch_size", "gradient_checkpointing", "precompute_reference", "layer_kernels")
ONLY_KTO = ("mix_pairs", "min_vote_weight", "desirable_weight", "undesirable_weight")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hold the settings of one correction; the defaults are for models of billions of parameters.

    The preference loss alone only widens the margin and may lower both answers; the likelihood
    term (`sft`) holds the chosen answer up. Retention answers (liked answers of traffic that
    must not change) are trained with the likelihood term only.

    Units: `warmup` is a share of the steps; `retention_ratio` is retention answers per training
    pair; `kl_limit` is nats per answer token, 0 switches the guard off; `min_steps` are taken
    even if more epochs are needed for them; `threads` 0 leaves torch's own choice; `checkpoints`
    is how many checkpoints a run is cut into; `report_to` names trackers of metrics;
    `label_smoothing` is the assumed share of mistaken labels; `desirable_weight` and
    `undesirable_weight` 0 are computed from the counts; `auto` names the keys that are left to
    the hardware, whose own values are then only what to start from.

    Source: Rafailov et al. (2023) arXiv 2305.18290, eq. 7 (the preference loss and beta); Pang
    et al. (2024) arXiv 2404.19733, eq. 1 (the likelihood term); Hu et al. (2021)
    arXiv 2106.09685 (rank and alpha); Ethayarajh et al. (2024) arXiv 2402.01306, eq. 7 and 8
    (kto and its weights).
    """

    method: str = "dpo"
    loss_type: tuple[str, ...] = ("sigmoid", "sft")
    loss_weights: tuple[float, ...] = (1.0, 1.0)
    label_smoothing: float = 0.0
    beta: float = 0.1
    corrections_only: bool = False
    mix_pairs: bool = True
    min_vote_weight: float = 0.5
    desirable_weight: float = 0.0
    undesirable_weight: float = 0.0
    learning_rate: float = 1e-5
    schedule: str = "cosine"
    warmup: float = 0.1
    epochs: float = 3.0
    min_steps: int = 30
    batch_size: int = 16
    micro_batch_size: int = 2
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target_modules: tuple[str, ...] = ("all-linear",)
    max_length: int = 1024
    precompute_reference: bool = True
    retention_ratio: float = 3.0
    kl_limit: float = 0.05
    checkpoints: int = 10
    gradient_checkpointing: bool = True
    quantization: str = "none"
    attention: str = "auto"
    batching: str = "random"
    layer_kernels: bool = False
    seed: int = 0
    threads: int = 0
    device: str = "auto"
    dtype: str = "auto"
    report_to: tuple[str, ...] = ()
    auto: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON and TOML take them; "auto" for what is left open."""
        values = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
            if key != "auto"
        }
        return values | dict.fromkeys(self.auto, AUTO)


_FIELDS = {field.name: field for field in fields(Recipe) if field.name != "auto"}
_DEFAULTS = Recipe()

# name -> (lowest, highest, lowest itself allowed)
_RANGES: dict[str, tuple[float, float, bool]] = {
    "label_smoothing": (0.0, 0.499, True),
    "beta": (0.0, 10.0, False),
    "min_vote_weight": (0.0, 1.0, True),
    "desirable_weight": (0.0, 1000.0, True),
    "undesirable_weight": (0.0, 1000.0, True),
    "learning_rate": (0.0, 1.0, False),
    "warmup": (0.0, 1.0, True),
    "epochs": (0.0, 1000.0, False),
    "min_steps": (0, 1_000_000, True),
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
    changes: dict[str, Any] = {}
    auto = set(recipe.auto)
    for key, value in values.items():
        if key not in _FIELDS:
            near = get_close_matches(key, _FIELDS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(_FIELDS)}"
            raise ConfigError(f"unknown key {key!r} in [correct] ({place})", hint)
        auto.discard(key)
        if value == AUTO and key in FITTED:
            auto.add(key)
        else:
            changes[key] = _converted(key, value, place)
    return replace(_with_losses(recipe, changes), auto=tuple(sorted(auto)), **changes)


def _with_losses(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """Give a recipe the default losses of its new method, where it is changed without them."""
    method = changes.get("method", recipe.method)
    if method == recipe.method or method not in METHODS or "loss_type" in changes:
        return recipe
    names, weights = DEFAULT_LOSSES[method]
    return replace(recipe, loss_type=names, loss_weights=weights)


def _converted(key: str, value: Any, place: str) -> Any:
    default = getattr(_DEFAULTS, key)
    if isinstance(default, tuple):
        parts = value if isinstance(value, list | tuple) else [value]
        return tuple(_scalar(key, part, default[0] if default else "", place) for part in parts)
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
    _check_choice("method", recipe.method, METHODS, place)
    _check_choice("quantization", recipe.quantization, QUANTIZATIONS, place)
    _check_choice("attention", recipe.attention, ATTENTIONS, place)
    _check_choice("batching", recipe.batching, BATCHINGS, place)
    _check_choice("schedule", recipe.schedule, SCHEDULES, place)
    _check_choice("dtype", recipe.dtype, DTYPES, place)
    _check_choice("device", recipe.device, DEVICES, place)
    for loss in recipe.loss_type:
        _check_choice("loss_type", loss, LOSSES[recipe.method], place)
    _check_together(recipe, place)
    _check_method(recipe, place)


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


def _check_method(recipe: Recipe, place: str) -> None:
    """Refuse settings that the method would ignore without a word."""
    is_open = "micro_batch_size" in recipe.auto
    conflict = find_conflict(
        LossChoice(
            method=recipe.method,
            loss_type=recipe.loss_type,
            loss_weights=recipe.loss_weights,
            label_smoothing=recipe.label_smoothing,
            retention_ratio=recipe.retention_ratio,
            micro_batch_size=2 if is_open else recipe.micro_batch_size,
        )
    )
    if conflict is not None:
        raise ConfigError(f"{conflict[0]} ({place})", conflict[1])
    unread = [key for key in ONLY_KTO if getattr(recipe, key) != getattr(_DEFAULTS, key)]
    if unread and recipe.method != "kto":
        raise ConfigError(
            f"{unread[0]} = {getattr(recipe, unread[0])!r} ({place}) is read by method kto only",
            f'set method = "kto", or {unread[0]} back to {getattr(_DEFAULTS, unread[0])!r}',
        )
    if recipe.batching == "balanced" and recipe.method != "dpo":
        raise ConfigError(
            f'batching = "balanced" works with method dpo only ({place})', 'set batching = "random"'
        )
    if recipe.method == "kto" and recipe.corrections_only and not recipe.mix_pairs:
        raise ConfigError(
            f"corrections_only chooses among pairs; mix_pairs = false leaves them out ({place})",
            "set one of the two back",
        )
