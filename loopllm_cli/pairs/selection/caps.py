"""Select among pairs: cap what one user or one prompt contributes, first come, first served."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Pair
from loopllm_cli.pairs.agreement.weigh import Drop
from loopllm_cli.pairs.selection.near import NearPrompts
from loopllm_cli.pairs.selection.split import conversations_of, in_order, users_of
from loopllm_cli.pairs.selection.wording import canonical_words, last_user_text
from loopllm_cli.sources.rows import normalise

OVER_USER = "over the cap per user"
OVER_PROMPT = "over the cap per prompt"
REPEATED = "the same user said the same of a like prompt"
PASTED = "the same text by the same user for many prompts"


def select_pairs(pairs: Iterable[Pair], config: PairsConfig) -> tuple[list[Pair], list[Drop]]:
    """Keep at most so many pairs per user and per prompt.

    Near-duplicates count as one prompt, and users on either side count; where none is known, the
    conversation stands for its user. What one user repeats is kept once per prompt, and the same
    better answer of one user for at most as many pairs as a prompt may have.

    Returns:
        Kept pairs in the order of their feedback, which depends on no later pair and not on the
        order in which they are given; and the others.
    """
    caps = _Caps(config)
    kept: list[Pair] = []
    dropped: list[Drop] = []
    for pair in in_order(pairs):
        reason = caps.refuse(pair)
        if reason is None:
            kept.append(pair)
        else:
            dropped.append((reason, pair.feedback_ids))
    return kept, dropped


class _Caps:
    """What has been kept so far, by whom and of which prompt."""

    def __init__(self, config: PairsConfig) -> None:
        self._config = config
        self._by_user: Counter[str] = Counter()
        self._by_prompt: Counter[str] = Counter()
        self._by_text: Counter[tuple[str, str]] = Counter()
        self._said: set[tuple[str, str, str, str]] = set()
        self._groups = _Groups()

    def refuse(self, pair: Pair) -> str | None:
        """Return why a pair is one too many; else count it."""
        people = sorted(users_of(pair) or conversations_of(pair))
        # First, as it costs nothing: the hundred thousandth vote of one user ends here.
        if any(self._by_user[name] >= self._config.per_user for name in people):
            return OVER_USER
        chosen, rejected = normalise(pair.chosen), normalise(pair.rejected)
        group = self._groups.of(pair)
        said = [(name, group, chosen, rejected) for name in people]
        if not self._said.isdisjoint(said):
            return REPEATED
        if any(self._by_text[name, chosen] >= self._config.per_prompt for name in people):
            return PASTED
        if self._by_prompt[group] >= self._config.per_prompt:
            return OVER_PROMPT
        self._groups.keep(pair, group)
        self._said.update(said)
        self._by_user.update(people)
        self._by_text.update((name, chosen) for name in people)
        self._by_prompt[group] += 1
        return None


class _Groups:
    """Prompts that are near-duplicates of the same earlier one; groups bear its hash."""

    def __init__(self) -> None:
        self._prompts = NearPrompts()
        self._leaders: list[str] = []
        self._known: dict[str, str] = {}

    def of(self, pair: Pair) -> str:
        """Return the group that a prompt is in, or would open."""
        known = self._known.get(pair.prompt_hash)
        if known is not None:
            return known
        found = self._prompts.first(_words_of(pair))
        return pair.prompt_hash if found is None else self._leaders[found]

    def keep(self, pair: Pair, group: str) -> None:
        """Remember the group of a prompt; only one that opens it takes in others."""
        self._known[pair.prompt_hash] = group
        words = _words_of(pair)
        if group == pair.prompt_hash and words and self._prompts.add(words) == len(self._leaders):
            self._leaders.append(group)


def _words_of(pair: Pair) -> tuple[str, ...]:
    return canonical_words(last_user_text(pair.prompt))
