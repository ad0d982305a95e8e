"""The bench: a model with its adapter, asked the same things with the adapter on and off."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopllm_cli.config import Config
from loopllm_cli.model import Check
from loopllm_cli.signals.answers import is_right
from loopllm_cli.verify import checks
from loopllm_cli.verify.prompts import Prompt

if TYPE_CHECKING:
    from loopllm_cli.correct.pair_rows import PairRow

_MOST_DISTANCES = 128


class Bench:
    """A loaded model with its adapter, asked the same things with the adapter on and off."""

    def __init__(
        self, model: Any, tokenizer: Any, config: Config, on_progress: Callable[[str], None]
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._config = config.verify
        self._say = on_progress

    def answers(self, prompts: list[Prompt], *, adapter: bool) -> tuple[list[str], list[str]]:
        """Return the texts and finish reasons of fresh answers."""
        from loopllm_cli.correct.generate import GenerateSettings, adapter_off, generate_answers

        self._say(f"{len(prompts)} answers {'with' if adapter else 'without'} the adapter")
        settings = GenerateSettings(self._config.max_new_tokens, self._config.batch_size)
        with nullcontext() if adapter else adapter_off(self._model):
            found = generate_answers(
                self._model, self._tokenizer, [p.messages for p in prompts], settings
            )
        return [a.text for a in found], [a.finish_reason for a in found]

    def checks(self, pairs: Path, untouched: list[Prompt], answers: list[str]) -> tuple[Check, ...]:
        """Check effect, held-out preference, and the distance on untouched traffic."""
        from loopllm_cli.correct.score import adapter_effect, kl_per_token, score_pairs
        from loopllm_cli.correct.tool_rendering import shows_tools

        self._say("scoring held-out pairs")
        rows = [row for row in _held_out(pairs) if shows_tools(row, self._tokenizer)]
        scores = score_pairs(self._model, self._tokenizer, rows)
        asked = [(list(row.prompt), row.tools) for row in rows]
        asked = (asked or [(list(p.messages), ()) for p in untouched])[:32]
        effect = adapter_effect(
            self._model, self._tokenizer, [chat for chat, _ in asked], [tools for _, tools in asked]
        )
        found = [
            checks.check_effect(effect),
            checks.check_preference(scores.margin, (scores.base_accuracy, scores.accuracy)),
        ]
        full = [
            [*prompt.messages, {"role": "assistant", "content": answer}]
            for prompt, answer in _to_be_kept(untouched, answers)
        ]
        if full:
            distance = kl_per_token(self._model, self._tokenizer, full).mean
            found.append(checks.check_distance(distance, len(full), self._config.max_kl_per_token))
        return tuple(found)


def _to_be_kept(prompts: list[Prompt], answers: list[str]) -> list[tuple[Prompt, str]]:
    """Choose the answers from which the adapter should not move the model.

    Where right answers are known, those that are right: wrong ones are to be moved away from,
    also outside the segments that drifted visibly.
    """
    given = [(p, a) for p, a in zip(prompts, answers, strict=True) if a]
    right = [(p, a) for p, a in given if p.reference and is_right(a, p.reference, p.prompt_text)]
    return (right or given)[:_MOST_DISTANCES]


def _held_out(pairs: Path) -> list[PairRow]:
    from loopllm_cli.correct.pair_rows import read_pairs, to_row

    rows = (to_row(row) for row in read_pairs(pairs).test)
    return [row for row in rows if row is not None]
