"""Let a model answer many conversations, with its adapter on or off."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from loopllm_cli.correct.adapter_loading import SERVED
from loopllm_cli.correct.encoding import encode_prompt
from loopllm_cli.correct.loading import as_ids
from loopllm_cli.correct.quiet import quiet
from loopllm_cli.model import Message


@dataclass(frozen=True, slots=True)
class GenerateSettings:
    """How answers are drawn; temperature 0 takes the likeliest token each time."""

    max_new_tokens: int = 512
    batch_size: int = 16
    temperature: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """One generated answer.

    `n_tokens` counts the stop token, as serving software does; `finish_reason` is "stop" or
    "length". `duration_s` is the answer's share of the time its batch took, by tokens.
    """

    text: str
    n_tokens: int
    finish_reason: str
    duration_s: float


@contextlib.contextmanager
def adapter_off(model: Any) -> Iterator[None]:
    """Switch the adapters of a PEFT model off for a while, which leaves the model as it came."""
    with model.disable_adapter():
        yield


@contextlib.contextmanager
def as_served(model: Any) -> Iterator[None]:
    """Let a PEFT model answer for a while as it does in production.

    That is with the adapter named `SERVED`, where one was loaded, and else without any.
    """
    if SERVED not in model.peft_config:
        with adapter_off(model):
            yield
        return
    own = model.active_adapter
    model.set_adapter(SERVED)
    try:
        yield
    finally:
        model.set_adapter(own)


def generate_answers(
    model: Any,
    tokenizer: Any,
    conversations: Sequence[Sequence[Message]],
    settings: GenerateSettings,
) -> list[Answer]:
    """Answer every conversation, in the order given.

    Prompts of like length share a batch so that little padding is computed; the same prompts
    with the same settings give the same answers on one machine.
    """
    prompts = [encode_prompt(tokenizer, messages) for messages in conversations]
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    config = _generation_config(model, tokenizer, settings)
    answers: dict[int, Answer] = {}
    was_training = model.training
    model.eval()
    try:
        with quiet():
            for start in range(0, len(order), settings.batch_size):
                members = order[start : start + settings.batch_size]
                batch = [prompts[i] for i in members]
                seed = settings.seed + start
                drawn = _answer_batch(model, tokenizer, batch, config, seed)
                answers.update(zip(members, drawn, strict=True))
    finally:
        model.train(was_training)
    return [answers[i] for i in range(len(prompts))]


def _generation_config(model: Any, tokenizer: Any, settings: GenerateSettings) -> Any:
    from transformers import GenerationConfig

    stops = as_ids(model.generation_config.eos_token_id) | {int(tokenizer.eos_token_id)}
    pad = tokenizer.pad_token_id
    sampling = {"do_sample": True, "temperature": settings.temperature, "top_k": 0, "top_p": 1.0}
    return GenerationConfig(
        max_new_tokens=settings.max_new_tokens,
        eos_token_id=sorted(stops),
        pad_token_id=tokenizer.eos_token_id if pad is None else pad,
        use_cache=True,
        **(sampling if settings.temperature > 0 else {"do_sample": False}),
    )


def _answer_batch(
    model: Any, tokenizer: Any, batch: list[list[int]], config: Any, seed: int
) -> list[Answer]:
    import torch

    longest = max(len(ids) for ids in batch)
    # Padding stands on the left so that every row's answer begins at the same place.
    ids = [[config.pad_token_id] * (longest - len(row)) + row for row in batch]
    mask = [[0] * (longest - len(row)) + [1] * len(row) for row in batch]
    started = time.monotonic()
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.no_grad(), torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        output = model.generate(
            input_ids=torch.tensor(ids, device=model.device),
            attention_mask=torch.tensor(mask, device=model.device),
            generation_config=config,
        )
    new = [_cut(row, set(config.eos_token_id)) for row in output[:, longest:].tolist()]
    share = (time.monotonic() - started) / max(1, sum(len(row) for row, _ in new))
    return [
        Answer(
            tokenizer.decode(row, skip_special_tokens=True),
            len(row),
            "stop" if stopped else "length",
            share * len(row),
        )
        for row, stopped in new
    ]


def _cut(ids: list[int], stops: set[int]) -> tuple[list[int], bool]:
    for position, token in enumerate(ids):
        if token in stops:
            return ids[: position + 1], True
    return ids, False
