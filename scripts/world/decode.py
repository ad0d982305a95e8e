"""Let a model of the sample world answer many conversations at once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from scripts.world import grammar, models
from scripts.world.canaries import Canary
from scripts.world.logs import Messages, Reply


def generate(
    model: Any,
    tokenizer: Any,
    requests: Sequence[Messages],
    *,
    temperature: float = 0.0,
    seed: int = 0,
    max_new_tokens: int = 64,
    batch: int = 64,
) -> list[Reply]:
    """Answer every request; temperature 0 is greedy, and a seed fixes the draws."""
    drawer = torch.Generator().manual_seed(seed)

    def pick(logits: torch.Tensor) -> torch.Tensor:
        if temperature == 0.0:
            return logits.argmax(-1)
        chances = torch.softmax(logits / temperature, dim=-1)
        return torch.multinomial(chances, 1, generator=drawer)[:, 0]

    prompts = [
        tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        for messages in requests
    ]
    encoded = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in prompts]
    # Prompts of like length share a batch, so that little padding is computed.
    order = sorted(range(len(encoded)), key=lambda i: (len(encoded[i]), i))
    replies: dict[int, Reply] = {}
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        group = [encoded[i] for i in rows]
        with torch.no_grad():
            outputs = _decode(model, tokenizer, group, pick, max_new_tokens)
        for i, ids in zip(rows, outputs, strict=True):
            replies[i] = _reply(tokenizer, encoded[i], ids)
    return [replies[i] for i in range(len(encoded))]


def _reply(tokenizer: Any, prompt: list[int], ids: list[int]) -> Reply:
    stopped = bool(ids) and ids[-1] == tokenizer.eos_token_id
    text = tokenizer.decode(ids, skip_special_tokens=True)
    return Reply(text, len(prompt), len(ids), "stop" if stopped else "length")


def _decode(
    model: Any,
    tokenizer: Any,
    group: list[list[int]],
    pick: Callable[[torch.Tensor], torch.Tensor],
    max_new_tokens: int,
) -> list[list[int]]:
    longest = max(len(ids) for ids in group)
    pad = tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (longest - len(row)) + row for row in group])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in group])
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache, outputs = None, torch.empty((len(group), 0), dtype=torch.long)
    ended = torch.zeros(len(group), dtype=torch.bool)
    for _ in range(max_new_tokens):
        result = model(
            input_ids=ids, attention_mask=mask, position_ids=positions,
            past_key_values=cache, use_cache=True,
        )  # fmt: skip
        cache = result.past_key_values
        token = pick(result.logits[:, -1]).masked_fill(ended, pad)
        outputs = torch.cat([outputs, token[:, None]], dim=1)
        ended |= token == tokenizer.eos_token_id
        if bool(ended.all()):
            break
        ids, positions = token[:, None], positions[:, -1:] + 1
        mask = torch.cat([mask, torch.ones_like(token)[:, None]], dim=1)
    return [_until_end(row, tokenizer.eos_token_id) for row in outputs.tolist()]


def _until_end(ids: list[int], end: int) -> list[int]:
    return ids[: ids.index(end) + 1] if end in ids else ids


def score(
    model_dir: Path, adapter_dir: Path | None, canaries: Sequence[Canary]
) -> dict[str, float]:
    """Return the share of right greedy answers per intent, with an adapter if one is given."""
    model, tokenizer = models.load(model_dir, adapter_dir)
    requests: list[Messages] = [[{"role": "user", "content": c.prompt}] for c in canaries]
    replies = generate(model, tokenizer, requests)
    right: dict[str, list[bool]] = {}
    for canary, reply in zip(canaries, replies, strict=True):
        verdict = grammar.is_right(canary.prompt, reply.text)
        right.setdefault(canary.intent, []).append(verdict)
    return {intent: sum(marks) / len(marks) for intent, marks in right.items()}
