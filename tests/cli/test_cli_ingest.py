"""What `loopllm ingest` shows, and what its options change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from factories import chat_pair, flat_record, write_jsonl
from typer.testing import CliRunner

from loopllm_cli.app import app
from loopllm_cli.store import tables
from loopllm_cli.store.project import Project

SECRET = "sk-proj-" + "a1B2c3D4" * 5


def run(folder: Path, *args: str) -> tuple[int, str, str]:
    """Run `ingest` in a project, and return its code and both outputs."""
    result = CliRunner().invoke(app, ["ingest", *args, "--project", str(folder)])
    return result.exit_code, result.stdout, result.stderr


def column(folder: Path, name: str, table: str = "interactions") -> list[object]:
    """Return a column of the store, ordered."""
    location = getattr(Project(folder), table)
    found = tables.select(location, f"SELECT {name} AS c FROM rows ORDER BY c")
    return list(found.column("c").to_pylist()) if found else []


def test_a_dry_run_shows_what_a_sample_would_fill_and_stores_nothing(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [chat_pair(k) for k in range(3)])
    code, out, _ = run(tmp_path, str(path), "--dry-run")
    assert 0 == code
    assert "would read" in out
    assert "openai_chat, 3 rows:" in out
    assert "prompt_text 100%" in out
    assert not (tmp_path / ".loopllm").exists()


def test_the_reason_for_a_format_is_said(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [chat_pair(1)])
    assert "openai_chat 1 (has a chat request beside its response)" in run(tmp_path, str(path))[1]


def test_secrets_are_masked_and_users_hashed_unless_told_otherwise(tmp_path: Path) -> None:
    record = flat_record(1, prompt=f"My key is {SECRET}, why?", user_id="u-77")
    path = write_jsonl(tmp_path / "a.jsonl", [record])
    code, out, _ = run(tmp_path / "masked", str(path))
    assert (0, True) == (code, "masked" in out)
    stored = str(
        column(tmp_path / "masked", "prompt_text") + column(tmp_path / "masked", "user_id")
    )
    assert SECRET not in stored
    assert "u-77" not in stored
    run(tmp_path / "plain", str(path), "--redact", "off")
    assert [f"My key is {SECRET}, why?"] == column(tmp_path / "plain", "prompt_text")
    assert ["u-77"] == column(tmp_path / "plain", "user_id")


def test_a_stricter_second_reading_masks_what_the_first_one_stored(tmp_path: Path) -> None:
    record = flat_record(1, prompt="Write to ann@example.org please.")
    path = write_jsonl(tmp_path / "a.jsonl", [record])
    run(tmp_path, str(path))
    code, out, _ = run(tmp_path, str(path), "--redact", "basic")
    assert (0, True) == (code, "replaced" in out)
    (stored,) = column(tmp_path, "prompt_text")
    assert "ann@example.org" not in str(stored)


def test_an_unknown_level_is_the_callers_mistake(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [flat_record(1)])
    code, _, err = run(tmp_path, str(path), "--redact", "everything")
    assert (2, True) == (code, "secrets" in err)


def test_strict_stops_at_any_bad_record(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [flat_record(1), "{"])
    assert 0 == run(tmp_path / "1", str(path))[0]
    code, _, err = run(tmp_path / "2", str(path), "--strict")
    assert (3, True) == (code, "1 of 2 records cannot be read" in err)
    assert [] == column(tmp_path / "2", "interaction_id")


def test_several_processes_store_the_same_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPLLM_KEY", "the same key for both")
    monkeypatch.setattr("loopllm_cli.sources.files.BLOCK_BYTES", 20_000)
    records = [chat_pair(k) for k in range(300)] + [
        flat_record(k, feedback="up") for k in range(99)
    ]
    path = write_jsonl(tmp_path / "a.jsonl", [*records, "{", *records[:50]])
    shown = [run(tmp_path / n, str(path), "--jobs", n, "--json")[1] for n in ("1", "2")]
    counts = [json.loads(text) for text in shown]
    for count in counts:
        del count["rejects_path"]
    assert counts[0] == counts[1]
    for name in ("interaction_id", "content_digest", "user_id", "source_line"):
        assert column(tmp_path / "1", name) == column(tmp_path / "2", name)
    votes = [column(tmp_path / n, "feedback_id", "feedback") for n in ("1", "2")]
    assert votes[0] == votes[1]


def test_an_encoding_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"prompt": "Café?", "response": "Öffnet um 8."}\n'.encode("cp1252"))
    assert 0 == run(tmp_path, str(path), "--encoding", "cp1252")[0]
    assert ["Café?"] == column(tmp_path, "prompt_text")
    code, _, err = run(tmp_path, str(path), "--encoding", "cp9999")
    assert (2, True) == (code, "unknown encoding" in err)


def test_a_pattern_names_files(tmp_path: Path) -> None:
    for k in range(3):
        write_jsonl(tmp_path / f"a{k}.jsonl", [flat_record(k)])
    assert 0 == run(tmp_path, str(tmp_path / "a*.jsonl"))[0]
    assert 3 == len(column(tmp_path, "interaction_id"))


def test_a_link_below_a_folder_is_not_followed(tmp_path: Path) -> None:
    outside = write_jsonl(tmp_path / "outside" / "b.jsonl", [flat_record(2)])
    write_jsonl(tmp_path / "logs" / "a.jsonl", [flat_record(1)])
    (tmp_path / "logs" / "link.jsonl").symlink_to(outside)
    (tmp_path / "logs" / "folder").symlink_to(outside.parent)
    run(tmp_path, str(tmp_path / "logs"))
    assert ["flat:r-1"] == column(tmp_path, "interaction_id")
