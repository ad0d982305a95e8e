"""Configuration: one TOML file per project, frozen into dataclasses; unknown keys are errors.

Precedence: a flag, then a `LOOPLLM_*` variable, then the file, then the default. There is no
user-level file, so that a laptop and a CI runner decide alike.
"""

from __future__ import annotations

import tomllib
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from loopllm_cli.errors import ConfigError

FILE_NAME = "loopllm.toml"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DriftConfig:
    """`[drift]`: how windows are compared.

    `segment_by` is "prompts" (clusters of like prompts) or a column of the store; `cluster_by`
    names a column whose rows depend on each other, instead of the user; `tolerances` overrides
    signals' tolerances by name; `signals` limits the comparison to some signals; `signal_files`
    hold more tables of the user's own; each of those may take `signal_seconds` on a window.
    `unresolved` is how much of what a traffic shift does prompt clusters may miss, over what they
    see (logged segments miss nothing by declaration).
    """

    alpha: float = 0.05
    power: float = 0.80
    inconclusive: str = "most"
    segment_by: str = "prompts"
    cluster_by: str | None = None
    tolerances: dict[str, float] = field(default_factory=dict)
    signals: tuple[str, ...] = ()
    signal_files: tuple[str, ...] = ()
    signal_seconds: float = 60.0
    unresolved: float = 1.0


@dataclass(frozen=True, slots=True)
class NightsConfig:
    """`[nights]`: how often a nightly watch may page falsely, and how long it waits.

    `false_pages_per_year` bounds the expected number of false pages in 365 nights; a day is
    judged once `settle_days` more days have passed, so that late feedback can come in.
    """

    false_pages_per_year: float = 1.0
    settle_days: int = 0


@dataclass(frozen=True, slots=True)
class PairsConfig:
    """`[pairs]`: which feedback becomes a pair.

    `min_rating_margin` is a share of the rating scale (0.5 is two steps of five); edit distances
    are shares of the longer text (`max_edit` of corrections, `max_user_edit` of a user's edits).
    Machines are heard with `allow_judge` only: scores at least `min_judge_margin` of their scale
    apart, comparisons at least so far from a tie; `judge_model` names the judge where the logs do
    not. `join_contexts` lets answers to contexts that are alike pair: off, normalised (case,
    blanks and punctuation apart) or similar (by `min_context_similarity`). Thumbs on one context
    must lie within `max_vote_days`; `max_unpaired` limits the single judged answers. `accept` names
    findings of the audit that are taken as they are. Where overlapping votes tell how often votes
    are wrong, `min_precision` is the share of right ones among the pairs kept, `min_confidence`
    the probability that a pair needs to stand against votes for its other side, and votes of
    people who are right less often than `min_reliability` do not count. From a drift run come at
    most `max_repair` pairs; retained answers are at least `retention_share` of the training pairs
    where so many are known, at most `retention`. `sample_prompts` are asked of a model at
    `sample_temperature`, and the best and worst answer must be `min_sample_margin` apart in their
    share of good signals; `judge` is a program that scores them within `judge_seconds`.
    """

    min_rating_margin: float = 0.5
    min_edit: float = 0.02
    max_edit: float = 1.0
    per_user: int = 50
    per_prompt: int = 5
    heldout_share: float = 0.2
    retention: int = 1_000
    seed: int = 0
    max_user_edit: float = 0.8
    allow_judge: bool = False
    min_judge_margin: float = 0.5
    judge_model: str = ""
    max_vote_days: int = 30
    join_contexts: str = "off"
    min_context_similarity: float = 1.0
    max_unpaired: int = 20_000
    accept: tuple[str, ...] = ()
    min_precision: float = 0.97
    min_confidence: float = 0.95
    min_reliability: float = 0.6
    max_repair: int = 500
    retention_share: float = 3.0
    sample_prompts: int = 200
    sample_temperature: float = 1.0
    min_sample_margin: float = 0.5
    judge: str = ""
    judge_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class VerifyConfig:
    """`[verify]`: what an adapter has to show.

    `min_recovery` is the share of the lost quality that must be back; `max_loss` the share of
    right answers on untouched traffic that may be lost; `max_prompts` limits the prompts
    answered in the drifted and in the untouched segments each. `canaries` is a file of golden
    prompts that must hold. Each prompt gets `samples` answers at `temperature`; 0 takes the
    likeliest token each time. `max_kl_per_token` limits the distance from the model without the
    adapter, `max_nats_rise` how much less likely logged answers of untouched traffic may become
    (nats per token), `max_length_change` by what share answers there may grow or shrink.
    """

    alpha: float = 0.05
    min_recovery: float = 0.8
    max_loss: float = 0.05
    max_prompts: int = 1000
    max_new_tokens: int = 256
    batch_size: int = 64
    max_kl_per_token: float = 0.05
    max_nats_rise: float = 0.02
    max_length_change: float = 0.2
    canaries: str = ""
    samples: int = 1
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class RunConfig:
    """`[run]`: what `loopllm run` does every night.

    `sources` are files, folders and patterns, taken from the project's directory; `redact`,
    `max_reject_rate` and `map` are those of `ingest`. Days are judged against `baseline`, of
    answers by `watch_model` or that meet the SQL condition `where`; with `expect_rows`, a newest
    day without rows is a failure. What is corrected is the last `window_days` days. `model` is the
    model to correct (none: the run ends with the pairs) by `recipe`; `auto` searches the learning
    rate, within `budget_minutes` (0: no limit). `from_drift` adds repair pairs to those of votes.
    Without `promote`, a proved adapter waits for somebody to promote it.
    """

    sources: tuple[str, ...] = ()
    redact: str = "secrets"
    max_reject_rate: float = 0.05
    map: str = ""
    baseline: str = "v1"
    watch_model: str = ""
    where: str = ""
    expect_rows: bool = True
    window_days: int = 7
    from_drift: bool = True
    model: str = ""
    recipe: str = ""
    auto: bool = True
    budget_minutes: float = 0.0
    promote: bool = True


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """`[watch]`: how often `loopllm watch` looks, and how often it may be wrong.

    Judged is what came in every `slot_seconds`; `false_alarms_per_year` bounds the expected number
    of false alarms in 365 days. Names, formats and masking are those of `[run]`.
    """

    slot_seconds: float = 60.0
    false_alarms_per_year: float = 2.0


@dataclass(frozen=True, slots=True)
class AlarmsConfig:
    """`[alarms]`: who hears of a change of state.

    `urls_from` names the environment variable that holds the addresses, apart by blanks or lines
    (https://github.com/caronc/apprise lists what they may be): they are secrets, and no config
    holds those. `recovered` says when all is well again, too; `attach` sends the page along.
    """

    urls_from: str = ""
    recovered: bool = True
    attach: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file. `signals` and `correct` are checked by the rooms that own them."""

    drift: DriftConfig = field(default_factory=DriftConfig)
    nights: NightsConfig = field(default_factory=NightsConfig)
    pairs: PairsConfig = field(default_factory=PairsConfig)
    verify: VerifyConfig = field(default_factory=VerifyConfig)
    run: RunConfig = field(default_factory=RunConfig)
    watch: WatchConfig = field(default_factory=WatchConfig)
    alarms: AlarmsConfig = field(default_factory=AlarmsConfig)
    signals: dict[str, dict[str, Any]] = field(default_factory=dict)
    correct: dict[str, Any] = field(default_factory=dict)


_SECTIONS = {
    "drift": DriftConfig,
    "nights": NightsConfig,
    "pairs": PairsConfig,
    "verify": VerifyConfig,
    "run": RunConfig,
    "watch": WatchConfig,
    "alarms": AlarmsConfig,
}


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: it cannot be read or is not valid TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path} ({error.strerror})", "check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML ({error})", "correct the file") from error


def load_config(project_root: Path, path: Path | None) -> Config:
    """Read the project's configuration; without a file, the defaults.

    Args:
        path: an explicit file; otherwise `loopllm.toml` in the project's directory, if there.

    Raises:
        ConfigError: unreadable, or a key or value that does not exist.
    """
    if path is None:
        path = project_root / FILE_NAME
        if not path.is_file():
            return Config()
    content = read_toml(path)
    known = {f.name for f in fields(Config)}
    for key in content:
        if key not in known:
            raise unknown_key(key, known, f"{path}")
    sections: dict[str, Any] = {
        name: build_section(kind, content[name], f"{path} [{name}]")
        for name, kind in _SECTIONS.items()
        if name in content
    }
    for name in ("signals", "correct"):
        if name in content:
            if not isinstance(content[name], dict):
                raise ConfigError(f"{path}: {name} is no table", f"write it as [{name}]")
            sections[name] = content[name]
    return Config(**sections)


def build_section(kind: type[T], content: Any, place: str) -> T:
    """Build a section's dataclass from a TOML table, by its fields' names and types.

    Raises:
        ConfigError: an unknown key or a value of the wrong type.
    """
    if not isinstance(content, dict):
        raise ConfigError(f"{place} is no table", "write the keys below the section's name")
    known = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in known:
            raise unknown_key(key, known, place)
        default, factory = known[key].default, known[key].default_factory
        if default is MISSING and factory is not MISSING:
            default = factory()
        values[key] = _typed(value, default, f"{place} {key}")
    return kind(**values)


def unknown_key(key: str, known: Any, place: str) -> ConfigError:
    """Return the error for a key that does not exist, naming the nearest that does."""
    near = get_close_matches(key, list(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(sorted(known))}"
    return ConfigError(f"{place}: unknown key {key!r}", hint)


def _typed(value: Any, default: Any, place: str) -> Any:
    """Check a value against the type of its field's default."""
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(default, tuple) and isinstance(value, list):
        if not all(isinstance(item, str) for item in value):
            raise ConfigError(f"{place} = {value!r} is no list of names", "write names in quotes")
        return tuple(value)
    if default is None:
        expected: type = str
    else:
        expected = type(default)
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise ConfigError(
            f"{place} = {value!r} is no {expected.__name__}", f"the default is {default!r}"
        )
    return value
