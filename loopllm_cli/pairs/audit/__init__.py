"""Audit: name what makes a set of pairs teach something else than quality, before training.

Every check says what it looked at, also when all is well, so that a reader sees what was checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from loopllm_cli.config import PairsConfig
from loopllm_cli.model import Finding, Severity
from loopllm_cli.pairs.audit.context import AuditContext, BaselineRows, Case
from loopllm_cli.pairs.audit.flips import check_flips
from loopllm_cli.pairs.audit.leaks import check_leaks
from loopllm_cli.pairs.audit.lengths import check_lengths
from loopllm_cli.pairs.audit.origins import check_origins
from loopllm_cli.pairs.audit.people import check_people
from loopllm_cli.pairs.audit.places import check_places
from loopllm_cli.pairs.audit.private import check_private
from loopllm_cli.pairs.audit.sides import check_sides
from loopllm_cli.pairs.audit.sizes import check_sizes
from loopllm_cli.pairs.audit.tokens import check_tokens
from loopllm_cli.pairs.audit.wording import check_wording

if TYPE_CHECKING:
    from loopllm_cli.pairs.build import BuiltPairs

__all__ = ["CHECKS", "AuditContext", "BaselineRows", "audit_pairs"]

CHECKS: tuple[Callable[[Case], list[Finding]], ...] = (
    check_sizes,
    check_flips,
    check_places,
    check_sides,
    check_people,
    check_leaks,
    check_lengths,
    check_wording,
    check_origins,
    check_tokens,
    check_private,
)
"""The registry: each gives one or more findings, always the same ones for the same context."""

_RANK = {Severity.FAIL: 0, Severity.WARN: 1, Severity.OK: 2}


def audit_pairs(
    built: BuiltPairs, context: AuditContext, config: PairsConfig
) -> tuple[Finding, ...]:
    """Look for what would make training on these pairs a mistake.

    Returns:
        All findings, the worst first. One that `config.accept` names keeps its severity and is
        marked as accepted.
    """
    case = Case(built, context, config)
    found = [finding for check in CHECKS for finding in check(case)]
    accepted = frozenset(config.accept)
    marked = [
        replace(one, accepted=True)
        if one.name in accepted and one.severity is not Severity.OK
        else one
        for one in found
    ]
    return tuple(sorted(marked, key=lambda one: _RANK[one.severity]))
