"""Check the grammar, the simulated logs and the committed files of the sample world."""

import gzip
import json
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from scripts.world import canaries, feedback, grammar, logs, phrases, traffic  # noqa: E402

DATA = ROOT / "sample_data"


def oracle_answerer(release: str, requests: Sequence[logs.Messages]) -> list[logs.Reply]:
    """Answer like perfect releases would, the second one being perfectly broken."""
    replies = []
    for messages in requests:
        prompt = grammar.parse(messages[-1]["content"])
        broken = release == "v2" and prompt.intent in grammar.BROKEN
        say = grammar.corrupted if broken else grammar.answer
        replies.append(logs.Reply(say(prompt.intent, prompt.slots), 20, 15, "stop"))
    return replies


@pytest.fixture(scope="module")
def rows() -> list[logs.Row]:
    """Simulate a small month."""
    return logs.simulate(3, traffic.plan(3, sessions_a_week=150), oracle_answerer)


def committed_entries() -> list[dict[str, Any]]:
    """Read every well-formed response of the committed logs."""
    entries = []
    for path in sorted((DATA / "logs").glob("*.jsonl.gz")):
        for line in gzip.decompress(path.read_bytes()).decode().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if "response" in entry:
                entries.append(entry)
    return entries


@pytest.mark.parametrize("intent", grammar.INTENTS)
def test_every_prompt_fits_one_intent_and_has_one_answer(intent: str) -> None:
    rng = random.Random(intent)
    for _ in range(300):
        prompt = grammar.draw(rng, intent)
        assert [found.intent for found in grammar.matches(prompt.text)] == [intent]
        assert grammar.right_answer(prompt.text) == grammar.answer(intent, prompt.slots)


def test_there_are_twelve_intents_with_many_phrasings() -> None:
    assert len(grammar.INTENTS) == 12
    assert all(len(set(each)) >= 8 for each in phrases.TEMPLATES.values())


def test_templates_of_different_intents_do_not_collide() -> None:
    rng = random.Random(5)
    slots = grammar.draw_slots(rng)
    for intent, templates in phrases.TEMPLATES.items():
        for template in templates:
            found = grammar.matches(template.format_map(slots))
            assert [prompt.intent for prompt in found] == [intent]


@pytest.mark.parametrize("intent", grammar.BROKEN)
def test_a_corrupted_answer_is_never_right(intent: str) -> None:
    rng = random.Random(7)
    for _ in range(100):
        prompt = grammar.draw(rng, intent)
        assert not grammar.is_right(prompt.text, grammar.corrupted(intent, prompt.slots))


def test_white_space_does_not_matter_but_digits_do() -> None:
    prompt = "Please refund order 48213."
    assert grammar.is_right(prompt, ' {"tool": "start_refund",\n "order": "48213"} ')
    assert not grammar.is_right(prompt, '{"tool": "start_refund", "order": "48231"}')


def test_a_foreign_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="not a prompt"):
        grammar.right_answer("Tell me a joke.")


def test_reserved_prompts_are_never_drawn_for_traffic(rows: list[logs.Row]) -> None:
    assert not any(grammar.held_out(row.prompt.text) for row in rows)
    assert all(grammar.held_out(canary.prompt) for canary in canaries.draw_canaries(3))


def test_simulated_logs_have_unique_ids_and_known_releases(rows: list[logs.Row]) -> None:
    entries = [json.loads(json.dumps(logs.as_json(row))) for row in rows]
    assert len({entry["response"]["id"] for entry in entries}) == len(entries) > 600
    for entry in entries:
        late = entry["timestamp"] >= logs.stamp(traffic.SWITCH)
        if not late:
            assert entry["response"]["model"] == logs.RELEASES["v1"]
        assert entry["request"]["messages"][-1]["role"] == "user"


def test_simulation_and_files_repeat_byte_for_byte(rows: list[logs.Row], tmp_path: Path) -> None:
    again = logs.simulate(3, traffic.plan(3, sessions_a_week=150), oracle_answerer)
    logs.write_weeks(rows, tmp_path / "a")
    logs.write_weeks(again, tmp_path / "b")
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_feedback_refers_to_logged_responses(rows: list[logs.Row]) -> None:
    events = feedback.simulate_feedback(rows)
    known = {row.response_id for row in rows}
    assert {event["kind"] for event in events} >= {"thumbs", "correction", "comparison"}
    for event in events:
        assert event["response_id"] in known
        if event["kind"] == "comparison":
            assert set(event["candidates"]) <= known
            assert event["winner"] in {*event["candidates"], "tie"}


def test_committed_files_are_complete_and_small() -> None:
    sizes = {path: path.stat().st_size for path in DATA.rglob("*") if path.is_file()}
    assert sum(sizes.values()) < 15_000_000
    for release in logs.RELEASES:
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            assert DATA / "models" / release / name in sizes


def test_committed_logs_hold_both_releases_and_unique_ids() -> None:
    entries = committed_entries()
    assert len({entry["response"]["id"] for entry in entries}) == len(entries) > 5_000
    models = {entry["response"]["model"] for entry in entries}
    assert models == set(logs.RELEASES.values())


def test_committed_canaries_are_right_and_do_not_occur_in_the_logs() -> None:
    held = canaries.read_canaries(DATA / "canaries.jsonl")
    asked = {
        message["content"]
        for entry in committed_entries()
        for message in entry["request"]["messages"]
    }
    assert len(held) == 40 * len(grammar.INTENTS)
    for canary in held:
        assert canary.prompt not in asked
        assert canary.right_answer == grammar.right_answer(canary.prompt)
        assert canary.broken == (canary.intent in grammar.BROKEN)
