"""How answers decline: the phrases of eleven languages, and where they count.

Exists apart from the signal because the rules are long. Only the head of an answer is read:
an answer that declines says so at once, and a story in which someone says "I cannot" does not
open that way. Precision is measured in the tests; every pattern runs on a few hundred
characters, so that no input can make it slow.
"""

from __future__ import annotations

import re

from loopllm_cli.signals.batch import RowBatch
from loopllm_cli.signals.texts import straight

HEAD_CHARS = 300
_SLACK_CHARS = 100  # markup and blanks that are dropped before the head is cut
_TURN_CHARS = 200

_MARKUP = re.compile("[*_#>]+")

_UNABLE = (
    r"(?:cannot|can't|can not|could not|couldn't|won't|will not|won't be able to"
    r"|will not be able to|will be unable to|would not be able to|(?:(?:am|are|'m|'re) )?unable to"
    r"|not able to|not going to|not allowed to|not permitted to|not programmed to"
    r"|not designed to|not willing to|not comfortable(?: with)?"
    r"|decline to|refuse to"
    r"|do not|don't)"
)
_ADVERBS = (
    r"(?: (?:and|or|will|can|not|cannot|ethically|directly|really|in|good|conscience|currently"
    r"|therefore|also|knowingly|simply|just|actually|be able to|am|even|ever|willing to)){0,4}"
)
_ACTS = (
    # "I can't help but …", "can't recommend it enough", "can't describe how happy I am"
    r"(?:help(?! but\b| \w+ing\b| myself)"
    r"|assist|comply|fulfil\w*|engag\w+|participat\w+|accommodat\w+|condon\w+|facilitat\w+"
    r"|continu\w+ with|proceed|provid\w+|creat(?:e|ing)|writ(?:e|ing)|generat\w+|produc\w+"
    r"|offer|giv(?:e|ing) (?:you|out|any|advice|instructions|medical|legal)|shar(?:e|ing)"
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
    r"|assist|advocat|participat|creat|writ|generat))"
)
_ENGLISH_OTHER = re.compile(
    r"\b(?:i|we) (?:must|have to|need to)(?: \w+ly)? (?:decline|refuse)\b"
    r"|(?:it is|it's|that is|that's) against (?:my|our|the) (?:\w+ )?"
    r"(?:programming|guidelines|polic\w+|principles|values)"
    r"|(?:goes|go|is|are) against my (?:\w+ ){0,2}(?:programming|guidelines|principles)"
    r"|^(?:i'm|i am)? ?(?:really |so )?sorry,? (?:but )?(?:that|this)(?:'s| is) not something i can"
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
    r"[\"“«(\[{|`<]|dear |subject:|to:|from:|title:|hi [a-z]+,|hello [a-z]+,|scene|\d+[.)] |[-•+] "
    r"|[a-z]{2,15}: "
)

_OTHER_LANGUAGES = re.compile(
    # Spanish, Portuguese, Italian: apology and inability, or inability and act
    r"(?:lo siento|lamento|disculpa|perd[oó]n)[^.]{0,40}"
    r"\bno (?:puedo|podemos|es posible|me es posible)"
    r"|\bno (?:puedo|podemos) (?:ayudar|proporcionar|ofrecer|cumplir|responder|generar|crear"
    r"|asistir|proveer|facilitar|escribir|dar|participar|brindar|compartir|continuar|hacer eso)"
    r"|(?:desculp|lamento|sinto muito|perd[aã]o)[^.]{0,40}"
    r"\bn[aã]o (?:posso|podemos|consigo|[ée] poss[ií]vel)"
    r"|\bn[aã]o (?:posso|podemos|consigo) (?:ajudar|fornecer|oferecer|cumprir|responder|gerar"
    r"|criar|auxiliar|escrever|dar|participar|compartilhar|continuar|fazer isso|atender)"
    r"|(?:mi dispiace|mi spiace|spiacente|scusa)[^.]{0,40}"
    r"\bnon (?:posso|possiamo|sono in grado|[eè] possibile)"
    r"|\bnon (?:posso|possiamo|sono in grado di) (?:aiutar|fornire|offrir|soddisfare|rispondere"
    r"|generare|creare|assister|scrivere|dare|partecipare|condividere|continuare|farlo)"
    # French
    r"|(?:d[ée]sol[ée]|navr[ée]|excuse|regrette)[^.]{0,50}"
    r"\b(?:je ne (?:peux|suis|pourrai)|nous ne pouvons)"
    r"|\bje ne (?:peux|puis|pourrai) (?:pas|malheureusement pas) (?:vous |t')?(?:aider|fournir"
    r"|proposer|r[ée]pondre|g[ée]n[ée]rer|cr[ée]er|assister|[ée]crire|donner|participer|partager"
    r"|continuer|faire [çc]a|satisfaire|acc[ée]der)"
    r"|\bje ne suis pas en mesure de|\bje refuse de"
    # German
    r"|(?:tut mir leid|entschuldig\w*|leider|bedaure)[^.]{0,60}\b(?:kann|darf|k[öo]nnen|m[öo]chte)"
    r"[^.]{0,80}\b(?:nicht|kein\w*)\b"
    r"|^(?:dabei|damit|das|hierbei|ich|wir) (?:kann|darf|k[öo]nnen)(?: ich| wir)?[^.]{0,80}"
    r"\b(?:nicht|kein\w*)\b[^.]{0,60}"
    r"\b(?:helfen|unterst[üu]tz\w+|erf[üu]llen|bereitstellen|geben|beantworten|weiterhelfen"
    r"|erstellen|schreiben|anbieten|nachkommen)"
    # Chinese, Japanese
    r"|(?:抱歉|对不起|對不起|很遗憾|很遺憾)[^。]{0,30}(?:无法|無法|不能|不可以|没办法|沒辦法)"
    r"|^(?:我|我们|作为[^。]{0,20}我)(?:无法|無法|不能)(?:为您|為您|帮你|帮您)?(?:提供|协助|協助|帮助|幫助"
    r"|回答|满足|滿足|生成|参与|支持)"
    r"|(?:申し訳|すみません|ごめんなさい|恐れ入り)[^。]{0,60}。?[^。]{0,50}"
    r"(?:できません|出来ません|できかねます|いたしかねます|お応えでき)"
    r"|^[^。]{0,60}(?:お手伝い|お答え|提供|お応え)(?:することは|は|を)?(?:できません|できかねます)"
    # Russian
    r"|(?:извините|к сожалению|простите|прошу прощения|сожалею)[^.]{0,40}"
    r"\b(?:не (?:могу|можем|смогу)"
    r"|не в состоянии)"
    r"|\bя не (?:могу|смогу|буду) (?:вам |тебе )?(?:помочь|помогать|предостав\w+|выполнить|ответить"
    r"|создать|написать|поддерж\w+|участвовать|дать)"
    # Arabic
    r"|(?:آسف|عذر|أعتذر|معذرة|للأسف)[^.]{0,40}"
    r"(?:لا (?:أستطيع|يمكنني|أقدر)|لن (?:أتمكن|أستطيع)|غير قادر)"
    r"|(?:لا (?:أستطيع|يمكنني)|لن أتمكن من) (?:\w+ )?"
    r"(?:مساعدتك|المساعدة|تقديم|تلبية|الإجابة|كتابة|إنشاء)"
    # Hindi
    r"|(?:माफ|क्षमा|खेद|मुआफ)[^।]{0,90}(?:नहीं|असमर्थ)"
    r"|मैं[^।]{0,60}(?:मदद|सहायता|प्रदान|उत्तर)[^।]{0,20}नहीं (?:कर|दे)"
)
_OTHER_TRIGGERS = (
    "no pu", "no pod", "no es pos", "no me es", "não", "nao ", "non p", "non s", "non è",
    "ne p", "ne suis", "refuse de", "nous ne", "nicht", "kein", "无法", "無法", "不能", "不可以",
    "办法", "辦法", "ません", "かねます", "お応え", "не ", "لا ", "لن ", "غير قادر", "नहीं", "असमर्थ",
)  # fmt: skip
_ENGLISH_TRIGGERS = (
    "not", "n't", "unable", "decline", "refuse", "against", "unethical", "illegal", "inappropriate",
    "sorry",
)  # fmt: skip


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


def opens_with_refusal(head: str) -> bool:
    """Say the same of the head of an answer, as `head_of` gives it."""
    opening = head[:HEAD_CHARS]
    if any(trigger in opening for trigger in _ENGLISH_TRIGGERS) and _declines_in_english(head):
        return True
    if not any(trigger in opening for trigger in _OTHER_TRIGGERS):
        return False
    return not _QUOTED_OPENING.match(opening) and _OTHER_LANGUAGES.search(opening) is not None


def _declines_in_english(head: str) -> bool:
    if _QUOTED_OPENING.match(head):
        return False
    for pattern in (_ENGLISH, _ENGLISH_OTHER):
        for match in pattern.finditer(head, 0, HEAD_CHARS):
            if _is_own_voice(head, match) and not _turns(head[match.end() :]):
                return True
    return False


def _is_own_voice(head: str, match: re.Match[str]) -> bool:
    before = head[: match.start()]
    if before.count('"') % 2 or before.count("“") > before.count("”"):
        return False
    return not _SUBORDINATE.search(before) and not _WEAK_DENIAL.search(match[0])


def _turns(after: str) -> bool:
    turn = _TURN.search(after[:_TURN_CHARS])
    return turn is not None and not _NOT_A_TURN.search(after[:_TURN_CHARS])
