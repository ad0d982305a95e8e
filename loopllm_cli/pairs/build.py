"""Build pairs: rules, guards, duplicates, contradictions, caps, split; every drop is counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pandas as pd

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Message, Pair
from loopllm_cli.pairs.candidates import Dropped
from loopllm_cli.pairs.evidence import Answer, Evidence
from loopllm_cli.pairs.guards import refuse, to_pair
from loopllm_cli.pairs.rules import RULES
from loopllm_cli.pairs.split import split_pairs
from loopllm_cli.sources.rows import digest, normalise

_LONGER = 1.3
_ONE_MODEL = 0.9
_MIN_HELDOUT = 20


@dataclass(frozen=True, slots=True)
class Retained:
    """A liked answer on traffic that must not change."""

    prompt: tuple[Message, ...]
    chosen: str
    interaction_id: str
    segment: str | None


@dataclass(frozen=True)
class BuiltPairs:
    """Pairs, split, with the account of everything that was left out."""

    train: list[Pair]
    heldout: list[Pair]
    retention: list[Retained]
    dropped: Counter[str]
    n_candidates: int
    n_feedback: int
    warnings: list[str] = field(default_factory=list)


def build_pairs(
    evidence: Evidence, config: PairsConfig, drifted: frozenset[str] | None
) -> BuiltPairs:
    """Turn evidence into preference pairs.

    Args:
        drifted: labels of the segments that drifted; liked answers elsewhere are retained.
            None when no drift is known: then every liked answer may be.
    """
    dropped: Counter[str] = Counter()
    pairs: list[Pair] = []
    n_candidates = 0
    for rule in RULES:
        for outcome in rule(evidence, config.min_rating_margin):
            if isinstance(outcome, Dropped):
                dropped[outcome.reason] += 1
                continue
            n_candidates += 1
            reason = refuse(outcome, config)
            if reason:
                dropped[reason] += 1
            else:
                pairs.append(to_pair(outcome))
    kept = _select(pairs, config, dropped)
    train, heldout = split_pairs(kept, config.heldout_share, config.seed)
    return BuiltPairs(
        train=train,
        heldout=heldout,
        retention=_retention(evidence, heldout, config, drifted),
        dropped=dropped,
        n_candidates=n_candidates,
        n_feedback=len(evidence.votes),
        warnings=_warnings(train, heldout),
    )


def _select(pairs: list[Pair], config: PairsConfig, dropped: Counter[str]) -> list[Pair]:
    """Drop duplicates and contradictions, and cap what one user or prompt contributes."""
    if not pairs:
        return []
    frame = pd.DataFrame(
        {
            "pair_id": [p.pair_id for p in pairs],
            "mirror": [
                digest(p.context_hash, normalise(p.rejected), normalise(p.chosen)) for p in pairs
            ],
            "user": [p.user_id or f"row:{p.pair_id}" for p in pairs],
            "prompt": [p.prompt_hash for p in pairs],
        }
    )
    steps = (
        ("the same pair again", lambda f: f["pair_id"].duplicated()),
        ("users contradict each other", lambda f: f["mirror"].isin(set(f["pair_id"]))),
        ("over the cap per user", lambda f: f.groupby("user").cumcount() >= config.per_user),
        ("over the cap per prompt", lambda f: f.groupby("prompt").cumcount() >= config.per_prompt),
    )
    for reason, find in steps:
        out = find(frame)
        if out.any():
            dropped[reason] += int(out.sum())
            frame = frame[~out]
    return [pairs[i] for i in frame.index]


def _retention(
    evidence: Evidence,
    heldout: list[Pair],
    config: PairsConfig,
    drifted: frozenset[str] | None,
) -> list[Retained]:
    """Choose liked answers outside the drifted segments, spread over the segments."""
    kept_out = {pair.prompt_hash for pair in heldout}
    liked: dict[str, list[Answer]] = {}
    seen: set[str] = set()
    for answer in evidence.answers.values():
        votes = evidence.by_target.get(answer.interaction_id, [])
        said = {vote.polarity for vote in votes}
        outside = drifted is None or answer.segment not in drifted
        fresh = answer.context_hash not in seen and answer.prompt_hash not in kept_out
        if 1 in said and -1 not in said and outside and fresh and _trainable(answer):
            seen.add(answer.context_hash or "")
            liked.setdefault(answer.segment or "", []).append(answer)
    chosen: list[Retained] = []
    queues = [liked[name] for name in sorted(liked)]
    while queues and len(chosen) < config.retention:
        for queue in queues:
            answer = queue.pop(0)
            chosen.append(
                Retained(
                    answer.prompt() or (),
                    answer.text.strip(),
                    answer.interaction_id,
                    answer.segment,
                )
            )
        queues = [queue for queue in queues if queue]
    return chosen[: config.retention]


def _trainable(answer: Answer) -> bool:
    plain = answer.is_plain and not answer.has_tools and answer.prompt() is not None
    return plain and answer.content_state == "full" and bool(answer.text.strip())


def _warnings(train: list[Pair], heldout: list[Pair]) -> list[str]:
    """Name what makes a set of pairs teach something else than quality."""
    found = []
    if train:
        lengths = [(len(p.chosen), len(p.rejected)) for p in train]
        ratio = sum(a for a, _ in lengths) / max(sum(b for _, b in lengths), 1)
        if ratio > _LONGER or ratio < 1 / _LONGER:
            found.append(f"length bias: the chosen side is {ratio:.1f} times as long")
        models = Counter(p.chosen_model for p in train if p.chosen_model)
        total = sum(models.values())
        if total >= _MIN_HELDOUT and models.most_common(1)[0][1] > _ONE_MODEL * total:
            found.append(f"one model is chosen in over {_ONE_MODEL:.0%} of the comparisons")
    if len(heldout) < _MIN_HELDOUT:
        found.append(f"only {len(heldout)} held-out pairs: verification will see little")
    return found
