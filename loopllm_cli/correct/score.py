"""Measure a model with its adapter against itself without it, on answers that are given.

Preferences are measured against the base, which is what pairs are trained against; distances from
what is served, which is what the adapter would take the place of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopllm_cli.correct.encoding import EncodedAnswer, encode_answer, encode_prompt
from loopllm_cli.correct.fresh import measure_effect
from loopllm_cli.correct.generate import adapter_off, as_served
from loopllm_cli.correct.pair_rows import PairRow
from loopllm_cli.model import Message

Array = NDArray[np.float64]

MOST_ROWS = 8
MOST_LOGITS = 64_000_000
"""Numbers of a batch's logits: 256 MB in float32. One row may need more, by itself."""
MOVED_MOST = 0.1
"""Share of liked answers that the guard leaves out, those that moved most. In one of three sample
worlds 3 of 48 lay on traffic that was being repaired: they alone made the mean 0.045 where the
others stayed below 0.001, and the guard stopped every rate that would have repaired it."""


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
    """KL(model as served ‖ with adapter) in nats, per conversation and overall."""

    per_answer: Array
    n_tokens: NDArray[np.int64]

    @property
    def mean(self) -> float:
        """Return the mean over answer tokens."""
        return _mean_per_token(self.per_answer, self.n_tokens)

    @property
    def usual(self) -> float:
        """Return the mean over answer tokens without the tenth that moved most (`MOVED_MOST`).

        What it leaves out may lie on traffic that is being repaired: the borders of segments are
        not those of topics, and a broken answer that somebody liked has to move.
        """
        n_kept = len(self.per_answer) - int(len(self.per_answer) * MOVED_MOST)
        kept = np.argsort(self.per_answer, kind="stable")[:n_kept]
        return _mean_per_token(self.per_answer[kept], self.n_tokens[kept])


def _mean_per_token(per_answer: Array, n_tokens: NDArray[np.int64]) -> float:
    total = int(n_tokens.sum())
    return float((per_answer * n_tokens).sum() / total) if total else float("nan")


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
    return kl_of_encoded(model, encode_conversations(tokenizer, conversations))


def encode_conversations(
    tokenizer: Any, conversations: Sequence[Sequence[Message]]
) -> list[EncodedAnswer]:
    """Encode conversations that each end in the assistant's answer."""
    return [encode_answer(tokenizer, messages[:-1], messages[-1]) for messages in conversations]


def surprise_of_encoded(
    model: Any, encoded: Sequence[EncodedAnswer]
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Return the nats that answers cost with the adapter and as served, and their tokens."""
    on = -_sums(model, encoded)
    with as_served(model):
        off = -_sums(model, encoded)
    return on, off, np.array([len(one.answer) for one in encoded], dtype=np.int64)


def kl_of_encoded(
    model: Any, encoded: Sequence[EncodedAnswer], *, from_adapter: bool = False
) -> KlPerToken:
    """Measure the same on answers that are token ids already.

    Args:
        from_adapter: measure KL(with adapter ‖ as served), the distance that counts on answers
            which the adapter gave itself.
    """
    means = np.zeros(len(encoded))
    counts = np.zeros(len(encoded), dtype=np.int64)
    for members, logits_on, spans in _forward(model, encoded, with_base=True):
        on, off = logits_on
        for row, (index, (start, end)) in enumerate(zip(members, spans, strict=True)):
            base = off[row, start:end].float().log_softmax(-1)
            moved = on[row, start:end].float().log_softmax(-1)
            p, q = (moved, base) if from_adapter else (base, moved)
            means[index] = float((p.exp() * (p - q)).sum(-1).mean())
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
    offered = tools or [()] * len(conversations)
    asked = zip(conversations, offered, strict=True)
    return measure_effect(model, [encode_prompt(tokenizer, chat, known) for chat, known in asked])


def token_logps(model: Any, encoded: Sequence[EncodedAnswer]) -> list[Array]:
    """Return the log-probability (nats) of every token of answers, in the order given."""
    found: list[Array] = [np.zeros(0)] * len(encoded)
    for members, (logits, _), spans in _forward(model, encoded, with_base=False):
        for row, (index, (start, end)) in enumerate(zip(members, spans, strict=True)):
            kept = logits[row, start:end].float()
            answer = kept.new_tensor(encoded[index].answer).long()
            said = kept.gather(-1, answer[:, None])[:, 0]
            found[index] = (said - kept.logsumexp(-1)).double().cpu().numpy()
    return found


def _sums(model: Any, encoded: Sequence[EncodedAnswer]) -> Array:
    return np.array([logps.sum() for logps in token_logps(model, encoded)], dtype=np.float64)


def _forward(
    model: Any, encoded: Sequence[EncodedAnswer], with_base: bool
) -> Iterator[tuple[list[int], tuple[Any, Any], list[tuple[int, int]]]]:
    """Yield, batch by batch, row numbers, logits (adapter on, off) and each answer's span.

    Only the positions from the earliest answer on are turned into logits.
    """
    import torch

    for members in _batches(encoded, int(model.config.vocab_size)):
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
                with as_served(model):
                    off = model(**inputs, use_cache=False, logits_to_keep=keep).logits
        spans = [
            (len(encoded[i].prompt) - 1 - offset, len(row) - 1 - offset)
            for i, row in zip(members, rows, strict=True)
        ]
        yield members, (on, off), spans


def _batches(encoded: Sequence[EncodedAnswer], vocabulary: int) -> Iterator[list[int]]:
    """Yield row numbers, contexts of like length together, as many as their logits have room."""
    members: list[int] = []
    for i in sorted(range(len(encoded)), key=lambda i: (len(encoded[i].prompt), i)):
        asked = [encoded[k] for k in (*members, i)]
        longest = max(len(one.prompt) + len(one.answer) for one in asked)
        span = longest - min(len(one.prompt) for one in asked)
        too_many = len(asked) * span * vocabulary > MOST_LOGITS
        if members and (too_many or len(asked) > MOST_ROWS):
            yield members
            members = []
        members.append(i)
    if members:
        yield members
