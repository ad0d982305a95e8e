"""Guards: what a candidate must be before anybody trains on it."""

from __future__ import annotations

from rapidfuzz.distance import Levenshtein, Prefix

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Pair
from loopllm_cli.pairs.candidates import Candidate
from loopllm_cli.pairs.evidence import Answer
from loopllm_cli.signals.refusals import is_refusal
from loopllm_cli.sources.rows import digest, normalise

_FINISHED = {None, "stop", "tool_call"}
_MAX_EDIT_CHARS = 20_000


def refuse(candidate: Candidate, config: PairsConfig) -> str | None:
    """Return why a candidate may not become a pair, None if it may."""
    for side in (candidate.rejected, candidate.chosen):
        reason = None if side is None else refuse_answer(side)
        if reason:
            return reason
    chosen, rejected = normalise(candidate.chosen_text), normalise(candidate.rejected.text)
    if not chosen or not rejected:
        return "an empty side"
    if chosen == rejected:
        return "both sides are the same"
    if is_refusal(chosen) and not is_refusal(rejected):
        return "the chosen side is a refusal"
    return _refuse_edit(chosen, rejected, config) if candidate.rule == "correction" else None


def to_pair(candidate: Candidate) -> Pair:
    """Turn a candidate that passed the guards into a pair with its provenance."""
    rejected, chosen = candidate.rejected, candidate.chosen
    answers = [a for a in (chosen, rejected) if a is not None]
    times = [v.feedback_time for v in candidate.votes if v.feedback_time]
    chosen_text, rejected_text = candidate.chosen_text.strip(), rejected.text.strip()
    return Pair(
        pair_id=digest(rejected.context_hash, normalise(chosen_text), normalise(rejected_text)),
        prompt=rejected.prompt() or (),
        chosen=chosen_text,
        rejected=rejected_text,
        rule=candidate.rule,
        feedback_ids=tuple(v.feedback_id for v in candidate.votes),
        interaction_ids=tuple(a.interaction_id for a in answers),
        user_id=rejected.user_id,
        conversation_id=rejected.conversation_id,
        context_hash=rejected.context_hash or "",
        # A context without a user's text is its own prompt.
        prompt_hash=rejected.prompt_hash or rejected.context_hash or "",
        segment=rejected.segment,
        chosen_model=chosen.model if chosen else None,
        rejected_model=rejected.model,
        margin=candidate.margin,
        feedback_time=max(times, default=None),
        chosen_conversation_id=chosen.conversation_id if chosen else None,
    )


def refuse_answer(answer: Answer) -> str | None:
    """Return why nobody should train on an answer, on whichever side; None if one may."""
    if answer.error_type is not None:
        return "an answer that is an error"
    if answer.content_state != "full" or answer.context_hash is None:
        return "an answer whose content was not logged in full"
    if answer.finish_reason not in _FINISHED:
        return "an answer that was cut off"
    if not answer.is_plain:
        return "an answer with tool calls or more than text"
    if answer.has_tools or not answer.prompt():
        return "context with tools, pictures or more than text"
    return None


def _refuse_edit(chosen: str, rejected: str, config: PairsConfig) -> str | None:
    distance = _edit_distance(chosen, rejected)
    if distance < config.min_edit:
        return "a correction of a typo only"
    return "a correction that is a new text" if distance > config.max_edit else None


def _edit_distance(a: str, b: str) -> float:
    """Return the share of the longer text that was edited.

    Of long texts, only so much is compared from the first difference on: the time grows with
    the square of the length.
    """
    start = Prefix.similarity(a, b)
    end = start + _MAX_EDIT_CHARS
    edits = Levenshtein.distance(a[start:end], b[start:end])
    return edits / max(len(a[:end]), len(b[:end]))
