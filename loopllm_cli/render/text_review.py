"""Write pairs to a terminal: with their evidence, as a question to a reviewer, and what they said.

Everything that comes from logs is cleaned; long texts come in pieces.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from loopllm_cli.model import (
    Choice,
    Message,
    Rate,
    ReviewCard,
    ReviewDecision,
    ReviewImport,
    ReviewSummary,
    Shown,
    ShownAnswer,
    ShownFeedback,
    ShownPair,
)
from loopllm_cli.render import numbers, words
from loopllm_cli.render.clean import clean_text
from loopllm_cli.render.passages import compare, passage, piece, unmarked
from loopllm_cli.render.text_layout import emit, labelled, width_of

KEYS = (
    *(("a", "A is better"), ("b", "B is better"), ("g", "both good"), ("x", "both bad")),
    *(("s", "skip"), ("u", "undo"), ("m", "more text"), ("q", "quit")),
)
_ID, _NAME, _QUOTE = 64, 40, 240
_MOST_MESSAGES = 6
_SAID = {
    Choice.CHOSEN: "chosen side is better",
    Choice.REJECTED: "rejected side is better",
    Choice.BOTH_GOOD: "both sides are good",
    Choice.BOTH_BAD: "both sides are bad",
    Choice.SKIPPED: "skipped",
}


def write_shown(console: Console, shown: Shown, *, verbose: bool) -> None:
    """Write the pairs that came of an id, or why none did."""
    width = width_of(console)
    lines: list[Text] = []
    for pair in shown.pairs:
        lines += _pair(console, pair, shown, verbose=verbose)
        lines.append(Text(""))
    if shown.n_more:
        lines += labelled("more", [numbers.count(shown.n_more, "further pair")], width)
    if not shown.pairs:
        reason = shown.reason or "the dataset does not say; build it anew"
        lines += labelled("no pair", [clean_text(reason)], width)
        if shown.feedback:
            lines += _feedback("feedback", shown.feedback, width)
    where = [clean_text(shown.path), clean_text(shown.content_hash)[:12]]
    emit(console, lines + labelled("dataset", where, width))


def _pair(console: Console, shown: ShownPair, of: Shown, *, verbose: bool) -> list[Text]:
    width, pair = width_of(console), shown.pair
    lines = labelled(
        "pair", [clean_text(pair.pair_id, _ID), f"rule {clean_text(pair.rule)}"], width
    )
    for message in _shown_messages(pair.prompt, verbose=verbose):
        calls = json.dumps(message["tool_calls"]) if message.get("tool_calls") else None
        role = clean_text(message["role"], _NAME)
        text = _with_calls(str(message["content"] or ""), calls)
        lines += _side(f"{role}:", [], _whole(text, verbose=verbose), (console, None))
    chosen, rejected = (
        _whole(_with_calls(text, calls), verbose=verbose)
        for text, calls in (
            (pair.chosen, pair.chosen_calls),
            (pair.rejected, pair.rejected_calls),
        )
    )
    both = compare(chosen, rejected)
    for side, text, sign in (("chosen", chosen, "added"), ("rejected", rejected, "removed")):
        model = pair.chosen_model if side == "chosen" else pair.rejected_model
        marked = both[0 if side == "chosen" else 1] if both else unmarked(text)
        logged = any(answer.side == side for answer in shown.answers)
        unknown = "model unknown" if logged else "not a logged answer"
        head = [clean_text(model, _NAME)] if model else [unknown]
        lines += labelled(side, head, width) + passage(marked, console, width, sign)
    lines += _votes(shown, width)
    for number, answer in enumerate(shown.answers):
        lines += _answer("answers" if not number else "", answer, width)
    lines += labelled("split", _split(shown), width)
    lines += _drift(shown, of, width)
    for number, finding in enumerate(shown.findings):
        lines += labelled("audit" if not number else "", [clean_text(finding, _QUOTE)], width)
    for number, decision in enumerate(shown.decisions):
        lines += labelled("" if number else "reviews", _decision(decision, pair.pair_id), width)
    if shown.details:
        said = [f"{clean_text(k)} {clean_text(v, _QUOTE)}" for k, v in shown.details.items()]
        lines += labelled("more", said, width)
    return lines


def _whole(text: str, *, verbose: bool) -> str:
    """Return all of a text, or its first piece and how much is left."""
    if verbose:
        return text
    shown, more = piece(text)
    left = len(text) - len(shown)
    return f"{shown}\n… {left:,} characters more, shown with -v" if more else shown


def _shown_messages(prompt: Sequence[Message], *, verbose: bool) -> Sequence[Message]:
    if verbose or len(prompt) <= _MOST_MESSAGES:
        return prompt
    n_left = len(prompt) - _MOST_MESSAGES
    note = {"role": "…", "content": f"{n_left:,} messages before these, shown with -v"}
    return [note, *prompt[-_MOST_MESSAGES:]]


def _side(
    label: str, head: Sequence[str], text: str, place: tuple[Console, str | None]
) -> list[Text]:
    console, sign = place
    width = width_of(console)
    return [*labelled(label, head, width), *passage(unmarked(text), console, width, sign)]


def _with_calls(text: str, calls: str | None) -> str:
    return f"{text}\ncalls {calls}" if calls else text


def _votes(shown: ShownPair, width: int) -> list[Text]:
    says = [vote.says for vote in shown.feedback]
    pair = shown.pair
    parts = [f"{says.count('for')} for it", f"{says.count('against')} against it"]
    parts.append(f"margin {pair.margin:.3g}")
    if pair.signals:
        parts.append(clean_text(f"told apart by {', '.join(pair.signals)}", _QUOTE))
    known = numbers.known(pair.confidence)
    parts.append(f"confidence {pair.confidence:.2f}" if known else "confidence unknown")
    forgotten = sum(vote.forgotten for vote in shown.feedback)
    if forgotten:
        parts.append(f"{forgotten} no longer in the store")
    lines = labelled("evidence", parts, width)
    for vote in shown.feedback:
        lines += _feedback(f"  {vote.says}", vote, width)
    return lines


def _feedback(label: str, vote: ShownFeedback, width: int) -> list[Text]:
    name = clean_text(vote.feedback_id, _ID)
    if vote.forgotten:
        return labelled(label, [name, "no longer in the store"], width)
    who = clean_text(vote.annotator, _NAME) if vote.annotator else "somebody unknown"
    parts = [clean_text(f"{vote.kind} {vote.score}", _QUOTE), f"by {who}"]
    parts += [clean_text(vote.annotator_kind.lower(), _NAME), numbers.minute(vote.time), name]
    for text in (vote.text, vote.explanation):
        if text:
            parts.append(f"“{clean_text(text[: 4 * _QUOTE], _QUOTE)}”")
    return labelled(label, [part for part in parts if part], width)


def _answer(label: str, answer: ShownAnswer, width: int) -> list[Text]:
    parts = [answer.side, clean_text(answer.interaction_id, _ID)]
    if answer.forgotten:
        return labelled(label, [*parts, "no longer in the store"], width)
    parts += [clean_text(answer.model, _NAME)] if answer.model else []
    parts += [numbers.minute(answer.time)] if answer.time else []
    named = (("user", answer.user_id), ("conversation", answer.conversation_id))
    parts += [f"{noun} {clean_text(value, _NAME)}" for noun, value in named if value]
    parts += [clean_text(answer.source, _ID)] if answer.source else []
    return labelled(label, parts, width)


def _split(shown: ShownPair) -> list[str]:
    if not shown.split_keys:
        return [shown.split, "no other pair has its user, conversation or prompt"]
    shared = [
        f"{numbers.count(n, 'other pair')} of its {key}" for key, n in shown.split_keys.items()
    ]
    return [f"{shown.split}, like {shared[0]}", *shared[1:]]


def _drift(shown: ShownPair, of: Shown, width: int) -> list[Text]:
    parts = [f"“{clean_text(shown.pair.segment, _NAME)}”"] if shown.pair.segment else []
    if shown.segment_change is not None:
        parts += words.where_parts(shown.segment_change)[1:]
    if of.drift_run_id:
        parts.append(f"drift run {clean_text(of.drift_run_id, _ID)}")
    return labelled("segment", parts, width) if parts else []


def _decision(decision: ReviewDecision, pair_id: str) -> list[str]:
    choice = decision.choice
    said = _SAID.get(choice, choice.value)
    if decision.pair_id != pair_id and choice in (Choice.CHOSEN, Choice.REJECTED):
        said = _SAID[Choice.REJECTED if choice is Choice.CHOSEN else Choice.CHOSEN]
    return [said, f"by {clean_text(decision.reviewer, _NAME)}", numbers.minute(decision.time)]


def write_card(console: Console, card: ReviewCard, page: int = 0) -> bool:
    """Write one page of a pair as a question, and say whether there is another.

    The first page has the beginning of the last message and of both sides; the messages before
    that are cut to a line each there, and stand on the pages after it.
    """
    width = width_of(console)
    lines = [Text(""), Text(f"pair {card.number:,} of {card.total:,}".rjust(width), style="dim")]
    *earlier, last = card.prompt or (("user", ""),)
    more = page == 0 and any(len(text) > 1 for _, text in earlier)
    for role, text in earlier:
        shown, left = piece(text, page - 1) if page else (clean_text(text[:400], width - 16), False)
        more |= left
        if shown:
            lines += _part(f"{clean_text(role, _NAME)}:", shown, console)
    shown, left = piece(last[1], page)
    more |= left
    if shown or not page:
        lines += _part(f"{clean_text(last[0], _NAME)}:", shown, console)
    (first, more_first), (second, more_second) = piece(card.first, page), piece(card.second, page)
    both = compare(first, second)
    for label, text, place in (("A", first, 0), ("B", second, 1)):
        if text or not page:
            marked = both[place] if both else unmarked(text)
            lines += [Text(label, style="bold"), *passage(marked, console, width)]
    more = more or more_first or more_second
    if more:
        lines.append(Text("… more text: m", style="dim"))
    emit(console, [*lines, *_keys(width)])
    return more


def _part(label: str, text: str, console: Console) -> list[Text]:
    return [Text(label, style="bold"), *passage(unmarked(text), console, width_of(console))]


def write_keys(console: Console) -> None:
    """Write what the keys mean."""
    emit(console, _keys(width_of(console)))


def _keys(width: int) -> list[Text]:
    return labelled("keys", [f"{key} {meaning}" for key, meaning in KEYS], width)


def write_review(console: Console, result: ReviewSummary) -> None:
    """Write how far a review is, and what it says of the labels."""
    width = width_of(console)
    who = f"by {clean_text(result.reviewer, _NAME)}" if result.reviewer else "by anybody"
    done = [f"{result.n_pairs - result.n_open:,} of {result.n_pairs:,} pairs decided {who}"]
    done.append(f"{result.n_uncertain:,} uncertain ones left")
    if result.n_now:
        done.insert(0, f"{numbers.count(result.n_now, 'answer')} now")
    lines = labelled("reviewed", done, width)
    for number, tally in enumerate(result.tallies):
        counts = [f"{n:,} {word}" for word, n in tally.by_choice.items()]
        said = [clean_text(tally.reviewer, _NAME), *counts]
        said.append(f"with the votes {_rate(tally.with_votes)}")
        said.append(f"first side preferred {_rate(tally.first_shown)}")
        lines += labelled("" if number else "reviewers", said, width)
    for number, pair in enumerate(result.agreements):
        names = f"{clean_text(pair.first, _NAME)} and {clean_text(pair.second, _NAME)}"
        kappa = f"kappa {pair.kappa:.2f}" if pair.kappa is not None else "kappa undefined"
        said = [names, _rate(pair.agreement), kappa]
        lines += labelled("" if number else "agreement", said, width)
    if result.noise.n or result.undecidable.n:
        said = [f"wrong labels {_rate(result.noise)}"]
        said += [f"neither side better {_rate(result.undecidable)}", "of pairs drawn at random"]
        lines += labelled("noise", said, width)
    if result.n_broken:
        lines += labelled("broken", [numbers.count(result.n_broken, "line") + " left out"], width)
    emit(console, lines + labelled("dataset", [clean_text(result.path)], width))


def write_review_import(console: Console, result: ReviewImport) -> None:
    """Write what an import brought and what it left out."""
    width = width_of(console)
    parts = [numbers.count(result.n_decisions, "decision")]
    parts.append(f"of {numbers.count(result.n_reviewers, 'reviewer')}")
    parts.append(f"from {numbers.count(result.n_records, 'record')}")
    lines = labelled("imported", parts, width)
    if result.n_known:
        lines += labelled("known", [f"{result.n_known:,} imported before"], width)
    if result.skipped:
        said = [f"{n:,} {clean_text(reason)}" for reason, n in result.skipped.items()]
        lines += labelled("skipped", said, width)
    emit(console, lines + labelled("dataset", [clean_text(result.path)], width))


def _rate(rate: Rate) -> str:
    """Write a share with its interval and what it is a share of."""
    if rate.value is None:
        return numbers.UNKNOWN
    low, high = numbers.share(rate.low, rate.n), numbers.share(rate.high, rate.n)
    return f"{numbers.share(rate.value, rate.n)} ({low} … {high}, n {rate.n:,})"
