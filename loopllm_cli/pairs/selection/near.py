"""Find near-duplicate prompts: the same words but for typing errors, in linear time and exactly.

Two prompts are near-duplicates if, after `wording.canonical_words`, they have equally many words
and each pair of words is equal or a typing error apart (`is_typo`), or if they are equal but for
the spaces between words. A number, an id or a value of its own makes another prompt, else one
intent of a support bot ("where is my order 123") would be one prompt.

Sketches such as MinHash (Broder 1997, "On the resemblance and containment of documents") find texts
that share most of their pieces. That is the wrong question here: two questions for different orders
share nearly all of them, a question with two typing errors shares fewer. So prompts stand in a tree
of words (Fredkin 1960, "Trie memory", CACM 3:490-499); a search follows at each step the words that
are a typing error away, found by the texts that remain when a letter is left out (Mor & Fraenkel
1982, "A hash code method for detecting and correcting spelling errors", CACM 25:935-938).

How often that is right: docs/pairs-splits.md, measured by scripts/measure_near.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

Words = tuple[str, ...]

SHORTEST_TYPO = 5
"""Where both words are shorter, one letter makes another word (May, Mar; Lund, Lunt): only letters
that changed places count there. Chosen on the dev half of scripts/measure_near.py."""

_LONGEST_TYPO = 24
_LAST_ALPHABET = "ऀ"  # beyond it scripts without spaces, whose runs are whole sentences
_MOST_STEPS = 5_000
_MOST_ALIKE = 64
_MOST_JOINED = 24  # words; spaces matter where a prompt is short
"""Limits that only made-up texts reach: then the exact prompt is still found, but not everything
that is a typing error away."""

_REPEATED = re.compile(r"(.)\1+")
_BETWEEN_LETTERS = re.compile(r"(?<=[^\W\d_]) (?=[^\W\d_])")

# Words that stand for a value, of which one letter makes another one.
_VALUE_WORDS = """
three seven eight eighty sixty sixth seventh eighth ninth ninety fourth forty fifth fifty thirteen
thirty fourteen fifteen sixteen seventeen eighteen nineteen seventy million billion march april
august north south monday sunday tuesday thursday first third drei sieben achtzig
"""
_VALUES = frozenset(_VALUE_WORDS.split())


# Little words that say nothing of their own. What is one letter away from one of them, and is none
# itself, is a slip; two of them (in, on) are two words.
_LITTLE_WORDS = """
is am are was were be been do does did has have had can will would could should may might must to of
in on at by for from with and or but not no nor if so as than then that this these those there it
its my me we us our you your he him his she her they them who what when where why how which all any
some one two six ten off out up down per via into about ist sind war hat ein von mit auf aus bei und
oder nicht wie was wer wo wann der die das den dem mein con por para que como del est les des une et
ou pas mon sur
"""
_LITTLE = frozenset(_LITTLE_WORDS.split())
_LONGEST_SLIP = 7
_FREE_START = 8  # letters from which on also the first one may be wrong


def is_typo(a: str, b: str) -> bool:
    """Say whether two words are equal or one typing error apart.

    That is: one letter left out, put in, exchanged or moved, where the longer word has five letters
    and both begin alike, or have eight (few typing errors are in the first letter: Yannakoudakis &
    Fawthrop 1983, "The rules of spelling errors", Information Processing & Management 19:87-99);
    in shorter words two neighbours that changed places, or a letter twice; and one letter in words
    such as "for", if that makes no other such word.
    """
    if a == b:
        return True
    n, difference = max(len(a), len(b)), abs(len(a) - len(b))
    if (difference > 1 and n >= SHORTEST_TYPO) or not (_is_spelled(a) and _is_spelled(b)):
        return False
    if a in _LITTLE or b in _LITTLE:
        return (a in _LITTLE) != (b in _LITTLE) and _share_deletion(a, b)
    if n >= SHORTEST_TYPO:
        begins = n >= _FREE_START or a[0] == b[0] or a[:2] == b[1::-1]
        return begins and _share_deletion(a, b)
    return _are_swapped(a, b) or _REPEATED.sub(r"\1", a) == _REPEATED.sub(r"\1", b)


@lru_cache(1 << 16)
def _is_spelled(word: str) -> bool:
    """Say whether a word can be misspelt: letters of an alphabet that stand for no value."""
    n = len(word)
    letters = 2 <= n <= _LONGEST_TYPO and word.isalpha() and max(word) < _LAST_ALPHABET
    return letters and word not in _VALUES


@lru_cache(1 << 16)
def _deletions(word: str) -> frozenset[str]:
    return frozenset({word, *(word[:i] + word[i + 1 :] for i in range(len(word)))})


def _share_deletion(a: str, b: str) -> bool:
    return abs(len(a) - len(b)) <= 1 and not _deletions(a).isdisjoint(_deletions(b))


def _are_swapped(a: str, b: str) -> bool:
    wrong = [i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y]
    if len(a) != len(b) or len(a) < 3 or len(wrong) != 2 or wrong[1] != wrong[0] + 1:
        return False
    return a[wrong[0]] == b[wrong[1]] and a[wrong[1]] == b[wrong[0]]


def _keys(word: str) -> tuple[list[str], list[str]]:
    """Return under what a word is kept, and under what those like it are looked up."""
    if not _is_spelled(word):
        return [], []
    n = len(word)
    found: list[str] = []
    if n >= SHORTEST_TYPO:
        found += _deletions(word)
    else:
        found += [word, "~" + "".join(sorted(word)), "=" + _REPEATED.sub(r"\1", word)]
    if n > _LONGEST_SLIP:
        return found, found
    mine, theirs = ("'", '"') if word in _LITTLE else ('"', "'")
    slips = _deletions(word)
    return [*found, *(mine + d for d in slips)], [*found, *(theirs + d for d in slips)]


class _Vocabulary:
    """Words, and for each those that are a typing error away."""

    def __init__(self) -> None:
        self._alike: dict[str, set[str]] = {}
        self._by_key: dict[str, list[str]] = {}

    def add(self, word: str) -> None:
        """Make a word known."""
        if word in self._alike:
            return
        alike = self._alike[word] = self.alike(word)
        for other in alike:
            self._alike[other].add(word)
        for key in _keys(word)[0]:
            bucket = self._by_key.setdefault(key, [])
            if len(bucket) < _MOST_ALIKE:
                bucket.append(word)

    def alike(self, word: str) -> set[str]:
        """Return the known words, other than itself, that a word may stand for."""
        known = self._alike.get(word)
        if known is not None:
            return known
        candidates = {w for key in _keys(word)[1] for w in self._by_key.get(key, ())}
        return {other for other in candidates if other != word and is_typo(word, other)}


class _Node:
    """A place in the tree: what follows the words up to here, and which prompt ends here.

    A place with one prompt below it holds what remains of that prompt (`rest`) instead.
    """

    __slots__ = ("children", "prompt", "rest")

    def __init__(self, rest: Words | None = None, prompt: int = -1) -> None:
        self.children: dict[str, _Node] = {}
        self.rest = rest
        self.prompt = prompt


class NearPrompts:
    """Prompts by number, in which near-duplicates are looked up.

    Prompts are given as the words of `wording.canonical_words`. Numbers count up from 0 in the
    order in which prompts were added; equal prompts have the same number. A prompt without a word
    is like no other.
    """

    def __init__(self) -> None:
        self._vocabulary = _Vocabulary()
        self._root = _Node()
        self._joined: dict[str, list[int]] = {}
        self._n_prompts = 0

    def __len__(self) -> int:
        return self._n_prompts

    def find(self, words: Words) -> list[int]:
        """Return the numbers of the known prompts that are near-duplicates, in order."""
        if not words:
            return []
        found = set(self._walk(words))
        if len(words) <= _MOST_JOINED:
            found.update(self._joined.get(_join(words), ()))
        return sorted(found)

    def add(self, words: Words) -> int:
        """Add a prompt and return its number.

        Raises:
            ValueError: it has no word.
        """
        if not words:
            raise ValueError("a prompt without a word is like no other")
        known = self._insert(words)
        if known == self._n_prompts:
            self._n_prompts += 1
            if len(words) > _MOST_JOINED:
                return known
            spaced = self._joined.setdefault(_join(words), [])
            if len(spaced) < _MOST_ALIKE:
                spaced.append(known)
        return known

    def first(self, words: Words) -> int | None:
        """Return the number of one known near-duplicate, the prompt itself if it is known."""
        if words and len(words) <= _MOST_JOINED and (spaced := self._joined.get(_join(words))):
            return spaced[0]
        return next(self._walk(words), None) if words else None

    def _walk(self, words: Words) -> Iterator[int]:
        """Follow every way through the tree that takes a like word at each step.

        The way of the exact words comes first, so that no limit cuts it off.
        """
        alike: list[set[str] | None] = [None] * len(words)
        waiting = [(self._root, 0)]
        for _ in range(_MOST_STEPS):
            if not waiting:
                return
            node, at = waiting.pop()
            if node.rest is not None or at == len(words):
                left = words[at:]
                rest = node.rest or ()
                if node.prompt >= 0 and len(rest) == len(left) and _alike(rest, left):
                    yield node.prompt
                continue
            like = alike[at]
            if like is None:
                like = alike[at] = self._vocabulary.alike(words[at])
            if like:
                others = sorted(node.children.keys() & like, reverse=True)
                waiting += [(node.children[word], at + 1) for word in others]
            if words[at] in node.children:
                waiting.append((node.children[words[at]], at + 1))

    def _insert(self, words: Words) -> int:
        """Find or make the place of a prompt; a new one gets the next number."""
        node = self._root
        for at, word in enumerate(words):
            child = node.children.get(word)
            if child is None:
                self._hang(node, words[at:], self._n_prompts)
                return self._n_prompts
            node = child
            if node.rest is not None:
                if node.rest == words[at + 1 :]:
                    return node.prompt
                rest, prompt = node.rest, node.prompt
                node.rest, node.prompt = None, -1
                self._hang(node, rest, prompt)
        if node.prompt < 0:
            node.prompt = self._n_prompts
        return node.prompt

    def _hang(self, node: _Node, words: Words, prompt: int) -> None:
        """Put what remains of a prompt below a node."""
        if not words:
            node.prompt = prompt
            return
        self._vocabulary.add(words[0])
        node.children[words[0]] = _Node(words[1:], prompt)


def _alike(a: Words, b: Words) -> bool:
    return all(x == y or is_typo(x, y) for x, y in zip(a, b, strict=True))


def _join(words: Words) -> str:
    """Write words without spaces, but keep numbers apart."""
    return _BETWEEN_LETTERS.sub("", " ".join(words))
