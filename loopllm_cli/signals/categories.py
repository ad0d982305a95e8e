"""Categories: a label per row, judged as one rate per value that the baseline had.

Exists so that "finish reason" or "first tool called" can be compared without a test per value of
an open-ended list. When a baseline is made its values are frozen as levels: the commonest by
name, the others together as `(other)`, and `(new)` for what the baseline never had. Each level
is a rate of its own with an interval, among the rows that have a label; two-sided, so that none
ever pages.

How often new values come is not known from the values that came: a baseline of 2,000 rows has
not seen all rare values, and a rate of 0 there would make any later row look like a change. So
in the baseline a row counts as new if no other row has its value: left out, it would have been
new. The share of such rows is Good and Turing's estimate of the values not seen yet.

Source: Good (1953), "The population frequencies of species and the estimation of population
parameters", Biometrika 40:237-264, equation 9 (the total chance of unseen species is N1/N).

Why this tolerance: which model, tool, language or ending an answer has is a way of working,
where two points are a change of habit (as for `tool_call`).

Must not know how windows are compared.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from loopllm_cli.model import SignalInfo, SignalKind
from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.language import guess_language, guess_script
from loopllm_cli.signals.limits import Task, run_limited
from loopllm_cli.signals.registry import Labels, Signal, category
from loopllm_cli.signals.texts import answer_fences, answer_words, without_fences
from loopllm_cli.signals.turns import turns

TOLERANCE = 0.02
MAX_LEVELS = 12  # by name; a list of more is read by nobody
MIN_USERS = 20
"""The least for a level of its own (rows count where no users are logged). Levels are chosen for
being frequent in the baseline; a value that a handful of users made frequent there falls back
later, which reads as a change: with five rows instead, a third of clean comparisons of 200
values at a design effect of 5 claimed one (`scripts/simulate_drift.py matrix`)."""
MAX_KNOWN = 1_000  # values; a label with more is an identifier, and always has new ones
MAX_LABEL_CHARS = 60
OTHER, NEW, REST = "(other)", "(new)", "(rest)"


# --- the built-in ones --------------------------------------------------------------------------


@category("finish_reason", TOLERANCE)
def finish_reason(batch: RowBatch) -> Labels:
    """How the answer ended (stop, length, tool_call, …).

    Blind spots: rows without a logged reason; exporters that write their own words for one.
    """
    return batch.values("finish_reason")


@category("response_model", TOLERANCE)
def response_model(batch: RowBatch) -> Labels:
    """The model that answered, by the name it gave.

    Blind spots: a changed model under an unchanged name, which the other signals are for.
    """
    return batch.values("response_model")


@category("http_status", TOLERANCE)
def http_status(batch: RowBatch) -> Labels:
    """The class of the HTTP status (2xx, 4xx, 5xx).

    Blind spots: few exporters log it; failed calls are often not exported at all.
    """
    statuses = batch.values("http_status")
    return [f"{int(s) // 100}xx" if s is not None and 100 <= s < 600 else None for s in statuses]


@category("first_tool", TOLERANCE)
def first_tool(batch: RowBatch) -> Labels:
    """The tool that an answer calls first, among answers that call tools.

    Blind spots: the order of parallel calls is the model's whim.
    """
    return [turn.now[0].name if turn and turn.now else None for turn in turns(batch)]


@category("answer_language", TOLERANCE)
def answer_language(batch: RowBatch) -> Labels:
    """The language of an answer, or its script where that is all that can be told.

    Blind spots: short answers and answers in a Latin script without small words have none;
    languages of one script other than Latin are not told apart.
    """
    rows = zip(batch.responses, answer_fences(batch), answer_words(batch), strict=True)
    return [_language(text, without_fences(text, fences) if fences else text, words or [])
            if text else None for text, fences, words in rows]  # fmt: skip


def _language(text: str, prose: str, words: list[str]) -> str | None:
    if text.lstrip()[:1] in ("{", "["):
        return None
    script = guess_script(prose)
    return guess_language(words) if script == "latin" else script


# --- freezing and following ---------------------------------------------------------------------


def expand_categories(batch: RowBatch, signals: Mapping[str, Signal]) -> dict[str, Signal]:
    """Replace every category by rates of the values that a baseline's rows have.

    Call once, on the rows of a baseline. A category without any label there has no levels; one
    whose labels fail stays, so that computing it says why.
    """
    labelled, failures = _label(batch, signals)
    expanded: dict[str, Signal] = {}
    for name, one in signals.items():
        if one.labels is None:
            expanded[name] = one
        elif name in failures:
            expanded[name] = replace(one, compute=_failing(failures[name]))
        else:
            users = batch.values("user_id")
            for level in _freeze(one, labelled[name], users):
                expanded[level.info.name] = level
    return expanded


def follow_categories(
    signals: Mapping[str, Signal], frozen: Sequence[SignalInfo]
) -> dict[str, Signal]:
    """Replace every category by rates of the values that a baseline's signals name."""
    followed: dict[str, Signal] = {}
    for name, one in signals.items():
        if one.labels is None:
            followed[name] = one
            continue
        for info in frozen:
            if info.levels and info.name.startswith(f"{name}="):
                value = info.name.removeprefix(f"{name}=")
                followed[info.name] = _level(one, value, info.levels, _belongs(value, info.levels))
    return followed


def clean_label(label: str) -> str:
    """Return a label without anything a terminal or page may obey, and not long.

    Example:
        >>> clean_label("gpt\\x1b[31m  (new)")
        'gpt [31m [new]'
    """
    plain = (" " if unicodedata.category(c)[0] in "CZ" else c for c in label[: 4 * MAX_LABEL_CHARS])
    # Round brackets around a whole value are ours.
    words = " ".join("".join(plain).split()).translate(str.maketrans("()", "[]"))
    return words[:MAX_LABEL_CHARS] or "[empty]"


def _label(
    batch: RowBatch, signals: Mapping[str, Signal]
) -> tuple[dict[str, Labels], dict[str, str]]:
    found = {name: one for name, one in signals.items() if one.labels is not None}
    tasks = [
        Task(name, partial(_labels_of, one, batch), one.seconds) for name, one in found.items()
    ]
    guarded = {name for name, one in found.items() if one.user_defined}
    labelled, failures = run_limited(tasks, guarded)
    for name, labels in labelled.items():
        # What a child found is kept here too, so that measuring need not find it again.
        batch.once(_key(name), lambda _, kept=labels: kept)  # type: ignore[misc]
    return labelled, failures


def _key(name: str) -> str:
    return f"labels of {name}"


def _labels_of(one: Signal, batch: RowBatch) -> Labels:
    return batch.once(_key(one.info.name), lambda b: _cleaned(one, b))


def _cleaned(one: Signal, batch: RowBatch) -> Labels:
    assert one.labels is not None
    known: dict[str, str] = {}
    found: Labels = []
    for label in one.labels(batch):
        if label is not None and label not in known:
            known[label] = clean_label(label)
        found.append(None if label is None else known[label])
    if len(found) != len(batch):
        raise ValueError(f"{len(found)} labels for {len(batch)} rows")
    return found


def _freeze(one: Signal, labels: Labels, users: Sequence[str | None]) -> list[Signal]:
    counts = Counter(label for label in labels if label is not None)
    if not counts:
        return []
    named = _named(counts, labels, users)
    levels = [_level(one, value, (value,), _belongs(value, (value,))) for value in named]
    if len(counts) > MAX_KNOWN:
        marks = tuple(sorted(_mark(value) for value in named))
        return [*levels, _level(one, REST, marks, _belongs(REST, marks))]
    alone = {value for value, n in counts.items() if n == 1}
    pooled = tuple(sorted(_mark(value) for value in counts if value not in named))
    known = tuple(sorted(map(_mark, counts)))
    if pooled:
        others = {value for value in counts if value not in named} - alone
        levels.append(_level(one, OTHER, pooled, lambda value: value in others))
    return [*levels, _level(one, NEW, known, lambda value: value in alone)]


def _named(counts: Counter[str], labels: Labels, users: Sequence[str | None]) -> list[str]:
    """Choose the values that are frozen by name: the commonest of those that many users have."""
    owners: dict[str, set[str | int]] = {}
    for row, (label, user) in enumerate(zip(labels, users, strict=True)):
        if label is not None and len(seen := owners.setdefault(label, set())) < MIN_USERS:
            seen.add(user if user is not None else row)
    shared = [value for value in counts if len(owners[value]) >= MIN_USERS]
    return sorted(shared, key=lambda value: (-counts[value], value))[:MAX_LEVELS]


def _belongs(value: str, levels: tuple[str, ...]) -> Callable[[str], bool]:
    """Return what says of a label whether it is of a frozen level."""
    if value not in (OTHER, NEW, REST):
        return lambda label: label == value
    marks = frozenset(levels)
    if value == OTHER:
        return lambda label: _mark(label) in marks
    return lambda label: _mark(label) not in marks


def _level(
    one: Signal, value: str, levels: tuple[str, ...], belongs: Callable[[str], bool]
) -> Signal:
    said = {
        OTHER: "a value that the baseline had and that has no line of its own",
        NEW: "a value that the baseline never had",
        REST: "any value without a line of its own",
    }.get(value, value)
    info = replace(
        one.info,
        name=f"{one.info.name}={value}",
        kind=SignalKind.RATE,
        definition=f"Rows with {said}, of those with a label. {one.info.definition}",
        levels=levels,
    )

    def compute(batch: RowBatch) -> FloatArray:
        decided: dict[str, float] = {}
        labels = _labels_of(one, batch)
        for label in set(labels):
            if label is not None:
                decided[label] = float(belongs(label))
        return np.array([np.nan if v is None else decided[v] for v in labels], dtype=np.float64)

    return replace(one, info=info, compute=compute, labels=None, category=one.info.name)


def _mark(label: str) -> str:
    """Stand for a value in a baseline's file without its text."""
    return hashlib.blake2b(label.encode("utf-8", "replace"), digest_size=6).hexdigest()


def _failing(reason: str) -> Callable[[RowBatch], FloatArray]:
    def compute(batch: RowBatch) -> FloatArray:
        raise RuntimeError(reason)

    return compute
