"""The texts of a store's answers, read when they are asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from loopllm_cli.pairs.evidence.answer import UNREAD, Answer
from loopllm_cli.pairs.evidence.answer_columns import StoredAnswers
from loopllm_cli.store import tables
from loopllm_cli.store.locations import Location
from loopllm_cli.store.memory import give_back

_TEXTS = ("input_messages", "output_messages", "response_text", "tool_definitions")
_READ = (*_TEXTS, "reference_answer")
_ROWS = 1 << 14
# An answer of one text, as `ingest` writes it, and what is kept of it: the text stands in `text`.
_START, _END = '[{"parts":[{"content":"', '","type":"text"}],"role":"assistant"}]'
PLAIN = '[{"parts":[{"content":"","type":"text"}],"role":"assistant"}]'

Segmenter = Callable[[Sequence[Answer]], Sequence[str | None]]


class StoredTexts:
    """The texts of a store's answers.

    Args:
        segmenter: says in which segment an answer lies, once its texts are there.
    """

    def __init__(
        self, place: Location, answers: StoredAnswers, segmenter: Segmenter | None = None
    ) -> None:
        self._place = place
        self._answers = answers
        self._segmenter = segmenter

    def with_segments(self, segmenter: Segmenter) -> StoredTexts:
        """Return the same texts, whose answers get their segments when they are read."""
        return StoredTexts(self._place, self._answers, segmenter)

    def keep(self, answers: Iterable[Answer]) -> None:
        """Let go of all answers but some."""
        self._answers.keep(answers)

    def load(self, answers: Iterable[Answer]) -> None:
        """Fill in the texts of some answers, in one pass over the store."""
        wanted: dict[str, list[Answer]] = defaultdict(list)
        seen: set[int] = set()
        for answer in answers:
            if answer.text is UNREAD and id(answer) not in seen:
                seen.add(id(answer))
                wanted[answer.interaction_id].append(answer)
        if not wanted:
            return
        contexts: dict[str, str] = {}
        columns = _READ if self._segmenter is None else (*_READ, "prompt_text")
        sql = f"SELECT interaction_id, {', '.join(columns)} FROM rows"
        for batch in tables.iter_select(self._place, sql):
            if isinstance(batch, pa.RecordBatch) and batch.num_rows:
                for name, texts in _hits(batch, columns, wanted):
                    for answer in wanted[name]:
                        _fill(answer, texts, contexts)
        give_back()
        if self._segmenter is not None:
            self._set_segments([answer for group in wanted.values() for answer in group])

    def _set_segments(self, answers: list[Answer]) -> None:
        assert self._segmenter is not None
        for start in range(0, len(answers), _ROWS):
            some = answers[start : start + _ROWS]
            for answer, segment in zip(some, self._segmenter(some), strict=True):
                answer.segment = segment


def _hits(
    batch: pa.RecordBatch, names: Sequence[str], wanted: Mapping[str, Any]
) -> Iterator[tuple[str, list[Any]]]:
    ids = batch.column("interaction_id").to_pylist()
    places = [place for place, name in enumerate(ids) if name in wanted]
    if places:
        columns = [_taken(batch.column(name), places) for name in names]
        for place, *texts in zip(places, *columns, strict=True):
            yield ids[place], texts


def _taken(column: pa.Array, places: list[int]) -> list[str | None]:
    if column.null_count == len(column):
        return [None] * len(places)
    # Arrow takes nothing of string views, and to write them all out would cost more than this.
    return [column[place].as_py() for place in places]


def _fill(answer: Answer, texts: list[Any], contexts: dict[str, str]) -> None:
    """Put its texts into an answer."""
    inputs, outputs, text, answer.tools, answer.reference_answer, *prompt = texts
    if inputs is not None:
        # Answers to one context share its text.
        inputs = contexts.setdefault(inputs, inputs)
    if outputs is not None and is_plain_json(outputs):
        outputs = PLAIN
    answer.input_messages, answer.output_messages, answer.text = inputs, outputs, text or ""
    if prompt:  # it stands in the messages, too, and is read for its segment alone
        answer.prompt_text = prompt[0]


def is_plain_json(output: str) -> bool:
    """Say of a stored answer, without parsing it, whether it is one text; never wrongly so."""
    return (
        output.startswith(_START)
        and output.endswith(_END)
        and output.count('"type":') == 1
        and output.count('"parts":') == 1
    )
