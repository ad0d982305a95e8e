"""Measure a model with its adapter against itself without it, on answers that are given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopllm_cli.correct.encoding import EncodedAnswer, encode_answer, encode_prompt
from loopllm_cli.correct.generate import adapter_off
from loopllm_cli.correct.pair_rows import PairRow
from loopllm_cli.model import Message

Array = NDArray[np.float64]

# Whole vocabularies of logits are held for a batch; eight rows keep that small for large ones.
BATCH = 8


@dataclass(frozen=True, slots=True)
class PairScores:
    """Summed log-probabilities (nats) of both answers, with the adapter and without it."""

    chosen: Array
    rejected: Array
    base_chosen: Array
    base_rejected: Array

    @property
    def margin(self) -> Array:
        """Return how much more the adapter raised the chosen answer than the rejected one.

        Source: Rafailov et al. (2023) arXiv 2305.18290, eq. 5, the implicit reward without beta.
        """
        return (self.chosen - self.base_chosen) - (self.rejected - self.base_rejected)

    @property
    def reward_accuracy(self) -> float:
        """Return the share of pairs with a positive margin."""
        return float(np.mean(self.margin > 0)) if len(self.margin) else float("nan")

    @property
    def accuracy(self) -> float:
        """Return the share of pairs whose chosen answer is likelier than the rejected one."""
        return float(np.mean(self.chosen > self.rejected)) if len(self.chosen) else float("nan")

    @property
    def base_accuracy(self) -> float:
        """Return the same share for the model without its adapter."""
        better = self.base_chosen > self.base_rejected
        return float(np.mean(better)) if len(better) else float("nan")


@dataclass(frozen=True, slots=True)
class KlPerToken:
    """KL(model without adapter ‖ with adapter) in nats, per conversation and overall."""

    per_answer: Array
    n_tokens: NDArray[np.int64]

    @property
    def mean(self) -> float:
        """Return the mean over answer tokens."""
        total = int(self.n_tokens.sum())
        return float((self.per_answer * self.n_tokens).sum() / total) if total else float("nan")


def score_pairs(model: Any, tokenizer: Any, rows: Sequence[PairRow]) -> PairScores:
    """Score both answers of every pair with the adapter on and off.

    Args:
        model: a PEFT model.
        tokenizer: of the same model.
        rows: the pairs, in any order; results keep it.
    """
    encoded = [encode_answer(tokenizer, row.prompt, row.chosen_message, row.tools) for row in rows]
    encoded += [
        encode_answer(tokenizer, row.prompt, row.rejected_message, row.tools) for row in rows
    ]
    on = _sums(model, encoded)
    with adapter_off(model):
        off = _sums(model, encoded)
    n = len(rows)
    return PairScores(on[:n], on[n:], off[:n], off[n:])


def kl_per_token(
    model: Any, tokenizer: Any, conversations: Sequence[Sequence[Message]]
) -> KlPerToken:
    """Measure how far the adapter moved the model on answers it should leave alone.

    Args:
        model: a PEFT model.
        tokenizer: of the same model.
        conversations: each ends in the assistant's answer, whose tokens are measured.
    """
    encoded = [encode_answer(tokenizer, messages[:-1], messages[-1]) for messages in conversations]
    return kl_of_encoded(model, encoded)


def kl_of_encoded(model: Any, encoded: Sequence[EncodedAnswer]) -> KlPerToken:
    """Measure the same on answers that are token ids already."""
    means = np.zeros(len(encoded))
    counts = np.zeros(len(encoded), dtype=np.int64)
    for members, logits_on, spans in _forward(model, encoded, with_base=True):
        on, off = logits_on
        for row, (index, (start, end)) in enumerate(zip(members, spans, strict=True)):
            base = off[row, start:end].float().log_softmax(-1)
            moved = on[row, start:end].float().log_softmax(-1)
            means[index] = float((base.exp() * (base - moved)).sum(-1).mean())
            counts[index] = end - start
    return KlPerToken(means, counts)


def adapter_effect(
    model: Any,
    tokenizer: Any,
    conversations: Sequence[Sequence[Message]],
    tools: Sequence[Sequence[Message]] = (),
) -> float:
    """Return the largest change of any first-token logit that the adapter makes.

    Zero means that the adapter is inert: its weights were never trained, or are not in use.

    Args:
        tools: of each conversation the definitions that it was served with; none, if empty.
    """
    import torch

    largest = 0.0
    for messages, offered in zip(conversations, tools or [()] * len(conversations), strict=True):
        ids = torch.tensor([encode_prompt(tokenizer, messages, offered)], device=model.device)
        with torch.no_grad():
            on = model(input_ids=ids, use_cache=False, logits_to_keep=1).logits
            with adapter_off(model):
                off = model(input_ids=ids, use_cache=False, logits_to_keep=1).logits
        largest = max(largest, float((on.float() - off.float()).abs().max()))
    return largest


def _sums(model: Any, encoded: Sequence[EncodedAnswer]) -> Array:
    sums = np.zeros(len(encoded))
    for members, (logits, _), spans in _forward(model, encoded, with_base=False):
        for row, (index, (start, end)) in enumerate(zip(members, spans, strict=True)):
            kept = logits[row, start:end].float()
            answer = kept.new_tensor(encoded[index].answer).long()
            said = kept.gather(-1, answer[:, None])[:, 0]
            sums[index] = float((said - kept.logsumexp(-1)).double().sum())
    return sums


def _forward(
    model: Any, encoded: Sequence[EncodedAnswer], with_base: bool
) -> Iterator[tuple[list[int], tuple[Any, Any], list[tuple[int, int]]]]:
    """Yield, batch by batch, row numbers, logits (adapter on, off) and each answer's span.

    Only the positions from the earliest answer on are turned into logits.
    """
    import torch

    order = sorted(range(len(encoded)), key=lambda i: (len(encoded[i].prompt), i))
    for first in range(0, len(order), BATCH):
        members = order[first : first + BATCH]
        rows = [encoded[i].prompt + encoded[i].answer for i in members]
        longest = max(len(row) for row in rows)
        offset = min(len(encoded[i].prompt) for i in members) - 1
        inputs = {
            # The value of the padding does not matter: it stands on the right of all that counts.
            "input_ids": torch.tensor([row + [0] * (longest - len(row)) for row in rows]),
            "attention_mask": torch.tensor(
                [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
            ),
        }
        inputs = {name: value.to(model.device) for name, value in inputs.items()}
        keep = torch.arange(offset, longest - 1, device=model.device)
        with torch.no_grad():
            on = model(**inputs, use_cache=False, logits_to_keep=keep).logits
            off = None
            if with_base:
                with adapter_off(model):
                    off = model(**inputs, use_cache=False, logits_to_keep=keep).logits
        spans = [
            (len(encoded[i].prompt) - 1 - offset, len(row) - 1 - offset)
            for i, row in zip(members, rows, strict=True)
        ]
        yield members, (on, off), spans
