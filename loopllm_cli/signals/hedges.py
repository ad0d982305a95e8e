"""The stock caveats of answers in fifteen languages: "it depends on", "as an AI", "please note".

Plain pieces of text, not one pattern: ten times as fast on whole answers. Ten kinds are held in
every language: a machine's disclaimer, doubt, not knowing, "please note", "it depends", "as far
as I know", "consult a professional", "hard to say", "I may be wrong", no guarantee.

An answer is searched only for the phrases of languages it may be in: in the Latin script, those
of which it holds a word of a phrase; in other scripts, those of which it holds a character.
"""

from __future__ import annotations

from loopllm_cli.signals.texts import split_words

ENGLISH = (
    "as an ai", "as a language model", "as a large language model", "i'm not sure",
    "i am not sure",
    "i'm not certain", "i am not certain", "i don't have access to", "i do not have access to",
    "i don't have personal", "i do not have personal", "i don't know", "i do not know",
    "i cannot guarantee", "i can't guarantee", "i cannot be certain", "i could be wrong",
    "i may be wrong", "i might be wrong", "i may be mistaken", "i might be mistaken",
    "it is important to note", "it's important to note",
    "it is worth noting", "it's worth noting", "please note that", "it depends on",
    "that depends on",
    "may or may not", "to the best of my knowledge", "my knowledge cutoff", "as of my last",
    "consult a professional", "consult with a", "please consult", "seek professional",
    "not a substitute for", "hard to say", "difficult to say", "difficult to determine",
    "take this with a grain",
)  # fmt: skip

PHRASES: dict[str, tuple[str, ...]] = {
    "es": (
        "como modelo de lenguaje", "como inteligencia artificial", "como una ia", "como ia,",
        "no estoy seguro", "no estoy segura", "no sé ", "desconozco", "no tengo acceso a",
        "no tengo opiniones", "no puedo garantizar", "puede que me equivoque",
        "podría equivocarme", "puedo equivocarme", "es importante señalar",
        "es importante tener en cuenta", "es importante destacar", "es importante recordar",
        "cabe destacar", "cabe señalar", "cabe mencionar", "vale la pena señalar", "ten en cuenta",
        "tenga en cuenta", "depende de", "dependerá de", "que yo sepa", "hasta donde sé",
        "consulte a un", "consulta a un", "consulte con un", "consulta con un",
        "consultar a un profesional", "difícil decir", "difícil de decir",
    ),
    "pt": (
        "como modelo de linguagem", "como um modelo de linguagem", "como uma ia", "como ia,",
        "como inteligência artificial", "não tenho certeza", "não tenho a certeza",
        "não estou certo", "não sei ", "não tenho acesso a", "não tenho opiniões",
        "não posso garantir", "posso estar enganad", "posso estar errad", "é importante notar",
        "é importante lembrar", "é importante ressaltar", "é importante destacar",
        "vale ressaltar", "vale lembrar", "vale a pena notar", "tenha em mente", "tenha em conta",
        "observe que", "depende d", "dependerá d", "que eu saiba", "até onde sei",
        "consulte um", "procure um médico", "procure um profissional", "difícil dizer",
        "difícil de dizer",
    ),
    "fr": (
        "en tant qu'ia", "en tant que modèle", "en tant qu'intelligence", "en tant qu'assistant",
        "je ne suis pas sûr", "je ne suis pas certain", "je n'en suis pas sûr", "je ne sais pas",
        "je n'ai pas accès à", "je n'ai pas d'opinion", "je ne peux pas garantir",
        "je peux me tromper", "je me trompe peut-être", "il est important de noter",
        "il est important de rappeler", "il convient de noter", "il faut noter que", "à noter que",
        "veuillez noter", "notez que", "gardez à l'esprit", "cela dépend", "ça dépend",
        "tout dépend", "dépend de", "dépend du", "à ma connaissance", "consultez un",
        "consulter un professionnel", "difficile de le dire", "difficile de dire",
        "difficile à dire",
    ),
    "it": (
        "in quanto ia", "come ia,", "come modello linguistico", "come intelligenza artificiale",
        "in quanto modello", "non sono sicur", "non sono cert", "non so ", "non ho accesso a",
        "non ho opinioni", "non posso garantire", "potrei sbagliar", "potrei essere in errore",
        "è importante notare", "è importante ricordare", "è importante sottolineare", "va notato",
        "vale la pena notare", "si noti che", "tieni presente", "tenga presente",
        "tenere presente che", "dipende da", "dipende dal", "dipenderà da", "per quanto ne so",
        "per quanto ne sappia", "consulta un", "consultare un", "consulti un", "difficile dire",
        "difficile dirlo", "difficile da dire",
    ),
    "de": (
        "als ki ", "als ki-", "als sprachmodell", "als künstliche intelligenz", "bin nicht sicher",
        "mir nicht sicher",
        "ich weiß nicht", "weiß ich nicht", "ich habe keinen zugriff auf", "keine eigene meinung",
        "nicht garantieren", "könnte mich irren", "kann mich irren", "kann mich täuschen",
        "wichtig zu beachten", "wichtig zu erwähnen", "beachten sie", "bitte beachte", "beachte,",
        "zu beachten ist", "sollte beachtet werden", "kommt darauf an", "es kommt auf",
        "hängt davon",
        "hängt von", "hängt ganz", "meines wissens", "soweit ich weiß", "fragen sie einen arzt",
        "fragen sie ihren arzt",
        "mit einem arzt", "an einen arzt", "konsultieren sie", "arzt aufsuchen",
        "schwer zu sagen", "schwierig zu sagen",
    ),
    "nl": (
        "als ai ", "als taalmodel", "als kunstmatige intelligentie", "weet niet zeker",
        "weet het niet zeker",
        "ben niet zeker", "ik weet niet",
        "weet ik niet", "ik heb geen toegang tot", "geen persoonlijke mening", "niet garanderen",
        "kan me vergissen", "zou me kunnen vergissen", "kan het mis hebben",
        "belangrijk om op te merken", "belangrijk om te weten", "goed om te weten", "let op:",
        "let erop dat", "houd er rekening mee", "hou er rekening mee", "hangt af van",
        "hangt ervan af", "afhankelijk van", "voor zover ik weet", "raadpleeg een",
        "een arts te raadplegen", "moeilijk te zeggen", "lastig te zeggen",
    ),
    "pl": (
        "jako ai", "jako model językowy", "jako sztuczna inteligencja", "nie jestem pewien",
        "nie jestem pewna", "nie wiem", "nie mam dostępu do", "nie mam opinii",
        "nie mogę zagwarantować", "mogę się mylić", "warto zauważyć", "warto pamiętać",
        "warto zaznaczyć", "należy pamiętać", "należy zauważyć", "należy zaznaczyć",
        "ważne jest, aby", "proszę pamiętać", "pamiętaj, że", "zależy od",
        "o ile mi wiadomo", "o ile wiem", "skonsultuj się", "skonsultować się",
        "trudno powiedzieć",
    ),
    "tr": (
        "bir yapay zeka olarak", "yapay zeka modeli olarak", "dil modeli olarak", "emin değilim",
        "bilmiyorum", "erişimim yok", "garanti edemem", "yanılıyor olabilirim", "yanılabilirim",
        "unutmayın", "unutmamak gerekir", "unutulmamalıdır", "dikkat edin", "belirtmek gerekir",
        "belirtmekte fayda var", "lütfen dikkat", "bağlıdır", "göre değişir", "bildiğim kadarıyla",
        "danışın", "danışmanız", "danışınız", "söylemek zor",
    ),
    "ru": (
        "как ии", "как языковая модель", "как искусственный интеллект", "я не уверен", "не знаю",
        "у меня нет доступа", "у меня нет личн", "не могу гарантировать", "могу ошибаться",
        "возможно, я ошибаюсь", "важно отметить", "важно помнить", "важно учитывать",
        "стоит отметить", "следует отметить", "стоит учесть", "обратите внимание", "имейте в виду",
        "зависит от", "насколько мне известно", "насколько я знаю", "проконсультируйтесь",
        "обратитесь к врачу", "обратитесь к специалисту", "трудно сказать", "сложно сказать",
    ),
    "zh": (
        "作为一个人工智能", "作为人工智能", "作为ai", "作为一个ai", "作为语言模型",
        "作为一个语言模型",
        "作为一个大", "我不确定", "不太确定", "我不知道", "不清楚", "没有个人", "无法保证",
        "不能保证",
        "可能记错", "可能有误", "可能不准确", "需要注意的是", "请注意", "值得注意", "值得一提",
        "需要指出", "取决于", "要看情况", "视情况而定", "据我所知", "请咨询", "咨询医生",
        "咨询专业",
        "很难说", "仅供参考", "难以确定",
    ),
    "ja": (
        "aiとして", "言語モデルとして", "人工知能として", "確かではありません", "確信はありません",
        "確信が持て", "わかりません", "分かりません", "わかりかねます", "個人的な意見はありません",
        "保証できません", "保証はできません", "間違っているかもしれ", "誤っている可能性",
        "注意してください", "ご注意ください", "注意が必要", "留意してください", "ご了承ください",
        "によって異なり", "により異なり", "場合によります", "次第です", "私の知る限り",
        "知る限りでは", "相談してください", "ご相談ください", "相談することをお勧め",
        "何とも言えません", "断言できません", "一概には言え",
    ),
    "ko": (
        "ai로서", "언어 모델로서", "인공지능으로서", "확실하지 않", "잘 모르겠", "모르겠습니다",
        "알 수 없습니다", "개인적인 의견이 없", "보장할 수 없", "틀릴 수 있", "틀릴 수도 있",
        "정확하지 않을 수", "유의하세요", "유의해야", "유의하시", "주의하세요", "주의해야",
        "참고로", "참고하시기 바랍", "따라 다릅니다", "따라 다를", "따라 달라", "제가 아는 한",
        "제가 알기로", "상담하세요", "상담하시", "상담하는 것이", "말하기 어렵", "단정하기 어렵",
    ),
    "ar": (
        "كنموذج ذكاء", "كنموذج لغ", "بصفتي نموذج", "بصفتي ذكاء", "كذكاء اصطناعي", "لست متأكد",
        "غير متأكد", "لا أعرف", "لا أعلم", "ليس لدي آراء", "لا يمكنني ضمان", "لا أستطيع ضمان",
        "قد أكون مخط", "ربما أكون مخط", "من المهم ملاحظة", "من المهم أن", "تجدر الإشارة",
        "يرجى ملاحظة", "يرجى العلم", "ضع في اعتبارك", "يعتمد ذلك على", "ذلك يعتمد على",
        "يعتمد على", "على حد علمي", "حسب علمي", "استشر ", "استشارة طبيب", "استشارة مختص",
        "من الصعب القول", "يصعب القول",
    ),
    "hi": (
        "एआई के रूप में", "ai के रूप में", "भाषा मॉडल के रूप में", "यकीन नहीं", "पक्का नहीं",
        "निश्चित नहीं", "नहीं पता", "मैं नहीं जानत", "गारंटी नहीं", "मैं गलत हो सकत",
        "ध्यान दें कि", "ध्यान रखें कि", "ध्यान देने योग्य", "यह ध्यान रखना", "निर्भर करता है",
        "निर्भर करती है", "जानकारी के अनुसार", "जहाँ तक मुझे पता", "डॉक्टर से सलाह",
        "डॉक्टर से परामर्श", "विशेषज्ञ से सलाह", "पेशेवर से", "कहना मुश्किल", "कहना कठिन",
    ),
}  # fmt: skip


# In each other script, every phrase holds one of these characters (a test keeps it so).
_CHARACTERS = {
    "ru": "оаеи",
    "zh": "为不有无能情注意得要取据咨难供确",
    "ja": "てまだいりと注次一",
    "ko": "로않르없틀유주참따아알상렵확",
    "ar": "انلمعش",
    "hi": "कनसधप",
}
# Words that English answers hold too: they would open a language for nothing.
_LOOSE_WORDS = frozenset(
    "let no come so me als de que a un non to important model ai ten ma va tout vale".split()  # noqa: SIM905
)


def _key_word(phrase: str) -> str:
    """Return the longest whole word of a phrase; its last word may be the start of one."""
    words = split_words(phrase)
    whole = words if phrase[-1] in " ,:" or len(words) == 1 else words[:-1]
    return max(whole, key=lambda word: (word not in _LOOSE_WORDS, len(word)))


_LANGUAGES_OF_WORD: dict[str, set[str]] = {}
for _language, _phrases in PHRASES.items():
    if _language not in _CHARACTERS:
        for _phrase in _phrases:
            _LANGUAGES_OF_WORD.setdefault(_key_word(_phrase), set()).add(_language)
_KEY_WORDS = frozenset(_LANGUAGES_OF_WORD)


def may_be_in(lowered: str, words: list[str]) -> set[str]:
    """Return the languages, English apart, whose phrases a text may hold."""
    languages: set[str] = set()
    for word in _KEY_WORDS.intersection(words):
        languages |= _LANGUAGES_OF_WORD[word]
    if not lowered.isascii():
        for language, characters in _CHARACTERS.items():
            if any(character in lowered for character in characters):
                languages.add(language)
    return languages


def hedges(lowered: str, words: list[str]) -> bool:
    """Say whether a text, lower-case and with straight apostrophes, holds a stock caveat.

    `words` are the text's words, as `texts.split_words` gives them.
    """
    if any(phrase in lowered for phrase in ENGLISH):
        return True
    return any(
        phrase in lowered for language in may_be_in(lowered, words) for phrase in PHRASES[language]
    )
