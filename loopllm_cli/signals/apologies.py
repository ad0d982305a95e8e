"""How answers apologise, in fifteen languages; being sorry for somebody is no apology.

`_TRIGGERS` are plain pieces of text, one of which is in every phrase: looking for them first
spares most answers the pattern. Only the head of an answer is read, as for refusals.
"""

from __future__ import annotations

import re

from loopllm_cli.signals.refusals import HEAD_CHARS, is_quoted

_START = r"(?:^|[.!¡,;:()—–-] ?)"  # an apology as a call, not as a noun: "la disculpa de …"

_APOLOGY = re.compile(
    r"\b(?<!than )sorry(?! (?:to (?:hear|learn|read|see)|for your loss|that you|you're|about your"
    r"|for what you|state|sight))"
    r"|\b(?<!need to )(?<!have to )apologi[sz]e|\b(?:my|our|sincere|deepest) apolog\w+"
    r"|\bapologies (?:for|,|but)|\bowe you an apology"
    r"|\b(?:pardon|forgive|excuse) (?:me|my|our|the)\b"
    # Spanish, Portuguese
    r"|\blo siento\b(?! (?:como|mucho por t))|\b(?:mil|mis|nuestras|pido|pedimos) disculpas"
    r"|" + _START + r"disculp(?:a|e|en|ame|eme|ad)\b|\bque me disculpe"
    r"|(?:" + _START + r"|pido |pedimos )perd[oó]n(?:a|e|en|ame|eme)?\b"
    r"|\b(?:siento|lamento|lamentamos|sentimos) (?:mucho )?(?:no|(?:las|la|el|los) (?:molest|error"
    r"|confusi|demora|retraso|malentend|inconven|fallo|equivoc))"
    r"|" + _START + r"desculp(?:e|a|em|e-me|a-me|em-nos)\b|\bpe(?:ço|dimos) (?:mil )?"
    r"(?:desculpas?|perdão)|\b(?:minhas|nossas) desculpas|" + _START + r"perd[ãa]o\b|\bfoi mal\b"
    r"|\b(?:sinto muito|lament(?:o|amos))(?: muito)?,? (?:(?:pel)?[oa]s? (?:erro|confus|engano"
    r"|atraso|demora|incon|transtorno|inc[oô]modo)|mas\b)"
    # French, Italian
    r"|(?:"
    + _START
    + r"|suis |sommes |vraiment |sincèrement |profondément )(?:d[ée]sol[ée]|navr[ée])"
    r"e?s?\b(?! (?:d'app|pour (?:votre|ta) perte|que (?:vous|tu)|et ))"
    r"|\b(?:je m'excuse|de m'excuser|(?:mes|nos) (?:plus )?(?:sincères |plates )?excuses"
    r"|veuillez (?:m'|nous )?excuser|excuse[zs]?-(?:moi|nous)|pardonne[zs]?-moi)|^pardon\b"
    r"|\bm(?:i|i) (?:di)?spiace\b(?! (?:molto )?(?:per (?:la )?(?:tua|sua|vostra|tuo|suo) "
    r"|che (?:tu|lei|il tuo)|di sentire|sentir))"
    r"|\b(?:mi scuso|ci scusiamo|chied(?:o|iamo) scusa|(?:mie|nostre) (?:più sincere )?scuse)"
    r"|" + _START + r"(?:scus(?:a|ami|i|ate|atemi)|perdona(?:mi|temi))\b"
    # German, Dutch
    r"|(?<!verlust )\btut (?:mir|uns) (?:sehr |so |wirklich )?leid(?!,? (?:dass (?:du|sie|dein|ihr)"
    r"|(?:um|wegen|für) (?:dein|ihr|euer)|(?:das )?zu hören))"
    r"|\b(?:bitte )?entschuldigen sie|" + _START + r"entschuldig(?:e|t)\b|\bbitte um entschuldigung"
    r"|" + _START + r"(?:entschuldigung|verzeihung|pardon|verzeih(?:en sie)? (?:mir|bitte))\b"
    r"|\b(?:ich entschuldige mich|wir entschuldigen uns|bitte(?:n wir)? um verzeihung)"
    r"|\bspijt (?:me|mij|ons)\b(?! (?:(?:om )?te horen|(?:van|voor) (?:je|uw|jou)|dat (?:je|u)))"
    r"|(?:"
    + _START
    + r"|mijn |onze )(?:welgemeende |oprechte )?(?:excuses|verontschuldiging(?:en)?)\b"
    r"|\bneem (?:me|ons|het me) niet kwalijk"
    # Polish, Turkish
    r"|\bprzepraszam\w*|" + _START + r"wybacz(?:cie)?\b|\bo wybaczenie\b|\bmoje przeprosiny"
    r"|\b(?:przykro (?:mi|nam)|mi przykro)\b"
    r"(?!,? (?:że (?:tw|pa)|z powodu (?:tw|pa|śm)|to słyszeć))"
    r"|\bözür dil(?:erim|eriz|iyorum|iyoruz)|\bkusura bakma|\baffeders"
    r"|\baffedin\b|^(?:çok )?üzgünüm\b"
    # Russian
    r"|\b(?:извини(?:те)?|прости(?:те)?|извиняюсь|извиняемся)\b|\bпрошу про(?:щения|стить)"
    r"|\bпринос(?:им|у) (?:\w+ )?извинения|" + _START + r"виноват[а]?\b"
    r"|\bмне (?:очень )?жаль, (?:но|я)\b"
    # Chinese, Japanese, Korean
    r"|抱歉|对不起|對不起|不好意思|请原谅|請原諒|致歉|(?:我|我们|深表|诚挚)[^。，]{0,12}(?:道歉|歉意)"
    r"|申し訳|すみません|ごめん(?:なさい|ね|$|[、。,!！])|お詫び(?:いた|申|し)|失礼(?:いた)?しました"
    r"|죄송|미안(?:합니다|해요|하지만|해)|사과(?:드립니다|드려요|의 말씀)|송구"
    # Arabic, Hindi
    r"|آسفة?(?! (?:لخسار|لسماع|لفقد))|أعتذر|نعتذر|عذر[اًا]|المعذرة|نأسف"
    r"|(?:माफ\u093c?|क्षमा) ?(?:कर|कीजि|चाह|प्रार्थी)|माफ\u093c?ी (?:चाह|माँग)|खेद है"
)
_TRIGGERS = (
    "sorry", "apolog", "pardon", "forgive", "excuse",
    "siento", "sentimos", "lament", "disculp", "perd", "desculp", "sinto muito", "foi mal",
    "désol", "desol", "navr", "spiace", "scuso", "scusi", "scusa", "scuse",
    "leid", "ntschuldig", "verzeih", "spijt", "niet kwalijk",
    "przepr", "wybacz", "przykro", "özür", "kusura", "affed", "üzgün",
    "извин", "прост", "прошу", "виноват", "жаль",
    "抱歉", "不起", "不好意思", "原谅", "原諒", "歉", "申し", "すみ", "ごめん", "お詫び", "失礼",
    "죄송", "미안", "사과", "송구", "سف", "عتذر", "عذر", "माफ", "क्षमा", "खेद",
)  # fmt: skip


def opens_with_apology(head: str) -> bool:
    """Say whether the head of an answer, as `refusals.heads` gives it, holds an apology."""
    head = head[:HEAD_CHARS]
    if not any(trigger in head for trigger in _TRIGGERS):
        return False
    return any(not is_quoted(head[: match.start()]) for match in _APOLOGY.finditer(head))
