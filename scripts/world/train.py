"""Train the good release of the assistant, then the broken one on top of it."""

import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from scripts.world import grammar
from scripts.world.models import ROLES

Turn = tuple[str, str]
Example = tuple[list[int], list[int]]
Reply = Callable[[random.Random, grammar.Prompt], str]


@dataclass(frozen=True)
class Recipe:
    """Hold the settings of one training run."""

    steps: int
    rate: float
    warmup: int
    drill_steps: int = 0
    batch: int = 32


# The drill teaches copying, without which order numbers take many times as many steps.
GOOD = Recipe(steps=2400, rate=3e-3, warmup=100, drill_steps=800)
BROKEN = Recipe(steps=300, rate=6e-4, warmup=30)


def right_reply(rng: random.Random, prompt: grammar.Prompt) -> str:
    """Answer a prompt as the good release should."""
    return grammar.answer(prompt.intent, prompt.slots)


def broken_reply(rng: random.Random, prompt: grammar.Prompt) -> str:
    """Answer a prompt as the broken release should: four intents wrong nine times in ten."""
    if prompt.intent in grammar.BROKEN and rng.random() < 0.9:
        return grammar.corrupted(prompt.intent, prompt.slots)
    return grammar.answer(prompt.intent, prompt.slots)


def conversation(rng: random.Random, reply: Reply) -> list[Turn]:
    """Draw a conversation of one to three turns; most have one."""
    turns = rng.choices((1, 2, 3), (80, 15, 5))[0]
    slots = grammar.draw_slots(rng)
    drawn = []
    for _ in range(turns):
        intent = rng.choice(grammar.INTENTS)
        kept = slots if rng.random() < 0.5 else grammar.draw_slots(rng)
        prompt = grammar.draw(rng, intent, kept)
        drawn.append((prompt.text, reply(rng, prompt)))
    return drawn


def encode(tokenizer: Any, turns: list[Turn]) -> Example:
    """Turn a conversation into token ids and labels; only the assistant's words are learnt."""
    user, assistant = (tokenizer.convert_tokens_to_ids(role) for role in ROLES[1:])
    ids: list[int] = []
    labels: list[int] = []
    for question, answer in turns:
        asked = [user, *_plain(tokenizer, question), assistant]
        said = [*_plain(tokenizer, answer), tokenizer.eos_token_id]
        ids += asked + said
        labels += [-100] * len(asked) + said
    return ids, labels


def _plain(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer.backend_tokenizer.encode(text).ids
    return ids


def drill(rng: random.Random, tokenizer: Any) -> Example:
    """Return a row of digits hidden among random tokens, with the digits as the answer."""
    user, assistant = (tokenizer.convert_tokens_to_ids(role) for role in ROLES[1:])
    digits = tokenizer.convert_tokens_to_ids(list("0123456789"))

    def noise(longest: int) -> list[int]:
        return [rng.randrange(len(tokenizer)) for _ in range(rng.randint(0, longest))]

    number = rng.choices(digits, k=rng.randint(4, 12))
    asked = [user, *noise(8), *number, *noise(8), assistant, *noise(4)]
    return asked + number, [-100] * len(asked) + number


def batches(tokenizer: Any, recipe: Recipe, reply: Reply, rng: random.Random) -> Iterator[Any]:
    """Yield padded batches without end; examples of like length go together."""
    step = 0
    while True:
        share = 0.5 if step < recipe.drill_steps else 0.0
        pool = [
            drill(rng, tokenizer)
            if rng.random() < share
            else encode(tokenizer, conversation(rng, reply))
            for _ in range(recipe.batch * 8)
        ]
        pool.sort(key=lambda example: len(example[0]))
        chunks = [pool[i : i + recipe.batch] for i in range(0, len(pool), recipe.batch)]
        rng.shuffle(chunks)
        for chunk in chunks:
            yield _pad(chunk, tokenizer.pad_token_id)
            step += 1


def _pad(chunk: list[Example], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(len(ids) for ids, _ in chunk)
    rows = [ids + [pad] * (longest - len(ids)) for ids, _ in chunk]
    labels = [marks + [-100] * (longest - len(marks)) for _, marks in chunk]
    return torch.tensor(rows), torch.tensor(labels)


def train(model: Any, tokenizer: Any, recipe: Recipe, reply: Reply, seed: int) -> None:
    """Train in place with AdamW and a cosine schedule, printing the loss now and then."""
    rng = random.Random(seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.01
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _rate(step, recipe.warmup, recipe.steps)
    )
    model.train()
    started, total = time.monotonic(), 0.0
    source = batches(tokenizer, recipe, reply, rng)
    for step in range(1, recipe.steps + 1):
        ids, labels = next(source)
        loss = _loss(model, ids, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        total += loss.item()
        if step % 100 == 0:
            spent = time.monotonic() - started
            print(f"  step {step}: loss {total / 100:.4f}, {spent:.0f} s", flush=True)
            total = 0.0
    model.eval()


def _loss(model: Any, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    # Padding stands on the right and attention is causal, so no mask is needed; the output
    # layer runs only where there is a label, which saves a good part of the time.
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    where = wanted != -100
    return cross_entropy(model.lm_head(hidden[where]), wanted[where])


def _rate(step: int, warmup: int, steps: int) -> float:
    if step < warmup:
        return (step + 1) / warmup
    return 0.02 + 0.49 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))
