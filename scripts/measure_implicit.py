"""Measure how well signs in follow-up messages are found, on the labelled messages.

    python scripts/measure_implicit.py [--errors]

Prints precision and recall per sign and split, with 95% Wilson intervals, and the time per message.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

from loopllm_cli.sources.implicit_rules import mine_follow_up

LABELLED = Path(__file__).parents[1] / "tests" / "data" / "implicit_labelled.jsonl"
SIGNS = ("thanks", "complaint", "own_correction", "rephrase", "ask_human", "revision")
NEGATIVE = {"complaint", "own_correction", "rephrase", "ask_human"}


def wilson(hits: int, total: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95% Wilson interval of a share; everything is possible without a case."""
    if not total:
        return 0.0, 1.0
    share = hits / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total**2)) / (1 + z * z / total)
    return max(0.0, middle - half), min(1.0, middle + half)


def read_examples(split: str) -> list[dict[str, str]]:
    """Return the labelled messages of one split."""
    lines = LABELLED.read_text("utf-8").splitlines()
    return [example for line in lines if (example := json.loads(line))["split"] == split]


def found_sign(example: dict[str, str]) -> str:
    """Return the name of the sign that is found in an example, or "nothing"."""
    sign = mine_follow_up(example["asked"], example["answered"], example["said_next"])
    return sign.name if sign else "nothing"


def counts(split: str) -> dict[str, tuple[int, int, int]]:
    """Count hits, findings and labels per sign, for any sign, and for dissatisfaction.

    A hit of "any sign" has the same name; one of "dissatisfied" may be another negative sign.
    """
    pairs = [(example["label"], found_sign(example)) for example in read_examples(split)]
    result = {
        sign: (
            sum(a == b == sign for a, b in pairs),
            sum(b == sign for _, b in pairs),
            sum(a == sign for a, _ in pairs),
        )
        for sign in SIGNS
    }
    hits, findings, labels = (sum(column) for column in zip(*result.values(), strict=True))
    result["any sign"] = (hits, findings, labels)
    result["dissatisfied"] = (
        sum(a in NEGATIVE and b in NEGATIVE for a, b in pairs),
        sum(b in NEGATIVE for _, b in pairs),
        sum(a in NEGATIVE for a, _ in pairs),
    )
    return result


def microseconds(rounds: int = 200) -> float:
    """Return the time that a message without a sign takes on average."""
    examples = [e for s in ("dev", "test") for e in read_examples(s) if e["label"] == "nothing"]
    triples = [(e["asked"], e["answered"], e["said_next"]) for e in examples]
    started = time.perf_counter()
    for _ in range(rounds):
        for triple in triples:
            mine_follow_up(*triple)
    return (time.perf_counter() - started) / rounds / len(triples) * 1e6


def _share(hits: int, total: int) -> str:
    low, high = wilson(hits, total)
    return f"{hits / total if total else 0:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--errors", action="store_true", help="list what is found wrongly in dev")
    if parser.parse_args().errors:
        for example in read_examples("dev"):
            found = found_sign(example)
            if found != example["label"]:
                print(f"{example['label']:>15} -> {found:<15} {example['said_next']}")
    for split in ("dev", "test"):
        examples = read_examples(split)
        nothing = sum(example["label"] == "nothing" for example in examples)
        print(f"\n{split}: {len(examples)} messages, {nothing} without a sign\n")
        print("| sign | labelled | precision | recall |\n|---|---|---|---|")
        for sign, (hits, findings, labels) in counts(split).items():
            print(f"| {sign} | {labels} | {_share(hits, findings)} | {_share(hits, labels)} |")
    print(f"\n{microseconds():.1f} microseconds per message without a sign")


if __name__ == "__main__":
    main()
