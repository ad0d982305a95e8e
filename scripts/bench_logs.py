"""Write large log files for measurements: seeded, with broken lines and repeated ids.

    python -m scripts.bench_logs --shape openai --megabytes 100 --out logs.jsonl

Records are about 2.5 KB, like the answers of public benchmarks. Words follow Zipf's law over an
invented vocabulary, so that the text compresses like prose (zstd level 1: about 3 to 1).
One line in a thousand is broken, two in a thousand repeat an earlier id with the same content.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

Record = dict[str, Any]
START = 1_790_000_000  # seconds since the epoch
SYLLABLES = [a + b for a in "bcdfghklmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er", "is")]
N_WORDS = 6000
BROKEN_EVERY = 1000
REPEATED_EVERY = 500


class Texts:
    """Invented prose from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        words = {
            "".join(self._random.choices(SYLLABLES, k=self._random.choice((1, 2, 2, 3))))
            for _ in range(N_WORDS)
        }
        self._words = sorted(words)
        self._random.shuffle(self._words)
        weights = (1 / (rank + 3) for rank in range(len(self._words)))
        self._weights = list(itertools.accumulate(weights))

    def text(self, n_words: int) -> str:
        """Return so many words as sentences and paragraphs."""
        words = self._random.choices(self._words, cum_weights=self._weights, k=n_words)
        for at in range(0, n_words, 11):
            words[at] = words[at].capitalize()
            if at:
                words[at - 1] += "." if at % 4 else ".\n\n"
        return " ".join(words) + "."


def flat(number: int, texts: Texts) -> Record:
    """Return a record of a home-made log."""
    return {
        "id": f"req-{number:09d}",
        "timestamp": START + number,
        "model": f"assistant-{number % 3}",
        "prompt": texts.text(80),
        "response": texts.text(240),
        "user_id": f"user-{number % 5003}",
        "session_id": f"s-{number // 4}",
        "prompt_tokens": 110,
        "completion_tokens": 330,
        "latency_ms": 900 + number % 700,
        "cost_usd": 0.00042,
        "finish_reason": "stop",
        "metadata": {"tier": "pro", "region": "eu", "build": number % 40, "ok": True},
    }


def openai(number: int, texts: Texts) -> Record:
    """Return a chat request beside its response."""
    usage = {"prompt_tokens": 110, "completion_tokens": 330, "total_tokens": 440}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": texts.text(240), "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
    }
    return {
        "request": {
            "model": f"assistant-{number % 3}",
            "messages": [
                {"role": "system", "content": "Answer briefly, and say when you do not know."},
                {"role": "user", "content": texts.text(80)},
            ],
            "temperature": 0.2,
            "user": f"user-{number % 5003}",
        },
        "response": {
            "id": f"chatcmpl-{number:09d}",
            "object": "chat.completion",
            "created": START + number,
            "model": f"assistant-{number % 3}-2026-08-01",
            "choices": [choice],
            "usage": usage,
        },
        "latency_ms": 900 + number % 700,
    }


def langfuse(number: int, texts: Texts) -> Record:
    """Return a generation as Langfuse's enriched blob export writes it."""
    asked = [{"role": "user", "content": texts.text(80)}]
    return {
        "id": f"obs-{number:09d}",
        "trace_id": f"tr-{number:09d}",
        "type": "GENERATION",
        "parent_observation_id": "",
        "start_time": f"2026-10-{1 + number % 28:02d} 09:00:00.000000",
        "end_time": f"2026-10-{1 + number % 28:02d} 09:00:01.500000",
        "input": json.dumps(asked),
        "output": json.dumps({"role": "assistant", "content": texts.text(240)}),
        "provided_model_name": f"assistant-{number % 3}",
        "model_parameters": '{"temperature":0.2}',
        "usage_details": {"input": 110, "output": 330, "total": 440},
        "user_id": f"user-{number % 5003}",
        "session_id": f"s-{number // 4}",
        "trace_name": "support",
        "tags": ["web"],
        "updated_at": "2026-10-29 00:00:00.000000",
    }


SHAPES: dict[str, Callable[[int, Texts], Record]] = {
    "flat": flat,
    "openai": openai,
    "langfuse": langfuse,
}


def broken(line: bytes, number: int) -> bytes:
    """Return a line as a crash, a logger or a careless edit leaves it."""
    kinds = (
        line[: len(line) // 2],
        b"Traceback (most recent call last):",
        line.replace(b'":', b'" ', 1),
        line.replace(b" ", b"\x00", 1),
    )
    return kinds[number // BROKEN_EVERY % len(kinds)]


def write_logs(path: Path, shape: str, n_bytes: int, *, seed: int = 0, clean: bool = False) -> int:
    """Write at least so many bytes of lines, and return the number of lines."""
    texts, make = Texts(seed), SHAPES[shape]
    n_written = n_lines = 0
    earlier = b""
    with path.open("wb") as stream:
        while n_written < n_bytes:
            line = json.dumps(make(n_lines, texts)).encode()
            if not clean and n_lines % BROKEN_EVERY == BROKEN_EVERY - 1:
                line = broken(line, n_lines)
            elif not clean and n_lines % REPEATED_EVERY == REPEATED_EVERY // 2 and earlier:
                line = earlier
            else:
                earlier = line
            n_written += stream.write(line + b"\n")
            n_lines += 1
    return n_lines


def main() -> None:
    """Write one file as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=sorted(SHAPES), default="openai")
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clean", action="store_true", help="no broken and no repeated lines")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    n_bytes = int(asked.megabytes * 1e6)
    n_lines = write_logs(asked.out, asked.shape, n_bytes, seed=asked.seed, clean=asked.clean)
    print(f"{asked.out}: {n_lines:,} lines, {asked.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
