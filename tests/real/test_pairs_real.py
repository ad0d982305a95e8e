"""Pairs from real votes: three human annotators per comparison, and a graded judge."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from loopllm_cli.config import Config, PairsConfig
from loopllm_cli.loop.feedback import PairsRequest, make_pairs
from loopllm_cli.model import PairsSummary
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store.project import Project

Record = dict[str, Any]
DATA = Path(__file__).parents[2].parent / "shared" / "data"
WINNERS = {0: "tie", 1: "a", 2: "b"}
TIE, CONTRADICT = "comparison that ended in a tie", "users contradict each other"
AGAIN = "the same pair again"
# One user's name stands for each annotator here, so a cap would leave little to look at.
UNCAPPED = Config(pairs=PairsConfig(per_user=10_000, per_prompt=10_000))


def read_public(name: str) -> list[Record]:
    """Read a file of the public test data, or skip where it is absent."""
    path = DATA / f"{name}.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"no public test data at {path.parent}")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def pairs_of(folder: Path, records: list[Record]) -> PairsSummary:
    """Ingest comparisons and build pairs of them."""
    folder.mkdir(exist_ok=True)
    log = folder / "votes.jsonl"
    log.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    project = Project(folder)
    summary = ingest(project, [str(log)], IngestOptions())
    assert (0, len(records)) == (summary.n_rejected, summary.n_feedback_linked)
    return make_pairs(project, UNCAPPED, PairsRequest())


def read_sides(summary: PairsSummary) -> list[tuple[str, str, str]]:
    """Return prompt, chosen and rejected text of every pair, held out or not."""
    found = []
    for name in ("train", "test"):
        for pair in pq.read_table(Path(summary.path) / "data" / f"{name}.parquet").to_pylist():
            found.append(tuple(pair[k][-1]["content"] for k in ("prompt", "chosen", "rejected")))
    return found


def pandalm_question(row: Record) -> str:
    """Join instruction and input to one prompt."""
    return f"{row['instruction']}\n\n{row['input']}".strip()


def pandalm_votes(rows: list[Record]) -> Iterator[Record]:
    """Turn each row into three comparisons of the same two answers."""
    for row in rows:
        for annotator in ("annotator1", "annotator2", "annotator3"):
            yield {
                "id": f"pandalm-{row['idx']}",
                "prompt": pandalm_question(row),
                "response_a": str(row["response1"]),
                "response_b": str(row["response2"]),
                "winner": WINNERS[row[annotator]],
                "annotator_id": annotator,
            }


@pytest.fixture(scope="module")
def pandalm() -> list[Record]:
    """Return the rows of the human votes."""
    return read_public("pandalm_votes")


@pytest.fixture(scope="module")
def from_people(pandalm: list[Record], tmp_path_factory: pytest.TempPathFactory) -> PairsSummary:
    """Return the pairs that the human votes make."""
    return pairs_of(tmp_path_factory.mktemp("pandalm"), list(pandalm_votes(pandalm)))


def cast(row: Record) -> Counter[int]:
    """Count a row's votes by what they say."""
    return Counter(row[f"annotator{i}"] for i in (1, 2, 3))


def test_what_three_people_agree_on_is_what_the_pairs_say(
    pandalm: list[Record], from_people: PairsSummary
) -> None:
    """The chosen side is the one all three preferred, in at least 97 of 100 such rows."""
    made = set(read_sides(from_people))
    agree = disagree = 0
    for row in pandalm:
        answers = {1: str(row["response1"]).strip(), 2: str(row["response2"]).strip()}
        winner, n = cast(row).most_common(1)[0]
        if n < 3 or winner == 0:
            continue
        asked = pandalm_question(row)
        agree += (asked, answers[winner], answers[3 - winner]) in made
        disagree += (asked, answers[3 - winner], answers[winner]) in made
    assert agree + disagree > 500
    assert agree >= 0.97 * (agree + disagree)


def test_what_people_contradict_each_other_on_makes_no_pair(
    pandalm: list[Record], from_people: PairsSummary
) -> None:
    made = {(asked, frozenset(sides)) for asked, *sides in read_sides(from_people)}
    torn = [row for row in pandalm if {1, 2} <= set(cast(row))]
    assert torn
    for row in torn:
        answers = frozenset(str(row[k]).strip() for k in ("response1", "response2"))
        assert (pandalm_question(row), answers) not in made


def test_every_human_vote_is_used_or_counted(
    pandalm: list[Record], from_people: PairsSummary
) -> None:
    summary = from_people
    n_pairs = summary.n_train + summary.n_heldout
    n_ties = sum(cast(row)[0] for row in pandalm)
    assert (3 * len(pandalm), n_ties) == (summary.n_feedback, summary.dropped[TIE])
    assert summary.n_feedback == n_pairs + sum(summary.dropped.values())
    torn = [
        row
        for row in pandalm
        if {1, 2} <= set(cast(row)) and all(str(row[k]).strip() for k in ("response1", "response2"))
    ]
    n_torn_votes = sum(n for row in torn for said, n in cast(row).items() if said)
    assert summary.dropped[CONTRADICT] >= n_torn_votes > 100
    assert summary.dropped[AGAIN] > n_pairs


def alpaca_votes(rows: list[Record], *, swapped: bool) -> Iterator[Record]:
    """Turn graded preferences (1 is output_1, 2 is output_2) into comparisons."""
    for i, row in enumerate(rows):
        first, second = row["output_1"], row["output_2"]
        grade = row["preference"]
        if swapped:
            first, second, grade = second, first, 3 - grade
        yield {
            "id": f"alpaca-{i}",
            "prompt": row["prompt"],
            "output_1": first,
            "output_2": second,
            "preference": 1.5 if grade == 1.5 else 1 if grade < 1.5 else 2,
            "annotator_id": row["annotator"],
        }


@pytest.mark.parametrize("model", ["vicuna-7b-v1.3", "vicuna-7b-v1.5"])
def test_the_order_in_which_answers_were_shown_does_not_matter(tmp_path: Path, model: str) -> None:
    """Swapping the outputs and their grades gives the same pairs; ties give none."""
    rows = read_public(f"alpacaeval_preferences_{model}")
    found = [
        pairs_of(tmp_path / str(swapped), list(alpaca_votes(rows, swapped=swapped)))
        for swapped in (False, True)
    ]
    n_ties = sum(row["preference"] == 1.5 for row in rows)
    n_same = sum(row["output_1"].strip() == row["output_2"].strip() for row in rows)
    for summary in found:
        n_pairs = summary.n_train + summary.n_heldout
        assert n_ties == summary.dropped.get(TIE, 0)
        assert n_pairs > 0.95 * (len(rows) - n_ties - n_same)
    assert sorted(read_sides(found[0])) == sorted(read_sides(found[1]))
