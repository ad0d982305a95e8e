"""Guards: what a candidate must be before anybody trains on it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Pair
from loopllm_cli.pairs.candidates import WRITTEN, Candidate
from loopllm_cli.pairs.chat import calls_of, has_calls, is_answer, side_key, to_messages
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.rewrites import refuse_rewrite
from loopllm_cli.signals.refusals import is_refusal
from loopllm_cli.sources.rows import digest, normalise

FINISHED = frozenset((None, "stop", "tool_call"))
# 25,000 tokens at four characters each, and 100,000: the longest outputs of most services in 2026
# are 32,768 tokens, and a pair of longer sides would be cut before anybody trains on it.
MAX_ANSWER_CHARS = 100_000
MAX_CONTEXT_CHARS = 400_000

# What masks personal data: the tokens of `ingest --redact`, and those of other tools. Names in
# square brackets that are not in capitals, such as [Your Name], are a letter's own blanks.
_MASK = re.compile(
    r"<[A-Z][A-Z_]{1,30}_[0-9a-f]{6}>"
    r"|[<\[](?:EMAIL|EMAIL_ADDRESS|PHONE|PHONE_NUMBER|PERSON|NAME|FIRST_NAME|LAST_NAME|ADDRESS"
    r"|LOCATION|SSN|US_SSN|CREDIT_CARD|IBAN|IBAN_CODE|IP|IP_ADDRESS|DATE_OF_BIRTH|PII|REDACTED"
    r"|SECRET|PASSWORD|API_KEY)(?:_\d{1,4})?[>\]]"
)
# What programs say instead of an answer, at the start of a short one.
_FAILED = re.compile(
    r"(?:an? )?(?:(?:internal|unexpected|unknown|network|server|api|http|fatal) )*(?:server )?"
    r"(?:error|exception)\b(?: \d{3}\b| code\b| occurred\b|:|$)"
    r"|something went wrong|(?:the )?(?:request|connection) (?:timed out|failed|was aborted)"
    r"|rate limit (?:exceeded|reached)|service (?:temporarily )?unavailable|traceback \(most recent"
    r"|the model is (?:currently )?overloaded|(?:no response|null|undefined|nan|none)$"
)
_FAILED_CHARS = 300
# What a label, a tag or a reason says when a refusal was the right answer.
_LABELLED = re.compile(r"refus|unsafe|safety|harm|jailbreak|policy|illegal|abuse|prompt.injection")

_EMPTY = "an empty side"
_ERROR = "an answer that is an error"


def refuse(
    candidate: Candidate, config: PairsConfig, *, is_declined: bool | None = None
) -> str | None:
    """Return why a candidate may not become a pair, None if it may.

    Args:
        is_declined: whether the better side is a refusal, where that is known already.
    """
    rejected, chosen = candidate.rejected, candidate.chosen
    for side in (rejected, chosen):
        reason = None if side is None else refuse_answer(side, tools=True)
        if reason:
            return reason
    if chosen is not None and chosen.context_hash != rejected.context_hash:
        return "answers to different contexts"
    if chosen is None and rejected.n_tool_calls and candidate.rule in WRITTEN:
        return "a correction in words of an answer that calls tools"
    better, worse = candidate.better, rejected.text
    if len(better) > MAX_ANSWER_CHARS:
        return "an answer of enormous length"
    declined = is_refusal(better) if is_declined is None else is_declined
    return _refuse_sides(candidate, better, worse, declined=declined) or (
        refuse_rewrite(candidate, config) if candidate.rule in WRITTEN else None
    )


def _place(candidate: Candidate) -> int | None:
    """Return where the chosen of two answers stood that one vote compared."""
    shown = candidate.votes[0].candidates if len(candidate.votes) == 1 else ()
    chosen = candidate.chosen.interaction_id if candidate.chosen else None
    return shown.index(chosen) if len(shown) == 2 and chosen in shown else None


def refuse_answer(answer: Answer, *, tools: bool = False) -> str | None:
    """Return why nobody should train on an answer, on whichever side; None if one may.

    Args:
        tools: whether tools may stand in the context, and calls in the answer.
    """
    reason = refuse_facts(answer)
    if reason:
        return reason
    if len(answer.text) > MAX_ANSWER_CHARS:
        return "an answer of enormous length"
    if not is_answer(answer.output_messages):
        return "an answer with pictures, reasoning or other parts"
    if len(answer.input_messages or "") > MAX_CONTEXT_CHARS:
        return "a context of enormous length"
    prompt = to_messages(answer.input_messages)
    if not prompt or prompt[-1]["role"] == "assistant":
        return "a context with pictures, reasoning or other parts"
    if not tools and (has_calls(prompt) or answer.has_tools or calls_of(answer.output_messages)):
        return "an answer or a context with tools"
    return None


def refuse_facts(answer: Answer) -> str | None:
    """Return what is wrong with an answer as far as its texts need not be read."""
    if answer.error_type is not None:
        return _ERROR
    if answer.content_state != "full" or answer.context_hash is None:
        return "an answer whose content was not logged in full"
    if answer.finish_reason not in FINISHED:
        return "an answer that was cut off"
    return None


def _refuse_sides(candidate: Candidate, better: str, worse: str, *, declined: bool) -> str | None:
    chosen, rejected = candidate.chosen, candidate.rejected
    chosen_calls = calls_of(chosen.output_messages) if chosen else None
    rejected_calls = calls_of(rejected.output_messages)
    if not (better.strip() or chosen_calls) or not (worse.strip() or rejected_calls):
        return _EMPTY
    if side_key(better, chosen_calls) == side_key(worse, rejected_calls):
        return "both sides are the same"
    if masks_of(better) != masks_of(worse):
        return "masked data on one side only"
    if is_failure(better):
        return "the chosen side is an error message"
    if declined and not is_refusal(worse) and not _is_labelled(candidate):
        return "the chosen side is a refusal"
    return None


def masks_of(text: str) -> set[str]:
    """Return the tokens and placeholders that stand for masked data in a text."""
    return set(_MASK.findall(text)) if "<" in text or "[" in text else set()


def is_failure(text: str) -> bool:
    """Say whether a text is what a program says instead of an answer."""
    if len(text) > 2 * _FAILED_CHARS:
        return False
    return _FAILED.match(" ".join(text.split()).lower().lstrip("[(*#> ")) is not None


def _is_labelled(candidate: Candidate) -> bool:
    """Say whether somebody said in so many words that a refusal was right."""
    said: Iterable[str | None] = (
        word for vote in candidate.votes for word in (vote.name, vote.label, vote.explanation)
    )
    return any(word and _LABELLED.search(word[:1_000].lower()) for word in said)


def to_pair(candidate: Candidate) -> Pair:
    """Turn a candidate that passed the guards into a pair with its provenance."""
    rejected, chosen = candidate.rejected, candidate.chosen
    answers = [a for a in (chosen, rejected) if a is not None]
    times = [v.feedback_time for v in candidate.votes if v.feedback_time]
    chosen_text, rejected_text = candidate.better.strip(), rejected.text.strip()
    chosen_calls = calls_of(chosen.output_messages) if chosen else None
    rejected_calls = calls_of(rejected.output_messages)
    return Pair(
        pair_id=digest(
            rejected.context_hash,
            side_key(chosen_text, chosen_calls),
            side_key(rejected_text, rejected_calls),
        ),
        prompt=to_messages(rejected.input_messages) or (),
        chosen=chosen_text,
        rejected=rejected_text,
        rule=_rule_of(candidate),
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
        chosen_user_id=chosen.user_id if chosen else None,
        chosen_place=_place(candidate),
        annotator_ids=tuple(v.annotator_id or "" for v in candidate.votes),
        tools=rejected.tools,
        chosen_calls=chosen_calls,
        rejected_calls=rejected_calls,
        signals=candidate.signals,
    )


def _rule_of(candidate: Candidate) -> str:
    """Name the rule; a pair across two contexts that were joined says so."""
    chosen, rejected = candidate.chosen, candidate.rejected
    if chosen is None or chosen.input_messages == rejected.input_messages:
        return candidate.rule
    one, other = (to_messages(side.input_messages) or () for side in (chosen, rejected))
    same = len(one) == len(other) and all(
        {**a, "content": normalise(a["content"])} == {**b, "content": normalise(b["content"])}
        for a, b in zip(one, other, strict=True)
    )
    return candidate.rule if same else f"{candidate.rule}{JOINED}"


JOINED = ", joined contexts"
"""What is added to the rule of a pair whose answers had two contexts that count as one."""
