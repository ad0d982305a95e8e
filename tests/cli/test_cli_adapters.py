"""Adapters on the command line: what may be promoted, what is said of broken ones."""

from __future__ import annotations

import hashlib
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from command_line import loopllm, process

MODULE = "base_model.model.model.layers.0.self_attn.q_proj"
CONFIG = {"peft_type": "LORA", "r": 16, "lora_alpha": 32, "bias": "none"}


def weights(fill: int) -> bytes:
    """Return a safetensors file of two small matrices."""
    header, data = {}, bytes([fill]) * 8
    for place, side in enumerate("AB"):
        key = f"{MODULE}.lora_{side}.weight"
        offsets = [4 * place, 4 * place + 4]
        header[key] = {"dtype": "F32", "shape": [1, 1], "data_offsets": offsets}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def adapter(root: Path, name: str, fill: int = 1, gate: str | None = "pass", **more: str) -> Path:
    """Write an adapter and, unless `gate` is None, the record of its verification."""
    folder = root / ".loopllm" / "adapters" / name
    folder.mkdir(parents=True)
    content = weights(fill)
    digest = hashlib.sha256(content).hexdigest()
    (folder / "adapter_model.safetensors").write_bytes(content)
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG))
    lineage = {
        "adapter_sha256": digest, "model": "base", "drift_run_id": "run-1",
        "created": "2020-01-01T00:00:00+00:00", **more,
    }  # fmt: skip
    (folder / "lineage.json").write_text(json.dumps(lineage))
    (folder / "README.md").write_text("# Card\n\n## Verification\n\nNot yet verified.\n")
    if gate is not None:
        record = {
            "run_id": f"verify-{fill}", "adapter_hash": digest, "drift_run_id": "run-1",
            "gate": gate, "created": "2020-01-02", "reasons": ["<b>|why|"], "checks": [],
        }  # fmt: skip
        place = root / ".loopllm" / "verify"
        place.mkdir(exist_ok=True)
        (place / f"verify-{fill}.json").write_text(json.dumps(record))
    return folder


def at(root: Path) -> tuple[str, str]:
    return "--project", str(root)


def history(root: Path) -> list[dict[str, object]]:
    path = root / ".loopllm" / "promotions" / "history.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def pointer(root: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(
        (root / ".loopllm" / "promotions" / "promoted.json").read_text()
    )
    return found


def test_a_verified_adapter_is_promoted_once_and_its_card_says_the_verdict(tmp_path: Path) -> None:
    folder = adapter(tmp_path, "good")

    codes = [loopllm("adapters", "promote", "good", *at(tmp_path)).code for _ in range(2)]

    assert [0, 0] == codes
    assert 1 == len(history(tmp_path))
    assert str(folder.resolve()) == pointer(tmp_path)["path"]
    card = (folder / "README.md").read_text()
    assert "**pass** in `verify-1`" in card
    assert "&lt;b>why" in card


def test_what_has_not_passed_is_refused_and_forced_only_with_a_reason(tmp_path: Path) -> None:
    adapter(tmp_path, "bad", 1, "fail")
    adapter(tmp_path, "new", 2, None)

    codes = [loopllm("adapters", "promote", one, *at(tmp_path)).code for one in ("bad", "new")]
    blank = loopllm("adapters", "promote", "bad", "--force", " ", *at(tmp_path)).code
    forced = loopllm("adapters", "promote", "bad", "--force", "a test", *at(tmp_path)).code

    assert ([4, 4], 2, 0) == (codes, blank, forced)
    (event,) = history(tmp_path)
    assert (True, "a test") == (event["forced"], event["reason"])


def test_a_pass_of_other_bytes_or_another_drift_run_does_not_count(tmp_path: Path) -> None:
    changed = adapter(tmp_path, "changed", 1)
    (changed / "adapter_model.safetensors").write_bytes(weights(9))
    adapter(tmp_path, "other-run", 2, drift_run_id="run-2")

    said = [loopllm("adapters", "promote", one, *at(tmp_path)) for one in ("changed", "other-run")]

    assert [4, 4] == [one.code for one in said]
    assert "is not the file that lineage.json describes" in " ".join(said[0].err.split())


def test_a_changed_alpha_is_noticed_although_the_weights_are_the_same(tmp_path: Path) -> None:
    digest = hashlib.sha256(json.dumps(CONFIG).encode()).hexdigest()
    folder = adapter(tmp_path, "one", adapter_config_sha256=digest)
    (folder / "adapter_config.json").write_text(json.dumps({**CONFIG, "lora_alpha": 320}))

    assert 4 == loopllm("adapters", "promote", "one", *at(tmp_path)).code


def test_a_rollback_goes_back_and_a_second_one_has_nowhere_to_go(tmp_path: Path) -> None:
    first, second = adapter(tmp_path, "a", 1), adapter(tmp_path, "b", 2)
    for name in ("a", "b"):
        loopllm("adapters", "promote", name, *at(tmp_path))
    assert str(second.resolve()) == pointer(tmp_path)["path"]

    codes = [loopllm("adapters", "rollback", *at(tmp_path)).code for _ in range(2)]

    assert [0, 2] == codes
    assert str(first.resolve()) == pointer(tmp_path)["path"]
    assert ["promote", "promote", "rollback"] == [one["action"] for one in history(tmp_path)]


def test_a_history_cut_off_by_a_crash_is_read_and_goes_on(tmp_path: Path) -> None:
    adapter(tmp_path, "a", 1)
    second = adapter(tmp_path, "b", 2)
    loopllm("adapters", "promote", "a", *at(tmp_path))
    path = tmp_path / ".loopllm" / "promotions" / "history.jsonl"
    path.write_text(path.read_text() + '{"action": "promo')

    assert 0 == loopllm("adapters", "promote", "b", *at(tmp_path)).code

    assert str(second.resolve()) == pointer(tmp_path)["path"]
    shown = loopllm("adapters", "show", "promoted", "--json", *at(tmp_path)).document
    assert "b" == shown["entry"]["name"]


def test_a_pointer_lost_in_a_crash_is_made_again(tmp_path: Path) -> None:
    folder = adapter(tmp_path, "a")
    loopllm("adapters", "promote", "a", *at(tmp_path))
    (tmp_path / ".loopllm" / "promotions" / "promoted.json").unlink()

    loopllm("adapters", "promote", "a", *at(tmp_path))

    assert (str(folder.resolve()), 1) == (pointer(tmp_path)["path"], len(history(tmp_path)))


def test_two_processes_promoting_at_once_leave_a_whole_history(tmp_path: Path) -> None:
    for fill, name in enumerate("ab", 1):
        adapter(tmp_path, name, fill)
    with ThreadPoolExecutor(2) as pool:
        said = pool.map(lambda name: process("adapters", "promote", name, *at(tmp_path)), "ab")

    assert [0, 0] == [one.code for one in said]
    assert 2 == len(history(tmp_path))
    assert history(tmp_path)[-1]["path"] == pointer(tmp_path)["path"]


def test_prune_keeps_the_promoted_one_and_the_one_before(tmp_path: Path) -> None:
    folders = [adapter(tmp_path, name, fill) for fill, name in enumerate("abc", 1)]
    for name in "bc":
        loopllm("adapters", "promote", name, *at(tmp_path))
    prune = ("adapters", "prune", "--keep-last", "0", "--json", *at(tmp_path))

    tried = loopllm(*prune, "--dry-run").document
    there = [folder.is_dir() for folder in folders]
    loopllm(*prune)

    assert [str(folders[0])] == tried["removed"]
    assert [True, True, True] == there
    assert [False, True, True] == [folder.is_dir() for folder in folders]


def test_prune_removes_what_old_searches_left(tmp_path: Path) -> None:
    (tmp_path / ".loopllm" / "adapters").mkdir(parents=True)
    ladders = tmp_path / ".loopllm" / "ladders"
    for name, days in (("old", 40), ("new", 1), ("unfinished", 40)):
        (ladders / name / "1e-3").mkdir(parents=True)
        (ladders / name / "1e-3" / "weights").write_bytes(b"x" * 100)
        if name != "unfinished":
            (ladders / name / "ladder.json").write_text("{}")
            then = time.time() - 86_400 * days
            os.utime(ladders / name / "ladder.json", (then, then))

    done = loopllm("adapters", "prune", "--json", *at(tmp_path)).document

    assert ([str(ladders / "old")], 102) == (done["removed"], done["n_bytes"])
    assert ["new", "unfinished"] == sorted(path.name for path in ladders.iterdir())


def test_hostile_names_and_broken_files_are_said_and_harm_nothing(tmp_path: Path) -> None:
    adapter(tmp_path, "\x1b[31mred\u202e", 1)
    (adapter(tmp_path, "broken", 2) / "lineage.json").write_text("{" * 5000)
    (adapter(tmp_path, "cut", 3) / "adapter_model.safetensors").write_bytes(b"\xff" * 20)
    (tmp_path / ".loopllm" / "adapters" / "empty").mkdir()

    said = loopllm("adapters", "list", *at(tmp_path))

    assert 0 == said.code
    assert "\x1b" not in said.out
    assert "\u202e" not in said.out
    assert 2 == loopllm("adapters", "promote", "../../none", *at(tmp_path)).code
    broken = ("broken", "cut", "empty")
    assert [4, 4, 4] == [loopllm("adapters", "promote", o, *at(tmp_path)).code for o in broken]


def test_nothing_is_promoted_where_the_project_cannot_be_written(tmp_path: Path) -> None:
    adapter(tmp_path, "a")
    (tmp_path / ".loopllm" / "promotions").write_text("in the way")

    assert 4 == loopllm("adapters", "promote", "a", *at(tmp_path)).code
