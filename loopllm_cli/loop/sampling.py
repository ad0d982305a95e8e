"""Draw answers from the model that is to be corrected, rank them, and pair the extremes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from loopllm_cli.config import Config, PairsConfig
from loopllm_cli.errors import ConfigError
from loopllm_cli.loop.drawn import Drawn, SampleRequest, draw_answers
from loopllm_cli.loop.drawn_scores import Scores, failing_rankers, named_rankers, score_answers
from loopllm_cli.loop.judge import judge_scores
from loopllm_cli.loop.judged_rows import Failing
from loopllm_cli.pairs.candidates import Candidate
from loopllm_cli.pairs.chat import to_messages
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.answer_texts import PLAIN
from loopllm_cli.pairs.judges import family_of
from loopllm_cli.pairs.ranking import JUDGED, SAMPLED, Scored, pair_extremes
from loopllm_cli.pairs.replay import Judged
from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.store.project import Project
from loopllm_cli.verify.prompts import Prompt, to_rows

JUDGE = "judge"
"""What a pair names among its signals where a judge program told the sides apart."""

Group = list[Scored]


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
    mean of the ranking signals.

    Raises:
        ConfigError: `rank_by` names no signal that ranks, or the judge may not be heard.
        ModelUnusable: it cannot be loaded.
    """
    settings = config.pairs
    _refuse_judge(settings, request.model)
    rankers = (
        named_rankers(project, config, request.rank_by, drifted.failing)
        if request.rank_by
        else failing_rankers(drifted.failing)
    )
    asked = prompts_to_ask(drifted.rows, settings.sample_prompts)
    drawn = draw_answers(project, config, request, asked, on_progress)
    answers = [
        _as_answer(row, request.model, one, n)
        for row, group in zip(asked, drawn, strict=True)
        for n, one in enumerate(group)
    ]
    sizes, segments = [len(group) for group in drawn], [answer.segment for answer in answers]
    scores = score_answers(_batch(asked, drawn), rankers, segments, sizes)
    for name, why in scores.failures.items():
        on_progress(f"signal {name} ranks nothing: {why}")
    known, judged = _groups(answers, scores, sizes)
    if settings.judge and judged:
        by_judge = _judged(settings, judged, on_progress)
        found = list(pair_extremes(by_judge, settings.min_judge_margin, JUDGED))
    else:
        found = list(pair_extremes(judged, settings.min_sample_margin, SAMPLED))
    found += pair_extremes(known, settings.min_sample_margin, SAMPLED)
    on_progress(f"{len(found)} of {len(asked)} prompts have a clearly better and worse answer")
    return found


def _refuse_judge(settings: PairsConfig, model: str) -> None:
    if not settings.judge:
        return
    if not settings.allow_judge:
        raise ConfigError(
            "[pairs] judge is set, but judges are not heard", "add --allow-judge, or unset it"
        )
    family = family_of(settings.judge_model)
    if family is not None and family == family_of(model):
        raise ConfigError(
            f"the judge {settings.judge_model!r} is of the family of the model that it would judge",
            "models favour their relatives: take another judge",
        )


def _groups(
    answers: Sequence[Answer], scores: Scores, sizes: Sequence[int]
) -> tuple[list[Group], list[Group]]:
    """Gather the answers to each prompt: those with a known right answer, and the others."""
    scored = [
        Scored(answer, float(value), bad, bool(odd))
        for answer, value, bad, odd in zip(
            answers, scores.values, scores.bad, scores.is_odd, strict=True
        )
    ]
    groups: tuple[list[Group], list[Group]] = [], []
    for start, size in zip(accumulate(sizes, initial=0), sizes, strict=False):
        place = slice(start, start + size)
        groups[0 if scores.is_known[place].all() else 1].append(scored[place])
    return groups


def _judged(
    settings: PairsConfig, groups: Sequence[Group], on_progress: Callable[[str], None]
) -> list[Group]:
    """Let a judge score the answers."""
    answers = [one.answer for group in groups for one in group]
    on_progress(f"asking the judge about {len(answers)} answers")
    said = iter(judge_scores(settings, answers).tolist())
    return [
        [
            Scored(one.answer, score, (JUDGE,) if score < 0.5 else ())
            for one, score in zip(group, said, strict=False)
        ]
        for group in groups
    ]


def prompts_to_ask(rows: Sequence[Judged], limit: int) -> list[Answer]:
    """Choose distinct contexts of plain text: disliked answers first, then bad ones, the rest."""
    order = sorted(range(len(rows)), key=lambda i: (rows[i].opinion >= 0, not rows[i].bad, i))
    chosen: dict[str, Answer] = {}
    for i in order:
        if len(chosen) >= limit:
            break
        answer = rows[i].answer
        messages = to_messages(answer.input_messages) or ()
        plain = bool(messages) and all(set(m) == {"role", "content"} for m in messages)
        usable = plain and not answer.has_tools and answer.content_state == "full"
        if usable and answer.context_hash and answer.context_hash not in chosen:
            chosen[answer.context_hash] = answer
    return list(chosen.values())


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
