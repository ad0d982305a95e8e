"""Which signals a window can be compared by: those that are measured as the baseline's were."""

from __future__ import annotations

from dataclasses import replace

from loopllm_cli.config import Config
from loopllm_cli.errors import ConfigError
from loopllm_cli.model import SignalInfo
from loopllm_cli.profiles.baseline import Baseline
from loopllm_cli.signals.catalogue import load_signals
from loopllm_cli.signals.categories import follow_categories
from loopllm_cli.signals.registry import Signal
from loopllm_cli.signals.signal_tables import read_signal_files
from loopllm_cli.store.project import Project


def configured_signals(project: Project, config: Config) -> dict[str, Signal]:
    """Return the signals that a project's configuration asks for, by name."""
    drift, root = config.drift, project.root
    return load_signals(
        read_signal_files(config.signals, drift.signal_files, root),
        drift.tolerances,
        drift.signals or None,
        root=root,
        seconds=drift.signal_seconds,
    )


def comparable_signals(
    project: Project, config: Config, baseline: Baseline
) -> tuple[dict[str, Signal], dict[str, str]]:
    """Return the signals to compare with a baseline, and why others are left out.

    Raises:
        ConfigError: a signal's definition is not the baseline's.
    """
    signals = follow_categories(configured_signals(project, config), baseline.signals)
    frozen = {info.name: info for info in baseline.signals}
    skipped = {n: "not in the baseline" for n in signals if n not in frozen}
    skipped.update({n: "no longer defined" for n in frozen if n not in signals})
    skipped.update({n: one.unusable for n, one in signals.items() if one.unusable})
    kept = {}
    for name, signal in signals.items():
        if name in skipped:
            continue
        info = frozen[name]
        if signal.kind_from_data:
            signal = _as_frozen(signal, info)
        if other := _differs(info, signal.info):
            raise ConfigError(
                f"signal {name!r} has another {other} than when baseline "
                f"{baseline.name!r} was made",
                f"make it again: loopllm baseline create {baseline.name} --replace",
            )
        kept[name] = signal
    return kept, skipped


def _differs(frozen: SignalInfo, now: SignalInfo) -> str:
    """Name what makes two measurements of a signal incomparable; a tolerance does not."""
    for field, what in (
        ("kind", "kind"),
        ("version", "version"),
        ("fingerprint", "pattern, code or other setting"),
        ("definition", "definition"),
    ):
        if getattr(frozen, field) != getattr(now, field):
            return what
    return ""


def _as_frozen(signal: Signal, info: SignalInfo) -> Signal:
    """Give a signal whose kind follows from data the kind that the baseline's data gave it."""
    own = signal.info
    tolerance = info.tolerance if own.tolerance_source == "default" else own.tolerance
    return replace(signal, info=replace(own, kind=info.kind, tolerance=tolerance))
