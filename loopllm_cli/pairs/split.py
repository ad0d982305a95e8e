"""Split without leaks: pairs that share a conversation or a prompt stay on one side."""

from __future__ import annotations

import hashlib

from loopllm_cli.model import Pair


def conversations_of(pair: Pair) -> set[str]:
    """Return the conversations in which either side of a pair was said."""
    return {c for c in (pair.conversation_id, pair.chosen_conversation_id) if c is not None}


def split_pairs(
    pairs: list[Pair], heldout_share: float, seed: int
) -> tuple[list[Pair], list[Pair]]:
    """Split pairs into training and held-out ones.

    Pairs are joined into groups by the conversations of both sides and by prompt (transitively);
    whole groups are held out, in an order that depends only on their content and the seed, until
    the share is reached. A group larger than what is still wanted stays in training. Which pairs
    are held out does not depend on the order in which they are given.

    Returns:
        Training and held-out pairs, each in the order given.
    """
    groups = _groups(pairs)
    wanted = round(heldout_share * len(pairs))
    heldout: set[int] = set()
    for members in sorted(groups, key=lambda g: _rank(pairs, g, seed)):
        if len(heldout) + len(members) <= wanted:
            heldout.update(members)
    train = [pair for i, pair in enumerate(pairs) if i not in heldout]
    return train, [pair for i, pair in enumerate(pairs) if i in heldout]


def _rank(pairs: list[Pair], group: list[int], seed: int) -> str:
    key = min(pairs[i].pair_id for i in group)
    return hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=8).hexdigest()


def _groups(pairs: list[Pair]) -> list[list[int]]:
    """Join pairs that share a key, by union-find."""
    parent = list(range(len(pairs)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first_with: dict[tuple[str, str], int] = {}
    for i, pair in enumerate(pairs):
        keys = [("prompt", pair.prompt_hash)]
        keys += [("conversation", name) for name in conversations_of(pair)]
        for key in keys:
            other = first_with.setdefault(key, i)
            parent[root(i)] = root(other)
    members: dict[int, list[int]] = {}
    for i in range(len(pairs)):
        members.setdefault(root(i), []).append(i)
    return list(members.values())
