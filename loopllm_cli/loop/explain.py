"""Explain a comparison from both windows' rows: where behaviour changed, and what else did.

Nothing here decides: groups of rows and the omnibus test inform.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from loopllm_cli.drift.omnibus import OmnibusSettings, run_omnibus
from loopllm_cli.drift.places import Segmentation, find_slices, pick_examples
from loopllm_cli.drift.telling import find_telling_words
from loopllm_cli.drift.verdict import JudgeSettings
from loopllm_cli.model import Comparison, Omnibus, SliceChange
from loopllm_cli.profiles.answers import count_words
from loopllm_cli.profiles.baseline import Baseline
from loopllm_cli.profiles.measure import Measured
from loopllm_cli.profiles.sample import draw_sample

OMNIBUS_SHARE = 0.5
"""The omnibus test takes half of the error rate, so that a clean window with all that is said of
it (signals that changed within their own family, groups of rows, this) stays near one alpha."""


@dataclass(frozen=True)
class Explained:
    """What the rows of two windows tell beside the verdict."""

    slices: tuple[SliceChange, ...] = ()
    omnibus: Omnibus | None = None


def explain(
    baseline: Baseline,
    measured: Measured,
    comparisons: tuple[Comparison, ...],
    settings: JudgeSettings,
) -> Explained:
    """Search for the rows behind a comparison, and test whether anything else differs.

    Args:
        baseline: reduced to the signals compared; without a sample of rows nothing is explained.
        measured: the current window, reduced alike.
    """
    if not len(baseline.sample):
        return Explained()
    now = draw_sample(measured.rows, baseline.sample.attribute_labels)
    place = Segmentation(baseline.segments.basis, baseline.labels)
    ids = measured.batch.values("interaction_id")
    slices = tuple(
        replace(found, example_ids=tuple(ids[i] for i in pick_examples(found, now, place)))
        for found in find_slices((baseline.sample, now), comparisons, place, settings)
    )
    omnibus = run_omnibus(
        baseline.sample, now, OmnibusSettings(alpha=settings.alpha * OMNIBUS_SHARE)
    )
    if omnibus.differs:
        known = baseline.answers.vocabulary
        counted = count_words(measured.batch, measured.keys, now.positions, known)
        omnibus = replace(omnibus, words=find_telling_words(known, counted))
    return Explained(slices, omnibus)
