"""The bench: a model with its adapter, asked the same things with the adapter on and off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopllm_cli.config import VerifyConfig
from loopllm_cli.model import Check, Message
from loopllm_cli.signals.answers import is_right
from loopllm_cli.verify import checks, watch
from loopllm_cli.verify.canaries import Canary
from loopllm_cli.verify.canary_check import check_canaries
from loopllm_cli.verify.prompts import Prompt

if TYPE_CHECKING:
    from loopllm_cli.correct.pair_rows import PairRow

_MOST_DISTANCES = 128
_MOST_EFFECTS = 32
_CANARY_TEMPERATURE = 1.0
Chat = Sequence[Message]


@dataclass(frozen=True, slots=True)
class Effect:
    """The largest change of a first logit that the adapter makes, and the prompts (token ids)."""

    value: float
    prompts: list[list[int]]


class Bench:
    """A loaded model with its adapter, asked the same things with the adapter on and off."""

    def __init__(
        self, model: Any, tokenizer: Any, config: VerifyConfig, on_progress: Callable[[str], None]
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._config = config
        self._say = on_progress

    def close(self) -> None:
        """Let go of the model, so that another process has room for it."""
        from loopllm_cli.correct.fresh import free_memory

        self._model = None
        free_memory()

    def answers(
        self, prompts: list[Prompt], *, adapter: bool, run: int = 0
    ) -> tuple[list[str], list[str]]:
        """Return the texts and finish reasons of fresh answers.

        Args:
            run: another number draws other answers, where answers are drawn at all.
        """
        self._say(f"{len(prompts)} answers {'with' if adapter else 'without'} the adapter")
        chats = [prompt.messages for prompt in prompts]
        return self._draw(chats, adapter, self._config.temperature, run)

    def _draw(
        self, chats: Sequence[Chat], adapter: bool, temperature: float, run: int = 0
    ) -> tuple[list[str], list[str]]:
        from loopllm_cli.correct.generate import GenerateSettings, as_served, generate_answers

        # Seeds count prompts on from the run's, so that two runs must lie further apart than that.
        settings = GenerateSettings(
            self._config.max_new_tokens, self._config.batch_size, temperature, run * 1_000_000
        )
        with nullcontext() if adapter else as_served(self._model):
            found = generate_answers(self._model, self._tokenizer, chats, settings)
        return [a.text for a in found], [a.finish_reason for a in found]

    def canaries(self, canaries: tuple[Canary, ...]) -> Check:
        """Ask the canaries, those with several samples at a temperature."""
        self._say(f"{len(canaries)} canaries")
        before, after = (self._ask(canaries, adapter=on) for on in (False, True))
        return check_canaries(canaries, before, after)

    def _ask(self, canaries: tuple[Canary, ...], *, adapter: bool) -> list[list[str]]:
        found: list[list[str]] = [[] for _ in canaries]
        own = self._config.temperature
        for many, temperature in ((False, own), (True, own or _CANARY_TEMPERATURE)):
            at = [
                i
                for i, c in enumerate(canaries)
                for _ in range(c.samples)
                if (c.samples > 1) is many
            ]
            texts, _ = self._draw([canaries[i].messages for i in at], adapter, temperature)
            for i, text in zip(at, texts, strict=True):
                found[i].append(text)
        return found

    def effect(self, pairs: Path, untouched: list[Prompt]) -> Effect:
        """Measure what the adapter does to the first logits of held-out contexts."""
        from loopllm_cli.correct.encoding import encode_prompt
        from loopllm_cli.correct.fresh import measure_effect

        asked = [(list(row.prompt), row.tools) for row in self._held_out(pairs)]
        asked = (asked or [(list(p.messages), ()) for p in untouched])[:_MOST_EFFECTS]
        ids = [encode_prompt(self._tokenizer, chat, tools) for chat, tools in asked]
        return Effect(measure_effect(self._model, ids), ids)

    def preference(self, pairs: Path) -> Check:
        """Check that held-out pairs are preferred rightly."""
        from loopllm_cli.correct.score import score_pairs

        self._say("scoring held-out pairs")
        scores = score_pairs(self._model, self._tokenizer, self._held_out(pairs))
        return checks.check_preference(scores.margin, (scores.base_accuracy, scores.accuracy))

    def distances(
        self, untouched: list[Prompt], before: list[str], after: list[str]
    ) -> tuple[Check, ...]:
        """Check how far the adapter moves the model on untouched traffic.

        Args:
            before: answers without the adapter, one per prompt.
            after: answers with it.
        """
        from loopllm_cli.correct.quiet import quiet
        from loopllm_cli.correct.score import encode_conversations, kl_of_encoded

        self._say("measuring distances on untouched traffic")
        found = []
        kept = _to_be_kept(untouched, before)
        given_by_adapter = dict(zip((id(p) for p in untouched), after, strict=True))
        own = [(p, text) for p, _ in kept if (text := given_by_adapter[id(p)])]
        for name, given, from_adapter in (
            (checks.ON_RIGHT, kept, False),
            (checks.ON_OWN, own, True),
        ):
            if given:
                # Degenerate answers run past the length that a tokenizer warns of.
                with quiet():
                    encoded = encode_conversations(self._tokenizer, _conversations(given))
                distance = kl_of_encoded(self._model, encoded, from_adapter=from_adapter).mean
                limit = self._config.max_kl_per_token
                found.append(checks.check_distance(distance, len(given), limit, name))
        return tuple(found)

    def foresight(self, normal: list[Prompt]) -> Check | None:
        """Check that answers of normal traffic, as logged, have not become unlikely.

        Args:
            normal: prompts of the baseline's window outside of what drifted.
        """
        from loopllm_cli.correct.quiet import quiet
        from loopllm_cli.correct.score import encode_conversations, surprise_of_encoded

        logged = [(p, p.logged) for p in normal if p.logged and p.logged.strip()]
        given = _right_ones(logged)[:_MOST_DISTANCES]
        with quiet():
            encoded = encode_conversations(self._tokenizer, _conversations(given))
        on, off, n_tokens = surprise_of_encoded(self._model, encoded)
        keys = [prompt.user_id or f"row {i}" for i, (prompt, _) in enumerate(given)]
        limits = (self._config.max_nats_rise, self._config.alpha)
        return watch.check_foresight(on - off, n_tokens.astype(float), keys, limits)

    def _held_out(self, pairs: Path) -> list[PairRow]:
        from loopllm_cli.correct.pair_rows import read_pairs, to_row
        from loopllm_cli.correct.tool_rendering import shows_tools

        rows = (to_row(row) for row in read_pairs(pairs).test)
        return [row for row in rows if row is not None and shows_tools(row, self._tokenizer)]


def _conversations(given: Sequence[tuple[Prompt, str]]) -> list[list[Message]]:
    return [[*p.messages, {"role": "assistant", "content": answer}] for p, answer in given]


def _to_be_kept(prompts: list[Prompt], answers: list[str]) -> list[tuple[Prompt, str]]:
    """Choose the answers from which the adapter should not move the model.

    Where right answers are known, those that are right: wrong ones are to be moved away from,
    also outside the segments that drifted visibly.
    """
    given = [(p, a) for p, a in zip(prompts, answers, strict=True) if a]
    right = [(p, a) for p, a in given if p.reference and is_right(a, p.reference, p.prompt_text)]
    return (right or given)[:_MOST_DISTANCES]


def _right_ones(given: list[tuple[Prompt, str]]) -> list[tuple[Prompt, str]]:
    """Leave out answers that are known to be wrong."""
    return [(p, a) for p, a in given if not p.reference or is_right(a, p.reference, p.prompt_text)]
