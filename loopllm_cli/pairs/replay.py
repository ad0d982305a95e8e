"""Repair pairs: what the baseline's model answered well beside what is answered badly now.

No vote speaks for them; the signals that the drift run named do. An answer is bad if one of the
failing signals of its segment is on its bad side, good if none is and at least one could be
measured. Answers meet on the same context, or on one that is written differently but asks the
same in the same words (`canonical_words`; how often that errs: docs/pairs-splits.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from loopllm_cli.pairs.candidates import Candidate
from loopllm_cli.pairs.chat import to_messages
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.guards import is_failure, refuse_answer
from loopllm_cli.pairs.selection.wording import canonical_words
from loopllm_cli.signals.refusals import is_refusal
from loopllm_cli.sources.rows import normalise

REPLAY, RECOVERED = "replay", "recovered"
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A logged answer, and what the failing signals of its segment say of it.

    `bad` names the failing signals on their bad side, `known` counts those that could be measured;
    `opinion` is +1 for one that people liked, -1 for one they disliked, 0 otherwise. An answer is
    `odd` if it is not as nearly all of the baseline's answers in its segment were.
    """

    answer: Answer
    bad: tuple[str, ...]
    known: int
    opinion: int = 0
    odd: bool = False

    @property
    def is_good(self) -> bool:
        """Whether all failing signals that could be measured are good, and nobody disliked it."""
        return self.known > 0 and not self.bad and not self.odd and self.opinion >= 0

    @property
    def is_degraded(self) -> bool:
        """Whether a failing signal is on its bad side, and nobody liked the answer.

        Where a person and a signal contradict each other, it is not clear who is wrong.
        """
        return bool(self.bad) and self.opinion <= 0


def replay(
    baseline: Sequence[Judged], current: Sequence[Judged], limit: int
) -> Iterator[Candidate]:
    """Pair the current window's bad answers with good ones to the same question.

    The baseline's answer is taken before a good one of the current window; of several, the liked
    one, then the one that was given most often. Segments take turns until `limit` is reached.

    Args:
        baseline: rows of the baseline's window.
        current: rows of the drifted segments, in order of time.
    """
    earlier, recovered = _best_answers(baseline), _best_answers(current)
    queues: dict[str, list[Candidate]] = defaultdict(list)
    seen: set[tuple[Key, str]] = set()
    for one in current:
        key = key_of(one.answer)
        if not one.is_degraded or key is None or (key, normalise(one.answer.text)) in seen:
            continue
        rule = REPLAY if key in earlier else RECOVERED
        chosen = earlier.get(key) or recovered.get(key)
        if chosen is None:
            continue
        seen.add((key, normalise(one.answer.text)))
        # Guards compare answers to one context; the key says that these two are one.
        better = replace(chosen, context_hash=one.answer.context_hash)
        share = len(one.bad) / one.known
        queues[one.answer.segment or ""].append(
            Candidate(rule, one.answer, better, None, (), share, one.bad)
        )
    yield from _in_turns(queues, limit)


def key_of(answer: Answer) -> Key | None:
    """Return what two answers must share to be answers to the same question; None for no prompt.

    That is the whole context. Of a first question without tools, its canonical words and the
    system's message are enough.
    """
    if answer.context_hash is None:
        return None
    messages = to_messages(answer.input_messages) or ()
    asked = [m["content"] for m in messages if m["role"] == "user"]
    others = {m["role"] for m in messages} - {"user", "system"}
    words = canonical_words(asked[0]) if len(asked) == 1 and not others else ()
    if not words or answer.has_tools:
        return ("context", answer.context_hash)
    system = [normalise(m["content"]) for m in messages if m["role"] == "system"]
    return ("words", "\n".join(system), *words)


def _best_answers(rows: Iterable[Judged]) -> dict[Key, Answer]:
    """Choose a good answer to each question: liked ones first, then the commonest."""
    groups: dict[Key, dict[str, list[Judged]]] = defaultdict(lambda: defaultdict(list))
    for one in rows:
        key = key_of(one.answer)
        if key is not None and one.is_good and _is_presentable(one.answer):
            groups[key][normalise(one.answer.text)].append(one)
    found: dict[Key, Answer] = {}
    for key, texts in groups.items():
        best = max(
            texts,
            key=lambda text: (max(j.opinion for j in texts[text]), len(texts[text]), text),
        )
        found[key] = texts[best][0].answer
    return found


def _is_presentable(answer: Answer) -> bool:
    text = answer.text
    return not (refuse_answer(answer, tools=True) or is_refusal(text) or is_failure(text))


def _in_turns(queues: dict[str, list[Candidate]], limit: int) -> Iterator[Candidate]:
    turns = zip_longest(*(queues[name] for name in sorted(queues)))
    some = [one for turn in turns for one in turn if one is not None]
    yield from some[:limit]
