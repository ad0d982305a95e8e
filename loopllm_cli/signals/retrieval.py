"""Signals about answers from retrieved context: how much they take from it, and whom they cite.

Context is what a row logs of it: the results of tools in its turn; the attributes that
OpenInference, LangChain and RAG frameworks write (`retrieval.documents`, `source_documents`,
`contexts`, …); and sections in angle brackets in the prompt (`<context>`, `<documents>`, …).
Rows without any do not apply, so services without retrieval see none of these.

Why these tolerances: overlap moves with topic and length, and a fifth of it is more than the
same model shows between two halves of the same traffic (as for `prompt_overlap`); citations are
a promise of the product, where three points are seen; an invented source or an empty context
breaks an answer, so one in a hundred matters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from loopllm_cli.model import SignalKind, Worse
from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.registry import signal
from loopllm_cli.signals.texts import answer_words, split_words, straight
from loopllm_cli.signals.turns import parse, turns

MAX_CONTEXT_CHARS = 200_000
MAX_DOCUMENTS = 500
_MAX_DEPTH = 12
_KEYS = (
    *("retrieval.documents", "retrieved_documents", "retrieved_contexts", "retrieved_context"),
    *("source_documents", "contexts", "context", "documents", "search_results", "chunks"),
)
_PLACES = ("", "metadata", "input", "inputs", "attributes", "retrieval")
_TEXTS = ("document.content", "page_content", "content", "text", "body", "snippet")
_FLAT = re.compile(r"retrieval\.documents\.(\d{1,4})\.document\.content")
_OPENING = re.compile(r"<(context|documents?|search_results|sources|passages?)\b[^<>\n]{0,200}>")
_CITATION = re.compile(
    r"\[(?:\^?\d{1,3}(?:\s?[,;–-]\s?\d{1,3}){0,9}|(?:doc|document|source|ref|passage)\W{0,2}\w{1,20})\]"
    r"|【\d{1,3}[^】\n]{0,40}】"
    r"|[(\[](?:source|sources|quelle|fuente|fonte)\s?:\s?[^)\]\n]{1,200}[)\]]",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"\[\^?(\d{1,3})\]")
_LINK = re.compile(r"https?://[^\s<>()\[\]\"'`*|\\]{4,300}")
_LINK_ENDS = ".,;:!?…/#"


@dataclass(frozen=True, slots=True)
class Context:
    """Retrieved texts; `listed` says that they came as a list, whose places answers may cite."""

    texts: tuple[str, ...]
    listed: bool

    @property
    def whole(self) -> str:
        """All texts together, cut where they are too long to read."""
        return "\n".join(self.texts)[:MAX_CONTEXT_CHARS]


def contexts(batch: RowBatch) -> list[Context | None]:
    """Return each row's context; None where the row has no place for one."""
    return batch.once("contexts", _contexts)


def _contexts(batch: RowBatch) -> list[Context | None]:
    rows = zip(batch.values("attributes_json"), turns(batch), batch.prompts, strict=True)
    found: list[Context | None] = []
    for attributes, turn, prompt in rows:
        logged = _logged(attributes)
        results = [_text_of(part.get("response")) for part in turn.results] if turn else []
        sections = _sections(prompt) if prompt and "<" in prompt else []
        texts = [*(logged or []), *results, *sections]
        if logged is None and not texts:
            found.append(None)
        else:
            kept = tuple(text for text in texts if text.strip())
            found.append(Context(kept, logged is not None and not results and not sections))
    return found


def _logged(attributes: str | None) -> list[str] | None:
    """Return the documents in a row's attributes; None where there is no key for them."""
    if not attributes or not any(key in attributes for key in _KEYS):
        return None
    parsed = parse(attributes)
    if not isinstance(parsed, Mapping):
        return None
    for place in _PLACES:
        inner = parse(parsed.get(place)) if place else parsed
        if not isinstance(inner, Mapping):
            continue
        flat = {int(m[1]): v for k, v in inner.items() if (m := _FLAT.fullmatch(k))}
        if flat:
            return [_text_of(flat[at]) for at in sorted(flat)]
        for key in _KEYS:
            documents = _documents(inner[key]) if key in inner else None
            if documents is not None:
                return documents
    return None


def _documents(value: Any) -> list[str] | None:
    parsed = parse(value)
    value = value if parsed is None and isinstance(value, str) else parsed
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        return None
    return [_text_of(item) for item in value[:MAX_DOCUMENTS]]


def _text_of(value: Any, depth: int = 0) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and depth < _MAX_DEPTH:
        inner = value.get("document", value)
        inner = inner if isinstance(inner, Mapping) else value
        for key in _TEXTS:
            if isinstance(inner.get(key), str):
                return str(inner[key])
    try:
        return "" if value is None else orjson.dumps(value).decode()
    except TypeError:  # beyond 64 bits, or nested too deeply
        return ""


def _sections(prompt: str) -> Iterator[str]:
    at = 0
    for _ in range(MAX_DOCUMENTS):
        opening = _OPENING.search(prompt, at)
        if opening is None:
            return
        end = prompt.find(f"</{opening[1]}>", opening.end())
        if end < 0:
            return
        yield prompt[opening.end() : end]
        at = end


def _per_answer(batch: RowBatch, measure: Callable[[str, Context], float | None]) -> FloatArray:
    rows = zip(batch.responses, contexts(batch), strict=True)
    measured = (measure(text, c) if text and c and c.texts else None for text, c in rows)
    return np.array([np.nan if m is None else m for m in measured], dtype=np.float64)


@signal("context_overlap", SignalKind.AMOUNT, Worse.EITHER, 0.20)
def context_overlap(batch: RowBatch) -> FloatArray:
    """Share of an answer's different words that also stand in its retrieved context.

    Blind spots: common words overlap with any long context; a faithful paraphrase, or an answer
    in another language than its sources, overlaps little; copying the wrong passage overlaps
    much.
    """
    rows = zip(answer_words(batch), contexts(batch), strict=True)
    return np.array(
        [_overlap(words, c) if words and c and c.texts else np.nan for words, c in rows],
        dtype=np.float64,
    )


def _overlap(words: list[str], context: Context) -> float:
    different = set(words)
    return len(different.intersection(split_words(straight(context.whole)))) / len(different)


@signal("context_empty", SignalKind.RATE, Worse.UP, 0.01)
def context_empty(batch: RowBatch) -> FloatArray:
    """Rows whose place for retrieved context was logged and holds nothing.

    Blind spots: a retriever that returns something useless; logs that leave the place out when
    nothing was found. A tool that has nothing to say counts as empty too.
    """
    found = [None if c is None else not c.texts for c in contexts(batch)]
    return np.array([np.nan if f is None else float(f) for f in found], dtype=np.float64)


@signal("citation", SignalKind.RATE, Worse.DOWN, 0.03)
def citation(batch: RowBatch) -> FloatArray:
    """Answers with a citation ([1], [doc 2], (source: …), or a link of their context).

    Among answers with a retrieved context.

    Blind spots: a citation of the wrong source counts; other styles (superscripts, names and
    years) do not; the rate falls too where tools fetch things nobody cites, such as the time.
    """

    def measure(text: str, context: Context) -> float:
        if _CITATION.search(text):
            return 1.0
        links = _links(text)
        return float(bool(links) and bool(links & _links(context.whole)))

    return _per_answer(batch, measure)


@signal("citation_invented", SignalKind.RATE, Worse.UP, 0.01)
def citation_invented(batch: RowBatch) -> FloatArray:
    """Answers that cite a document number or a link that their context does not have.

    Among answers with a retrieved context that cite a link, or a number where the documents
    were logged as a list.

    Blind spots: an existing source that does not say what it is cited for; links that the
    system prompt told the model to give count as invented in both windows alike.
    """
    rows = zip(batch.responses, contexts(batch), batch.prompts, strict=True)
    return np.array(
        [_invented(text, c, prompt or "") if text and c and c.texts else np.nan
         for text, c, prompt in rows],
        dtype=np.float64,
    )  # fmt: skip


def _invented(text: str, context: Context, prompt: str) -> float:
    numbers = {int(n) for n in _NUMBERED.findall(text)} if context.listed else set()
    links = _links(text)
    if not numbers and not links:
        return np.nan
    # Lists are counted from 0 or from 1.
    beyond = any(n > len(context.texts) for n in numbers)
    return float(beyond or bool(links - _links(context.whole) - _links(prompt)))


def _links(text: str) -> frozenset[str]:
    if "://" not in text:
        return frozenset()
    return frozenset(link.rstrip(_LINK_ENDS).lower() for link in _LINK.findall(text))
