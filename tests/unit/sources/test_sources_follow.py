"""Files are followed line by line, over rotations, cuts and restarts, and nothing is read twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loopllm_cli.errors import UsageError
from loopllm_cli.sources.follow import Follower


def read(follower: Follower) -> list[str]:
    """Return the lines of one look."""
    return [line for part in follower.look() for line in part.block.decode().splitlines()]


def append(path: Path, *lines: str, end: str = "\n") -> None:
    """Write lines to the end of a file."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + end)


def again(follower: Follower) -> Follower:
    """Stop a follower and start another one where it was, by way of a file."""
    return Follower(follower.sources, places=json.loads(json.dumps(follower.state())))


def test_only_what_comes_is_read_and_a_line_once_it_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "chat.jsonl"
    append(log, "before")
    follower = Follower([str(log)])
    assert [] == read(follower)
    append(log, "one", "tw", end="")
    assert ["one"] == read(follower)
    append(log, "o", "three")
    assert ["two", "three"] == read(follower)
    assert [] == read(follower)


def test_the_rest_of_a_line_that_was_begun_before_the_start_is_read_with_it(tmp_path: Path) -> None:
    log = tmp_path / "chat.jsonl"
    append(log, "before", "beg", end="")
    follower = Follower([str(log)])
    assert [] == read(follower)
    append(log, "un", "next")
    assert ["begun", "next"] == read(follower)


def test_what_is_there_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    append(tmp_path / "chat.jsonl", "one", "two")
    assert ["one", "two"] == read(Follower([str(tmp_path)], from_start=True))


def test_a_file_that_is_renamed_is_read_to_its_end(tmp_path: Path) -> None:
    log = tmp_path / "chat.jsonl"
    append(log, "one")
    follower = Follower([str(log)], from_start=True)
    assert ["one"] == read(follower)
    append(log, "two")
    log.rename(tmp_path / "chat.jsonl.1")
    append(log, "three")
    assert ["three", "two"] == read(follower)
    assert [] == read(follower)


def test_a_rename_while_nobody_looked_loses_nothing(tmp_path: Path) -> None:
    log = tmp_path / "chat.jsonl"
    append(log, "one")
    follower = Follower([str(log)], from_start=True)
    read(follower)
    append(log, "two")
    log.rename(tmp_path / "chat-2026-11-23.jsonl")
    append(log, "three")
    assert ["three", "two"] == read(again(follower))


def test_a_file_that_was_cut_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "chat.jsonl"
    append(log, "one", "two")
    follower = Follower([str(log)], from_start=True)
    read(follower)
    log.write_text("new\n")
    assert ["new"] == read(follower)


def test_a_cut_file_that_has_grown_again_is_known_by_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "chat.jsonl"
    append(log, "a" * 100)
    follower = Follower([str(log)], from_start=True)
    read(follower)
    log.write_text("b" * 80 + "\n" + "c" * 80 + "\n")
    assert ["b" * 80, "c" * 80] == read(follower)


def test_new_files_of_a_folder_are_followed_and_others_are_not(tmp_path: Path) -> None:
    follower = Follower([str(tmp_path)])
    assert [] == read(follower)
    for name in ("a.jsonl", "b.log", "c.jsonl.1", ".hidden.jsonl", "d.jsonl.gz", "e.txt"):
        append(tmp_path / name, name)
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "e.txt")
    assert ["a.jsonl", "b.log", "c.jsonl.1"] == read(follower)


def test_a_file_and_a_pattern_may_come_to_be_later(tmp_path: Path) -> None:
    follower = Follower([str(tmp_path / "later.jsonl"), str(tmp_path / "x*.jsonl")])
    assert [] == read(follower)
    append(tmp_path / "later.jsonl", "one")
    append(tmp_path / "x1.jsonl", "two")
    assert ["one", "two"] == read(follower)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        Follower([str(tmp_path / "typo" / "chat.jsonl")])


@settings(max_examples=40, deadline=None)
@given(steps=st.lists(st.sampled_from(["write", "half", "rotate", "restart", "look"]), max_size=25))
def test_every_line_is_read_once_whatever_happens_to_the_files(
    steps: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("logs")
    log, number, pending = folder / "chat.jsonl", 0, False
    found: list[str] = []
    follower = Follower([str(log)], from_start=True)
    for at, step in enumerate([*steps, "finish"]):
        if step == "write" or (step == "finish" and pending):
            append(log, "" if pending else str(number))
            number, pending = number + 1, False
        elif step == "half" and not pending:
            append(log, str(number), end="")
            pending = True
        elif step == "rotate" and not pending and log.exists():
            found += read(follower)
            log.rename(folder / f"chat.jsonl.{at}")
        elif step == "restart":
            follower = again(follower) if follower.state() else follower
        else:
            found += read(follower)
    found += read(follower)
    assert [str(k) for k in range(number)] == sorted(found, key=int)
