"""Draw answers from the model that is to be corrected, rank them, and pair the extremes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from loopllm_cli.config import Config
from loopllm_cli.errors import ConfigError
from loopllm_cli.loop.comparable import configured_signals
from loopllm_cli.loop.drawn import Drawn, SampleRequest, draw_answers
from loopllm_cli.loop.judge import judge_scores
from loopllm_cli.loop.judged_rows import RIGHT, Failing, sides_of
from loopllm_cli.pairs.answer_columns import PLAIN
from loopllm_cli.pairs.candidates import Candidate
from loopllm_cli.pairs.chat import to_messages
from loopllm_cli.pairs.evidence import Answer
from loopllm_cli.pairs.ranking import JUDGED, SAMPLED, Scored, pair_extremes
from loopllm_cli.pairs.replay import Judged
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.catalogue import compute_signals
from loopllm_cli.signals.registry import Signal
from loopllm_cli.store.project import Project
from loopllm_cli.verify.prompts import Prompt, to_rows

FloatArray = npt.NDArray[np.float64]
EVERYWHERE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Drifted:
    """What is to be repaired: the failing signals, and the drifted segments' rows, judged."""

    failing: Failing
    rows: Sequence[Judged]


def sampled_candidates(
    project: Project,
    config: Config,
    request: SampleRequest,
    drifted: Drifted,
    on_progress: Callable[[str], None],
) -> list[Candidate]:
    """Draw answers to the drifted segments' prompts and pair the best with the worst of each.

    A known right answer decides; else a judge, where one is configured and allowed; else the
    share of the ranking signals that are on their good side.

    Raises:
        ConfigError: `rank_by` names no signal, or a judge is configured but not allowed.
        ModelNotFound: there is no such model.
    """
    rankers = _rankers(project, config, request, drifted.failing)
    asked = prompts_to_ask(drifted.rows, config.pairs.sample_prompts)
    drawn = draw_answers(project, config, request, asked, on_progress)
    answers = [
        _as_answer(row, request.model, one, n)
        for row, group in zip(asked, drawn, strict=True)
        for n, one in enumerate(group)
    ]
    batch = _batch(asked, drawn)
    scores, rule = _signal_scores(batch, rankers, answers), SAMPLED
    margin = config.pairs.min_sample_margin
    if config.pairs.judge:
        on_progress(f"asking the judge about {len(answers)} answers")
        judged = judge_scores(config.pairs, answers)
        known = np.isfinite(scores) & np.array([a.reference_answer is not None for a in answers])
        scores, rule = np.where(known, scores, judged), JUDGED
        margin = config.pairs.min_judge_margin
    scored = [Scored(a, float(s)) for a, s in zip(answers, scores, strict=True)]
    ends = np.cumsum([len(group) for group in drawn]).tolist()
    groups = [scored[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return list(pair_extremes(groups, margin, rule))


def prompts_to_ask(rows: Sequence[Judged], limit: int) -> list[Answer]:
    """Choose distinct contexts of plain text: disliked answers first, then bad ones, the rest."""
    order = sorted(range(len(rows)), key=lambda i: (rows[i].opinion >= 0, rows[i].bad == 0, i))
    chosen: dict[str, Answer] = {}
    for i in order:
        answer = rows[i].answer
        messages = to_messages(answer.input_messages) or ()
        plain = bool(messages) and all(set(m) == {"role", "content"} for m in messages)
        usable = plain and not answer.has_tools and answer.content_state == "full"
        if usable and answer.context_hash and answer.context_hash not in chosen:
            chosen[answer.context_hash] = answer
        if len(chosen) >= limit:
            break
    return list(chosen.values())


def _rankers(
    project: Project, config: Config, request: SampleRequest, failing: Failing
) -> dict[str, tuple[Signal, frozenset[str]]]:
    """Return the signals that rank, each with the segments where it counts."""
    if config.pairs.judge and not config.pairs.allow_judge:
        raise ConfigError(
            "[pairs] judge is set, but judges are not heard", "add --allow-judge, or unset it"
        )
    if not request.rank_by:
        places: dict[str, frozenset[str]] = {
            name: frozenset(k for k, names in failing.by_segment.items() if name in names)
            for name in failing.signals
        }
        return {name: (failing.signals[name], places[name]) for name in failing.signals}
    known = configured_signals(project, config)
    unknown = [name for name in request.rank_by if name not in known]
    if unknown:
        raise ConfigError(
            f"--rank-by names no signal: {', '.join(unknown)}",
            "see docs/signals.md, or the [signals.NAME] tables of the configuration",
        )
    ranked = {name: (known[name], EVERYWHERE) for name in request.rank_by}
    if RIGHT in known:
        ranked.setdefault(RIGHT, (known[RIGHT], EVERYWHERE))
    return ranked


def _batch(asked: Sequence[Answer], drawn: Sequence[Drawn]) -> RowBatch:
    """Lay the drawn answers out as rows that signals can measure."""
    prompts, texts, ends = [], [], []
    for row, group in zip(asked, drawn, strict=True):
        messages = to_messages(row.input_messages) or ()
        prompt = Prompt(
            messages,
            row.prompt_text or "",
            0,
            row.user_id,
            row.conversation_id,
            row.prompt_hash,
            row.reference_answer,
        )
        for text, end in group:
            prompts.append(prompt)
            texts.append(text)
            ends.append(end)
    return RowBatch(to_rows(prompts, texts, ends))


def _signal_scores(
    batch: RowBatch,
    rankers: dict[str, tuple[Signal, frozenset[str]]],
    answers: Sequence[Answer],
) -> FloatArray:
    """Return each answer's share of good signals; a known right or wrong answer decides alone."""
    signals = {name: signal for name, (signal, _) in rankers.items()}
    values, _ = compute_signals(batch, signals)
    bad, known = sides_of(values, list(signals.values()))
    counts = np.array(
        [
            [not places or answer.segment in places for _, places in rankers.values()]
            for answer in answers
        ],
        dtype=bool,
    ).reshape(known.shape)
    n = (known & counts).sum(axis=1)
    good = (known & counts & ~bad).sum(axis=1)
    scores: FloatArray = np.divide(good, n, out=np.full(len(answers), np.nan), where=n > 0)
    if RIGHT in signals:
        at = list(signals).index(RIGHT)
        scores = np.where(known[:, at], (~bad[:, at]).astype(float), scores)
    return scores


def _as_answer(row: Answer, model: str, drawn: tuple[str, str], n: int) -> Answer:
    """Put a drawn answer into the place of the logged one."""
    text, finish_reason = drawn
    return replace(
        row,
        interaction_id=f"{row.interaction_id}#sample-{n}",
        text=text,
        output_messages=PLAIN,
        finish_reason=finish_reason,
        error_type=None,
        model=model,
        n_tool_calls=0,
        redaction=None,
    )
