"""Run the sample shop for twelve weeks in which its world moves and its model does not.

    python -m scripts.simulate_production --weeks 12

Two quiet weeks make the baseline. Then something else becomes right every three weeks
(scripts/production/changes.py): the same frozen model answers as before, users and staff say what
they say (sparse, now and then wrong), and the mix of questions drifts with the season. Three teams
get the same visitors: one does nothing; one runs loopllm every week, unattended, and serves an
adapter only when `verify` has passed it; one tunes blindly every week on the week's pairs, on top
of the last model, without retention answers, guard, audit or proof.

Printed are the right answers to held-out questions that no log holds (40 per intent), as they are
right in that week, after what the team did at its end. `--json-out` keeps every figure.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from scripts.production.arms import ARMS, Arm
from scripts.production.changes import make_true
from scripts.production.weeks import Answerer, by_intent, live_through, plan_week
from scripts.world import canaries, decode, grammar, logs


def answerer_of(arm: Arm, seed: int) -> Answerer:
    """Let what an arm serves answer, at the temperature of production."""
    model, tokenizer = arm.load()

    def answer(requests: Sequence[logs.Messages], position: int) -> list[logs.Reply]:
        drawn = 1_000 * seed + position
        return decode.generate(model, tokenizer, requests, temperature=logs.TEMPERATURE, seed=drawn)

    return answer


def quality(arm: Arm, held_out: Sequence[canaries.Canary]) -> dict[str, float]:
    """Return the share of right answers per intent of what an arm serves."""
    model, tokenizer = arm.load()
    requests: list[logs.Messages] = [[{"role": "user", "content": c.prompt}] for c in held_out]
    marks: dict[str, list[bool]] = {}
    replies = decode.generate(model, tokenizer, requests)
    for canary, reply in zip(held_out, replies, strict=True):
        right = grammar.is_right(canary.prompt, reply.text)
        marks.setdefault(canary.intent, []).append(right)
    return {intent: sum(found) / len(found) for intent, found in marks.items()}


def live(arm: Arm, number: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Let an arm live through one week; return what came of it."""
    begun = time.monotonic()
    changed = make_true(number)
    sessions = plan_week(asked.seed, number, asked.sessions)
    week = live_through(number, sessions, answerer_of(arm, number), arm.folder)
    did = arm.after(number, week)
    marks = quality(arm, canaries.draw_canaries(asked.seed))
    return {
        "week": number + 1,
        "did": did,
        "answers": week.n_rows,
        "right_in_logs": week.n_right / week.n_rows,
        "by_intent": marks,
        "right": sum(marks.values()) / len(marks),
        **by_intent(marks, changed),
        "seconds": time.monotonic() - begun,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the arms asked for, one after the other, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weeks", type=int, default=12)
    parser.add_argument("--sessions", type=int, default=1_240, help="conversations a week")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--folder", type=Path, help="keep the projects here")
    parser.add_argument("--json-out", type=Path)
    asked = parser.parse_args(arguments)
    torch.set_num_threads(1)
    root = asked.folder or Path(tempfile.mkdtemp(prefix="production-"))
    print("| arm | week | did | right in the logs | right | changed intents | others |")
    print("|---|---|---|---|---|---|---|", flush=True)
    found: dict[str, list[dict[str, Any]]] = {}
    for name in asked.arms:
        arm = ARMS[name](root / name.replace(" ", "-"))
        arm.folder.mkdir(parents=True, exist_ok=True)
        for number in range(asked.weeks):
            one = live(arm, number, asked)
            found.setdefault(name, []).append(one)
            cells = (_share(one[key]) for key in ("right_in_logs", "right", "changed", "others"))
            print(f"| {name} | {one['week']} | {one['did']} | {' | '.join(cells)} |", flush=True)
            if asked.json_out:
                asked.json_out.write_text(json.dumps(found, indent=2), encoding="utf-8")


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


if __name__ == "__main__":
    main()
