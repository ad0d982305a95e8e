"""What a prompt asks, without how it is written: case, marks, politeness and greetings go.

Two prompts that ask for the same thing give the same words; numbers, ids, names of things and every
other word stay. Everything here takes time in proportion to the text.
"""

from __future__ import annotations

import hashlib
import re
import sys
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from loopllm_cli.model import Message

MOST_WORDS = 64
"""Later words count as one, exactly as they are: pasted documents would fill the memory."""

_LONGEST_CHUNK = 256  # Python orders runs of combining marks in quadratic time
_LONGEST_WORD = 64
_HEAD = 120
_TAIL = 80

_TOKEN = re.compile(
    r"(?:(?<![^\s(])[-+−](?=\d))?\d+(?:[.,:/+*^×-]\d+)*"  # a number, a date, a sum
    r"|[^\W\d_]+(?:['’`´][^\W\d_]+)*(?:\+\+|#(?!\w))?"  # a word; also c++ and c#
    r"|[$€£¥₹%]"
)
_APOSTROPHES = re.compile("['’`´]")
# A greeting of a few words at the beginning: "Hi there," "Dear support team,".
_GREETING = re.compile(
    r"\W{0,5}(?:hello|hi|hey|hiya|dear|greetings|good (?:morning|day|afternoon|evening)|hallo|moin"
    r"|guten (?:tag|morgen|abend)|hola|bonjour|salut|ciao|salve|olá|oi|привет|здравствуйте)\b"
    r"(?: [^\W\d_]{1,20}){0,3} ?[.,!;:–-]+\s"
)
# "Petra here." and "This is Petra." behind it, and only as a sentence of its own.
_INTRODUCTION = re.compile(
    r"\W{0,5}(?:(?:this is|my name is|mein name ist|ich heisse|me llamo|je m['’]appelle|mi chiamo"
    r"|meu nome é|mijn naam is) \w{1,20}(?: \w{1,20})?|\w{1,20} here)\s?[.,!;–-]+\s"
)
# Thanks and regards of a few words at the end: "Thanks for your help!", "Kind regards, Petra".
_CLOSING = re.compile(
    r"[.,!?;\n]\s*(?:(?:many|kind|best|warm|big) )?(?:thanks?|thank you|thx|cheers|regards"
    r"|greetings|sincerely|yours|vielen dank|danke|gracias|merci|grazie|obrigad[oa]|bedankt"
    r"|спасибо)\b"
    r"[^.?!\d]{0,40}[^\w?]*$"
)
_JOINED = re.compile(
    "请问|请|麻烦您?|谢谢您?|多谢|您好|你好|ください|お願い(?:いた)?します|すみません|"
    "ありがとう(?:ございます)?|こんにちは|주세요|부탁드립니다|감사합니다|안녕하세요"
)

_ARTICLE_WORDS = """
a an the der das den dem ein eine einen einem el la los las un una le les une il lo gli o os um uma
het een
"""
_ARTICLES = frozenset(_ARTICLE_WORDS.split())

_NEGATED = """
do does did is are was were has have had could would should must need
"""
_CONTRACTIONS = {
    **{f"{w}s": (w, "is") for w in ("what", "where", "how", "when", "who", "why", "that", "there")},
    **{f"{word}nt": (word, "not") for word in _NEGATED.split()},
    "cant": ("can", "not"),
    "cannot": ("can", "not"),
    "wont": ("will", "not"),
    "im": ("i", "am"),
    "ive": ("i", "have"),
    "youre": ("you", "are"),
}

_POLITE = """
please|pls|plz|kindly|thanks|thank you|thankyou|thx|ty|tia|cheers|many thanks|thanks a lot
thank you very much|thank you so much|thanks so much|thanks in advance|thank you in advance
many thanks in advance|much appreciated|i appreciate it|i would appreciate it
i would be grateful|i would be very grateful
hello|hi|hey|greetings|dear sir or madam|dear team|dear support
good morning|good afternoon|good evening|good day|excuse me|sorry|sorry to bother you|pardon me
regards|best regards|kind regards|best|sincerely|yours sincerely|have a nice day|have a good day
let me know|it is urgent|it is rather urgent|it is very urgent|this is urgent|asap
as soon as possible|if possible|if you can|if you do not mind|i was wondering if|i wonder if
could you|can you|would you|will you|would you mind|tell me|could you tell me|can you tell me
do you know|i would like to know|i want to know|i need to know|just|quick question
bitte|danke|vielen dank|danke schön|danke im voraus|hallo|guten tag|guten morgen|guten abend
moin|servus|entschuldigung|mit freundlichen grüssen|viele grüsse|liebe grüsse|mfg|lg|können sie
könnten sie|kannst du|könntest du|können sie mir sagen|würden sie|es ist dringend
por favor|gracias|muchas gracias|hola|buenos días|buenas tardes|buenas noches|disculpe|perdón
un saludo|saludos|puede|puedes|podría|podrías|puede decirme|es urgente
s il vous plaît|sil vous plaît|s il te plaît|svp|stp|merci|merci beaucoup|merci d avance|bonjour
bonsoir|salut|excusez moi|pardon|cordialement|pouvez vous|pourriez vous|peux tu|cest urgent
per favore|per piacere|grazie|grazie mille|ciao|salve|buongiorno|buonasera|scusi|scusa|può|puoi
potrebbe|cordiali saluti|faz favor|se faz favor|obrigado|obrigada|muito obrigado|muito obrigada
olá|oi|bom dia|boa tarde|boa noite|desculpe|pode|poderia|alstublieft|alsjeblieft|aub|dank u
dank je|bedankt|dank je wel|dank u wel|goedemorgen|goedemiddag|goedenavond|kunt u|kun je
met vriendelijke groet|пожалуйста|спасибо|большое спасибо|здравствуйте|привет|добрый день
доброе утро|добрый вечер|извините|можете|не могли бы вы|подскажите
"""


def _phrases(lines: str) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Sort phrases by their first word, the longest first."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for phrase in lines.replace("\n", "|").split("|"):
        words = tuple(phrase.split())
        if words:
            found.setdefault(words[0], []).append(words)
    return {first: tuple(sorted(group, key=len, reverse=True)) for first, group in found.items()}


_BY_FIRST_WORD = _phrases(_POLITE)


def last_user_text(prompt: Iterable[Message]) -> str:
    """Return what the user said last, "" where no user said anything."""
    said = [message["content"] for message in prompt if message["role"] == "user"]
    return said[-1] or "" if said else ""


@lru_cache(1 << 17)
def canonical_words(text: str) -> tuple[str, ...]:
    """Return the words that say what a prompt asks.

    Case, white space, punctuation, articles, contractions and polite phrases go; where nothing but
    those stands, they stay. At most `MOST_WORDS` words, and one more for all that follow.

    Example:
        >>> canonical_words("Hello, Petra here. WHERE's my order #123, please?")
        ('where', 'is', 'my', 'order', '123')
    """
    tokens = _tokens(text)
    words = _without_politeness(tokens) or tokens
    if not words:
        bare = "".join(text.split())
        return (_digest([bare]),) if bare else ()
    if len(words) > MOST_WORDS:
        words = [*words[:MOST_WORDS], _digest(words[MOST_WORDS:])]
    return tuple(map(sys.intern, words))  # the same few words in a hundred thousand prompts


def _tokens(text: str) -> list[str]:
    if not text.isascii():
        text = " ".join(
            chunk if len(chunk) > _LONGEST_CHUNK else unicodedata.normalize("NFKC", chunk)
            for chunk in text.split()
        )
        text = _JOINED.sub(" ", text) or text
    text = text.casefold()
    tokens: list[str] = _TOKEN.findall(text, *_body(text)) or _TOKEN.findall(text)
    if _APOSTROPHES.search(text):
        tokens = [_APOSTROPHES.sub("", token) for token in tokens]
    if len(max(tokens, key=len, default="")) > _LONGEST_WORD:
        tokens = [t if len(t) <= _LONGEST_WORD else _digest([t]) for t in tokens]
    if _CONTRACTIONS.keys().isdisjoint(tokens):
        return tokens
    return [word for token in tokens for word in _CONTRACTIONS.get(token, (token,))]


def _body(text: str) -> tuple[int, int]:
    """Return where a text begins and ends without its greeting and its closing."""
    start = 0
    for opening in (_GREETING, _INTRODUCTION):
        found = opening.match(text[:_HEAD], start)
        start = found.end() if found else start
    tail = max(start, len(text) - _TAIL)
    closing = _CLOSING.search(text[tail:])
    return start, tail + closing.start() + 1 if closing else len(text)


def _without_politeness(tokens: list[str]) -> list[str]:
    """Drop polite phrases, the longest that fit, and articles."""
    if _BY_FIRST_WORD.keys().isdisjoint(tokens):
        return [token for token in tokens if token not in _ARTICLES]
    words: list[str] = []
    at = 0
    while at < len(tokens):
        phrases = _BY_FIRST_WORD.get(tokens[at], ())
        polite = next((p for p in phrases if tuple(tokens[at : at + len(p)]) == p), ())
        if not polite and tokens[at] not in _ARTICLES:
            words.append(tokens[at])
        at += len(polite) or 1
    return words


def _digest(words: list[str]) -> str:
    """Stand for words that only count exactly; the digit keeps them from passing for typos."""
    joined = " ".join(words).encode("utf-8", "surrogatepass")
    return f"0~{hashlib.blake2b(joined, digest_size=12).hexdigest()}"
