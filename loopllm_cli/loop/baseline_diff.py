"""What differs between two baselines: windows, settings, signals, segments, and the means.

Means are compared by the engine that judges nights, the first baseline in the place of the
baseline and the second in that of the current window. Where both have the same segments, traffic
and behaviour are told apart; else whole windows are compared, and the difference is both.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from loopllm_cli import __version__
from loopllm_cli.config import Config
from loopllm_cli.drift.effects import estimate
from loopllm_cli.drift.verdict import judge
from loopllm_cli.loop.evaluate import judge_settings
from loopllm_cli.model import BaselineDiff, Comparison, Difference, SignalInfo, Window
from loopllm_cli.profiles.baseline import Baseline, read_baseline
from loopllm_cli.profiles.profile import Profile
from loopllm_cli.profiles.segments import SegmentModel
from loopllm_cli.store.project import Project

_MEASURED_BY = ("version", "kind", "definition", "fingerprint")
_JUDGED_BY = ("worse", "tolerance", "unit")


def diff_baselines(project: Project, config: Config, a: str, b: str) -> BaselineDiff:
    """Compare two baselines of a project.

    Raises:
        BaselineNotFound: there is none of one of the names.
    """
    first, second = read_baseline(project, a), read_baseline(project, b)
    infos = [{info.name: info for info in x.signals} for x in (first, second)]
    names = list(dict.fromkeys([*infos[0], *infos[1]]))
    not_compared = {
        name: why for name in names if (why := _why_not(infos[0].get(name), infos[1].get(name)))
    }
    shared = tuple(name for name in names if name not in not_compared)
    by_segment = _same_model(first.segments, second.segments)
    comparisons = _compare(first, second, shared, config, by_segment=by_segment)
    logged = {c.signal.name for c in comparisons}
    not_compared.update({name: "not logged" for name in shared if name not in logged})
    labels = [x.segments.labels for x in (first, second)]
    return BaselineDiff(
        a=a,
        b=b,
        a_hash=first.content_hash,
        b_hash=second.content_hash,
        same_content=first.content_hash == second.content_hash,
        facts=tuple(_facts(first, second)),
        signals=tuple(_signal_changes(names, *infos)),
        by_segment=by_segment,
        segments_added=tuple(x for x in labels[1] if x not in labels[0]),
        segments_removed=tuple(x for x in labels[0] if x not in labels[1]),
        comparisons=comparisons,
        not_compared=not_compared,
        notes=tuple(_notes(first, second)),
        version=__version__,
    )


def _why_not(a: SignalInfo | None, b: SignalInfo | None) -> str:
    if a is None or b is None:
        return "only in " + ("the second" if a is None else "the first")
    same = all(getattr(a, key) == getattr(b, key) for key in _MEASURED_BY)
    return "" if same else "defined otherwise"


def _same_model(a: SegmentModel, b: SegmentModel) -> bool:
    """Say whether two models give every row the same segment number; their names may differ."""
    if a.basis != b.basis or a.n_segments != b.n_segments:
        return False
    if a.basis != "prompts":
        return a.labels == b.labels
    names = ("projection", "centroids", "floors", "loadings")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


def _compare(
    a: Baseline, b: Baseline, names: tuple[str, ...], config: Config, *, by_segment: bool
) -> tuple[Comparison, ...]:
    """Judge the signals that both measure alike, with the first one's tolerances."""
    if not names:
        return ()
    profiles = [x.columns(names).profile for x in (a, b)]
    if not by_segment:
        profiles = [_whole(profile) for profile in profiles]
    infos = {info.name: info for info in a.signals}
    effects = estimate(*profiles)
    settings = judge_settings(config, a.segments.basis)
    found = judge(effects, tuple(infos[name] for name in names), settings)
    return tuple(c for c in found if c.n_baseline + c.n_current)


def _whole(profile: Profile) -> Profile:
    """Take all segments together."""
    sums = (profile.n, profile.total, profile.total_sq)
    return Profile(
        profile.signal_names,
        profile.n_rows.sum(axis=0, keepdims=True),
        *(x.sum(axis=0, keepdims=True) for x in sums),
    )


def _facts(a: Baseline, b: Baseline) -> Iterable[Difference]:
    pairs = {
        "created": (a.created, b.created),
        "rows": (a.summary.n_rows, b.summary.n_rows),
        "users": (a.summary.n_users, b.summary.n_users),
        "clusters": (a.summary.n_clusters, b.summary.n_clusters),
        "first time": (a.summary.first_time, b.summary.first_time),
        "last time": (a.summary.last_time, b.summary.last_time),
        "models": (", ".join(a.summary.models), ", ".join(b.summary.models)),
        "days": (len(a.days.days), len(b.days.days)),
        "clustered by": (a.cluster_by, b.cluster_by),
        "segments by": (a.segments.basis, b.segments.basis),
        "segments": (len(a.segments.labels), len(b.segments.labels)),
        "seasonal": (", ".join(a.weekly.signal_names), ", ".join(b.weekly.signal_names)),
    }
    asked: dict[str, tuple[object, object]] = {
        f"asked {key}": (getattr(a.window, key), getattr(b.window, key))
        for key in Window.__dataclass_fields__
    }
    for what, (x, y) in {**pairs, **asked}.items():
        if _said(x) != _said(y):
            yield Difference("baseline", what, _said(x), _said(y))


def _signal_changes(
    names: list[str], a: dict[str, SignalInfo], b: dict[str, SignalInfo]
) -> Iterable[Difference]:
    for name in names:
        if name not in a:
            yield Difference(name, "added", "", f"version {b[name].version}")
        elif name not in b:
            yield Difference(name, "removed", f"version {a[name].version}", "")
        else:
            for key in (*_MEASURED_BY, *_JUDGED_BY):
                x, y = getattr(a[name], key), getattr(b[name], key)
                if x != y:
                    yield Difference(name, key, _said(x), _said(y))


def _said(value: object) -> str:
    if value is None or value == "":
        return "none"
    return f"{value:%Y-%m-%d %H:%M} UTC" if hasattr(value, "isoformat") else f"{value}"


def _notes(a: Baseline, b: Baseline) -> Iterable[str]:
    if a.cluster_by != b.cluster_by:
        yield "clusters are of different columns: nothing is paired"
    spans = [(x.summary.first_time, x.summary.last_time) for x in (a, b)]
    (first_a, last_a), (first_b, last_b) = spans
    if first_a and last_a and first_b and last_b and first_a <= last_b and first_b <= last_a:
        yield "the windows overlap in time: rows of both hide a change"
