"""Let Presidio find names and places, where its package and a language model are installed.

Must not be imported before it is asked for: Presidio loads spaCy.

Source: https://microsoft.github.io/presidio/analyzer/
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any

from loopllm_cli.errors import MissingExtra

# What patterns cannot find, or not in every country. Presidio's recognisers of links, dates and
# driving licences hit ordinary text and are left out.
KINDS = {
    "PERSON": "PERSON",
    "LOCATION": "LOCATION",
    "NRP": "GROUP",
    "PHONE_NUMBER": "PHONE",
    "EMAIL_ADDRESS": "EMAIL",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP",
    "US_SSN": "SSN",
    "US_PASSPORT": "PASSPORT",
    "CRYPTO": "WALLET",
}
MIN_SCORE = 0.5


class PresidioFinder:
    """Find personal data in English text with one analyser."""

    def __init__(self, analyser: Any) -> None:
        self._analyser = analyser

    def __call__(self, text: str) -> Iterator[tuple[str, int, int]]:
        """Yield kind, start and end of everything found with enough certainty."""
        found = self._analyser.analyze(
            text=text, language="en", entities=list(KINDS), score_threshold=MIN_SCORE
        )
        for hit in found:
            yield KINDS[hit.entity_type], hit.start, hit.end


@cache
def load_finder() -> PresidioFinder:
    """Load the analyser, once per process.

    Raises:
        MissingExtra: the package, or the language model that it needs, is not installed.
    """
    if find_spec("presidio_analyzer") is None:
        raise MissingExtra(
            "the redaction level presidio needs a package that is not installed: presidio-analyzer",
            "pip install 'loopllm[pii]', or choose --redact basic",
        )
    from presidio_analyzer import AnalyzerEngine

    try:
        return PresidioFinder(AnalyzerEngine())
    except (OSError, ImportError, SystemExit) as error:
        raise MissingExtra(
            f"Presidio's language model cannot be loaded ({error})",
            "install it: python -m spacy download en_core_web_lg",
        ) from error
