"""Read the evidence for pairs from a store."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from loopllm_cli.pairs.evidence.answer_columns import StoredAnswers, conversations_of, read_answers
from loopllm_cli.pairs.evidence.answer_texts import Segmenter, StoredTexts
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote_columns import VOTE_COLUMNS, to_votes
from loopllm_cli.store.arrays import arrow_ints
from loopllm_cli.store.link_attempts import is_one_of
from loopllm_cli.store.linking import Links, read_links, read_votes
from loopllm_cli.store.memory import collection_paused, give_back
from loopllm_cli.store.project import Project

# Rules look at the turns around what was corrected or asked for again.
_OF_TURNS = {"correction", "regeneration"}


@collection_paused()
def read_evidence(project: Project, condition: str, segment_column: str | None = None) -> Evidence:
    """Read the answers that fit a SQL condition, and every vote that may concern them.

    Of the answers only those that some vote concerns, and those around a corrected or regenerated
    one; their texts are read by `Evidence.load`.

    Args:
        segment_column: a column of the store whose value is every answer's segment.
    """
    votes = read_votes(project, VOTE_COLUMNS)
    if votes is None:
        return Evidence({}, ())
    links = read_links(project, votes)
    talked = is_one_of(votes.column("kind"), _OF_TURNS) & (links.targets >= 0)
    turned = _ids(links, links.targets[talked])
    place = project.interactions
    wanted = (_ids(links, None), conversations_of(place, condition, turned))
    answers = read_answers(place, condition, wanted, segment_column)
    give_back()
    # An id of an answer is one text, wherever it stands.
    known = {name: name for name in answers}
    names = [known.get(name, name) for name in links.ids.to_pylist()]
    rows = np.fromiter((answers.row_of(name) for name in names), np.int64, len(names))
    made = to_votes(votes, links, [*names, None], rows)
    return Evidence(answers, made, StoredTexts(place, answers))


def with_segments(evidence: Evidence, segmenter: Segmenter) -> Evidence:
    """Say of every answer in which segment it lies, from now on or once its texts are read."""
    if isinstance(evidence.texts, StoredTexts) and isinstance(evidence.answers, StoredAnswers):
        return replace(evidence, texts=evidence.texts.with_segments(segmenter))
    answers = list(evidence.answers.values())
    told = zip(answers, segmenter(answers), strict=True)
    return replace(evidence, answers={a.interaction_id: replace(a, segment=s) for a, s in told})


def _ids(links: Links, responses: np.ndarray[tuple[int], np.dtype[np.int64]] | None) -> pa.Array:
    """Return the ids of some linked answers, of all that any vote concerns by default."""
    if responses is None:
        responses = np.concatenate([links.targets, links.candidates, links.winners])
    some = np.unique(responses)
    return links.ids.take(arrow_ints(some[some >= 0]))
