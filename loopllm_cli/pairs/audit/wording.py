"""Do chosen sides decline, apologise or hedge, and do they break what the rejected ones keep?"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from loopllm_cli.model import Finding, Pair, Severity
from loopllm_cli.pairs.audit.context import Case
from loopllm_cli.pairs.audit.shares import (
    WARN_WRONG,
    by_user,
    examples,
    of_share,
    over,
    share_of,
    wrong_severity,
)
from loopllm_cli.signals.apologies import opens_with_apology
from loopllm_cli.signals.hedges import hedges
from loopllm_cli.signals.refusals import head_of, opens_with_refusal
from loopllm_cli.signals.texts import split_words, straight

TAUGHT = 0.05
"""Share of chosen sides from which a habit counts as taught.

Source: Bianchi et al. (2024), "Safety-tuned LLaMAs", ICLR, https://arxiv.org/abs/2309.07875: 3% of
declining answers in fine-tuning data changed what a model declines, and more of them made it
decline harmless requests.
"""

MOST = 0.5
_GUARD = "the chosen side is a refusal"
_MAX_JSON_CHARS = 100_000
_MAX_READ_CHARS = 20_000
"""Of a longer answer, so much is read for caveats: they stand in stock phrases anywhere."""


def check_wording(case: Case) -> list[Finding]:
    """Look for habits that chosen sides would teach."""
    return [
        _refusals(case),
        _dropped_refusals(case),
        _habit(case, "apology-as-chosen", "opens with an apology", _apologises),
        _habit(case, "hedging-as-chosen", "hedges", _hedges),
        _json(case),
        _tool_calls(case),
    ]


def _refusals(case: Case) -> Finding:
    pairs = case.sample
    refuses = [_refuses(pair.chosen) for pair in pairs]
    share = by_user(pairs, refuses)
    severity = over(share, MOST, Severity.FAIL)
    if severity is Severity.OK:
        severity = over(share, TAUGHT)
    found = of_share(
        "refusal-as-chosen",
        severity,
        share,
        (
            f"the chosen side declines in {share} pairs",
            "leave these pairs out, unless the model is to learn to decline",
        ),
        MOST if severity is Severity.FAIL else TAUGHT,
    )
    return _with(found, examples(pairs, refuses))


def _dropped_refusals(case: Case) -> Finding:
    """Judge what a guard has left out already: where votes prefer refusals, they may be flipped."""
    n_dropped = case.built.dropped.get(_GUARD, 0)
    pairs = [p for p in case.sample if _refuses(p.rejected) and not _refuses(p.chosen)]
    hits = [True] * n_dropped + [False] * len(pairs)
    keys = [f"dropped:{i}" for i in range(n_dropped)] + [p.user_id or p.pair_id for p in pairs]
    share = share_of(hits, keys)
    said = (
        f"of {share.n:,} pairs in which one side declines, {n_dropped:,} preferred it and were "
        "left out",
        "look whether the votes are stored the right way round",
    )
    severity = wrong_severity(share, worst=Severity.WARN)
    return of_share("refusal-preferred", severity, share, said, WARN_WRONG)


def _habit(case: Case, name: str, does: str, has: Callable[[str], bool]) -> Finding:
    """Judge how often only the chosen side has a habit, where that is not balanced by the other."""
    pairs = case.sample
    habits = [(has(pair.chosen), has(pair.rejected)) for pair in pairs]
    only = [chosen and not rejected for chosen, rejected in habits]
    share = by_user(pairs, only)
    told = [pair for pair, (a, b) in zip(pairs, habits, strict=True) if a != b]
    balance = by_user(told, [a for a, b in habits if a != b])
    said = (
        f"only the chosen side {does} in {share} pairs, only the rejected one in "
        f"{balance.n - balance.hits:,}",
        "leave these pairs out, or accept that the model will learn it",
    )
    # What both sides do alike often teaches nothing.
    severity = over(share, TAUGHT) if balance.n and balance.low > MOST else Severity.OK
    found = of_share(name, severity, share, said, TAUGHT)
    return _with(found, examples(pairs, only))


def _json(case: Case) -> Finding:
    """Compare both sides where exactly one of them is valid JSON and the other one tries to be."""
    told: list[Pair] = []
    broken: list[bool] = []
    for pair in case.sample:
        chosen, rejected = _as_json(pair.chosen), _as_json(pair.rejected)
        if (chosen is False and rejected is True) or (chosen is True and rejected is False):
            told.append(pair)
            broken.append(rejected is True)
    share = by_user(told, broken)
    said = (
        f"of {share.n:,} pairs in which one side is broken JSON, it is the chosen one in "
        f"{share.hits:,}",
        "repair or leave out the broken chosen sides",
    )
    severity = wrong_severity(share, worst=Severity.WARN)
    found = of_share("json-validity", severity, share, said, WARN_WRONG)
    return _with(found, examples(told, broken))


def _tool_calls(case: Case) -> Finding:
    told = [pair for pair in case.sample if pair.chosen_calls is not None]
    broken = [not _calls_known_tools(p.chosen_calls or "", p.tools) for p in told]
    share = by_user(told, broken)
    said = (
        f"the chosen side calls a tool wrongly (no JSON, or an unknown name) in {share} pairs "
        "with tool calls",
        "repair or leave out these pairs",
    )
    bad = share.n > 0 and share.value > TAUGHT
    severity = Severity.WARN if bad else Severity.OK
    found = of_share("tool-calls", severity, share, said, TAUGHT)
    return _with(found, examples(told, broken))


def _calls_known_tools(calls: str, tools: str | None) -> bool:
    """Say whether tool calls parse and call only tools that the context offers."""
    said, offered = _parsed(calls), _parsed(tools) if tools else None
    if not isinstance(said, list) or not all(isinstance(call, dict) for call in said):
        return False
    known = {_tool_name(tool) for tool in offered} if isinstance(offered, list) else set()
    return all(_arguments_parse(call) for call in said) and (
        not known or all(_tool_name(call) in known for call in said)
    )


def _tool_name(entry: object) -> str | None:
    """Return the name of a tool or call, whether or not it stands in a `function`."""
    if not isinstance(entry, dict):
        return None
    inner = entry.get("function")
    name = inner.get("name") if isinstance(inner, dict) else entry.get("name")
    return name if isinstance(name, str) else None


def _arguments_parse(call: dict[str, object]) -> bool:
    inner = call.get("function")
    arguments = (inner if isinstance(inner, dict) else call).get("arguments")
    return not isinstance(arguments, str) or _parsed(arguments) is not None


def _parsed(text: str) -> object | None:
    if len(text) > _MAX_JSON_CHARS:
        return None
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def _as_json(text: str) -> bool | None:
    """Say whether a text that tries to be a JSON object or list is one; None for other texts."""
    bare = text.strip()
    if bare.startswith("```"):
        bare = bare.strip("`").removeprefix("json").strip()
    if not bare.startswith(("{", "[")):
        return None
    return len(bare) > _MAX_JSON_CHARS or _parsed(bare) is not None


def _refuses(text: str) -> bool:
    return opens_with_refusal(head_of(text))


def _apologises(text: str) -> bool:
    return opens_with_apology(head_of(text))


def _hedges(text: str) -> bool:
    lowered = straight(text[:_MAX_READ_CHARS])
    return hedges(lowered, split_words(lowered))


def _with(finding: Finding, ids: Sequence[str]) -> Finding:
    return finding if finding.severity is Severity.OK else replace(finding, examples=tuple(ids))
