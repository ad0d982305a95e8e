"""The public logs with known answers, ingested; skipped where they are absent."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from loopllm_cli.config import Config, DriftConfig
from loopllm_cli.drift.compare import Findings, compare_profiles
from loopllm_cli.loop.evaluate import BaselineRequest, create_baseline, judge_settings, run_drift
from loopllm_cli.model import DriftResult, Window
from loopllm_cli.profiles.clusters import cluster_keys, to_buckets
from loopllm_cli.profiles.profile import build_profile
from loopllm_cli.profiles.segments import fit_prompts
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.catalogue import compute_signals, load_signals
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store.project import Project
from loopllm_cli.store.windows import read_window

DATA = Path(__file__).parents[2].parent / "shared" / "data"
DATE_FORMAT = "%m/%d/%Y, %H:%M:%S"
MARCH, JUNE = "gpt-4-0314", "gpt-4-0613"


def public_file(name: str) -> Path:
    """Return a file of the public data, or skip where it is absent."""
    path = DATA / f"{name}.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"no public test data at {DATA}")
    return path


def ingested(folder: Path, name: str) -> Project:
    """Read a public file into a project of its own."""
    project = Project(folder)
    ingest(project, [str(public_file(name))], IngestOptions(date_format=DATE_FORMAT))
    return project


def march_to_june(folder: Path, name: str, signals: dict[str, dict[str, object]]) -> DriftResult:
    """Compare GPT-4's June answers with its March answers to the same prompts."""
    project = ingested(folder, name)
    config = Config(drift=DriftConfig(), signals=signals)
    create_baseline(project, config, BaselineRequest("march", Window(model=MARCH)))
    return run_drift(project, config, "march", Window(model=JUNE))


class Splits:
    """One model's answers, measured once, to be cut into random halves again and again."""

    def __init__(self, project: Project, model: str | None) -> None:
        self.batch = RowBatch(read_window(project, Window(model=model), "the window"))
        signals = load_signals()
        self.values, _ = compute_signals(self.batch, signals)
        self.infos = tuple(s.info for s in signals.values())
        self.buckets = to_buckets(cluster_keys(self.batch))

    def halves(self, seed: int) -> Findings:
        """Compare a random half with the other, as a baseline and a current window."""
        order = np.random.default_rng(seed).permutation(len(self.batch))
        before, after = np.sort(order[::2]), np.sort(order[1::2])
        model = fit_prompts(RowBatch(self.batch.table.take(before)), self.values[before])
        segments = model.assign(self.batch)
        names = tuple(info.name for info in self.infos)

        def profile(rows: npt.NDArray[np.int64]) -> object:
            return build_profile(
                names, self.values[rows], segments[rows], self.buckets[rows], model.n_segments
            )

        labels = tuple(model.label(k) for k in range(model.n_segments))
        base, cur = profile(before), profile(after)
        settings = judge_settings(Config(), "prompts")
        return compare_profiles(base, cur, self.infos, labels, settings)  # type: ignore[arg-type]


@cache
def splits_of(folder: Path, name: str, model: str | None) -> Splits:
    """Ingest and measure a file once."""
    return Splits(ingested(folder, name), model)
