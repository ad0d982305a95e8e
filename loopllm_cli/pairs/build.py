"""Build pairs: rules, guards, duplicates, contradictions, caps, split; every drop is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import zip_longest

import pandas as pd

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Message, Pair
from loopllm_cli.pairs.candidates import Dropped
from loopllm_cli.pairs.evidence import Answer, Evidence, Vote
from loopllm_cli.pairs.guards import refuse, refuse_answer, to_pair
from loopllm_cli.pairs.rules import RULES
from loopllm_cli.pairs.split import conversations_of, split_pairs
from loopllm_cli.sources.rows import digest, normalise

_LONGER = 1.3
_ONE_MODEL = 0.9
_MIN_HELDOUT = 20
_MIN_CHOICES = 20
_BY_RULE, _BY_GUARD, _BY_SELECTION = 1, 2, 3
_NO_RULE = "feedback of a kind that makes no pair"
_MACHINES = {"LLM", "CODE"}


@dataclass(frozen=True, slots=True)
class Retained:
    """A liked answer on traffic that must not change."""

    prompt: tuple[Message, ...]
    chosen: str
    answer: Answer
    feedback_ids: tuple[str, ...]


@dataclass(frozen=True)
class BuiltPairs:
    """Pairs, split, with the account of everything that was left out.

    `n_feedback` = pieces of feedback that stand in a pair + the sum of `dropped`: each of them
    that stands in none is counted once, with the reason of the candidate that came furthest.
    """

    train: list[Pair]
    heldout: list[Pair]
    retention: list[Retained]
    dropped: Counter[str]
    n_candidates: int
    n_feedback: int
    warnings: list[str] = field(default_factory=list)


class _Account:
    """Why pieces of feedback make no pair; a later stage says more than an earlier one."""

    def __init__(self) -> None:
        self._reasons: dict[str, tuple[int, str]] = {}

    def drop(self, stage: int, reason: str, feedback_ids: Iterable[str]) -> None:
        """Note a reason for some pieces of feedback."""
        for name in feedback_ids:
            if name not in self._reasons or self._reasons[name][0] < stage:
                self._reasons[name] = (stage, reason)

    def close(self, votes: Iterable[Vote], pairs: Iterable[Pair]) -> Counter[str]:
        """Count the reasons of all feedback that stands in none of the pairs."""
        used = {name for pair in pairs for name in pair.feedback_ids}
        return Counter(
            self._reasons.get(vote.feedback_id, (0, _NO_RULE))[1]
            for vote in votes
            if vote.feedback_id not in used
        )


def build_pairs(
    evidence: Evidence, config: PairsConfig, keep_as_is: Callable[[Answer], bool]
) -> BuiltPairs:
    """Turn evidence into preference pairs.

    Args:
        keep_as_is: says whether an answer stands for traffic that a correction must leave alone;
            liked ones among these are retained.
    """
    account = _Account()
    human = tuple(vote for vote in evidence.votes if vote.annotator_kind.upper() not in _MACHINES)
    machine = {vote.feedback_id for vote in evidence.votes} - {v.feedback_id for v in human}
    account.drop(_BY_RULE, "feedback of a judge model or a program", machine)
    heard = Evidence(evidence.answers, human)
    pairs: list[Pair] = []
    n_candidates = 0
    for rule in RULES:
        for outcome in rule(heard, config.min_rating_margin):
            said = [vote.feedback_id for vote in outcome.votes]
            if isinstance(outcome, Dropped):
                account.drop(_BY_RULE, outcome.reason, said)
                continue
            n_candidates += 1
            reason = refuse(outcome, config)
            if reason:
                account.drop(_BY_GUARD, reason, said)
            else:
                pairs.append(to_pair(outcome))
    kept = _select(pairs, config, account)
    train, heldout = split_pairs(kept, config.heldout_share, config.seed)
    return BuiltPairs(
        train=train,
        heldout=heldout,
        retention=_retention(heard, (train, heldout), config, keep_as_is),
        dropped=account.close(evidence.votes, kept),
        n_candidates=n_candidates,
        n_feedback=len(evidence.votes),
        warnings=_warnings(train, heldout),
    )


def _select(pairs: list[Pair], config: PairsConfig, account: _Account) -> list[Pair]:
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

    def drop(reason: str, out: pd.Series[bool]) -> None:
        nonlocal frame
        for i in frame.index[out]:
            account.drop(_BY_SELECTION, reason, pairs[i].feedback_ids)
        frame = frame[~out]

    drop("users contradict each other", frame["mirror"].isin(set(frame["pair_id"])))
    drop("the same pair again", frame["pair_id"].duplicated())
    drop("over the cap per user", frame.groupby("user").cumcount() >= config.per_user)
    drop("over the cap per prompt", frame.groupby("prompt").cumcount() >= config.per_prompt)
    return [pairs[i] for i in frame.index]


def _retention(
    evidence: Evidence,
    split: tuple[list[Pair], list[Pair]],
    config: PairsConfig,
    keep_as_is: Callable[[Answer], bool],
) -> list[Retained]:
    """Choose liked answers that must not change, spread over the segments.

    None from a prompt or conversation that is held out, and none that a pair calls the worse.
    """
    train, heldout = split
    kept_out = {pair.prompt_hash for pair in heldout}
    silent = {name for pair in heldout for name in conversations_of(pair)}
    worse = {(pair.context_hash, normalise(pair.rejected)) for pair in (*train, *heldout)}
    liked: dict[str, list[Retained]] = {}
    seen: set[str] = set()
    for answer in evidence.answers.values():
        votes = evidence.by_target.get(answer.interaction_id, [])
        said = {vote.polarity for vote in votes}
        context, text = answer.context_hash or "", answer.text.strip()
        prompt = answer.prompt_hash or context
        if (
            (1 not in said or -1 in said or context in seen or not text)
            or (prompt in kept_out or answer.conversation_id in silent)
            or (context, normalise(text)) in worse
            or not keep_as_is(answer)
            or refuse_answer(answer)
        ):
            continue
        seen.add(context)
        ups = tuple(vote.feedback_id for vote in votes if vote.polarity == 1)
        kept = Retained(answer.prompt() or (), text, answer, ups)
        liked.setdefault(answer.segment or "", []).append(kept)
    turns = zip_longest(*(liked[name] for name in sorted(liked)))
    return [kept for turn in turns for kept in turn if kept is not None][: config.retention]


def _warnings(train: list[Pair], heldout: list[Pair]) -> list[str]:
    """Name what makes a set of pairs teach something else than quality."""
    found = []
    if train:
        lengths = [(len(p.chosen), len(p.rejected)) for p in train]
        ratio = sum(a for a, _ in lengths) / max(sum(b for _, b in lengths), 1)
        if ratio > _LONGER or ratio < 1 / _LONGER:
            found.append(f"length bias: the chosen side is {ratio:.1f} times as long")
        models = Counter(
            p.chosen_model
            for p in train
            if p.chosen_model and p.rejected_model and p.chosen_model != p.rejected_model
        )
        total = sum(models.values())
        if total >= _MIN_CHOICES and models.most_common(1)[0][1] > _ONE_MODEL * total:
            found.append(f"one model wins over {_ONE_MODEL:.0%} of the pairs of two models")
    if len(heldout) < _MIN_HELDOUT:
        found.append(f"only {len(heldout)} held-out pairs: verification will see little")
    return found
