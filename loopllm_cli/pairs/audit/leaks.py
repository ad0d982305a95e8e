"""Does anything that is held out stand in what is trained on?

Written apart from the splitter on purpose: it looks at texts and ids anew and shares none of the
splitter's keys, so that a fault there shows here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from itertools import chain

from loopllm_cli.model import Finding, Message, Pair, Retained, Severity, Unpaired
from loopllm_cli.pairs.audit.context import Case, rejected_answer
from loopllm_cli.pairs.audit.shares import N_EXAMPLES, by_user, examples, of_share, over
from loopllm_cli.pairs.audit.sides import folded
from loopllm_cli.pairs.audit.texts import last_asked
from loopllm_cli.pairs.chat import said

OF_THE_BASELINE = 0.25
"""Share of pairs that reject answers of the time that was called good (FAIL_WRONG)."""

_MAX_CHARS = 4_000
Row = Pair | Retained | Unpaired
_TOGETHER = "build the pairs anew; if it stays, report it: this must not happen"


def check_leaks(case: Case) -> list[Finding]:
    """Compare what is held out with everything that is trained on."""
    return [*(_overlap(case, leak) for leak in _LEAKS), _rejects_the_baseline(case)]


@dataclass(frozen=True, slots=True)
class _Leak:
    """Something that a held-out pair must not share with a row that is trained on."""

    name: str
    words: str
    keys: Callable[[Row], Iterable[Hashable]]
    severity: Severity
    of_pairs_only: bool = False


def _overlap(case: Case, leak: _Leak) -> Finding:
    """Count held-out pairs that share a key with training pairs, retained or unpaired rows."""
    built = case.built
    parts: dict[str, Iterable[Row]] = {
        "training": built.train,
        "retained": built.retention,
        "unpaired": built.unpaired,
    }
    heldout = built.heldout
    leaked: set[str] = set()
    counts = []
    for part, rows in parts.items():
        known = set(chain.from_iterable(leak.keys(row) for row in rows))
        ids = {pair.pair_id for pair in heldout if not known.isdisjoint(leak.keys(pair))}
        counts.append(f"{len(ids):,} with {part}")
        if part == "training" or not leak.of_pairs_only:
            leaked |= ids
    text = f"held-out pairs that share {leak.words}: {', '.join(counts)} rows"
    share = len(leaked) / len(heldout) if heldout else None
    shown = [pair.pair_id for pair in heldout if pair.pair_id in leaked][:N_EXAMPLES]
    return Finding(
        leak.name, leak.severity if leaked else Severity.OK, text, len(heldout), share,
        None, None, 0.0, _TOGETHER, tuple(shown),
    )  # fmt: skip


def _rejects_the_baseline(case: Case) -> Finding:
    """Judge how many pairs push away answers of the very time that was frozen as good."""
    name, known = "baseline-overlap", case.context.baseline
    remedy = "build from the window that drifted: loopllm pairs --since"
    if known is None:
        return Finding(name, Severity.OK, "no baseline to compare with", remedy=remedy)
    hits = [(rejected_answer(pair) or "") in known.interaction_ids for pair in case.train]
    asked = sum(pair.prompt_hash in known.prompt_hashes for pair in case.train)
    held = sum(pair.prompt_hash in known.prompt_hashes for pair in case.built.heldout)
    share = by_user(case.train, hits)
    text = (
        f"{share} training pairs reject an answer of the baseline's window; the prompts of "
        f"{asked:,} training and {held:,} held-out pairs were asked in it, too"
    )
    severity = over(share, OF_THE_BASELINE)
    found = of_share(name, severity, share, (text, remedy), OF_THE_BASELINE)
    return found if severity is Severity.OK else replace(found, examples=examples(case.train, hits))


def _prompt(row: Row) -> list[int]:
    """Return what was asked: the last user's text, by its words as they are.

    As a hash of this run alone: of 64 bits, two of a million meet once in 30 million runs.
    """
    return [hash(_asked(row.prompt).strip())]


def _near_prompt(row: Row) -> list[int]:
    """Return the same without case, blanks and punctuation; of long texts, the beginning."""
    return [hash(folded(_asked(row.prompt)[:_MAX_CHARS]))]


def _context(row: Row) -> list[int]:
    return [hash(tuple(said(message).strip() for message in row.prompt))]


def _conversation(row: Row) -> list[str]:
    names = [row.conversation_id, getattr(row, "chosen_conversation_id", None)]
    return [name for name in names if name]


def _user(row: Row) -> list[str]:
    names = [row.user_id, getattr(row, "chosen_user_id", None)]
    return [name for name in names if name]


def _asked(prompt: tuple[Message, ...]) -> str:
    return last_asked(prompt) or "\n".join(said(message) for message in prompt)


_LEAKS = (
    # What a model was trained on it has seen: a proof on it proves nothing.
    _Leak("context-leak", "their context", _context, Severity.FAIL),
    _Leak("prompt-leak", "their prompt", _prompt, Severity.FAIL),
    _Leak(
        "near-prompt-leak", "their prompt but for case, blanks and punctuation", _near_prompt,
        Severity.WARN,
    ),
    _Leak("conversation-leak", "a conversation", _conversation, Severity.FAIL),
    # A liked answer of a user who is held out tells nothing of the pair that is.
    _Leak("user-leak", "a user", _user, Severity.WARN, of_pairs_only=True),
)  # fmt: skip
