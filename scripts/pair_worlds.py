"""Stores of comparisons whose truth is known: people of known reliability vote on known answers.

Every item is a prompt with two answers, one of which is better, shown in random order. People are
drawn for each item at random, without knowing who else votes on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import Vote
from loopllm_cli.sources.rows import digest, normalise

Record = dict[str, Any]
START = datetime(2026, 10, 1, tzinfo=UTC)
_WORDS = 3000
_PEOPLE = 40


@dataclass(frozen=True)
class World:
    """How a store comes about.

    `right` is how often honest people are right, `spread` how far they differ (the standard
    deviation of their rates), and that less or more by up to `hardness` on hard and easy items; a
    share `bad` of people are `manner`: random, first (always takes
    the first answer) or adverse (wrong nine times of ten). `votes` are the numbers of votes that
    items have, with equal odds. `copies` is how many items share a prompt: asked again word by
    word by others, or, with `reworded`, in other case, blanks and punctuation.
    """

    name: str
    right: float = 1.0
    votes: tuple[int, ...] = (1, 2, 3)
    spread: float = 0.0
    hardness: float = 0.0
    bad: float = 0.0
    manner: str = "random"
    copies: int = 1
    reworded: bool = False


WORLDS = (
    World("clean"),
    World("20% wrong, no overlap", 0.8, (1,)),
    World("20% wrong, mostly one vote", 0.8, (1,) * 16 + (2,) * 3 + (3,)),
    World("20% wrong, 2 votes", 0.8, (2,)),
    World("20% wrong, 3 votes", 0.8, (3,)),
    World("20% wrong, 1 to 5 votes", 0.8, (1, 2, 3, 4, 5)),
    World("20% wrong, people differ", 0.8, (1, 2, 3, 4, 5), spread=0.12),
    World("20% wrong, items differ", 0.8, (1, 2, 3, 4, 5), hardness=0.2),
    World("10% wrong, 1 to 3 votes", 0.9, (1, 2, 3)),
    World("30% vote at random", 0.85, (1, 2, 3, 4, 5), bad=0.3),
    World("30% take the first", 0.85, (1, 2, 3, 4, 5), bad=0.3, manner="first"),
    World("20% adverse", 0.85, (1, 2, 3, 4, 5), bad=0.2, manner="adverse"),
    World("20% wrong, reworded prompts", 0.8, (1, 2, 3, 4, 5), copies=3, reworded=True),
    World("20% wrong, leaked prompts", 0.8, (1, 2, 3, 4, 5), copies=3),
    World("40% flipped", 0.6, (1, 2, 3, 4, 5)),
    World("all flipped", 0.0, (1, 2, 3)),
)


@dataclass(frozen=True)
class Item:
    """A prompt, its better and its worse answer, and who asked."""

    number: int
    prompt: str
    better: str
    worse: str
    user: str
    better_first: bool

    def answers(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Return id and text of both answers, in the order shown."""
        found = (f"i{self.number}-good", self.better), (f"i{self.number}-bad", self.worse)
        return found if self.better_first else found[::-1]


@dataclass(frozen=True)
class Ballot:
    """One vote: who, on which item, for the better answer or not."""

    item: Item
    person: str
    is_right: bool

    def winner(self) -> str:
        """Return the id of the answer voted for."""
        return f"i{self.item.number}-{'good' if self.is_right else 'bad'}"


@dataclass(frozen=True)
class Store:
    """What a world wrote, with its truth: `bad` are the people who are not honest."""

    items: list[Item]
    ballots: list[Ballot]
    people: tuple[str, ...]
    bad: frozenset[str]

    @property
    def noise(self) -> float:
        """The share of wrong votes."""
        return 1 - float(np.mean([ballot.is_right for ballot in self.ballots]))


def draw_store(world: World, n_items: int, rng: np.random.Generator) -> Store:
    """Draw a store: so many items, each with its votes."""
    people = tuple(f"person-{k}" for k in range(_PEOPLE))
    n_bad = round(world.bad * _PEOPLE)
    rates = np.clip(rng.normal(world.right, world.spread, _PEOPLE), 0, 1)
    items = list(_items(world, n_items, rng))
    ballots = []
    for item in items:
        easy = rng.uniform(-world.hardness, world.hardness)
        for k in rng.choice(_PEOPLE, rng.choice(world.votes), replace=False):
            chance = _bad_rate(world, item) if k < n_bad else rates[k] + easy
            ballots.append(Ballot(item, people[k], bool(rng.random() < chance)))
    return Store(items, ballots, people, frozenset(people[:n_bad]))


def _bad_rate(world: World, item: Item) -> float:
    if world.manner == "first":
        return float(item.better_first)
    return {"random": 0.5, "adverse": 0.1}[world.manner]


def _items(world: World, n_items: int, rng: np.random.Generator) -> Iterator[Item]:
    n_prompts = -(-n_items // world.copies)
    prompts = [_text(rng, 12) for _ in range(n_prompts)]
    for number in range(n_items):
        prompt = prompts[number % n_prompts]
        if world.reworded:
            prompt = _reworded(prompt, number // n_prompts)
        user = f"user-{rng.integers(max(n_items // 3, 1))}"
        better, worse = _text(rng, 25), _text(rng, 25)
        yield Item(number, prompt, better, worse, user, bool(rng.random() < 0.5))


def _text(rng: np.random.Generator, n: int) -> str:
    return " ".join(f"w{k}" for k in rng.integers(_WORDS, size=n))


def _reworded(prompt: str, copy: int) -> str:
    return (prompt, f"{prompt.upper()} ?", f"  please,  {prompt}!")[copy % 3]


def to_evidence(store: Store) -> Evidence:
    """Return a store as evidence, without a disk."""
    answers = {
        name: _answer(item, name, text) for item in store.items for name, text in item.answers()
    }
    votes = []
    for k, ballot in enumerate(store.ballots):
        candidates = tuple(name for name, _ in ballot.item.answers())
        votes.append(
            Vote(
                feedback_id=f"f{k}",
                kind="comparison",
                target=None,
                polarity=None,
                rating=None,
                text=None,
                annotator_id=ballot.person,
                annotator_kind="HUMAN",
                feedback_time=START + timedelta(days=1, seconds=k),
                candidates=candidates,
                winner=ballot.winner(),
            )
        )
    return Evidence(answers, tuple(votes))


def _answer(item: Item, name: str, text: str) -> Answer:
    return Answer(
        interaction_id=name,
        context_hash=digest(item.prompt),
        prompt_hash=digest(normalise(item.prompt)),
        prompt_text=item.prompt,
        input_messages=_message("user", item.prompt),
        output_messages=_message("assistant", text),
        text=text,
        content_state="full",
        finish_reason="stop",
        error_type=None,
        model="m-1",
        user_id=item.user,
        conversation_id=f"talk-{item.number}",
        has_tools=False,
        request_time=START + timedelta(seconds=item.number),
    )


def _message(role: str, text: str) -> str:
    # Simulated texts hold nothing that JSON would escape.
    return f'[{{"role": "{role}", "parts": [{{"type": "text", "content": "{text}"}}]}}]'


def to_records(store: Store) -> Iterator[Record]:
    """Yield a store as log records: every answer, then every vote."""
    for item in store.items:
        for name, text in item.answers():
            yield {
                "id": name,
                "timestamp": (START + timedelta(seconds=item.number)).isoformat(),
                "model": "m-1",
                "user_id": item.user,
                "conversation_id": f"talk-{item.number}",
                "prompt": item.prompt,
                "response": text,
            }
    for k, ballot in enumerate(store.ballots):
        yield {
            "feedback_id": f"f{k}",
            "type": "comparison",
            "candidates": [name for name, _ in ballot.item.answers()],
            "winner": ballot.winner(),
            "annotator_id": ballot.person,
            "feedback_time": (START + timedelta(days=1, seconds=k)).isoformat(),
        }
