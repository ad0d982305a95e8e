"""Let answers to contexts that are alike count as answers to one context, only when asked for.

`normalised` joins contexts that are equal but for case, blanks and punctuation. `similar` also
joins those whose last question differs by politeness and contractions and, below a similarity of
1, by typing errors; numbers, negations, names and every other word must be the same. How often
that is wrong is measured by scripts/measure_contexts.py; docs/pairs.md has the table. The default
of 1 is the only value at which fewer than 1 in 1,000 planted changes of meaning were joined: a
typing error and a word that looks alike ("form", "from") cannot be told apart.

A pair across two such contexts says so in its rule (`guards.JOINED`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from rapidfuzz.distance import Levenshtein

from loopllm_cli.config import PairsConfig
from loopllm_cli.errors import ConfigError
from loopllm_cli.model import Message
from loopllm_cli.pairs.chat import to_messages
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.selection.near import NearPrompts
from loopllm_cli.pairs.selection.wording import canonical_words, last_user_text
from loopllm_cli.sources.rows import digest

WAYS = ("off", "normalised", "similar")
WORD_SEEN = 2
"""In how many earlier questions a word must have stood to count as a word and no typing error."""

_VOTED = frozenset(("thumbs", "rating", "score", "ranking", "comparison"))
# Numbers with their signs, words, and signs that change what a sum or a comparison says.
_TOKEN = re.compile(r"(?:(?<![^\s(])[-+−])?\d+(?:[.,:/-]\d+)*|[^\W\d_]+|[+*/^<>=$€£¥%#&@|~\\]")
_NAME = re.compile(r"(?<=[\w,;:)\"'] )[^\W\d_a-zß-öø-ÿ][^\W\d_]+")
# Where brackets, quotes and indents carry the meaning.
_CODE = re.compile(r"```|[{}]|;\s*\n|\bdef |\bSELECT\b|</")


def join_contexts(evidence: Evidence, config: PairsConfig) -> Evidence:
    """Give answers to contexts that are alike the context hash of the earliest of them.

    Each context is compared with the first of its kind alone, so likeness is not handed on from
    one to the next, and a larger store joins the earlier ones in the same way.

    Raises:
        ConfigError: there is no such way.
    """
    if config.join_contexts not in WAYS:
        raise ConfigError(
            f"[pairs] join_contexts = {config.join_contexts!r}", f"use one of {', '.join(WAYS)}"
        )
    if config.join_contexts == "off":
        return evidence
    first_of = _first_answers(evidence)
    near = _Near(config.min_context_similarity) if config.join_contexts == "similar" else None
    leaders = dict(_leaders(first_of, near))
    answers = {
        name: replace(answer, context_hash=leaders[answer.context_hash])
        if answer.context_hash in leaders
        else answer
        for name, answer in evidence.answers.items()
    }
    return Evidence(answers, evidence.votes)


def _first_answers(evidence: Evidence) -> dict[str, Answer]:
    """Return the first answer to each context in which something was judged."""
    judged: set[str] = set()
    for vote in evidence.votes:
        if vote.kind in _VOTED:
            judged.update(name for name in (vote.target, *vote.candidates) if name is not None)
    found: dict[str, Answer] = {}
    for name, answer in evidence.answers.items():
        if name in judged and answer.context_hash is not None:
            found.setdefault(answer.context_hash, answer)
    return found


def _leaders(first_of: dict[str, Answer], near: _Near | None) -> Iterator[tuple[str, str]]:
    """Yield the contexts that count as an earlier one, each with that one."""
    by_key: dict[str, str] = {}
    for context, answer in first_of.items():
        prompt = to_messages(answer.input_messages)
        if not prompt:
            continue
        leader = by_key.setdefault(normalised_key(prompt, answer.tools), context)
        if near is not None and leader == context:
            leader = near.leader(context, prompt, answer.tools)
        if leader != context:
            yield context, leader


def normalised_key(prompt: tuple[Message, ...], tools: str | None = None) -> str:
    """Return what is the same for contexts that differ by case, blanks and punctuation only."""
    said = [
        [message["role"], _bare(message["content"]), message.get("tool_calls")]
        for message in prompt
    ]
    return digest(said, tools)


def _bare(text: str) -> str:
    if _CODE.search(text):
        return text
    return " ".join(_TOKEN.findall(text)).casefold()


class _Near:
    """The first of each kind of context, by its last question."""

    def __init__(self, min_similarity: float) -> None:
        self._min_similarity = min_similarity
        self._known = NearPrompts()
        self._leaders: list[tuple[str, str]] = []
        self._words: Counter[str] = Counter()

    def leader(self, context: str, prompt: tuple[Message, ...], tools: str | None) -> str:
        """Return the first context that asks the same, which may be this one."""
        asked = last_user_text(prompt)
        words = canonical_words(asked)
        if not words or _CODE.search(asked):
            return context
        at = max(i for i, message in enumerate(prompt) if message["role"] == "user")
        around = normalised_key((*prompt[:at], *prompt[at + 1 :]), tools)
        marked = (f"0~{around}", *words)
        found = context
        for number in self._known.find(marked):
            leader, earlier = self._leaders[number]
            if similarity(earlier, asked, self._words) >= self._min_similarity:
                found = leader
                break
        else:
            if self._known.add(marked) == len(self._leaders):
                self._leaders.append((context, asked))
        self._words.update(set(words))
        return found


def similarity(one: str, other: str, seen: Mapping[str, int]) -> float:
    """Return the share of letters that two near-duplicate questions have in common.

    0 where a name differs, or a word for one that is a word itself: a typing error and another
    word look alike, but the same error is rarely made in many questions.

    Args:
        seen: in how many earlier questions each word stood.
    """
    first, second = canonical_words(one), canonical_words(other)
    names = {name.casefold() for text in (one, other) for name in _NAME.findall(text)}
    if len(first) == len(second):
        for a, b in zip(first, second, strict=True):
            if a != b and (
                a in names or b in names or min(seen.get(a, 0), seen.get(b, 0)) >= WORD_SEEN
            ):
                return 0.0
    a, b = " ".join(first), " ".join(second)
    longest = max(len(a), len(b))
    return 1.0 - Levenshtein.distance(a, b) / longest if longest else 0.0
