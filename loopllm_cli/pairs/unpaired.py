"""Single judged answers: somebody liked or disliked one, with nothing to compare it with.

They never become pairs. Trainers take them as they are (KTO: Ethayarajh et al. 2024, "KTO: model
alignment as prospect theoretic optimization", arXiv 2402.01306), with a weight that says how far
a sign counts beside a person's vote. Machines are not heard here, whatever the configuration.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Pair, Unpaired
from loopllm_cli.pairs.chat import calls_of, side_key, to_messages
from loopllm_cli.pairs.evidence.admissible import is_vague
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.evidence.evidence import Evidence
from loopllm_cli.pairs.evidence.vote import Vote, last_words
from loopllm_cli.pairs.guards import is_failure, refuse_answer, refuse_facts
from loopllm_cli.pairs.judges import is_machine
from loopllm_cli.pairs.rules.ratings import is_on_scale
from loopllm_cli.pairs.selection.split import Seen
from loopllm_cli.pairs.selection.wording import canonical_words, last_user_text
from loopllm_cli.signals.refusals import is_refusal
from loopllm_cli.sources.rows import digest

SOURCES: dict[str, tuple[bool | None, float]] = {
    "thumbs": (None, 1.0),
    "rating": (None, 1.0),
    "escalation": (False, 0.3),
    "accept": (True, 0.3),
    "copy": (True, 0.2),
    "abandon": (False, 0.2),
    "implicit": (None, 0.5),
}
"""What each source says (None: it depends on the vote) and its weight; docs/pairs.md explains each.
A mined sign counts half of its own confidence. The weights below 1 are ours: acting on an answer
is no judgement of it (people copy what is wrong and leave when they are served), and what follows
an answer is a noisy sign (Don-Yehiya, Choshen, Abend 2025, arXiv 2507.23158)."""

# What hands a conversation over whatever the answer was: a refund limit, a wish for a person.
_BY_RULE = re.compile(
    r"polic|limit|mandatory|required|by rule|request|asked for|wants? a (?:human|person)"
)
_TOLD_CHARS = 500
_EPOCH = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Sign:
    """One thing that says whether an answer was good."""

    label: bool
    source: str
    weight: float
    votes: tuple[Vote, ...]

    @property
    def time(self) -> datetime:
        """When it was last said."""
        return max((v.feedback_time for v in self.votes if v.feedback_time), default=_EPOCH)


def build_unpaired(
    evidence: Evidence, train: Sequence[Pair], heldout: Sequence[Pair], config: PairsConfig
) -> list[Unpaired]:
    """Choose the answers that people judged and that no pair holds.

    The last word of each person counts; an answer about which they disagree is left out, and so
    is a text that was judged both ways elsewhere. What somebody said outright outweighs what was
    mined or done. None from a prompt, conversation or user that is held out.

    Returns:
        At most `max_unpaired` answers, the earliest judged first.
    """
    gate = _Gate.around(train, heldout, config)
    signs = _signs(evidence, config)
    order = sorted(signs, key=lambda name: (signs[name].time, name))
    chosen: dict[str, Unpaired] = {}
    contradicted: set[str] = set()
    for name in order:
        answer, sign = evidence.answers[name], signs[name]
        if len(chosen) >= config.max_unpaired:
            break
        if gate.refuses(answer):
            continue
        made = _unpaired(answer, sign)
        if made is None or gate.holds(made) or made.example_id in contradicted:
            continue
        known = chosen.get(made.example_id)
        if known is None:
            chosen[made.example_id] = made
            gate.count(answer)
        elif known.label != made.label:
            # The same words were liked once and disliked once: they stand for nothing.
            contradicted.add(made.example_id)
            del chosen[made.example_id]
    return list(chosen.values())


def _signs(evidence: Evidence, config: PairsConfig) -> dict[str, _Sign]:
    """Return what is said of each answer outright, or else done or mined; nothing if disputed."""
    said: dict[str, list[Vote]] = defaultdict(list)
    done: dict[str, list[Vote]] = defaultdict(list)
    for vote in evidence.votes:
        if vote.target not in evidence.answers or vote.kind not in SOURCES or is_machine(vote):
            continue
        if (vote.kind == "thumbs" and is_vague(vote)) or _is_by_rule(vote):
            continue
        (said if vote.kind in ("thumbs", "rating") else done)[vote.target or ""].append(vote)
    found: dict[str, _Sign] = {}
    for name in dict.fromkeys((*said, *done)):
        if refuse_facts(evidence.answers[name]):
            continue
        sign = _agreed(said[name] if name in said else done[name], config)
        if sign is not None:
            found[name] = sign
    return found


def _is_by_rule(vote: Vote) -> bool:
    """Say whether a hand-over had to be, or was asked for from the start."""
    told = f"{vote.label or ''} {vote.explanation or ''}"[:_TOLD_CHARS].lower()
    return vote.kind == "escalation" and _BY_RULE.search(told) is not None


def _agreed(votes: list[Vote], config: PairsConfig) -> _Sign | None:
    """Return what the votes say together, None if they say nothing or differ."""
    if len(votes) == 1:
        return next(_sign(votes[0], config), None)
    signs: list[_Sign] = []
    asked: dict[tuple[str, str], list[Vote]] = defaultdict(list)
    for vote in votes:
        asked[vote.kind, vote.name or ""].append(vote)
    for answers in asked.values():
        last, _ = last_words(answers)
        signs += (sign for vote in last for sign in _sign(vote, config))
    if len({sign.label for sign in signs}) != 1:
        return None
    strongest = max(signs, key=lambda sign: sign.weight)
    everyone = tuple(vote for sign in signs for vote in sign.votes)
    return _Sign(strongest.label, strongest.source, strongest.weight, everyone)


def _sign(vote: Vote, config: PairsConfig) -> Iterator[_Sign]:
    label, weight = SOURCES[vote.kind]
    if vote.kind == "thumbs" and vote.polarity in (1, -1):
        label = vote.polarity == 1
    elif vote.kind == "rating" and is_on_scale(vote):
        # The ends of the scale lie as far apart as two ratings must for a pair.
        end, share = config.min_rating_margin / 2, vote.rating or 0.0
        label = None if abs(share - 0.5) < end or share == 0.5 else share > 0.5
    elif vote.kind == "implicit" and vote.polarity in (1, -1):
        label = vote.polarity == 1
        weight = round(weight * min(max(vote.confidence or 0.0, 0.0), 1.0), 3)
    if label is not None and weight > 0:
        yield _Sign(label, vote.kind, weight, (vote,))


def _unpaired(answer: Answer, sign: _Sign) -> Unpaired | None:
    """Make an example of an answer; None where nobody should train on it."""
    text, calls = answer.text.strip(), calls_of(answer.output_messages)
    if refuse_answer(answer, tools=True) or not (text or calls):
        return None
    if sign.label and (is_failure(text) or is_refusal(text)):
        return None
    times = [vote.feedback_time for vote in sign.votes if vote.feedback_time]
    return Unpaired(
        example_id=digest("unpaired", answer.context_hash, side_key(text, calls)),
        prompt=to_messages(answer.input_messages) or (),
        completion=text,
        label=sign.label,
        source=sign.source,
        weight=sign.weight,
        feedback_ids=tuple(vote.feedback_id for vote in sign.votes),
        interaction_id=answer.interaction_id,
        user_id=answer.user_id,
        conversation_id=answer.conversation_id,
        context_hash=answer.context_hash or "",
        prompt_hash=answer.prompt_hash or answer.context_hash or "",
        segment=answer.segment,
        model=answer.model,
        feedback_time=max(times, default=None),
        tools=answer.tools,
        completion_calls=calls,
    )


@dataclass(slots=True)
class _Gate:
    """What is held out, what stands in pairs, and how much of whom there is already."""

    heldout: Seen
    n_heldout: int
    paired: frozenset[str]
    texts: frozenset[tuple[str, str]]
    caps: tuple[int, int]
    by_user: Counter[str]
    by_prompt: Counter[str]

    @classmethod
    def around(cls, train: Sequence[Pair], heldout: Sequence[Pair], config: PairsConfig) -> _Gate:
        """Return the gate that keeps clear of these pairs."""
        pairs = (*train, *heldout)
        return cls(
            Seen(heldout),
            len(heldout),
            frozenset(name for pair in pairs for name in pair.interaction_ids),
            frozenset(
                (pair.context_hash, side_key(text, calls))
                for pair in pairs
                for text, calls in (
                    (pair.chosen, pair.chosen_calls),
                    (pair.rejected, pair.rejected_calls),
                )
            ),
            (config.per_user, config.per_prompt),
            Counter(),
            Counter(),
        )

    def refuses(self, answer: Answer) -> bool:
        """Say of an answer, by its facts, whether it is held out, paired or over a cap."""
        prompt = answer.prompt_hash or answer.context_hash or ""
        per_user, per_prompt = self.caps
        keys = [("prompt", prompt)]
        keys += [("user", answer.user_id)] if answer.user_id else []
        keys += [("conversation", answer.conversation_id)] if answer.conversation_id else []
        return (
            answer.interaction_id in self.paired
            or self.heldout.touches(keys)
            or self.by_user[answer.user_id or ""] >= per_user
            or self.by_prompt[prompt] >= per_prompt
        )

    def holds(self, made: Unpaired) -> bool:
        """Say whether a pair holds the same answer, which says more, or one asked nearly this."""
        said = (made.context_hash, side_key(made.completion, made.completion_calls))
        if said in self.texts or not self.n_heldout:
            return said in self.texts
        return self.heldout.touches((), canonical_words(last_user_text(made.prompt)))

    def count(self, answer: Answer) -> None:
        """Count an answer that is taken."""
        if answer.user_id:
            self.by_user[answer.user_id] += 1
        self.by_prompt[answer.prompt_hash or answer.context_hash or ""] += 1
