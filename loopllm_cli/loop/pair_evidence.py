"""Show what a pair was made of: the feedback, the answers, the split, the reviews, the drift."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rapidfuzz import process

from loopllm_cli.errors import LoopllmError, UsageError
from loopllm_cli.loop.records import read_drift_run
from loopllm_cli.loop.shown_rows import ShownRows
from loopllm_cli.model import Pair, ReviewDecision, SegmentChange, Shown, ShownPair
from loopllm_cli.pairs.dataset.stored import StoredPairs, latest_pairs, read_dropped
from loopllm_cli.pairs.review.apply import last_words, mirror_id
from loopllm_cli.pairs.review.log import read_decisions
from loopllm_cli.store.project import Project

# As many as anybody reads; of one piece of feedback or one answer there are rarely more than two.
MAX_PAIRS = 20
# 16 bits of a digest: shorter beginnings name several pairs already among a few hundred.
_MIN_PREFIX = 4


def show_pairs(project: Project, identifier: str, folder: Path | None = None) -> Shown:
    """Find the pairs that an id names, with everything they were made of.

    Args:
        identifier: a pair's, a feedback's or an answer's id, or the beginning of a pair's.
        folder: the dataset; the newest, if None.

    Raises:
        UsageError: there is no dataset, or nothing in it has that id, or several pairs.
    """
    stored = StoredPairs(folder or latest_pairs(project))
    dropped = read_dropped(stored.folder)
    found, name, places = _find(stored, dropped, identifier.strip())
    pairs = [stored.pair(place) for place in places[:MAX_PAIRS]]
    feedback = [name] if found == "feedback" else []
    rows = ShownRows(
        project,
        [*feedback, *(vote for pair in pairs for vote in pair.feedback_ids)],
        [answer for pair in pairs for answer in pair.interaction_ids],
    )
    around = _Around(project, stored)
    return Shown(
        identifier=name,
        found=found,
        path=project.shown(stored.folder),
        content_hash=str(stored.card.get("content_hash", "")),
        drift_run_id=stored.card.get("drift_run_id"),
        pairs=tuple(
            around.show(place, pair, rows) for place, pair in zip(places, pairs, strict=False)
        ),
        n_more=max(0, len(places) - MAX_PAIRS),
        feedback=rows.feedback(name, None) if feedback else None,
        reason=dropped.get(name) if feedback and not places else None,
    )


def _find(stored: StoredPairs, dropped: dict[str, str], asked: str) -> tuple[str, str, list[int]]:
    """Return what an id names, the id in full, and the places of the pairs that came of it."""
    ids = stored.ids
    if asked in ids:
        return "pair", asked, [ids.index(asked)]
    for found, column in (("feedback", "feedback_ids"), ("answer", "interaction_ids")):
        places = [i for i, names in enumerate(stored.column(column)) if asked in (names or ())]
        if places:
            return found, asked, places
    if asked in dropped:
        return "feedback", asked, []
    begun = [i for i, name in enumerate(ids) if name.startswith(asked)]
    if len(asked) < _MIN_PREFIX:
        begun = []
    if len(begun) == 1:
        return "pair", ids[begun[0]], begun
    if begun:
        listed = ", ".join(ids[i] for i in begun[:3])
        raise UsageError(f"{len(begun)} pairs begin with {asked!r}: {listed}", "give more of it")
    raise _nothing_found(stored, dropped, asked)


def _nothing_found(stored: StoredPairs, dropped: dict[str, str], asked: str) -> UsageError:
    known = {*stored.ids, *dropped}
    for column in ("feedback_ids", "interaction_ids"):
        known.update(name for names in stored.column(column) for name in names or ())
    nearest = process.extractOne(asked[:256], sorted(known))
    hint = f"nearest: {nearest[0]}" if nearest else "the dataset is empty"
    return UsageError(
        f"{stored.folder} has no pair, feedback or answer {asked!r}",
        f"{hint}; ids stand in its provenance.parquet",
    )


class _Around:
    """What a dataset, its drift run and its reviews say of its pairs.

    Args:
        stored: the dataset.
    """

    def __init__(self, project: Project, stored: StoredPairs) -> None:
        self._stored = stored
        self._decisions = last_words(read_decisions(project))
        self._keys = [_keys(stored, place) for place in range(len(stored))]
        self._segments = _segments(project, stored.card.get("drift_run_id"))

    def show(self, place: int, pair: Pair, rows: ShownRows) -> ShownPair:
        """Gather everything about one pair."""
        return ShownPair(
            pair=pair,
            split="held out" if self._stored.splits[place] == "test" else "train",
            split_keys=_shared(self._keys[place], self._keys),
            feedback=rows.votes_on(pair),
            answers=rows.answers_of(pair),
            decisions=self._reviews(pair),
            findings=_findings(self._stored, pair.pair_id),
            segment_change=self._segments.get(pair.segment or ""),
            details=self._stored.details(place),
        )

    def _reviews(self, pair: Pair) -> tuple[ReviewDecision, ...]:
        names = {pair.pair_id, mirror_id(pair)}
        return tuple(d for d in self._decisions if d.pair_id in names)


def _keys(stored: StoredPairs, place: int) -> set[tuple[str, str]]:
    """Return what a pair must not share with one on the other side of the split."""
    columns = stored.split_columns
    named = {
        "user": ("user_id", "chosen_user_id"),
        "conversation": ("conversation_id", "chosen_conversation_id"),
        "prompt": ("prompt_hash",),
    }
    return {
        (kind, value)
        for kind, names in named.items()
        for name in names
        if (value := columns[name][place]) is not None
    }


def _shared(mine: set[tuple[str, str]], every: Sequence[set[tuple[str, str]]]) -> dict[str, int]:
    """Count the other pairs that share a key of each kind."""
    kinds: dict[str, set[tuple[str, str]]] = {}
    for key in sorted(mine):
        kinds.setdefault(key[0], set()).add(key)
    counts = {
        kind: sum(not wanted.isdisjoint(keys) for keys in every) - 1
        for kind, wanted in kinds.items()
    }
    return {kind: n for kind, n in counts.items() if n}


def _findings(stored: StoredPairs, pair_id: str) -> tuple[str, ...]:
    return tuple(
        str(finding.get("text", ""))
        for finding in stored.card.get("findings") or []
        if pair_id in (finding.get("examples") or []) and finding.get("severity") != "ok"
    )


def _segments(project: Project, run_id: str | None) -> dict[str, SegmentChange]:
    """Return the segments that a drift run found worse; none where its record is gone."""
    try:
        run = read_drift_run(project, run_id) if run_id else None
    except (LoopllmError, OSError):
        return {}
    return {segment.label: segment for segment in run.segments} if run else {}
