"""Judge logged rows one by one, by the signals that a drift run found to be worse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from loopllm_cli.config import Config
from loopllm_cli.errors import EmptyWindow, UsageError
from loopllm_cli.loop.comparable import comparable_signals
from loopllm_cli.model import DriftResult, SignalKind, Verdict, Window, Worse
from loopllm_cli.pairs.evidence.answer import Answer
from loopllm_cli.pairs.replay import Judged
from loopllm_cli.profiles.baseline import Baseline
from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.catalogue import compute_signals
from loopllm_cli.signals.registry import Signal
from loopllm_cli.store.project import Project
from loopllm_cli.store.windows import read_window

RIGHT = "right_answer"
# Of 20 answers one may be otherwise; of fewer nothing is said.
_USUAL = 0.95
_MIN_USUAL = 20


@dataclass(frozen=True)
class Failing:
    """What got worse where: segment label to the names of its signals; the signals by name.

    Only rates tell a bad answer from a good one; an amount (a length, a cost) is worse on average
    and no single answer is to blame. `usual` names, of everything that got worse anywhere, what
    nearly all of the baseline's answers in a segment were on the good side of: an answer that is
    not so may not be bad, but is no model either.
    """

    by_segment: dict[str, frozenset[str]]
    signals: dict[str, Signal]
    usual: dict[str, frozenset[str]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing that a single answer shows got worse."""
        return not any(self.by_segment.values())


def failing_signals(
    project: Project, config: Config, run: DriftResult, baseline: Baseline
) -> Failing:
    """Return what a drift run named; without a segment, what got worse in all of them."""
    signals, _ = comparable_signals(project, config, baseline)
    rates = {n: s for n, s in signals.items() if s.info.kind is SignalKind.RATE and _has_side(s)}
    named = {
        segment.label: frozenset(
            c.signal.name for c in segment.comparisons if c.signal.name in rates
        )
        for segment in run.segments
    }
    worse = frozenset(
        c.signal.name
        for c in run.comparisons
        if c.verdict is Verdict.WORSE and c.signal.name in rates
    )
    anywhere = worse.union(*named.values())
    if not named:
        named = dict.fromkeys(baseline.labels, worse)
    wanted = anywhere | ({RIGHT} & rates.keys())
    kept = {name: rates[name] for name in rates if name in wanted}
    usual = _usual(baseline, {name: rates[name] for name in kept if name in anywhere})
    return Failing(named, kept, {label: usual.get(label, frozenset()) for label in named})


def _usual(baseline: Baseline, signals: dict[str, Signal]) -> dict[str, frozenset[str]]:
    """Return by segment the signals of which nearly all the baseline's answers were good."""
    profile = baseline.profile.columns(tuple(signals))
    n, total = profile.n.sum(axis=1), profile.total.sum(axis=1)
    share = np.divide(total, n, out=np.full(n.shape, np.nan), where=n >= _MIN_USUAL)
    up = np.array([signal.info.worse is Worse.UP for signal in signals.values()], dtype=bool)
    good = np.where(up, 1 - share, share) >= _USUAL
    return {
        label: frozenset(compress(signals, row))
        for label, row in zip(baseline.labels, good, strict=True)
    }


def judge_window(
    project: Project, window: Window, failing: Failing, baseline: Baseline, what: str
) -> list[Judged]:
    """Judge every row of a window by the failing signals of its segment.

    A known wrong answer is bad in a segment that got worse, whichever signal showed it.

    Raises:
        UsageError: the window holds no rows any more.
    """
    try:
        table = read_window(project, window, what)
    except EmptyWindow as error:
        raise UsageError(
            f"{what} holds no rows any more, so there is nothing to repair from",
            "ingest its logs again, or build pairs without --from-drift",
        ) from error
    batch = RowBatch(table)
    names = tuple(failing.signals)
    values, _ = compute_signals(batch, failing.signals)
    labels = [baseline.segments.label(int(k)) for k in baseline.segments.assign(batch)]
    bad, known = sides_of(values, [failing.signals[name] for name in names])
    counted = _where(labels, names, lambda label: _of(failing, label))
    usual = _where(labels, names, lambda label: failing.usual.get(label, frozenset()))
    opinions = np.sign(np.nan_to_num(batch.numbers("polarity")))
    told = zip(
        bad & counted,
        (known & counted).sum(axis=1),
        opinions,
        np.asarray((bad & usual).any(axis=1)),
        strict=True,
    )
    return [
        Judged(answer, tuple(compress(names, b)), int(k), int(o), bool(u))
        for answer, (b, k, o, u) in zip(to_answers(table, labels), told, strict=True)
    ]


def _where(
    labels: Sequence[str], names: Sequence[str], of: Callable[[str], frozenset[str]]
) -> npt.NDArray[np.bool_]:
    """Say of every row and signal whether it counts in the row's segment."""
    rows = {label: [name in of(label) for name in names] for label in set(labels)}
    found = np.array([rows[label] for label in labels], dtype=bool)
    return found.reshape(len(labels), len(names))


def _of(failing: Failing, label: str) -> frozenset[str]:
    names = failing.by_segment.get(label, frozenset())
    return names | {RIGHT} if names else names


def _has_side(signal: Signal) -> bool:
    return signal.info.worse in (Worse.UP, Worse.DOWN)


def sides_of(
    values: FloatArray, signals: Sequence[Signal]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Say of every row and signal whether it is on the bad side, and whether it is known."""
    known = np.isfinite(values)
    up = np.array([signal.info.worse is Worse.UP for signal in signals], dtype=bool)
    high = np.where(known, values, 0.0) >= 0.5
    return known & (high == up), known


def to_answers(table: pa.Table, segments: Iterable[str]) -> list[Answer]:
    """Make answers of a window's rows, texts included.

    Args:
        segments: the segment of each row.
    """
    batch = RowBatch(table)
    names = (
        *("interaction_id", "context_hash", "prompt_hash", "prompt_text", "input_messages"),
        *("output_messages", "response_text", "content_state", "finish_reason", "error_type"),
        *("response_model", "request_model", "user_id", "conversation_id", "tool_definitions"),
        *("request_time", "n_tool_calls", "turn_index", "source_format", "redaction"),
        "reference_answer",
    )
    columns = [batch.values(name) for name in names]
    found = []
    for segment, *values in zip(segments, *columns, strict=True):
        row = dict(zip(names, values, strict=True))
        model = row.pop("response_model") or row["request_model"]
        row.pop("request_model")
        tools = row.pop("tool_definitions")
        text = row.pop("response_text") or ""
        row["n_tool_calls"] = row["n_tool_calls"] or 0
        found.append(
            Answer(
                **row,
                text=text,
                model=model,
                tools=tools,
                has_tools=tools is not None,
                segment=segment,
            )
        )
    return found
