"""Measure how well near-duplicate prompts are told from look-alikes, on planted cases.

    python scripts/measure_near.py [--errors]

Prompts: the questions of tests/data/implicit_labelled.jsonl, the sentences of the sample world, and
AlpacaEval's instructions where ../shared/data has them. Each is written again in ways that keep
what it asks (near-duplicates) and changed in ways that ask for something else (look-alikes). Typing
errors are planted without regard to how they are searched for: any letter of any word may be left
out, doubled, swapped with its neighbour, or hit beside its key. Prompts and polite phrases are
halved: rules, lists and thresholds were chosen on `dev`, `test` was only counted. The polite
phrases of `dev` are on the list or fit its rules; those of `test` were written afterwards.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from loopllm_cli.pairs.selection import near
from loopllm_cli.pairs.selection.near import NearPrompts
from loopllm_cli.pairs.selection.wording import canonical_words
from scripts.measure_implicit import wilson
from scripts.world import phrases

ROOT = Path(__file__).parents[1]
LABELLED = ROOT / "tests" / "data" / "implicit_labelled.jsonl"
ALPACA = ROOT.parent / "shared" / "data" / "alpacaeval_gpt4_0613.jsonl.gz"
KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
BEFORE = {
    "dev": ("Hello. ", "Hi there, ", "Could you please tell me: ", "Hello, Ingrid here. ", "pls "),
    "test": (
        "Good day all, ",
        "Howdy! ",
        "Can you help me find out: ",
        "Olav again. ",
        "Sorry, but ",
    ),
}
AFTER = {
    "dev": (" Thanks!", " Thank you in advance.", " Please let me know.", " It is urgent.", " thx"),
    "test": (" Cheers mate", " Thanks so very much", "\n\nBest, Olav", " Need it quickly.", " :)"),
}
WORD = re.compile(r"[^\W\d_]{5,}")

Way = Callable[[random.Random, str, str], str | None]


def read_prompts() -> list[str]:
    """Return distinct prompts, of one to sixty words."""
    examples = map(json.loads, LABELLED.read_text("utf-8").splitlines())
    found = [example["asked"] for example in examples]
    rng = random.Random(0)
    for sentences in phrases.TEMPLATES.values():
        for sentence in sentences:
            slots = {"city": rng.choice(phrases.CITIES), "item": rng.choice(phrases.ITEMS)}
            slots |= {"order": f"{rng.randrange(10**5):05}", "name": rng.choice(phrases.NAMES)}
            found.append(sentence.format(**slots))
    if ALPACA.is_file():
        with gzip.open(ALPACA, "rt", encoding="utf-8") as lines:
            found += [json.loads(line)["prompt"] for line in lines]
    return sorted({text.strip() for text in found if text and len(text.split()) <= 60})


def mistype(rng: random.Random, text: str, half: str) -> str | None:
    """Plant one typing error in a letter of a word."""
    places = [i for i, c in enumerate(text) if c.isalpha()]
    if not places:
        return None
    at = rng.choice(places)
    row = next((row for row in KEYS if text[at].lower() in row), text[at].lower())
    key = row.index(text[at].lower())
    beside = rng.choice(row[max(0, key - 1) : key] + row[key + 1 : key + 2] or row)
    swap = text[at + 1 : at + 2] + text[at]
    return text[:at] + rng.choice(
        ["" + text[at + 1 :], text[at] * 2 + text[at + 1 :], swap + text[at + 2 :],
         beside + text[at + 1 :]]
    )  # fmt: skip


def mistype_twice(rng: random.Random, text: str, half: str) -> str | None:
    """Plant two typing errors."""
    once = mistype(rng, text, half)
    return mistype(rng, once, half) if once else None


def written(rng: random.Random, text: str, half: str) -> str:
    """Change case, marks and white space."""
    marks = re.sub(r"[.?!,;:](?=\s|$)", rng.choice(["", " ", "!"]), text)
    return rng.choice([str.upper, str.lower, str.title])("  ".join(marks.split()))


def politely(rng: random.Random, text: str, half: str) -> str:
    """Add a polite phrase of this half, before or behind."""
    if rng.random() < 0.5:
        return rng.choice(BEFORE[half]) + text
    return text + rng.choice(AFTER[half])


def other_number(rng: random.Random, text: str, half: str) -> str | None:
    """Change one digit of a number."""
    digits = [i for i, c in enumerate(text) if c.isascii() and c.isdigit()]
    if not digits:
        return None
    at = rng.choice(digits)
    return f"{text[:at]}{(int(text[at]) + rng.randint(1, 9)) % 10}{text[at + 1 :]}"


def other_value(rng: random.Random, text: str, half: str) -> str | None:
    """Put another place, thing, month, colour or name for one."""
    groups = (
        phrases.CITIES,
        phrases.ITEMS,
        phrases.NAMES,
        ("January", "June", "July", "March", "May", "Monday", "Friday", "Sunday"),
        ("red", "blue", "green", "black", "white", "brown", "grey"),
        ("English", "German", "French", "Spanish", "Italian", "Swedish", "Polish", "Finnish"),
        ("Paris", "Parma", "London", "Austria", "Australia", "India", "Indiana", "Hamburg"),
    )
    for group in groups:
        for value in group:
            if value in text:
                return text.replace(value, rng.choice([v for v in group if v != value]), 1)
    return None


def like_word(rng: random.Random, text: str, half: str) -> str | None:
    """Put the most alike word of all prompts for one, but no other form of it."""
    words = [match for match in WORD.finditer(text) if match[0].isascii()]
    if not words:
        return None
    match = rng.choice(words)
    word = match[0].lower()
    others = [w for w in VOCABULARY if not w.startswith(word) and not word.startswith(w)]
    alike = process.extractOne(word, others, scorer=Levenshtein.distance)[0]
    return text[: match.start()] + alike + text[match.end() :]


def negated(rng: random.Random, text: str, half: str) -> str | None:
    """Put a "not" in, or take it out."""
    words = text.split()
    if "not" in words:
        words.remove("not")
        return " ".join(words)
    return " ".join([*words[:2], "not", *words[2:]]) if len(words) > 2 else None


def narrowed(rng: random.Random, text: str, half: str) -> str:
    """Ask for more."""
    return f"{text.rstrip('.?! ')} {rng.choice(('for two', 'in winter', 'without sugar', 'again'))}"


SAME: dict[str, Way] = {
    "case, marks, spaces": written,
    "politeness": politely,
    "one typing error": mistype,
    "two typing errors": mistype_twice,
    "politeness and a typing error": lambda r, t, h: politely(r, mistype(r, t, h) or t, h),
}
OTHER: dict[str, Way] = {
    "another digit": other_number,
    "another value": other_value,
    "the most alike word": like_word,
    "a not": negated,
    "more asked for": narrowed,
}
PROMPTS = read_prompts()
VOCABULARY = sorted({w.lower() for text in PROMPTS for w in WORD.findall(text) if w.isascii()})


def cases(half: str, ways: dict[str, Way]) -> Iterator[tuple[str, str, str]]:
    """Yield each kind of change with a prompt of one half and what it becomes."""
    for number, text in enumerate(PROMPTS):
        if (number % 2 == 0) == (half == "dev"):
            for name, way in ways.items():
                changed = way(random.Random(f"{name} {number}"), text, half)
                if changed is not None and changed != text:
                    yield name, text, changed


def are_near(one: str, other: str) -> bool:
    """Say whether a prompt is found by another."""
    prompts = NearPrompts()
    words = canonical_words(one)
    if words:
        prompts.add(words)
    return bool(prompts.find(canonical_words(other)))


def count(half: str, ways: dict[str, Way]) -> tuple[Counter[str], Counter[str]]:
    """Count the cases found to be near-duplicates, and all, per kind of change."""
    found: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for name, text, changed in cases(half, ways):
        total[name] += 1
        found[name] += are_near(text, changed)
    return found, total


def _share(hits: int, total: int) -> str:
    low, high = wilson(hits, total)
    return f"{hits / total if total else 0:.3f} ({low:.3f} to {high:.3f})"


def choose() -> None:
    """Print what each shortest word gives on the dev half."""
    print("dev: shortest word in which a letter may be wrong\n")
    print("| letters | recall | look-alikes taken for the same |\n|---|---|---|")
    chosen = near.SHORTEST_TYPO
    for letters in (4, 5, 6, 7, 8):
        near.SHORTEST_TYPO = letters
        (hits, same), (wrong, other) = (count("dev", ways) for ways in (SAME, OTHER))
        recall = _share(hits.total(), same.total())
        print(f"| {letters} | {recall} | {_share(wrong.total(), other.total())} |")
    near.SHORTEST_TYPO = chosen


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--errors", action="store_true", help="list what is judged wrongly in dev")
    if parser.parse_args().errors:
        for ways, wanted in ((SAME, True), (OTHER, False)):
            for name, text, changed in cases("dev", ways):
                if are_near(text, changed) != wanted:
                    print(f"{name}: {text[:90]!r} {changed[:90]!r}")
    choose()
    for half in ("dev", "test"):
        print(
            f"\n{half}: {sum((n % 2 == 0) == (half == 'dev') for n in range(len(PROMPTS)))} prompts"
        )
        print("\n| change | cases | taken for the same |\n|---|---|---|")
        totals = []
        for ways in (SAME, OTHER):
            found, total = count(half, ways)
            totals.append((found.total(), total.total()))
            for name in ways:
                print(f"| {name} | {total[name]} | {_share(found[name], total[name])} |")
        (hits, same), (wrong, other) = totals
        print(f"\nrecall {_share(hits, same)}, precision {_share(hits, hits + wrong)}")
        print(f"look-alikes kept apart {_share(other - wrong, other)}")


if __name__ == "__main__":
    main()
