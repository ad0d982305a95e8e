"""Pairs from real votes: three human annotators per comparison, and a graded judge."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from loopllm_cli.config import Config, PairsConfig
from loopllm_cli.errors import NoFeedback
from loopllm_cli.loop.feedback import PairsRequest, make_pairs
from loopllm_cli.model import PairsSummary
from loopllm_cli.pairs.agreement.reliability import Votes, estimate_reliability
from loopllm_cli.sources.ingest import IngestOptions, ingest
from loopllm_cli.store.project import Project

Record = dict[str, Any]
DATA = Path(__file__).parents[2].parent / "shared" / "data"
WINNERS = {0: "tie", 1: "a", 2: "b"}
TIE, CONTRADICT = "comparison that ended in a tie", "users contradict each other"
CIRCLE = "preferences that go in a circle"
NEAR_TIE = "judge's comparison that nearly ended in a tie"
JUDGE_TIE = "judge's comparison that ended in a tie"
# One user's name stands for each annotator here, so a cap would leave little to look at.
UNCAPPED = Config(pairs=PairsConfig(per_user=10_000, per_prompt=10_000))
JUDGED = Config(pairs=PairsConfig(per_user=10_000, per_prompt=10_000, allow_judge=True))


def read_public(name: str) -> list[Record]:
    """Read a file of the public test data, or skip where it is absent."""
    path = DATA / f"{name}.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"no public test data at {path.parent}")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def pairs_of(folder: Path, records: list[Record], config: Config = UNCAPPED) -> PairsSummary:
    """Ingest comparisons and build pairs of them."""
    folder.mkdir(exist_ok=True)
    log = folder / "votes.jsonl"
    log.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    project = Project(folder)
    summary = ingest(project, [str(log)], IngestOptions())
    assert (0, len(records)) == (summary.n_rejected, summary.n_feedback_linked)
    return make_pairs(project, config, PairsRequest())


def read_sides(summary: PairsSummary) -> list[tuple[str, str, str]]:
    """Return prompt, chosen and rejected text of every pair, held out or not."""
    found = []
    for name in ("train", "test"):
        for pair in pq.read_table(Path(summary.path) / "data" / f"{name}.parquet").to_pylist():
            found.append(tuple(pair[k][-1]["content"] for k in ("prompt", "chosen", "rejected")))
    return found


def read_used(summary: PairsSummary) -> set[str]:
    """Return the ids of the feedback that stands in a pair."""
    rows = pq.read_table(Path(summary.path) / "provenance.parquet").to_pylist()
    pairs = [row for row in rows if row["split"] in ("train", "test")]
    return {name for row in pairs for name in row["feedback_ids"]}


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


def item_of(row: Record) -> tuple[str, frozenset[str]]:
    """Return a row's question and its answers, in no order."""
    return pandalm_question(row), frozenset(str(row[f"response{k}"]).strip() for k in (1, 2))


def torn_rows(rows: list[Record]) -> list[Record]:
    """Return the rows with votes for either of two answers, which no other row repeats."""
    n = Counter(map(item_of, rows))
    torn = [row for row in rows if {1, 2} <= set(cast(row)) and n[item_of(row)] == 1]
    return [row for row in torn if "" not in item_of(row)[1]]


def test_what_people_contradict_each_other_on_makes_no_pair(
    pandalm: list[Record], from_people: PairsSummary
) -> None:
    """Two of three are no clear majority, however reliable all three are."""
    made = {(asked, frozenset(sides)) for asked, *sides in read_sides(from_people)}
    torn = torn_rows(pandalm)
    assert 50 < len(torn)
    assert not [row for row in torn if item_of(row) in made]


def test_every_human_vote_is_used_or_counted(
    pandalm: list[Record], from_people: PairsSummary
) -> None:
    summary = from_people
    used = read_used(summary)
    n_ties = sum(cast(row)[0] for row in pandalm)
    assert (3 * len(pandalm), n_ties) == (summary.n_feedback, summary.dropped[TIE])
    assert summary.n_feedback == len(used) + sum(summary.dropped.values())
    n_torn_votes = sum(n for row in torn_rows(pandalm) for v, n in cast(row).items() if v)
    assert summary.dropped[CONTRADICT] >= n_torn_votes > 100


def test_agreement_is_what_counting_by_hand_gives(
    pandalm: list[Record], from_people: PairsSummary
) -> None:
    """Votes count by their item; ties are no votes, and empty answers no items.

    The same two answers to one question stand in several rows of the file; these are one item
    here, so that the figures differ in the third digit.
    """
    found = from_people.agreement
    assert found is not None
    agreeing = total = 0.0
    for row in pandalm:
        votes = [row[f"annotator{i}"] for i in (1, 2, 3) if row[f"annotator{i}"]]
        full = all(str(row[k]).strip() for k in ("response1", "response2"))
        if len(votes) > 1 and full:
            same = sum(a == b for a, b in combinations(votes, 2)) / comb(len(votes), 2)
            agreeing += len(votes) * same
            total += len(votes)
    assert agreeing / total == pytest.approx(found.agreement, abs=0.01)
    assert found.low < agreeing / total < found.high
    assert 3 == len(found.annotators)
    assert all(0.9 < person.reliability for person in found.annotators)


def test_the_model_is_no_surer_of_two_agreeing_votes_than_the_third_bears_out(
    pandalm: list[Record],
) -> None:
    """The noise is estimated from two of three people, and the third was never looked at.

    The third bears it out more often than foretold: people agree on items that are easy.
    """
    hidden, shown = [], []
    for row in pandalm:
        votes = [row[f"annotator{i}"] for i in (1, 2, 3)]
        if 0 not in votes and votes[0] == votes[1]:
            hidden.append(votes[2] == votes[0])
        shown += [(row["idx"], k, 1 if v == 1 else -1) for k, v in enumerate(votes) if v and k < 2]
    item, rater, side = np.array(shown, dtype=np.int64).T
    found = estimate_reliability(Votes(item, rater, side), 2)
    assert found is not None
    right = 1 - found.noise.value
    sure = right**2 / (right**2 + (1 - right) ** 2)
    foretold = sure * right + (1 - sure) * (1 - right)
    assert 0.9 < foretold <= float(np.mean(hidden)) + 0.01


def alpaca_votes(rows: list[Record], *, swapped: bool) -> Iterator[Record]:
    """Return graded preferences of a judge (1 is output_1, 2 is output_2), in either order."""
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
            "preference": grade,
            "annotator_id": row["annotator"],
            "annotator_kind": "LLM",
        }


@pytest.mark.parametrize("model", ["vicuna-7b-v1.3", "vicuna-7b-v1.5"])
def test_the_order_in_which_a_judge_saw_answers_does_not_matter(tmp_path: Path, model: str) -> None:
    """Swapping the outputs and their grades gives the same pairs; ties and near-ties give none."""
    rows = read_public(f"alpacaeval_preferences_{model}")
    found = [
        pairs_of(tmp_path / str(swapped), list(alpaca_votes(rows, swapped=swapped)), JUDGED)
        for swapped in (False, True)
    ]
    distances = [2 * abs(row["preference"] - 1.5) for row in rows]
    n_ties = distances.count(0.0)
    n_near = sum(0 < distance < JUDGED.pairs.min_judge_margin for distance in distances)
    n_same = sum(row["output_1"].strip() == row["output_2"].strip() for row in rows)
    for summary in found:
        n_pairs = summary.n_train + summary.n_heldout
        assert (n_ties, n_near) == tuple(summary.dropped.get(k, 0) for k in (JUDGE_TIE, NEAR_TIE))
        assert n_pairs > 0.95 * (len(rows) - n_ties - n_near - n_same)
    assert sorted(read_sides(found[0])) == sorted(read_sides(found[1]))


def test_a_judge_is_not_heard_unless_asked_for(tmp_path: Path) -> None:
    rows = read_public("alpacaeval_preferences_vicuna-7b-v1.3")[:50]
    with pytest.raises(NoFeedback, match="50 feedback of a judge model"):
        pairs_of(tmp_path, list(alpaca_votes(rows, swapped=False)))
