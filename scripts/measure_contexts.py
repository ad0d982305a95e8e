"""Measure how often contexts are wrongly joined, and how often those that ask the same are found.

Real prompts (public data in ../shared/data) are changed in ways of which the truth is known:
typing errors, case, blanks, punctuation, politeness and contractions ask the same; another
number, name or opposite, a negation, a word that is one letter away ask something else. Prompts
of the data that are nearest to each other without being equal count as asking something else.

    python scripts/measure_contexts.py [--seed N]
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from loopllm_cli.pairs.contexts import normalised_key, similarity
from loopllm_cli.pairs.selection.near import NearPrompts
from loopllm_cli.pairs.selection.wording import canonical_words

DATA = Path(__file__).parents[1].parent / "shared" / "data"
THRESHOLDS = (0.0, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 1.0)
NAMES = ["Anna", "Hanna", "Maria", "Mario", "Marie", "Jon", "John", "Joan", "Erik", "Erika",
         "Austria", "Australia", "Sweden", "Paris", "Parma", "Berlin", "Bern"]  # fmt: skip
OPPOSITES = [("increase", "decrease"), ("best", "worst"), ("before", "after"), ("more", "less"),
             ("first", "last"), ("good", "bad"), ("with", "without"), ("long", "short"),
             ("benefits", "risks"), ("cheap", "expensive"), ("old", "new"), ("open", "close"),
             ("include", "exclude"), ("import", "export"), ("legal", "illegal")]  # fmt: skip
LOOK_ALIKE = [("form", "from"), ("casual", "causal"), ("trail", "trial"), ("angle", "angel"),
              ("affect", "effect"), ("desert", "dessert"), ("adapt", "adopt"), ("quite", "quiet"),
              ("sentence", "sentience"), ("story", "storey"), ("write", "white"),
              ("generate", "generates"), ("stationary", "stationery"), ("marital", "martial"),
              ("country", "county"), ("planning", "planting"), ("series", "serious")]  # fmt: skip
CONTRACTIONS = [("What is", "What's"), ("do not", "don't"), ("can not", "can't"), ("I am", "I'm"),
                ("Where is", "Where's"), ("is not", "isn't"), ("How is", "How's")]  # fmt: skip
Change = Callable[[str, random.Random], str | None]


def prompts() -> list[str]:
    """Return the distinct real prompts, the short ones that people type."""
    found: dict[str, None] = {}
    for name, key in (("alpacaeval_gpt4_0314", "prompt"), ("pandalm_votes", "instruction")):
        with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                text = str(json.loads(line)[key]).strip()
                if 15 <= len(text) <= 400:
                    found.setdefault(text)
    return list(found)


def typo(text: str, rng: random.Random) -> str | None:
    """Make one typing error in one word: a letter left out, doubled, moved or exchanged."""
    places = list(re.finditer(r"\b[a-z]{4,}\b", text))
    if not places:
        return None
    place = rng.choice(places)
    word, i = place[0], rng.randrange(1, len(place[0]) - 1)
    made = rng.choice(
        [
            word[:i] + word[i + 1 :],
            word[:i] + word[i] + word[i:],
            word[:i] + word[i + 1] + word[i] + word[i + 2 :],
            word[:i] + rng.choice("abcdefghijklmnopqrstuvwxyz") + word[i + 1 :],
        ]
    )
    return None if made == word else text[: place.start()] + made + text[place.end() :]


def typos(n: int) -> Change:
    """Make so many typing errors."""

    def change(text: str, rng: random.Random) -> str | None:
        for _ in range(n):
            made = typo(text, rng)
            if made is None:
                return None
            text = made
        return text

    return change


def swapped(pairs: list[tuple[str, str]]) -> Change:
    """Exchange one word for the other of a pair."""

    def change(text: str, rng: random.Random) -> str | None:
        ways = [*pairs, *((b, a) for a, b in pairs)]
        fitting = [(a, b) for a, b in ways if re.search(rf"\b{re.escape(a)}\b", text)]
        if not fitting:
            return None
        a, b = rng.choice(fitting)
        return re.sub(rf"\b{re.escape(a)}\b", b, text, count=1)

    return change


def number(text: str, rng: random.Random) -> str | None:
    """Change one number by a little."""
    places = list(re.finditer(r"\d+", text))
    if not places:
        return None
    place = rng.choice(places)
    made = str(int(place[0][:18]) + rng.choice([1, 2, 10]))
    return text[: place.start()] + made + text[place.end() :]


def added_number(text: str, rng: random.Random) -> str | None:
    """Say of two questions that they are about two orders."""
    return f"{text} (order {rng.randrange(1000, 9999)})"


def name(text: str, rng: random.Random) -> str | None:
    """Exchange a name within the text for another one, or one letter of it."""
    places = list(re.finditer(r"(?<=\w )[A-Z][a-z]{3,}\b", text))
    if not places:
        return None
    place = rng.choice(places)
    letter = typo(place[0].lower(), rng) if rng.random() < 0.5 else None
    made = letter.capitalize() if letter else rng.choice(NAMES)
    return None if made == place[0] else text[: place.start()] + made + text[place.end() :]


def small_name(text: str, rng: random.Random) -> str | None:
    """Exchange a name in a text all in lower case, in which nothing tells that it is one."""
    made = name(text, rng)
    return None if made is None else made.lower()


def negation(text: str, rng: random.Random) -> str | None:
    """Negate."""
    made = re.sub(r"\b(is|are|do|does|can|should|will|was|has|have)\b", r"\1 not", text, count=1)
    return made if made != text else f"Do not {text[0].lower()}{text[1:]}"


SAME: dict[str, Change] = {
    "case": lambda t, r: t.lower() if r.random() < 0.7 else t.upper(),
    "punctuation": lambda t, r: t.rstrip(".?!") + r.choice(["", "?", "!", "...", " ?"]),
    "blanks": lambda t, r: t.replace(" ", "  ", 2) + "\n",
    "politeness": lambda t, r: r.choice(
        [f"Please {t[0].lower()}{t[1:]}", f"Hi! {t}", f"{t} Thanks!", f"Hello, {t} Thank you."]
    ),
    "contraction": swapped(CONTRACTIONS),
    "one typing error": typos(1),
    "two typing errors": typos(2),
    "three typing errors": typos(3),
}
OTHER: dict[str, Change] = {
    "another number": number,
    "another order": added_number,
    "another name": name,
    "another name, in lower case": small_name,
    "a negation": negation,
    "an opposite": swapped(OPPOSITES),
    "a word that looks alike": swapped(LOOK_ALIKE),
}


def planted(texts: list[str], change: Change, rng: random.Random) -> Iterator[tuple[str, str]]:
    """Yield texts that the change applies to, with what it made of them."""
    for text in texts:
        made = change(text, rng)
        if made is not None and made != text:
            yield (text.lower() if change is small_name else text), made


def score(one: str, other: str, seen: Counter[str]) -> tuple[bool, float]:
    """Return whether two prompts are joined when normalised, and their similarity if near."""
    sides = [({"role": "user", "content": text},) for text in (one, other)]
    if normalised_key(sides[0]) == normalised_key(sides[1]):
        return True, 1.0
    known = NearPrompts()
    known.add(canonical_words(one))
    return False, similarity(one, other, seen) if known.find(canonical_words(other)) else -1.0


def neighbours(texts: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the pairs of different real prompts that are near each other at all."""
    known, kept = NearPrompts(), []
    for text in texts:
        words = canonical_words(text)
        for at in known.find(words):
            yield kept[at], text
        if known.add(words) == len(kept):
            kept.append(text)


def interval(k: int, n: int) -> str:
    """Return a share with its 95% interval.

    Source: Wilson (1927), Probable inference, JASA 22:209-212.
    """
    if not n:
        return "–"
    z, p = 1.96, k / n
    mid, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (mid - half) / (1 + z * z / n), (mid + half) / (1 + z * z / n)
    return f"{p:6.1%} [{max(low, 0):.1%}, {min(high, 1):.1%}]"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    rng = random.Random(parser.parse_args().seed)
    texts = prompts()
    seen = Counter(word for text in texts for word in set(canonical_words(text)))
    print(f"{len(texts)} prompts, seed {parser.parse_args().seed}")
    for title, changes in (("asks the same", SAME), ("asks something else", OTHER)):
        print(f"\n{title}: share joined, 95% interval")
        shown = (0.0, 0.9, 0.95, 1.0)
        print(f"{'change':28} {'n':>5} {'normalised':>22}" + "".join(f"{t:>24}" for t in shown))
        for label, change in changes.items():
            scores = [score(a, b, seen) for a, b in planted(texts, change, rng)]
            cells = [interval(sum(plain for plain, _ in scores), len(scores))]
            cells += [interval(sum(s >= t for _, s in scores), len(scores)) for t in shown]
            print(f"{label:28} {len(scores):5} " + "".join(f"  {cell:>22}" for cell in cells))
    print("\nby threshold: planted changes of meaning joined, planted typing errors found")
    wrong = {k: [score(a, b, seen) for a, b in planted(texts, c, rng)] for k, c in OTHER.items()}
    right = [
        score(a, b, seen) for k in SAME if "typing" in k for a, b in planted(texts, SAME[k], rng)
    ]
    everything = [s for scores in wrong.values() for s in scores]
    seen = [
        s for k, scores in wrong.items() if "alike" not in k and "lower" not in k for s in scores
    ]
    for t in THRESHOLDS:
        counts = [
            (sum(s >= t for _, s in group), len(group)) for group in (seen, everything, right)
        ]
        print(f"{t:5.2f}  " + "   ".join(interval(k, n) for k, n in counts))
    met = [(a, b) for a, b in neighbours(texts) if not score(a, b, seen)[0]]
    print(f"\nreal prompts near another: {len(met)}")
    for a, b in met[:20]:
        print(f"  {similarity(a, b, seen):.2f}  {a[:90]!r} | {b[:90]!r}")


if __name__ == "__main__":
    main()
