"""How well each level masks, on made-up texts, and how fast.

    python -m scripts.measure_redaction
    python -m scripts.measure_redaction --speed

Recall: of the values that a level promises to mask, how many are masked whole, with nothing else
of their text changed. Precision: of everything masked as a kind, how much was of that kind. The
values are drawn by `redaction_cases.py`, so the numbers say how the rules cope with shapes and
look-alikes, and nothing about how often either stands in anybody's logs.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from loopllm_cli.drift.intervals import wilson
from loopllm_cli.sources.redaction import Redactor
from scripts.redaction_cases import PERSONAL, Case, make_cases

KEY = bytes(32)
_PROSE = """
a parcel that left the depot on monday was seen again in another town and nobody could say why;
she wrote two letters, the first of them polite; there is a list of 12 steps below, which begins
with the cheapest one: "measure before you cut"; in 1998 the price rose by 3.5 percent (see page
214), fell a year later, and has been stable since; use a loop over the rows, then sum them up,
because the table is too large for memory; der Rest folgt morgen früh um 9:30 Uhr
"""
_TOKEN = re.compile(r"<([A-Z_]+)_[0-9a-f]{6}>")
_Z95 = 1.959964


@dataclass
class Score:
    """What became of the cases of one level."""

    wanted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    missed_shapes: Counter[str] = field(default_factory=Counter)
    hit_lookalikes: Counter[str] = field(default_factory=Counter)
    n_lookalikes: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)


def score(level: str, cases: list[Case]) -> Score:
    """Mask every case and compare with what should have become of it."""
    redactor, result = Redactor(level, KEY), Score()
    for case in cases:
        masked, _ = redactor.redact_text(case.text)
        promised = case.kind is not None and (level != "secrets" or case.kind not in PERSONAL)
        tokens = _TOKEN.findall(masked)
        if promised:
            assert case.kind is not None
            result.wanted[case.kind] += 1
            restored = _TOKEN.sub(lambda m, case=case: case.value, masked, count=1)
            if restored == case.text and tokens == [case.kind]:
                result.found[case.kind] += 1
                continue
            result.missed_shapes[case.shape] += 1
        elif case.kind is None:
            result.n_lookalikes += 1
            result.hit_lookalikes[case.shape] += bool(tokens)
        for kind in tokens:
            result.wrong[kind] += not promised or kind != case.kind
        if promised or tokens:
            result.examples.append((case.text, masked))
    return result


def interval(k: int, n: int) -> tuple[float, float]:
    """Return the 95% interval of a share.

    Source: Wilson (1927).
    """
    low, high = wilson(np.array([k / n]), np.array([float(n)]), np.array([_Z95]))
    return float(low[0]), float(high[0])


def _share(k: int, n: int) -> str:
    if not n:
        return "-"
    low, high = interval(k, n)
    return f"{k / n:.2%} ({low:.1%}-{high:.1%})"


def print_quality(n: int, seed: int, *, verbose: bool) -> None:
    """Print recall and precision of every kind at each level, and the look-alikes that were hit."""
    cases = make_cases(n, seed)
    for level in ("secrets", "basic"):
        result = score(level, cases)
        print(f"\n{level}: {len(cases)} texts\n")
        print("| kind | values | found (95%) | of what is taken for it (95%) |\n|---|---:|---|---|")
        for kind in sorted(result.wanted):
            k, wanted, wrong = result.found[kind], result.wanted[kind], result.wrong[kind]
            print(f"| {kind} | {wanted} | {_share(k, wanted)} | {_share(k, k + wrong)} |")
        wanted, found = result.wanted.total(), result.found.total()
        right = _share(found, found + result.wrong.total())
        print(f"| all | {wanted} | {_share(found, wanted)} | {right} |")
        hit = result.hit_lookalikes.total()
        left = _share(result.n_lookalikes - hit, result.n_lookalikes)
        print(f"\nlook-alikes left alone: {left} of {result.n_lookalikes}")
        print("missed:", dict(result.missed_shapes))
        print("hit:", {k: v for k, v in result.hit_lookalikes.items() if v})
        for text, masked in result.examples if verbose else ():
            print(f"  {text!r}\n  {masked!r}")


def _lines(n: int, share_secret: float) -> list[bytes]:
    """Draw log lines of some kilobytes: prose, ids, times, counts, and a secret now and then."""
    rng = random.Random(3)
    prose = _PROSE.split()
    secrets = [c.text for c in make_cases(20) if c.kind]
    lines = []
    for number in range(n):
        text = " ".join(rng.choice(prose) for _ in range(rng.randrange(50, 500)))
        if rng.random() < share_secret:
            text += " " + rng.choice(secrets)
        record = {
            "id": f"chatcmpl-{number:029d}",
            "created": 1_700_000_000 + number,
            "model": "m-1",
            "user": f"u-{rng.randrange(1000)}",
            "messages": [{"role": "user", "content": text}],
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text[::-1]}}],
            "usage": {"prompt_tokens": rng.randrange(999), "completion_tokens": 17},
        }
        lines.append(json.dumps(record).encode())
    return lines


def _rate(size: int, work: Callable[[], object]) -> str:
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return f"{size / best / 1e6:7.0f} MB/s"


def print_speed(n: int) -> None:
    """Print how fast clean blocks are passed, lines sorted, and records masked, on one core."""
    clean, mixed, full = (_lines(n, share) for share in (0.0, 0.02, 1.0))
    block, size = b"\n".join(clean), sum(map(len, mixed))
    print(f"{n} lines of {len(block) / n / 1e3:.1f} kB on average")
    for level in ("secrets", "basic"):
        redactor = Redactor(level, KEY)
        passed = sum(redactor.lines_that_may_hold(mixed)) / n
        print(f"\n{level}")
        print(
            _rate(len(block), partial(redactor.may_hold, block)),
            f"may_hold, a clean block ({redactor.may_hold(block)})",
        )
        print(_rate(size, partial(redactor.lines_that_may_hold, mixed)),
              f"lines_that_may_hold, 2% of them with a hit ({passed:.1%} pass)")  # fmt: skip
        for name, lines in (("without a hit", clean), ("with a hit each", full)):
            records = [json.loads(line) for line in lines]
            print(_rate(sum(map(len, lines)), partial(_redact_all, redactor, records)),
                  f"redact_record, records {name}")  # fmt: skip


def _redact_all(redactor: Redactor, records: list[dict[str, object]]) -> None:
    for record in records:
        redactor.redact_record(record)


def main() -> None:
    """Read the options and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=200, help="texts per shape")
    parser.add_argument(
        "--seed", type=int, default=2, help="0 and 1 are what the rules were written with"
    )
    parser.add_argument("--speed", action="store_true", help="measure speed instead")
    parser.add_argument("--verbose", action="store_true", help="show every mistake")
    options = parser.parse_args()
    if options.speed:
        print_speed(10 * options.n)
    else:
        print_quality(options.n, options.seed, verbose=options.verbose)


if __name__ == "__main__":
    main()
