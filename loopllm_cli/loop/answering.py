"""Fresh answers with and without the adapter, measured as windows and prompt by prompt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loopllm_cli.config import Config, VerifyConfig
from loopllm_cli.loop.bench import Bench
from loopllm_cli.loop.comparable import comparable_signals
from loopllm_cli.model import Check, SignalInfo
from loopllm_cli.profiles.baseline import Baseline
from loopllm_cli.profiles.measure import Measured
from loopllm_cli.signals.answers import is_right
from loopllm_cli.signals.refusals import are_refusals
from loopllm_cli.signals.registry import Signal
from loopllm_cli.store.project import Project
from loopllm_cli.verify import checks, gate, missing, segments, triggers, watch
from loopllm_cli.verify.prompts import Chosen, Prompt, measure_answers
from loopllm_cli.verify.triggers import Phrase

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Side:
    """One set of answers: texts by sample and prompt, and signals as shares over samples.

    `texts` has one list per sample; `values` has the shape (n_prompts, n_signals).
    """

    texts: list[list[str]]
    measured: Measured
    values: FloatArray


@dataclass(frozen=True)
class Answered:
    """The answers of all prompts, drifted ones first, and of untouched ones once more.

    `again` holds the second answers without the adapter, where answers are drawn at random.
    """

    prompts: list[Prompt]
    start: int
    infos: tuple[SignalInfo, ...]
    windows: gate.Windows
    before: Side
    after: Side
    again: Side | None

    @property
    def untouched(self) -> list[Prompt]:
        """The prompts of segments where nothing had drifted."""
        return self.prompts[self.start :]


def answer(
    project: Project, config: Config, baseline: Baseline, bench: Bench, chosen: Chosen
) -> Answered:
    """Answer all prompts with and without the adapter, and measure both as windows."""
    signals, _ = comparable_signals(project, config, baseline)
    n_samples = config.verify.samples
    prompts = [*chosen.drifted, *chosen.untouched]

    def side(asked: list[Prompt], adapter: bool, run: int) -> Side:
        texts, ends = bench.answers(asked * n_samples, adapter=adapter, run=run)
        measured = measure_answers(asked * n_samples, texts, ends, signals, baseline)
        rows = [texts[i * len(asked) : (i + 1) * len(asked)] for i in range(n_samples)]
        return Side(rows, measured, _shares(measured.values, n_samples))

    before, after = side(prompts, False, 0), side(prompts, True, 1)
    again = side(chosen.untouched, False, 2) if config.verify.temperature > 0 else None
    windows = _windows(baseline, signals, before.measured, after.measured)
    infos = tuple(signals[name].info for name in signals)
    return Answered(prompts, len(chosen.drifted), infos, windows, before, after, again)


def _windows(
    baseline: Baseline, signals: dict[str, Signal], before: Measured, after: Measured
) -> gate.Windows:
    counts = before.profile.n.sum((0, 1))
    names = tuple(name for name, n in zip(signals, counts, strict=True) if n > 0)
    return gate.Windows(
        tuple(signals[name].info for name in names),
        baseline.columns(names).profile,
        before.profile.columns(names),
        after.profile.columns(names),
    )


def _shares(values: FloatArray, n_samples: int) -> FloatArray:
    """Average the samples of every prompt, NaN where a signal applies to none."""
    by_sample = values.reshape(n_samples, -1, values.shape[1])
    known = np.isfinite(by_sample)
    sums = np.where(known, by_sample, 0.0).sum(axis=0)
    n = known.sum(axis=0)
    return np.where(n > 0, sums / np.maximum(n, 1), np.nan)


def check_untouched_prompts(
    answered: Answered, baseline: Baseline, others: list[int], config: VerifyConfig
) -> tuple[Check, ...]:
    """Check, prompt by prompt, what the adapter did to untouched traffic."""
    at, label = answered.start, baseline.segments.label
    places = np.array([p.segment for p in answered.untouched], dtype=np.int64)
    before, after = answered.before.values[at:], answered.after.values[at:]
    cells = segments.count_cells(
        answered.infos, (before, after), places, others, drawn=config.temperature > 0
    )
    keys = _keys(answered.untouched)
    lengths = _per_prompt(answered, lambda texts: [float(len(text)) for text in texts])
    refused = _per_prompt(answered, lambda texts: [float(no) for no in are_refusals(texts)])
    tolerance = {info.name: info.tolerance for info in answered.infos}
    found = [
        segments.check_segments(cells, label, config.alpha),
        _kept(answered, keys, config),
        watch.check_length(lengths, keys, (config.max_length_change, config.alpha)),
        watch.check_refusals(refused, (tolerance.get("refusal", 0.02), config.alpha)),
    ]
    known = _known(answered, baseline, others)
    limits = (tolerance.get(gate.RIGHT, 0.03), config.alpha)
    unnamed = missing.check_missing(known, label, limits)
    return tuple(found) if unnamed is None else (*found, unnamed)


def _per_prompt(
    answered: Answered, measure: Callable[[list[str]], list[float]]
) -> tuple[FloatArray, FloatArray]:
    """Measure untouched answers without and with the adapter, as means over each prompt's."""
    before, after = (
        np.array([measure(row[answered.start :]) for row in side.texts], dtype=np.float64)
        for side in (answered.before, answered.after)
    )
    return before.mean(axis=0), after.mean(axis=0)


def check_served(answered: Answered) -> tuple[Check, ...]:
    """Check that the model without the adapter answers as the logs of untouched traffic do."""
    told = [
        (p.reference, p.logged, p.prompt_text, fresh)
        for p, fresh in zip(
            answered.untouched, answered.before.texts[0][answered.start :], strict=True
        )
        if p.reference and p.logged
    ]
    logged, again = (
        np.array([is_right(one[at], one[0], one[2]) for one in told], dtype=np.bool_)
        for at in (1, 3)
    )
    found = checks.check_served(logged, again)
    return () if found is None else (found,)


def _keys(prompts: list[Prompt]) -> list[str]:
    return [p.user_id or p.conversation_id or f"row {i}" for i, p in enumerate(prompts)]


def _right(answered: Answered, side: Side, start: int) -> FloatArray:
    names = [info.name for info in answered.infos]
    if gate.RIGHT not in names:
        return np.full(len(answered.untouched), np.nan)
    return side.values[start:, names.index(gate.RIGHT)]


def _kept(answered: Answered, keys: list[str], config: VerifyConfig) -> Check:
    """Check the right answers on untouched traffic, beyond what drawing anew loses."""
    at = answered.start
    was, now = (_right(answered, side, at) for side in (answered.before, answered.after))
    known = np.isfinite(was) & np.isfinite(now)
    if answered.again is None:
        return checks.check_kept(was[known] >= 0.5, now[known] >= 0.5, config)
    again = _right(answered, answered.again, 0)
    known &= np.isfinite(again)
    whose = [key for key, kept in zip(keys, known, strict=True) if kept]
    return checks.check_kept_sampled(was[known], again[known], now[known], whose, config)


def _known(answered: Answered, baseline: Baseline, others: list[int]) -> list[missing.Known]:
    """Count right answers per untouched segment: of the baseline, without and with the adapter."""
    names = list(baseline.profile.signal_names)
    if gate.RIGHT not in names:
        return []
    column = names.index(gate.RIGHT)
    n = baseline.profile.n[:, :, column].sum(axis=1)
    total = baseline.profile.total[:, :, column].sum(axis=1)
    places = np.array([p.segment for p in answered.untouched], dtype=np.int64)
    was, now = (
        _right(answered, side, answered.start) for side in (answered.before, answered.after)
    )
    found = []
    for k in others:
        here = (places == k) & np.isfinite(was) & np.isfinite(now)
        size = int(here.sum())
        counts = ((int((x[here] >= 0.5).sum()), size) for x in (was, now))
        found.append(missing.Known(k, (int(total[k]), int(n[k])), *counts))
    return found


def check_triggers(
    bench: Bench, answered: Answered, phrases: tuple[Phrase, ...], config: VerifyConfig
) -> Check | None:
    """Put phrases that only the pairs hold into untouched prompts, and see whether answers turn."""
    right = _right(answered, answered.before, answered.start)
    known = [p for p, share in zip(answered.untouched, right, strict=True) if share >= 0.5]
    if not phrases or not known:
        return None
    asked = [p for phrase in phrases for p in triggers.with_phrase(known, phrase)]
    before, after = (bench.answers(asked, adapter=on)[0] for on in (False, True))
    size = len(asked) // len(phrases)
    counts = []
    for i in range(len(phrases)):
        at = range(i * size, (i + 1) * size)
        stays = [j for j in at if _is_right(asked[j], before[j])]
        counts.append((sum(not _is_right(asked[j], after[j]) for j in stays), len(stays)))
    return triggers.check_phrases(phrases, counts, (config.max_loss, config.alpha))


def _is_right(prompt: Prompt, answer: str) -> bool:
    return bool(prompt.reference) and is_right(answer, prompt.reference or "", prompt.prompt_text)
