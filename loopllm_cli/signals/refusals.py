"""How answers decline: the phrases of English, and where those of any language count.

Exists apart from the signal because the rules are long; other languages than English are in
`refusals_languages`. Only the head of an answer is read: an answer that declines says so at
once, and a story in which someone says "I cannot" does not open that way. Precision and recall
are measured by scripts/measure_signals.py; every pattern runs on a few hundred characters, so
that no input can make it slow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import pyarrow.compute as pc

from loopllm_cli.signals.batch import FloatArray, RowBatch
from loopllm_cli.signals.refusals_languages import OTHER_LANGUAGES, Declining
from loopllm_cli.signals.texts import straight
from loopllm_cli.store.arrays import arrow_bytes, numpy_mask

HEAD_CHARS = 300
_SLACK_CHARS = 100  # markup and blanks that are dropped before the head is cut
_TURN_CHARS = 200

_MARKUP = re.compile("[*_#>]+")

_UNABLE = (
    r"(?:cannot|can't|can not|could not|couldn't|won't|will not|won't be able to"
    r"|will not be able to|will be unable to|would not be able to|(?:(?:am|are|'m|'re) )?unable to"
    r"|not able to|not going to|not allowed to|not permitted to|not programmed to"
    r"|not designed to|not willing to|not comfortable(?: with)?"
    r"|decline to|refuse to|(?:do not|don't) feel comfortable(?: with)?"
    r"|do not|don't)"
)
_ADVERBS = (
    r"(?: (?:and|or|will|can|not|cannot|ethically|directly|really|in|good|conscience|currently"
    r"|therefore|also|knowingly|simply|just|actually|be able to|be|am|even|ever|willing to)){0,4}"
)
_ACTS = (
    # "I can't help but …", "can't recommend it enough", "can't describe how happy I am"
    r"(?:help(?! but\b| \w+ing\b| myself)"
    r"|assist|comply|fulfil\w*|engag\w+|participat\w+|accommodat\w+|condon\w+|facilitat\w+"
    r"|continu\w+(?: with|[.,!])|proceed|provid\w+|creat(?:e|ing)|writ(?:e|ing)|generat\w+"
    r"|produc\w+|offer|giv(?:e|ing) (?:you|out|any|advice|instructions|medical|legal"
    r"|financial|tax)|shar(?:e|ing)"
    r"|support|promot\w+|encourag\w+|endors\w+|discuss\w*|answer(?:ing)?|respond\w*"
    r"|do (?:that|this|so|it)\b"
    r"|(?:describ\w+|explain\w*|express)(?! how (?:happy|grateful|much|proud|glad|sorry|excited))"
    r"|list\b|suggest\w*|advis\w+|tell you(?! how much)"
    r"|recommend\w*(?![^.!]{0,60} (?:enough|highly))|reveal\w*|disclos\w+"
    r"|show you|teach\w*|instruct\w*|incit\w+|prov(?:e|ing)\b|complet(?:e|ing) th"
    r"|process (?:th|your)"
    r"|perform\b|browse|access|open|view|predict|make (?:jokes|fun|up|any|a\b|value)|translat\w+"
    r"|identif\w+"
    r"|impersonat\w+|pretend|role-?play|reproduc\w+|execut\w+|carry out|advocat\w+|tolerat\w+"
    r"|speculat\w+|determine|summari[sz]e|recognize|reply|retrieve|send|cancel|refund|issue)"
)
_FIRST_PERSON = r"\b(?:i|we|i'm|we're|i am|we are|i will|i have|i do|i would)"
_ENGLISH = re.compile(rf"{_FIRST_PERSON}(?: \w+ly)?,? ?{_UNABLE}{_ADVERBS} {_ACTS}")
# "I do not" declines only with what a model endorses or discusses; "I don't provide …" too.
_WEAK_DENIAL = re.compile(
    r"\bdo(?:n't| not)(?! (?:provid|engag|support|endors|condon|promot|encourag|tolerat|discuss"
    r"|feel comf|assist|advocat|participat|creat|writ|generat))"
)
_ENGLISH_OTHER = re.compile(
    r"\b(?:i|we) (?:must|have to|need to)(?: \w+ly)? (?:decline|refuse)\b"
    r"|(?:it is|it's|that is|that's) against (?:my|our|the) (?:\w+ )?"
    r"(?:programming|guidelines|polic\w+|principles|values)"
    r"|(?:goes|go|is|are) against my (?:\w+ ){0,2}(?:programming|guidelines|principles)"
    r"|^(?:(?:i'm|i am)? ?(?:really |so )?sorry,? (?:but )?)?(?:that|this)"
    r"(?:'s not| is not| isn't) something (?:that )?i(?: can|'m able|'m willing|'m allowed"
    r"| am able| am willing| am allowed)\b"
    r"|^(?:as an? [^.]{0,60}, )?(?:i must \w+ (?:you )?that )?it(?: is|'s) (?:not (?:ethical|legal"
    r"|appropriate|acceptable)|unethical|illegal|inappropriate)(?: (?:or|and|nor) (?!accurate)\w+"
    r"| for (?:me|us|an ai))* to (?!assume|say|claim|consider)"
    r"|my purpose (?:as an? [^.]{0,40} )?is to [^.]{0,90}, ?(?:and )?not to "
    r"|^(?:sorry|i'm sorry|i am sorry)[,.]? (?:but )?no(?:[,.!]|$)"
    r"|^i(?:'d| would) (?:rather|prefer) not(?: to)?\b|^no, i (?:won't|will not|cannot|can't)"
)
# "While I cannot …, here is …" grants the request.
_SUBORDINATE = re.compile(
    r"\b(?:while|although|though|if|because|when|that|what|which|why) (?:\w+ )?$"
)
# After these the answer comes after all: a caveat, no refusal.
_TURN = re.compile(
    r"(?:\bhowever|\bbut|\bthat said|\binstead|\bnevertheless|\bnonetheless|[.!]|\bso)[,:]? "
    r"(?:i (?:can|could|will|have|am (?:able|happy)|'ll|'d)|i'll|i'd|here|below|the following|as of"
    r"|in general|generally|based on|let me|if you (?:provide|give|share|paste|can provide)"
    r"|the general|to find out|one (?:possible|way))"
)
_NOT_A_TURN = re.compile(
    r"(?:happy|glad) to (?:help|assist) (?:you )?with (?:an|some|other|something|a diff)"
    r"|can help you with (?:something|anything) else"
)
# A letter, a script, a story or a list: the words are somebody else's.
_QUOTED_OPENING = re.compile(
    r"[\"“„«「『(\[{|`<]|dear |subject:|to:|from:|title:|hi [a-z]+,|hello [a-z]+,|scene"
    r"|\d+[.)] |[-•+] |[a-z]{2,15}: "
)

# An offer of something else is no turn: the request stays declined.
_SOMETHING_ELSE = re.compile(
    r"\botr[oa]s? (?:cosa|tema|pregunta|consulta|asunto)|\boutr[oa]s? (?:coisa|assunto|pergunta)"
    r"|\bautre chose|\bd'autres|\baltr[oie] (?:cos|domand|argoment)|\bqualcos'altro"
    r"|\betwas ander|\bandere[nrms]? (?:frag|them|anlieg)|\biets anders|\bandere vra"
    r"|\bczymś innym|\binn(?:ym|ej|ych) (?:temat|spraw|pyta)|\bчем-то другим|\bдруг\w+ вопрос"
    r"|\bbaşka (?:bir )?(?:konu|soru|şey)|其他|别的|別的|他に|ほかに|別の|다른|آخر|किसी (?:और"
    r"|अन्य)"
)
# Salutations: a letter's "we cannot" is somebody else's.
_LETTER = re.compile(
    r"estimad[oa]|querid[oa]|prezad[oa]|car[oa] (?:sr|senhor)|ch[eè]re? |gentil(?:e|issim)|egregi"
    r"|sehr geehrte|liebe[r]? (?:frau|herr)|geachte|szanown|уважаем|дорог(?:ой|ая) |sayın|değerli"
    r"|尊敬的|亲爱的|親愛的|(?!お客)[^。、]{1,12}(?:様|さま|各位)[ 、,]|拝啓|[^.]{1,12}님께"
    r"|(?:السيد|عزيز|حضرة)|प्रिय |आदरणीय "
)
# "Although I cannot …, here is": what comes before the phrase makes it a concession.
_CONCESSION = re.compile(
    r"(?:\b(?:aunque|si|cuando|embora|mesmo que|se|quando|bien que|quoique|même si|anche se"
    r"|sebbene"
    r"|obwohl|auch wenn|wenn|falls|hoewel|ook al|chociaż|choć|jeśli|gdy|хотя|если|когда"
    r"|her ne kadar|eğer)(?: \w+){0,2}|虽然|雖然|尽管|如果|若|即使"
    r"|مع أنني|مع أن|رغم أنني|إذا|إن|अगर|यदि|हालाँकि) ?$"
)
_ALL = list(OTHER_LANGUAGES.values())
# Those that an ASCII text can be in: "no puedo" holds no accent.
_LATIN = [one for one in _ALL if any(trigger.isascii() for trigger in one.triggers)]
# German „…“ is not here: its closing mark opens an English quotation.
_QUOTES = (("“", "”"), ("«", "»"), ("「", "」"))
_ENGLISH_TRIGGERS = (
    "not", "n't", "unable", "decline", "refuse", "against", "unethical", "illegal", "inappropriate",
    "sorry",
)  # fmt: skip
# Without one of these, no rule fires. Arrow looks for all of them at once, in a thirtieth of the
# time that the rules take.
_TRIGGERS = "|".join(
    sorted({*map(re.escape, _ENGLISH_TRIGGERS), *(re.escape(t) for p in _ALL for t in p.triggers)})
)
_BLOCK = 1 << 14


def head_of(text: str) -> str:
    """Return the opening of a text in lower case, straightened, on one line, without markup."""
    start = text.lstrip()[: HEAD_CHARS + _TURN_CHARS + _SLACK_CHARS]
    return " ".join(_MARKUP.sub("", straight(start)).split())[: HEAD_CHARS + _TURN_CHARS]


def heads(batch: RowBatch) -> list[str | None]:
    """Return the opening of every answer."""
    return batch.once("heads", lambda b: [None if t is None else head_of(t) for t in b.responses])


def is_refusal(text: str) -> bool:
    """Say whether an answer opens by declining to do what was asked."""
    return opens_with_refusal(head_of(text))


def refusals(heads: Sequence[str | None]) -> FloatArray:
    """Say of many heads which open with a refusal: 1 or 0, NaN where there is none."""
    # Half a character, which Arrow refuses, is no part of a trigger.
    texts = [(head or "").encode("utf-8", "replace") for head in heads]
    has = numpy_mask(pc.match_substring_regex(arrow_bytes(texts), _TRIGGERS))
    found = np.where([head is None for head in heads], np.nan, 0.0)
    for at in np.flatnonzero(has).tolist():
        found[at] = opens_with_refusal(heads[at] or "")
    return found


def are_refusals(texts: Iterable[str]) -> Iterator[bool]:
    """Say of many texts, one after the other, whether they are refusals."""
    waiting = iter(texts)
    while block := list(islice(waiting, _BLOCK)):
        yield from (refusals([head_of(text) for text in block]) == 1).tolist()


def opens_with_refusal(head: str) -> bool:
    """Say the same of the head of an answer, as `head_of` gives it."""
    opening = head[:HEAD_CHARS]
    languages = _LATIN if opening.isascii() else _ALL
    triggered = [
        phrases for phrases in languages if any(map(opening.__contains__, phrases.triggers))
    ]
    in_english = any(map(opening.__contains__, _ENGLISH_TRIGGERS))
    if not (triggered or in_english) or _QUOTED_OPENING.match(opening) or _LETTER.match(opening):
        return False
    if in_english and _declines_in_english(head):
        return True
    return any(_declines(head, phrases) for phrases in triggered)


def _declines_in_english(head: str) -> bool:
    for pattern in (_ENGLISH, _ENGLISH_OTHER):
        for match in pattern.finditer(head, 0, HEAD_CHARS):
            if _is_own_voice(head, match) and not _turns(head[match.end() :]):
                return True
    return False


def _is_own_voice(head: str, match: re.Match[str]) -> bool:
    before = head[: match.start()]
    if is_quoted(before):
        return False
    return not _SUBORDINATE.search(before) and not _WEAK_DENIAL.search(match[0])


def is_quoted(before: str) -> bool:
    """Say whether what follows a text stands in quotation marks that are still open."""
    if before.count('"') % 2:
        return True
    return any(before.count(opens) > before.count(closes) for opens, closes in _QUOTES)


def _turns(after: str) -> bool:
    turn = _TURN.search(after[:_TURN_CHARS])
    return turn is not None and not _NOT_A_TURN.search(after[:_TURN_CHARS])


def _declines(head: str, phrases: Declining) -> bool:
    for match in phrases.declines.finditer(head, 0, HEAD_CHARS):
        before, after = head[: match.start()], head[match.end() :][:_TURN_CHARS]
        if is_quoted(before) or _CONCESSION.search(before):
            continue
        if not phrases.turns.search(after) or _SOMETHING_ELSE.search(after):
            return True
    return False
