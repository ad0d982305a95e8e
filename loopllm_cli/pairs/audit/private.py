"""Is anything left in the texts that must not be learned: keys, personal data, mask tokens?

Only kinds and counts are ever said, never what was found.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

from loopllm_cli.model import Finding, Severity
from loopllm_cli.pairs.audit.context import Case
from loopllm_cli.pairs.audit.shares import by_user, examples, of_share, over
from loopllm_cli.pairs.audit.texts import chosen_of
from loopllm_cli.pairs.chat import said
from loopllm_cli.sources.redaction import Redactor

MASKED = 0.05
"""Share of chosen sides with a mask (<EMAIL_1a2b3c>) from which it counts as taught (`TAUGHT`)."""

_MASK = re.compile(r"<[A-Z][A-Z_]{1,30}_[0-9a-f]{6}>")
_MAX_CHARS = 50_000
_KEY = b"audit"  # masks are thrown away, so that the key matters nothing


def check_private(case: Case) -> list[Finding]:
    """Look for what redaction would mask."""
    secrets, basic = Redactor("secrets", _KEY), Redactor("basic", _KEY)
    n_secret: Counter[str] = Counter()
    n_personal: Counter[str] = Counter()
    has_secret, has_personal, has_mask = [], [], []
    for pair in case.sample:
        texts = [*(said(message) for message in pair.prompt), chosen_of(pair)]
        whole = _MASK.sub(" ", "\n\n".join(text[:_MAX_CHARS] for text in texts))
        masked, found = secrets.redact_text(whole)
        n_secret += found
        personal = basic.redact_text(_MASK.sub(" ", masked))[1]
        n_personal += personal
        has_secret.append(bool(found))
        has_personal.append(bool(personal))
        has_mask.append(_MASK.search(pair.chosen[:_MAX_CHARS]) is not None)
    remedy = "ingest anew with --redact basic; the store and the pairs then hold masks instead"
    return [
        _left(case, "secrets-left", ("keys or passwords", n_secret), has_secret, remedy),
        _left(case, "personal-data-left", ("personal data", n_personal), has_personal, remedy),
        _masks(case, has_mask),
    ]


def _left(
    case: Case, name: str, what: tuple[str, Counter[str]], hits: list[bool], remedy: str
) -> Finding:
    noun, counts = what
    share = by_user(case.sample, hits)
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in sorted(counts.items()))
    text = f"{share} pairs hold {noun} in context or chosen side" + (f" ({kinds})" if kinds else "")
    # A model that has learned a key gives it away to anybody who asks in the right way.
    bad = Severity.FAIL if name == "secrets-left" else Severity.WARN
    severity = bad if any(hits) else Severity.OK
    found = of_share(name, severity, share, (text, remedy), 0.0)
    return replace(found, examples=examples(case.sample, hits))


def _masks(case: Case, hits: list[bool]) -> Finding:
    share = by_user(case.sample, hits)
    said = (
        f"{share} chosen sides hold masks of redaction, which the model would learn to say",
        "leave these pairs out",
    )
    found = of_share("masks-as-chosen", over(share, MASKED), share, said, MASKED)
    return found if found.severity is Severity.OK else replace(
        found, examples=examples(case.sample, hits)
    )  # fmt: skip
