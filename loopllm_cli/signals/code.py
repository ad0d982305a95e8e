"""The signal about code in answers: does it at least read as code.

Why this tolerance: two points, because a broken block is met only by those who run it, and
rows with code are few, so that a tighter line would rarely be decided. Code is parsed and never
run. The grammar is that of the running interpreter: compare windows under one Python version.
"""

from __future__ import annotations

import ast
import re
import textwrap
import warnings

import numpy as np

from loopllm_cli.model import SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch, each
from loopllm_cli.signals.registry import signal
from loopllm_cli.signals.texts import Fence, answer_fences

MAX_CODE_CHARS = 50_000
_PYTHON_LABELS = frozenset({"python", "py", "python3"})
# Only lines that no other common language writes: Java and Swift import too.
_READS_AS_PYTHON = re.compile(
    r"^[ \t]*(?:(?:async )?def \w+\(.*:|class \w+(?:\(.*\))?:|for \w+(?:, ?\w+)* in .*:"
    r"|from \w[\w.]* import [\w(])",
    re.MULTILINE,
)
_NOTEBOOK_LINE = re.compile(r"^[ \t]*[!%].*$", re.MULTILINE)


@signal("code_broken", SignalKind.RATE, Worse.UP, 0.02)
def code_broken(batch: RowBatch) -> FloatArray:
    """Answers with Python code that does not parse, among answers with fenced Python code.

    Blocks marked python, and unmarked ones that read as Python; pasted interpreter sessions
    (lines with >>>) do not apply.

    Blind spots: code that parses and fails when run, wrong code, languages other than Python, code
    outside a fence, unmarked blocks without a function, class, loop or from-import, and code over
    50,000 characters. An upgrade of Python may change what parses.
    """
    return each(answer_fences(batch), _broken)


def _broken(fences: list[Fence]) -> float:
    verdicts = [parses(fence.body) for fence in fences if is_python(fence)]
    known = [verdict for verdict in verdicts if verdict is not None]
    return float(not all(known)) if known else np.nan


def is_python(fence: Fence) -> bool:
    """Say whether a block is marked as Python, or is unmarked and reads as Python."""
    if len(fence.body) > MAX_CODE_CHARS or ">>>" in fence.body or not fence.body.strip():
        return False
    if fence.label:
        return fence.label in _PYTHON_LABELS
    return _READS_AS_PYTHON.search(textwrap.dedent(fence.body)) is not None


def parses(code: str) -> bool | None:
    """Say whether code follows Python's grammar; None where the parser gives up.

    Lines of notebooks (`!pip`, `%magic`) may be left out. Too deep a nesting is the parser's
    limit, not the author's error.
    """
    source = textwrap.dedent(code)
    verdict = _is_grammatical(source)
    if verdict is False and _NOTEBOOK_LINE.search(source):
        return _is_grammatical(_NOTEBOOK_LINE.sub("", source))
    return verdict


def _is_grammatical(source: str) -> bool | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(source)
        except (SyntaxError, ValueError):
            return False
        except (RecursionError, MemoryError):
            return None
    return True
