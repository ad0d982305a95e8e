"""Find the response that a piece of feedback is about, each time anew.

Feedback may arrive before its response or weeks after it, so links are resolved when they are
read, never stored: there is nothing to repair. A target that fits several responses (a choice
index was not given, a trace holds many answers) stays unlinked rather than guessed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from loopllm_cli.store import tables
from loopllm_cli.store.project import Project

_ID_COLUMNS = (
    "interaction_id",
    "source_record_id",
    "response_id",
    "request_id",
    "span_id",
    "trace_id",
)
_AMBIGUOUS = ""


class Links:
    """An index from the ids that exporters use to our interaction ids.

    Args:
        rows: dicts with `interaction_id` and the other id columns.
    """

    def __init__(self, rows: Iterable[dict[str, Any]]) -> None:
        self._by_column: dict[str, dict[str, str]] = {column: {} for column in _ID_COLUMNS}
        for row in rows:
            for column, index in self._by_column.items():
                key = row[column]
                if key is None:
                    continue
                earlier = index.get(key)
                index[key] = (
                    row["interaction_id"]
                    if earlier in (None, row["interaction_id"])
                    else _AMBIGUOUS
                )

    def resolve(self, target_id: str | None) -> str | None:
        """Return the one interaction that an id names, None where there is none or several."""
        if target_id is None:
            return None
        for index in self._by_column.values():
            found = index.get(target_id)
            if found is not None:
                return found or None
        return None


def read_links(project: Project) -> Links:
    """Read the id columns of the whole store into an index."""
    found = tables.select(project.interactions, f"SELECT {', '.join(_ID_COLUMNS)} FROM rows")
    return Links(found.to_pylist() if found is not None else [])


def count_links(project: Project) -> tuple[int, int]:
    """Count the store's feedback: how much is linked to a response, and how much is not."""
    votes = tables.select(project.feedback, "SELECT target_id, candidate_ids FROM rows")
    if votes is None:
        return 0, 0
    links = read_links(project)
    linked = 0
    for vote in votes.to_pylist():
        targets = vote["candidate_ids"] or [vote["target_id"]]
        linked += all(links.resolve(target) is not None for target in targets)
    return linked, votes.num_rows - linked
