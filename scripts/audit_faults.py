"""Faults to plant in good sets of pairs, each at any strength, for the audit to find.

A fault is a function of a set, a share between 0 and 1, and a generator; it hands back the set with
about that share of its training pairs spoiled.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from loopllm_cli.model import Agreement, Annotator, Pair
from loopllm_cli.pairs.build import BuiltPairs

Plant = Callable[[BuiltPairs, float, random.Random], BuiltPairs]

REFUSAL = "I'm sorry, but I can't help with that."
AWS = "AKIA" + "IOSFODNN7" + "QWERTYU"  # in parts, so that no scanner takes it for a real one
FILLER = " Please let us know whether there is anything else that we can do for you today."


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, the findings of which at least one must be loud, and strengths worth measuring."""

    plant: Plant
    findings: tuple[str, ...]
    strengths: tuple[float, ...]


def some(pairs: Sequence[Pair], share: float, rng: random.Random) -> set[int]:
    """Choose a share of pairs, by number."""
    return set(rng.sample(range(len(pairs)), round(share * len(pairs))))


def spoil(change: Callable[[Pair, int], Pair]) -> Plant:
    """Make a fault of a change to single training pairs."""

    def plant(built: BuiltPairs, share: float, rng: random.Random) -> BuiltPairs:
        hit = some(built.train, share, rng)
        train = [change(p, i) if i in hit else p for i, p in enumerate(built.train)]
        return replace(built, train=train)

    return plant


def flipped(pair: Pair, _: int = 0) -> Pair:
    """Exchange the sides of a pair, with all that is known of them."""
    return replace(
        pair,
        chosen=pair.rejected,
        rejected=pair.chosen,
        chosen_calls=pair.rejected_calls,
        rejected_calls=pair.chosen_calls,
        chosen_model=pair.rejected_model,
        rejected_model=pair.chosen_model,
        interaction_ids=pair.interaction_ids[::-1],
        conversation_id=pair.chosen_conversation_id or pair.conversation_id,
        chosen_conversation_id=pair.conversation_id if pair.chosen_conversation_id else None,
    )


def _wrong_segment(built: BuiltPairs, share: float, rng: random.Random) -> BuiltPairs:
    """Let a share of the pairs be about something that did not drift, and show no fault."""
    hit = some(built.train, share, rng)
    other = [
        replace(pair, segment="elsewhere", chosen=f"{pair.rejected} It is open.", chosen_model=None)
        if i in hit
        else pair
        for i, pair in enumerate(built.train)
    ]
    return replace(built, train=other)


def _one_segment(built: BuiltPairs, share: float, rng: random.Random) -> BuiltPairs:
    """Keep pairs of few segments only: a share of the segments is left out."""
    names = sorted({pair.segment or "" for pair in built.train})
    gone = set(rng.sample(names, min(round(share * len(names)), len(names) - 1)))
    return replace(built, train=[p for p in built.train if (p.segment or "") not in gone])


def _leak(change: Callable[[Pair, Pair], Pair]) -> Plant:
    """Let a share of the held-out pairs share something with training."""

    def plant(built: BuiltPairs, share: float, rng: random.Random) -> BuiltPairs:
        n = min(round(share * len(built.heldout)), len(built.train))
        sources = rng.sample(built.heldout, n)
        train = [change(pair, held) for pair, held in zip(built.train, sources, strict=False)]
        return replace(built, train=[*train, *built.train[n:]])

    return plant


def _same_user(built: BuiltPairs, share: float, rng: random.Random) -> BuiltPairs:
    hit = some(built.train, share, rng)
    train = [replace(p, user_id="u0") if i in hit else p for i, p in enumerate(built.train)]
    return replace(built, train=train)


def _same_prompt(built: BuiltPairs, share: float, rng: random.Random) -> BuiltPairs:
    hit = some(built.train, share, rng)
    train = [replace(p, prompt_hash="p0") if i in hit else p for i, p in enumerate(built.train)]
    return replace(built, train=train)


def _one_annotator(built: BuiltPairs, share: float, rng: random.Random) -> BuiltPairs:
    hit = some(built.train, share, rng)
    train = [
        replace(p, annotator_ids=("a0" if i in hit else f"a{i + 1}",) * len(p.feedback_ids))
        for i, p in enumerate(built.train)
    ]
    return replace(built, train=train)


def _disagree(built: BuiltPairs, share: float, rng: random.Random) -> BuiltPairs:
    """Let a share of the votes be wrong, as an agreement between votes would show it."""
    agree = (1 - share) ** 2 + share**2
    half = 1.96 * (agree * (1 - agree) / 100) ** 0.5
    known = Agreement(100, agree, agree - half, agree + half, share, share * 0.7, share * 1.3)
    return replace(built, agreement=known)


def _coins(built: BuiltPairs, share: float, rng: random.Random) -> BuiltPairs:
    """Let a share of the votes be by somebody who is right in half of the cases only."""
    marked = _one_annotator(built, share, rng)
    n = round(share * len(built.train))
    known = (Annotator("a0", n, n, 0.5, 0.42, 0.58), Annotator("a9", 30, 30, 0.9, 0.8, 0.95))
    return replace(marked, agreement=Agreement(100, 0.9, 0.8, 1.0, 0.05, 0.0, 0.1, known))


def _dropped_refusals(built: BuiltPairs, share: float, rng: random.Random) -> BuiltPairs:
    n = round(share * len(built.train))
    return replace(built, dropped=Counter({"the chosen side is a refusal": n}))


def _few(built: BuiltPairs, share: float, rng: random.Random) -> BuiltPairs:
    return replace(built, train=rng.sample(built.train, round((1 - share) * len(built.train))))


def _long(pair: Pair, _: int) -> Pair:
    return replace(pair, chosen=pair.chosen + FILLER * 2)


def _many_words(pair: Pair, _: int) -> Pair:
    words = ({"role": "user", "content": "word " * 9_000}, *pair.prompt)
    return replace(pair, prompt=words)


def _cut_equal(pair: Pair, _: int) -> Pair:
    same = "the same opening " * 400
    return replace(pair, chosen=same + pair.chosen, rejected=same + pair.rejected)


FAULTS: dict[str, Fault] = {
    "flipped labels": Fault(
        spoil(flipped), ("flipped-labels", "flipped-signals"), (0.1, 0.2, 0.3, 0.4, 0.6, 1.0)
    ),
    "identical sides": Fault(
        spoil(lambda p, i: replace(p, chosen=p.rejected)), ("identical-sides",), (0.1, 0.3, 0.6, 1)
    ),
    "sides differ by a letter": Fault(
        spoil(lambda p, i: replace(p, chosen=p.rejected * 5, rejected=p.rejected * 5 + "x")),
        ("near-identical-sides",), (0.1, 0.3, 0.6),
    ),
    "empty chosen sides": Fault(
        spoil(lambda p, i: replace(p, chosen=" ")), ("empty-sides",), (0.02, 0.1)
    ),
    "wrong segment": Fault(_wrong_segment, ("drifted-segments",), (0.5, 0.7, 0.9, 1.0)),
    "few of the segments": Fault(
        _one_segment, ("segment-coverage", "failing-signals"), (0.25, 0.5, 0.75)
    ),
    "both directions": Fault(
        lambda b, s, r: replace(
            b, train=[*b.train, *(flipped(b.train[i]) for i in some(b.train, s, r))]
        ),
        ("contradictions",), (0.01, 0.1),
    ),
    "one chosen text": Fault(
        spoil(lambda p, i: replace(p, chosen="Thank you, we will look into it.")),
        ("repeated-chosen",), (0.3, 0.6, 0.8),
    ),
    "longer chosen sides": Fault(
        spoil(_long), ("length-bias", "longer-side"), (0.1, 0.3, 0.5, 1.0)
    ),
    "refusals as chosen": Fault(
        spoil(lambda p, i: replace(p, chosen=REFUSAL)), ("refusal-as-chosen",),
        (0.05, 0.1, 0.2, 0.7),
    ),
    "apologies as chosen": Fault(
        spoil(lambda p, i: replace(p, chosen=f"I apologise for that. {p.chosen}")),
        ("apology-as-chosen",), (0.05, 0.1, 0.2, 0.5),
    ),
    "hedges as chosen": Fault(
        spoil(lambda p, i: replace(p, chosen=f"As an AI language model, I would say: {p.chosen}")),
        ("hedging-as-chosen",), (0.05, 0.1, 0.2),
    ),
    "votes for refusals": Fault(_dropped_refusals, ("refusal-preferred",), (0.1, 0.3)),
    "broken JSON as chosen": Fault(
        spoil(lambda p, i: replace(p, chosen='{"a": [1', rejected='{"a": [1]}')),
        ("json-validity",), (0.05, 0.2),
    ),
    "unknown tools as chosen": Fault(
        spoil(lambda p, i: replace(p, tools='[{"name": "find"}]', chosen_calls='[{"name": "x"}]')),
        ("tool-calls",), (0.1,),
    ),
    "wrong votes": Fault(_disagree, ("label-noise", "annotator-agreement"), (0.1, 0.2, 0.4)),
    "one user": Fault(_same_user, ("user-domination",), (0.1, 0.3, 0.6)),
    "one prompt": Fault(_same_prompt, ("prompt-domination",), (0.1, 0.3, 0.6)),
    "votes by a coin": Fault(_coins, ("unreliable-annotators",), (0.05, 0.2)),
    "one annotator": Fault(_one_annotator, ("annotator-domination",), (0.1, 0.3, 0.6)),
    "leaked prompts": Fault(
        _leak(lambda p, h: replace(p, prompt=h.prompt, prompt_hash="other")), ("prompt-leak",),
        (0.02, 0.1),
    ),
    "leaked near prompts": Fault(
        _leak(lambda p, h: replace(p, prompt=tuple(
            {**m, "content": m["content"].upper() + " !"} for m in h.prompt), prompt_hash="other")),
        ("near-prompt-leak",), (0.02, 0.1),
    ),
    "leaked conversations": Fault(
        _leak(lambda p, h: replace(p, conversation_id=h.conversation_id or "c")),
        ("conversation-leak",), (0.02, 0.1),
    ),
    "leaked users": Fault(
        _leak(lambda p, h: replace(p, user_id=h.user_id or "u")), ("user-leak",), (0.02, 0.1)
    ),
    "one model wins": Fault(
        spoil(lambda p, i: replace(p, chosen_model="other", rejected_model="m-2")),
        ("one-model-bias",), (0.3, 1.0),
    ),
    "another model's mistakes": Fault(
        spoil(lambda p, i: replace(p, rejected_model="other")), ("off-policy-rejected",), (0.3, 0.7)
    ),
    "judged by a machine": Fault(
        spoil(lambda p, i: replace(p, rule="judge score")), ("judged-by-machines",), (0.3, 0.7)
    ),
    "leaked contexts": Fault(
        _leak(lambda p, h: replace(p, prompt=h.prompt)), ("context-leak",), (0.02, 0.1)
    ),
    "cut-off chosen sides": Fault(
        spoil(lambda p, i: replace(p, chosen=p.chosen + FILLER * 60)), ("chosen-cut-off",),
        (0.05, 0.2),
    ),
    "contexts too long": Fault(spoil(_many_words), ("context-too-long",), (0.05, 0.2)),
    "equal once cut": Fault(spoil(_cut_equal), ("equal-when-cut",), (0.1, 0.8)),
    "secrets": Fault(
        spoil(lambda p, i: replace(p, chosen=f"{p.chosen} password: Kx7#pQ2!vLm9 {AWS}")),
        ("secrets-left",), (0.02, 0.1),
    ),
    "personal data": Fault(
        spoil(lambda p, i: replace(p, chosen=f"{p.chosen} Write to jane.roe@somewhere.org.")),
        ("personal-data-left",), (0.02, 0.1),
    ),
    "masks": Fault(
        spoil(lambda p, i: replace(p, chosen=f"{p.chosen} <EMAIL_1a2b3c>")), ("masks-as-chosen",),
        (0.05, 0.2),
    ),
    "too few pairs": Fault(_few, ("too-few-pairs",), (0.95,)),
    "nothing retained": Fault(
        lambda b, s, r: replace(b, retention=[]), ("retention-share",), (1.0,)
    ),
    "little held out": Fault(
        lambda b, s, r: replace(b, heldout=b.heldout[:10]), ("heldout-power",), (1.0,)
    ),
}  # fmt: skip
