"""The rules that find signs of satisfaction in what a user says after an answer.

Signs are found by phrases at the start of a clause and by like words: rules that can be read, that
cost microseconds, and that rather miss a sign than invent one. How often they are right, and where
they are blind: docs/implicit-feedback.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from loopllm_cli.sources.implicit_phrases import (
    CORRECTING,
    FILLER,
    JOINED,
    JOINED_NOT,
    PATTERNS,
    STOPWORDS,
    TRIGGER_BITS,
)

_TRIGGERS = TRIGGER_BITS.keys()
_HEAD_CHARS = 300
_CLAUSES = 5
_LONGEST_QUESTION = 400


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign in a message that follows an answer.

    Args:
        name: rephrase, complaint, own_correction, thanks, ask_human or revision.
        polarity: +1 for thanks, -1 for dissatisfaction; None for a wish for another form, which
            says nothing bad of the answer.
        confidence: 0 to 1, an order among signs and no probability.
    """

    name: str
    polarity: int | None
    confidence: float


REPHRASED = Sign("rephrase", -1, 0.8)
EXTENDED = Sign("rephrase", -1, 0.6)
COMPLAINED = Sign("complaint", -1, 0.8)
DOUBTED = Sign("complaint", -1, 0.5)
CORRECTED = Sign("own_correction", -1, 0.7)
THANKED = Sign("thanks", 1, 0.8)
WANTS_HUMAN = Sign("ask_human", -1, 0.7)
REVISED = Sign("revision", None, 0.6)
_JOINED = {sign.name: sign for sign in (WANTS_HUMAN, COMPLAINED, THANKED, REVISED)}

_MARKS = tuple('.,!?;:\n"()')  # a few `replace` are faster than one `translate`
_CLAUSE = re.compile(r"[^.!?,;:\n…—]+[.!?,;:\n…—]*|[.!?]+")
_CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff]")
_OTHER_MARKS = str.maketrans({**dict.fromkeys("“”„«»…¿¡。，、！？–—", " "), "’": "'"})
# What begins so neither complains nor thanks.
_ASKS = re.compile(
    r"(?:how|where|when|why|who|does|did|is|was|can|could|would|if|what(?! (?:an?|you|i)\b))\b"
)
_FIRST_JOINED = "\u3040"


def mine_follow_up(asked: str | None, answered: str, said_next: str) -> Sign | None:
    """Return the sign that a user's message gives about the answer before it, None for none.

    Args:
        asked: what the answer was given to; None where it is not known.
        answered: the answer.
        said_next: the user's next message.

    Example:
        >>> mine_follow_up("How far is it?", "Five miles.", "Thanks! And by bus?").name
        'thanks'
    """
    head = said_next[:_HEAD_CHARS].lower()
    words = _words(head)
    if not words:
        return None
    again = _rephrases(asked, said_next, words) if asked else None
    bits = 0
    if not _TRIGGERS.isdisjoint(words):
        for word in words:
            bits |= TRIGGER_BITS.get(word, 0)
    if not head.isascii() and max(head) >= _FIRST_JOINED and _CJK.search(head):
        return again or _by_joined_phrases(head)
    if not bits:
        return again
    return _by_phrases(head.replace("’", "'"), bits, answered, again)


def _words(text: str) -> list[str]:
    for mark in _MARKS:
        if mark in text:
            text = text.replace(mark, " ")
    if not text.isascii():
        text = text.translate(_OTHER_MARKS)
    return text.split()


def _by_phrases(head: str, bits: int, answered: str, again: Sign | None) -> Sign | None:
    clauses = _clauses(head)
    if not clauses:
        return again
    if _said(clauses, "ask_human", bits):
        return WANTS_HUMAN
    if again is not None:
        return again
    if not CORRECTING.isdisjoint(_words(head)) and _own_correction(head, clauses, answered):
        return CORRECTED
    asks = answered.rstrip().endswith("?")
    told = [clause for clause in clauses if not _ASKS.match(clause)]
    for clause in _said(told, "complaint", bits):
        complaint = _complaint(clause, asks)
        if complaint is not None:
            return complaint
    # Thanks before anything else of the message; a wish for another form may follow it.
    thanked = _said(told, "thanks", bits)
    if thanked and _thanks(clauses, thanked, asks):
        return THANKED
    return REVISED if _said(clauses, "revision", bits) else None


def _said(clauses: list[str], name: str, bits: int) -> list[str]:
    """Return the clauses that begin with a phrase of a sign."""
    patterns = [pattern for bit, pattern in PATTERNS[name] if bits & bit]
    if not patterns:
        return []
    return [clause for clause in clauses if any(pattern.match(clause) for pattern in patterns)]


def _by_joined_phrases(head: str) -> Sign | None:
    """Look for phrases of languages that write without spaces."""
    if JOINED_NOT.search(head):
        return None
    return next((_JOINED[name] for name, found in JOINED.items() if found.search(head)), None)


def _clauses(head: str) -> list[str]:
    """Split the beginning of a message at its marks, and drop what says nothing before a phrase."""
    clauses = []
    for match in _CLAUSE.finditer(head):
        clause = match[0].strip(" \t\n,;:…—\"'“”„«»-*()")
        filler = FILLER.match(clause)
        if filler and filler.end() < len(clause):
            clause = clause[filler.end() :]
        if clause:
            clauses.append(clause)
        if len(clauses) == _CLAUSES:
            break
    return clauses


_DOUBT = re.compile(r"are you|bist du|sind sie|estás|tem certeza|sei |weet je|вы уверены|ты уверен")


# What may also be told to a model that has asked what happens, or what was tried.
_TOLD = re.compile(
    r"(?:i (?!mean|asked|said|was asking|wanted to|told)|i'|there|still|same|the |doesn|does not"
    r"|did|wrong|false|no\b(?! i mean))"
)


def _complaint(clause: str, answers_question: bool) -> Sign | None:
    """Weigh a clause that begins as a complaint does."""
    if answers_question and _TOLD.match(clause):
        return None
    if _DOUBT.match(clause):
        return DOUBTED
    # "Is there no such menu?" and "that doesn't work on Mondays?" ask rather than complain.
    return None if clause.endswith("?") and not clause.endswith("??") else COMPLAINED


_STATES = re.compile(
    r"(?:(?:no|nope|wrong|false|incorrect|actually|in fact|nein|doch|non|não|nee|нет)\b[\s,.!]*)?"
    r"(?:(?P<value>(?:it|that|this|he|she|they)(?:'s| is| was| are| were)|(?:das|es|der|die) "
    r"(?:ist|sind|war|fährt|kostet|heißt)|c'est|es (?:el|la|un)|el \w+ es|la \w+ es|é |è |dat is"
    r"|het is|это|the \w+ (?:is|are|was)) (?P<rest>.+)|(?P<number>\d[\d.,:/]*)\b.*)"
)
_DENIES = re.compile(
    r"(?:no|nope|wrong|false|incorrect|actually|in fact|nein|doch|non|não|nee|нет)\b"
)
_SHOULD = re.compile(
    r"(?:no |actually |the correct \w+ |the right \w+ )?(?:[\w']+ )?should (?:actually |rather )?"
    r"(?:be|have been|read|say) (?P<rest>.+)"
    r"|(?:the )?(?:correct|right|actual|real) (?:answer|value|name|result|number|date|spelling|word"
    r"|one|translation|solution) (?:is|was|would be) (?P<other>.+)"
    r"|you (?:probably )?mean (?P<meant>.+)"
)
_ACTUALLY = re.compile(
    r"actually,? (?!i\b|i'|we\b|my\b|you\b|can\b|could\b|please\b|do\b|does\b|is\b|what\b|how\b"
    r"|never\b|let\b|make\b|forget\b|no\b|that)(?:[\w' ]{1,60}?)(?:\bis\b|\bwas\b|'s\b|\bare\b) .+"
)
_NOT_THAT = re.compile(
    r"(?P<right>.+?)[\"']?,? (?:and )?not (?:on |in |at |by |the )?(?P<wrong>[\w.:]+)"
)
# After "no, it's": not a better answer but a state, a form or a reason.
_NO_VALUE = re.compile(
    r"(?:fine|ok|okay|good|alright|all|enough|not|just|for|because|my|only|still|too|so|a bit|very"
    r"|possible|great|nothing|impossible|shorter|longer|more|less|sent|in \w+ please|wrong|gut"
    r"|nicht|kein|bien|bon|pas|niet|не)\b"
)


def _own_correction(head: str, clauses: list[str], answered: str) -> bool:
    """Return whether a message states what the answer should have been.

    What it states must be new: a value that the answer has not. A "no" after an answer that asked
    back answers the model's question.
    """
    if "?" in head:
        return False
    known = set(_words(answered.lower()))
    swapped = _NOT_THAT.match(head)
    if swapped and swapped["wrong"].strip(".:") in known - STOPWORDS:
        return _is_new(swapped["right"], known)
    for clause in clauses[:3]:
        found = _SHOULD.match(clause)
        if found and _is_new(found["rest"] or found["other"] or found["meant"], known):
            return True
    denial = _DENIES.match(head.lstrip())
    if not denial or answered.rstrip().endswith("?"):
        return False
    if _ACTUALLY.match(head.lstrip()):
        return _is_new(head, known)
    # "no it is 391"; "no, it's Canberra"; "wrong. it was aldrin"
    stated = clauses[:1] if len(clauses[0]) > len(denial[0]) + 1 else clauses[1:2]
    return any(
        found is not None and _is_new(found["rest"] or found["number"], known)
        for found in map(_STATES.match, stated)
    )


def _is_new(stated: str, known: set[str]) -> bool:
    stated = stated.strip(" .!")
    if not stated or _NO_VALUE.match(stated):
        return False
    return not known.issuperset(set(_words(stated)) - STOPWORDS)


_STATEMENT_OF_FACT = re.compile(
    r"(?:please|can|could|would|will|my|the|write|send|give|now|also|next|add|show|tell|do|does|is"
    r"|are|how|what|which|when|where|who|why|and|bitte|kannst|por favor|s'il|no\b|nein|non\b|não\b"
    r"|nee\b|нет)\b"
)


_THANK_WORD = re.compile("th|ty|tks|cheer|danke|dank|gracias|merci|obrig|grazie|bedankt|спас|благ")


def _thanks(clauses: list[str], thanked: list[str], answers_question: bool) -> bool:
    """Return whether a message thanks or praises, other than in advance for what it asks for.

    "Great" after a question of the model says yes to it and nothing of the answer.
    """
    found = False
    for place, clause in enumerate(clauses):
        if place and clause.startswith(("but ", "aber ", "pero ", "mais ", "however")):
            return False
        if not found and clause in thanked and not clause.endswith("?"):
            found = not answers_question or _THANK_WORD.search(clause) is not None
        elif not found and (
            clause.endswith("?") or len(clause.split()) > 5 or _STATEMENT_OF_FACT.match(clause)
        ):
            return False
    return found


def _rephrases(asked: str, said_next: str, words: list[str]) -> Sign | None:
    """Return a sign where a message is nearly the question before it.

    Words may be left out or added, not exchanged: "the bus to the airport" after "the bus to the
    harbour" is another question.
    """
    length, longest = len(said_next), _LONGEST_QUESTION
    if not 0.4 * len(asked) <= length <= 2.5 * len(asked) or max(length, len(asked)) > longest:
        return None
    if len(words) < 3:
        return _joined_rephrase(asked, said_next)
    # Most messages are told apart here: two words of which the question has not even the stem.
    spoken = asked.lower()
    strange = 0
    for word in words:
        if word[:3] not in spoken and word not in STOPWORDS:
            strange += 1
            if strange > 1:
                return None
    now = {word.rstrip("s") for word in words if word not in STOPWORDS}
    if len(now) < 2:
        return None
    before = {word.rstrip("s") for word in _words(spoken) if word not in STOPWORDS}
    added, left_out = now - before, before - now
    shared = len(now) - len(added)
    if shared < 2 or len(added) > 1 or 5 * shared < 3 * len(before):
        return None
    if not added or _is_form_of(added, left_out):
        return REPHRASED
    return None if left_out else EXTENDED


def _is_form_of(added: set[str], left_out: set[str]) -> bool:
    """Return whether a word was exchanged only for another form of it ("turn" for "turning")."""
    (word,) = added
    return any(
        min(len(word), len(other)) > 2 and (word.startswith(other) or other.startswith(word))
        for other in left_out
    )


def _joined_rephrase(asked: str, said_next: str) -> Sign | None:
    """Compare texts of languages that write without spaces by their pairs of characters."""
    if said_next.isascii() or len(said_next) < 6 or not _CJK.search(said_next):
        return None
    now, before = ({t[i : i + 2] for i in range(len(t) - 1)} for t in (said_next, asked))
    return REPHRASED if len(now & before) >= 0.7 * len(now | before) else None
