"""Turn conversations into token ids exactly as TRL does, so that checks speak of what is trained.

Must not import: torch and its relatives (a tokenizer is handed in).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from loopllm_cli.model import Message


@dataclass(frozen=True, slots=True)
class EncodedAnswer:
    """Token ids of a context and of one answer to it.

    `is_prefix` is False where the template renders the context differently once an answer
    follows; `prompt` then ends where the two part.
    """

    prompt: list[int]
    answer: list[int]
    is_prefix: bool


def encode_prompt(
    tokenizer: Any, messages: Sequence[Message], tools: Sequence[Message] = ()
) -> list[int]:
    """Render a context up to the place where the model's answer begins."""
    return _ids(tokenizer, messages, tools, add_generation_prompt=True)


def encode_answer(
    tokenizer: Any,
    messages: Sequence[Message],
    answer: Message,
    tools: Sequence[Message] = (),
) -> EncodedAnswer:
    """Render a context with its answer and cut it where the answer begins.

    Args:
        tools: definitions of the tools that the context was served with.

    Source: TRL 1.16 `DPOTrainer._prepare_dataset`: the context with its generation prompt and
    the whole conversation are rendered apart, and the answer starts where they diverge.
    """
    prompt = encode_prompt(tokenizer, messages, tools)
    whole = _ids(tokenizer, [*messages, answer], tools)
    n_common = 0
    for left, right in zip(prompt, whole, strict=False):
        if left != right:
            break
        n_common += 1
    return EncodedAnswer(whole[:n_common], whole[n_common:], n_common == len(prompt))


def ends_properly(tokenizer: Any, answer: Sequence[int], stop_ids: Collection[int]) -> bool:
    """Say whether an encoded answer holds a stop token with nothing but white space after it.

    Many templates write a line break after the stop token; that is harmless, because generation
    has ended by then.
    """
    for position in range(len(answer) - 1, -1, -1):
        if answer[position] in stop_ids:
            return not str(tokenizer.decode(answer[position + 1 :])).strip()
    return False


def _ids(
    tokenizer: Any,
    messages: Sequence[Message],
    tools: Sequence[Message],
    add_generation_prompt: bool = False,
) -> list[int]:
    encoded = tokenizer.apply_chat_template(
        list(messages),
        tools=list(tools) or None,
        add_generation_prompt=add_generation_prompt,
        tokenize=True,
        return_dict=True,
    )
    return list(encoded["input_ids"])
