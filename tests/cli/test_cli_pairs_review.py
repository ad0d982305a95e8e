"""`loopllm pairs review`: by lines and by keys, blind, resumable, also when it is killed."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from command_line import Said, environment, loopllm
from factories import feedback_record, flat_record, write_jsonl

from loopllm_cli.loop.review import ReviewRequest, review_pairs
from loopllm_cli.model import Reply, ReviewCard, ReviewSummary
from loopllm_cli.store.project import Project

BETTER = "Parcel {} was handed to the courier and arrives today before noon."
N_PAIRS = 12


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a project with a dataset of corrections."""
    folder = tmp_path_factory.mktemp("template")
    logs = [flat_record(k, session_id=f"k-{k}", user_id=f"u-{k}") for k in range(N_PAIRS)]
    votes = [
        feedback_record(f"r-{k}", "correction", BETTER.format(k), user=f"u-{k}")
        for k in range(N_PAIRS)
    ]
    file = str(write_jsonl(folder / "logs.jsonl", [*logs, *votes]))
    place = ("--project", str(folder), "-q")
    assert 0 == loopllm("ingest", file, *place).code
    assert 0 == loopllm("pairs", *place).code
    return folder


@pytest.fixture
def filled(project_dir: Path, template: Path) -> Path:
    """Return a copy of that project, which is the working directory."""
    shutil.copytree(template, project_dir, dirs_exist_ok=True)
    return project_dir


def review(keys: str, *more: str, by: str = "ana") -> Said:
    """Review with some keys, one per line."""
    lines = "".join(f"{key}\n" for key in keys).encode()
    return loopllm("pairs", "review", "--reviewer", by, *more, stdin=lines)


def decisions() -> list[dict[str, Any]]:
    """Return what stands on the disk, in the order of the files and lines."""
    files = sorted(Path(".loopllm/reviews").glob("*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def status(*more: str) -> Any:
    return loopllm("pairs", "review", "--status", "--json", *more).document


def questions(said: Said) -> list[str]:
    """Return the prompts that were asked about."""
    return re.findall(r"Where is parcel (\d+)\?", said.out)


def test_every_line_is_a_decision_and_the_rest_is_asked_the_next_time(filled: Path) -> None:
    first = review("aab")
    assert (0, 4) == (first.code, len(questions(first)))
    second = review("a" * N_PAIRS)
    assert N_PAIRS - 3 == len(questions(second))
    assert questions(first)[3:] == questions(second)[:1]
    assert N_PAIRS == len({d["pair_id"] for d in decisions()})
    assert "0 uncertain ones left" in review("").out


def test_a_sitting_ends_at_its_limit_and_by_quitting(filled: Path) -> None:
    assert 2 == len(questions(review("a" * 20, "--limit", "2")))
    assert 1 == len(questions(review("q")))
    assert 2 == len(decisions())


def test_the_sides_are_shown_blind_and_in_an_order_that_differs(filled: Path) -> None:
    said = review("s" * N_PAIRS)
    assert not re.search("chosen|rejected|correction|m-1|u_", said.out.split("reviewed ")[0])
    cards = said.out.split("\nA\n")[1:]
    better_first = ["courier" in card.split("\nB\n")[0] for card in cards]
    assert {True, False} == set(better_first)
    again = review("s" * N_PAIRS).out.split("\nA\n")[1:]
    assert better_first == ["courier" in card.split("\nB\n")[0] for card in again]


def test_a_key_is_for_the_text_that_stood_there(filled: Path) -> None:
    said = review("a" * N_PAIRS)
    cards = said.out.split("\nA\n")[1:]
    expected = ["chosen" if "courier" in c.split("\nB\n")[0] else "rejected" for c in cards]
    assert expected == [d["choice"] for d in decisions()]
    assert {"chosen", "rejected"} == set(expected)


def test_undo_takes_the_last_decision_back_and_asks_again(filled: Path) -> None:
    said = review("guxuuq")
    asked = questions(said)
    assert asked[0] == asked[2] == asked[4]
    assert ["both good", "undone", "both bad", "undone"] == [d["choice"] for d in decisions()]
    assert [] == status()["tallies"]


def test_what_is_skipped_comes_back_last(filled: Path) -> None:
    skipped = questions(review("s", "--limit", "1"))
    assert skipped == questions(review("a" * N_PAIRS))[-1:]


def test_other_keys_and_blank_lines_decide_nothing(filled: Path) -> None:
    said = review(["z", "", "?", "aaaa", "q"])  # type: ignore[arg-type]
    assert 1 == len(decisions())
    assert 4 == said.out.count("keys ")


def test_decisions_take_effect_in_the_next_dataset_and_can_be_shown(filled: Path) -> None:
    before = loopllm("pairs", "--json").document
    review("ab" * (N_PAIRS // 2 - 1) + "gx")
    said = [d["choice"] for d in decisions()]
    after = loopllm("pairs", "--json").document
    assert said.count("rejected") == after["by_rule"]["review"] > 0
    dropped = {"reviewed: both sides are good": 1, "reviewed: both sides are bad": 1}
    assert dropped == after["dropped"]
    assert before["content_hash"] != after["content_hash"]
    turned = next(d["pair_id"] for d in decisions() if d["choice"] == "rejected")
    feedback = next(d["feedback_ids"][0] for d in decisions() if d["pair_id"] == turned)
    shown = loopllm("pairs", "show", feedback)
    assert "rule review" in shown.out
    assert "reviews    chosen side is better · by ana" in shown.out
    assert "0 for it · 1 against it" in shown.out
    assert "answers    chosen · flat:" in shown.out
    # Asked about the pair as the votes have it, nobody is asked twice.
    assert [] == questions(review("a" * N_PAIRS))
    assert after["content_hash"] == loopllm("pairs", "--json").document["content_hash"]


def test_agreement_is_kept_between_reviewers_and_with_the_votes(filled: Path) -> None:
    review("a" * N_PAIRS, by="ana")
    review("b" * N_PAIRS, by="ben")
    found = status()
    assert ["ana", "ben"] == [t["reviewer"] for t in found["tallies"]]
    assert N_PAIRS == found["tallies"][0]["with_votes"]["n"]
    (agreement,) = found["agreements"]
    (value, low, high) = (agreement["agreement"][k] for k in ("value", "low", "high"))
    assert 0 <= low <= value <= high <= 1
    assert N_PAIRS == agreement["agreement"]["n"]
    text = loopllm("pairs", "review", "--status").out
    assert "ana and ben" in text
    assert "kappa" in text
    assert "wrong labels" in text
    assert [] == [line for line in text.splitlines() if len(line) > 80]


def test_the_summary_alone_is_on_stdout_as_json(filled: Path) -> None:
    said = review("aq", "--json")
    assert ("loopllm.review/1", 1) == (said.document["schema"], said.document["n_now"])
    assert "Where is parcel" in said.err


def test_a_reviewer_needs_a_name_and_a_dataset(filled: Path) -> None:
    assert 2 == review("a", by=" ").code
    assert 2 == review("a", "--pairs", "nowhere").code
    assert not Path(".loopllm/reviews").exists()


def test_a_log_that_a_crash_cut_short_is_read_up_to_there(filled: Path) -> None:
    review("aa", "--limit", "2")
    (path,) = Path(".loopllm/reviews").iterdir()
    path.write_bytes(path.read_bytes()[:-20])
    assert (1, N_PAIRS - 1) == (status()["n_broken"], status()["n_open"])
    assert "1 line left out" in loopllm("pairs", "review", "--status").out
    review("a" * N_PAIRS)
    assert 0 == status()["n_open"]


class Sitting:
    """A review in another process, one line at a time."""

    def __init__(self, by: str) -> None:
        command = [sys.executable, "-m", "loopllm_cli", "pairs", "review", "--reviewer", by]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment()
        )

    def wait_for_question(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith(b"           u undo"):
                return
        raise AssertionError("the review has ended")

    def say(self, key: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{key}\n".encode())
        self.process.stdin.flush()

    def end(self) -> int:
        self.process.communicate(timeout=60)
        return self.process.returncode


def test_what_was_decided_before_a_kill_stands(filled: Path) -> None:
    sitting = Sitting("ana")
    for _ in range(3):
        sitting.wait_for_question()
        sitting.say("a")
    sitting.wait_for_question()
    sitting.process.kill()
    assert -signal.SIGKILL == sitting.end()
    assert 3 == len(decisions())
    assert (0, N_PAIRS - 3) == (status()["n_broken"], status()["n_open"])
    assert N_PAIRS - 3 == len(questions(review("a" * N_PAIRS)))


def test_two_reviewers_at_once_do_not_disturb_each_other(filled: Path) -> None:
    both = threading.Barrier(2, timeout=60)

    def sit(name: str) -> ReviewSummary:
        def ask(card: ReviewCard) -> Reply:
            both.wait()  # every question at the same moment as the other's
            return Reply.BOTH_GOOD

        return review_pairs(Project(Path()), ReviewRequest(name), ask)

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(sit, ["ana", "ben"]))
    assert [N_PAIRS, N_PAIRS] == [summary.n_now for summary in ended]
    assert 2 == len(list(Path(".loopllm/reviews").iterdir()))
    found = status()
    assert [N_PAIRS, N_PAIRS] == [tally["n_pairs"] for tally in found["tallies"]]
    assert (0, 1.0) == (found["n_broken"], found["agreements"][0]["agreement"]["value"])


def as_in_front() -> None:
    """Begin as a shell's front job does; a test run in the background passes on ignored signals."""
    os.set_blocking(0, True)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """A review at a terminal of its own."""

    def __init__(self) -> None:
        self.master, slave = pty.openpty()
        self.slave = slave
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "loopllm_cli", "pairs", "review", "--reviewer", "ana"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(),
            start_new_session=True,
            preexec_fn=as_in_front,
        )

    def read_until(self, text: str, seconds: float = 60) -> str:
        end, seen = time.monotonic() + seconds, ""
        while time.monotonic() < end:
            if select.select([self.master], [], [], 0.1)[0]:
                seen += os.read(self.master, 65536).decode("utf-8", "replace")
                if text in seen:
                    return seen
        raise AssertionError(f"{text!r} did not come: {seen[-500:]!r}")

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def modes(self) -> list[Any]:
        return termios.tcgetattr(self.slave)


@pytest.fixture
def terminal(filled: Path) -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.process.kill()
    made.process.wait()


def test_at_a_terminal_one_key_is_enough_and_ctrl_c_gives_the_terminal_back(
    terminal: Terminal,
) -> None:
    terminal.read_until("q quit")
    assert terminal.before != terminal.modes()
    terminal.press("a")
    seen = terminal.read_until("pair 2 of 12")
    assert "a" != seen.lstrip()[:1]  # no echo
    terminal.press("\x1b[Ax")  # an arrow decides nothing, nor do its bytes
    terminal.read_until("pair 3 of 12")
    terminal.process.send_signal(signal.SIGINT)
    assert 130 == terminal.process.wait(timeout=60)
    assert terminal.before == terminal.modes()
    assert ["both bad"] == [d["choice"] for d in decisions()[1:]]
