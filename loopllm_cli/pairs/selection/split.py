"""Split without leaks: training and held-out pairs share no user, no conversation and no prompt.

First come, first served: pairs are taken in the order of their feedback. A pair that touches
nothing known goes where the hash of its user falls; one that touches one side joins it; one that
touches both would leak, and is dropped. So what was held out yesterday is held out tomorrow, and
prompts that everybody asks cannot join everything to one block (docs/pairs-splits.md has the
measurements behind this).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Pair
from loopllm_cli.pairs.agreement.weigh import Drop
from loopllm_cli.pairs.selection.near import NearPrompts
from loopllm_cli.pairs.selection.power import HeldoutPower, heldout_power, pairs_needed
from loopllm_cli.pairs.selection.wording import canonical_words, last_user_text

LEAK = "would leak between training and held-out pairs"

FIRST_SHARE = 1 / 3
"""Held out until verify can decide; afterwards `heldout_share`. Two of three pairs stay to train
on, and 30 held-out pairs stand after about 90."""

_MOST_HELDOUT = 1 / 2
"""No new user is held out who would leave less than this to train on: a log with one user for all
pairs trains on them, and says that it holds out nothing."""


@dataclass(frozen=True)
class Split:
    """Training and held-out pairs in the order of their feedback, and pairs that fit neither side.

    `power` says what the held-out pairs can decide.
    """

    train: list[Pair]
    heldout: list[Pair]
    dropped: list[Drop]
    power: HeldoutPower


class Seen:
    """Users, conversations and prompts of some pairs, to keep others clear of them."""

    def __init__(self, pairs: Iterable[Pair] = ()) -> None:
        self._keys: set[tuple[str, str]] = set()
        self._prompts = NearPrompts()
        for pair in pairs:
            self.add(_keys_of(pair), _words_of(pair))

    def add(self, keys: Iterable[tuple[str, str]], words: tuple[str, ...] = ()) -> None:
        """Remember keys, such as `("user", "u1")`, and a prompt's words."""
        self._keys.update(keys)
        if words:
            self._prompts.add(words)

    def touches(self, keys: Iterable[tuple[str, str]], words: tuple[str, ...] = ()) -> bool:
        """Say whether any of the keys, or a near-duplicate of the prompt, is among these."""
        return not self._keys.isdisjoint(keys) or self._prompts.first(words) is not None


def conversations_of(pair: Pair) -> set[str]:
    """Return the conversations in which either side of a pair was said."""
    return {c for c in (pair.conversation_id, pair.chosen_conversation_id) if c is not None}


def users_of(pair: Pair) -> set[str]:
    """Return the users to whom either side of a pair was said."""
    return {u for u in (pair.user_id, pair.chosen_user_id) if u}


def in_order(pairs: Iterable[Pair]) -> list[Pair]:
    """Sort pairs by the time of their feedback; those without a time come last."""
    return sorted(pairs, key=_came)


def split_pairs(pairs: Iterable[Pair], config: PairsConfig) -> Split:
    """Split pairs into training and held-out ones.

    What a pair becomes depends on no later pair, and not on the order in which they are given.
    """
    sides = (Seen(), Seen())
    kept: tuple[list[Pair], list[Pair]] = ([], [])
    dropped: list[Drop] = []
    plan = _Plan(config)
    for pair in in_order(pairs):
        keys, words = _keys_of(pair), _words_of(pair)
        touched = [side for side in (0, 1) if sides[side].touches(keys, words)]
        if len(touched) == 2:
            dropped.append((LEAK, pair.feedback_ids))
            continue
        side = touched[0] if touched else int(plan.holds_out(pair))
        sides[side].add(keys, words)
        kept[side].append(pair)
        plan.count(side)
    return Split(*kept, dropped, heldout_power(len(kept[1])))


class _Plan:
    """Which new users are held out: a share by hash, larger until the held-out pairs decide."""

    def __init__(self, config: PairsConfig) -> None:
        self._share, self._seed = config.heldout_share, config.seed
        self._n = self._n_held = 0

    def count(self, side: int) -> None:
        """Take note of a pair that has a side."""
        self._n += 1
        self._n_held += side

    def holds_out(self, pair: Pair) -> bool:
        """Decide on a pair that shares nothing with those before it."""
        if self._n_held + 1 > max(_MOST_HELDOUT, self._share) * (self._n + 1):
            return False
        share = self._share
        if self._n_held < pairs_needed() and share > 0:
            share = max(share, FIRST_SHARE)
        elif self._n_held + 1 > share * (self._n + 1):
            # Users who came back, and prompts that many send, have filled the share already.
            return False
        return _place(f"{self._seed}:{_owner(pair)}") < share


def _came(pair: Pair) -> tuple[bool, datetime | None, str]:
    # Equal flags compare times only where both are known: None is never compared with None, as
    # `==` on it holds and the id decides.
    return pair.feedback_time is None, pair.feedback_time, pair.pair_id


def _keys_of(pair: Pair) -> list[tuple[str, str]]:
    keys = [("user", name) for name in users_of(pair)]
    keys += [("conversation", name) for name in conversations_of(pair)]
    return [*keys, ("prompt", pair.prompt_hash)]


def _words_of(pair: Pair) -> tuple[str, ...]:
    return canonical_words(last_user_text(pair.prompt))


def _owner(pair: Pair) -> str:
    """Name what decides on a new pair: whoever comes back, so that the first pair may vanish."""
    users, talks = users_of(pair), conversations_of(pair)
    return f"{min(users or talks or {pair.prompt_hash})}"


def _place(text: str) -> float:
    """Return a number from 0 to below 1 that only the text decides."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
