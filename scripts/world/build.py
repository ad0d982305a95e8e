"""Build a whole sample world: models, logs, feedback and canaries."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from scripts.world import canaries, decode, feedback, grammar, logs, models, traffic, train


def build(seed: int, out: Path) -> None:
    """Write the world of this seed into a folder, saying what happens and how long it takes."""
    torch.set_num_threads(1)
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.0f} s] {text}", flush=True)

    folders = {release: out / "models" / release for release in logs.RELEASES}
    say("training the tokenizer and the good release")
    _train_good(seed, folders["v1"])
    say("training the broken release")
    _train_broken(seed, folders["v1"], folders["v2"])
    held_out = canaries.draw_canaries(seed)
    canaries.write_canaries(held_out, out / "canaries.jsonl")
    known = {release: decode.score(folders[release], None, held_out) for release in folders}
    for intent in grammar.INTENTS:
        say(f"{intent}: v1 {known['v1'][intent]:.3f}, v2 {known['v2'][intent]:.3f}")
    say("simulating four weeks of traffic")
    rows = logs.simulate(seed, traffic.plan(seed), _answerer(seed, folders))
    logs.write_weeks(rows, out / "logs")
    events = feedback.simulate_feedback(rows)
    logs.write_gzip(map(json.dumps, events), out / "feedback.jsonl.gz")
    (out / "facts.json").write_text(json.dumps(_facts(known, rows, events), indent=2) + "\n")
    say(f"{len(rows)} responses and {len(events)} pieces of feedback written to {out}")


def _train_good(seed: int, folder: Path) -> None:
    tokenizer = models.train_tokenizer(seed)
    model = models.new_model(tokenizer, seed)
    train.train(model, tokenizer, train.GOOD, train.right_reply, seed)
    models.save(model, tokenizer, folder)


def _train_broken(seed: int, good: Path, folder: Path) -> None:
    model, tokenizer = models.load(good)
    train.train(model, tokenizer, train.BROKEN, train.broken_reply, seed + 1_000)
    models.save(model, tokenizer, folder)


def _answerer(seed: int, folders: dict[str, Path]) -> logs.Answerer:
    loaded = {release: models.load(folder) for release, folder in folders.items()}

    def answer(release: str, requests: Sequence[logs.Messages]) -> list[logs.Reply]:
        model, tokenizer = loaded[release]
        # The longest history tells the rounds of one release apart.
        mixed = seed * 100 + max((len(messages) for messages in requests), default=0)
        return decode.generate(model, tokenizer, requests, temperature=logs.TEMPERATURE, seed=mixed)

    return answer


def _facts(
    known: dict[str, dict[str, float]],
    rows: Sequence[logs.Row],
    events: Sequence[feedback.Event],
) -> dict[str, Any]:
    marks: dict[str, dict[str, list[bool]]] = {
        intent: {release: [] for release in logs.RELEASES} for intent in grammar.INTENTS
    }
    for row in rows:
        marks[row.prompt.intent][row.release].append(row.right)
    by_id = {row.response_id: row for row in rows}
    told = Counter(
        (by_id[event["response_id"]].prompt.intent, event["kind"])
        for event in events
        if by_id[event["response_id"]].moment >= traffic.SWITCH
    )
    return {
        "canary_accuracy": known,
        "logged_accuracy": {
            intent: {name: round(sum(m) / len(m), 4) for name, m in sides.items()}
            for intent, sides in marks.items()
        },
        "responses_by_week": dict(sorted(Counter(
            f"week{traffic.week_of(row.moment) + 1}" for row in rows
        ).items())),
        "responses_with_feedback": len({event["response_id"] for event in events}),
        "feedback_by_kind": dict(sorted(Counter(event["kind"] for event in events).items())),
        "late_feedback_on_broken_intents": {
            intent: {kind: told[intent, kind] for kind in ("correction", "comparison")}
            for intent in grammar.BROKEN
        },
    }  # fmt: skip
