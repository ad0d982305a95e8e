"""How answers decline in fourteen languages other than English, and how they turn after all.

Each language has three things: `triggers`, plain pieces of text one of which is in every phrase
(looked for first, because that is cheap), `declines`, and `turns`, what follows where the answer
comes after all ("no puedo …, pero puedo …"). Only first persons count: "la función no puede" and
"du kannst nicht" decline nothing. Every gap in a pattern is bounded, and the texts are a few
hundred characters, so that no input can make them slow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Declining:
    """The phrases of one language."""

    triggers: tuple[str, ...]
    declines: re.Pattern[str]
    turns: re.Pattern[str]


def _declining(triggers: str, declines: str, turns: str) -> Declining:
    return Declining(tuple(triggers.split("|")), re.compile(declines), re.compile(turns))


_SPANISH = _declining(
    "puedo|podemos|podré|posible|permit|estoy|no voy|no vamos|soy capaz|tengo|niego|rechazar"
    "|declinar|prefiero|no poder|mis |es algo|son algo",
    r"(?:lo (?:siento|lamento)|lamento|disculp\w+|perd[oó]n|me temo|lamentablemente"
    r"|desafortunadamente)\b[^.!?;]{0,60}\bno (?:(?:te|le|lo|la|me|se) )*(?:puedo|podemos|podré"
    r"|(?:me )?es posible|voy a|tengo permi)"
    r"|\b(?:siento|lamento) no poder"
    r"|\bno (?:(?:te|le|les|os|lo|la) )?(?:puedo|podemos|podré|voy a|vamos a) (?:ayudar"
    r"|proporcionar|ofrecer|comunicar|transmitir|enviar|entregar|mostrar|leer|recomendarte"
    r"|cumplir|responder|contestar|generar|crear|asistir|proveer|facilitar|escribir"
    r"|redactar|dar|participar|brindar|compartir|continuar|hacer(?: (?:eso|esto)|lo)|revelar"
    r"|divulgar|acceder|abrir|traducir|aconsejar|hablar|comentar|opinar|tramitar|procesar"
    r"|reembolsar|completar|realizar|ejecutar|apoyar|promover|fomentar|colaborar|atender"
    r"|satisfacer|predecir|navegar|producir|discutir|explicar(?!\w* (?:lo|cu[aá]nt)))"
    r"|\bno (?:me es posible|se me permite|estoy (?:autorizad|en condiciones|programad|dispuest)"
    r"|soy capaz de|tengo (?:permiso|permitido|autorización))"
    r"|\bme niego a|\b(?:debo|tengo que) (?:rechazar|declinar)"
    r"|\bprefiero no \w+r\b|\bno (?:es|son) algo (?:en lo )?(?:con lo )?que (?:yo )?pued[oa]"
    r"|\bcontra (?:de )?mis (?:normas|principios|directrices|políticas|reglas)",
    r"(?:pero|sin embargo|no obstante|en cambio|en su lugar|[.;!]),? (?:s[ií] )?(?:(?:te|le|os) )?"
    r"(?:puedo|podemos|podría|aquí|a continuación|en general|suele)",
)
_PORTUGUESE = _declining(
    "não |nao |recus|declinar|minhas |meus ",
    r"(?:desculp\w+|lamento|sinto muito|perd[aã]o|infelizmente|receio)\b[^.!?;]{0,60}"
    r"\bn[aã]o (?:(?:te|lhe|o|a|me) )*(?:posso|podemos|consigo|poderei|[ée] (?:poss[ií]vel"
    r"|permitido)|vou)"
    r"|\bn[aã]o (?:(?:te|lhe|o|a) )?(?:posso|podemos|consigo|poderei|vou|irei) (?:(?:te|lhe) )?"
    r"(?:ajudar|passar|enviar|entregar|mostrar|ler|transmitir|fornecer|oferecer|cumprir|responder"
    r"|gerar|criar|auxiliar|escrever|redigir|dar"
    r"|participar|compartilhar|partilhar|continuar|fazer isso|atender|revelar|divulgar|discutir"
    r"|falar|comentar|traduzir|abrir|acessar|aceder|processar|reembolsar|produzir|prosseguir"
    r"|executar|opinar|apoiar|promover|informar|explicar(?! (?:o quanto|quão)))"
    r"|\bn[aã]o (?:sou capaz de|estou (?:autorizad|em condições|programad)|fui programad"
    r"|tenho (?:permissão|autorização)|me é (?:permitido|possível))"
    r"|\brecuso-me|\bme recuso a|\b(?:preciso|devo|tenho (?:de|que)) (?:recusar|declinar)"
    r"|\bprefiro não \w+r\b|\bnão é algo (?:em|com|que) (?:que )?(?:eu )?poss[oa]"
    r"|\bcontra (?:(?:as )?minhas (?:diretrizes|normas|regras|políticas)|(?:os )?meus princípios)",
    r"(?:mas|porém|no entanto|contudo|em vez disso|[.;!]),? (?:eu )?(?:(?:te|lhe) )?"
    r"(?:posso|podemos|poderia|aqui|a seguir|em geral)",
)
_FRENCH = _declining(
    "je n|nous ne |il ne |impossible|refuse|déclin|préfère|à mes|de mes|quelque chose",
    r"(?:d[ée]sol[ée]|navr[ée]|excuse|regrette|pardon|malheureusement|crains)\w*\b[^.!?;]{0,60}"
    r"\b(?:je ne (?:peux|puis|pourrai|suis pas (?:en mesure|capable|autoris|habilit))"
    r"|nous ne pouvons|il (?:ne )?m'est (?:pas |im)possible)"
    r"|\b(?:je ne (?:peux|puis|pourrais?|saurais|vais)|nous ne pouvons) (?:malheureusement )?"
    r"(?:pas )?(?:(?:vous|te|y|le|la|les|en) |[tl]')*(?:aider|transmettre|envoyer|montrer|lire"
    r"|indiquer|fournir|proposer|r[ée]pondre"
    r"|g[ée]n[ée]rer|cr[ée]er|assister|[ée]crire|r[ée]diger|donner|participer|partager|continuer"
    r"|faire (?:[çc]a|cela)|satisfaire|acc[ée]der|r[ée]v[ée]ler|divulguer|communiquer|discuter"
    r"|parler|commenter|traduire|ouvrir|traiter|rembourser|produire|offrir|accepter|effectuer"
    r"|conseiller|soutenir|encourager|pr[ée]dire|dire|expliquer(?! (?:combien|à quel)))"
    r"|\bil (?:ne m'est pas possible|m'est impossible) d"
    r"|\bje ne suis (?:malheureusement )?pas (?:en mesure|capable|autoris|habilit|programm|conçu)"
    r"|\bje refuse de|\b(?:dois|contrainte?|obligée?)(?: de)? (?:refuser|décliner)"
    r"|\bje préfère ne pas \w+r\b|\bpas quelque chose que je p|(?:à l'encontre de"
    r"|contraires? à) mes"
    r"|\bje n(?:e |')(?:vous )?(?:aide|fourni|rédige|écri|participe|répond|génére|partage|donne"
    r"|révéle|crée)\w{0,3}rai pas",
    r"(?:mais|cependant|toutefois|en revanche|néanmoins|[.;!]),? (?:(?:je|nous) (?:peux|puis"
    r"|pourrais|pouvons|vais)|voici|en général)",
)
_ITALIAN = _declining(
    "non |rifiut|declinare|impossibile|mie |miei ",
    r"(?:mi (?:di)?spiace|mi rincresce|spiacent\w|scus\w+|purtroppo|temo)\b[^.!?;]{0,60}"
    r"\bnon (?:(?:ti|vi|le|lo|la|mi) )*(?:posso|possiamo|sono (?:in grado|autorizzat)|riesco"
    r"|[eè] (?:possibile|permesso|consentito))"
    r"|\bnon (?:(?:ti|vi|le|lo|la) )?(?:posso|possiamo|potrò|riesco ad?) (?:aiutar|comunicar"
    r"|inviar|mostrar|legger|indicar|fornir|offrir"
    r"|soddisfar|risponder|generar|crear|assister|scriver|dar|partecipar|condivider|continuar"
    r"|farlo|fare (?:questo|ciò)|rivelar|divulgar|discuter|parlar|commentar|tradur|aprir|acceder"
    r"|eseguir|elaborar|rimborsar|proceder|produrr|sostener|promuover"
    r"|spiegar(?!\w* quant))"
    r"|\bnon sono (?:in grado di|autorizzat|programmat|abilitat)"
    r"|\b(?:non mi è (?:possibile|permesso|consentito)|mi è impossibile)"
    r"|\bmi rifiuto di|\bdevo (?:declinare|rifiutare)|\bpreferisco non \w+r[ei]\b"
    r"|\bnon è (?:una cosa|qualcosa) (?:in cui|che) (?:io )?poss"
    r"|\bcontro (?:le mie (?:linee|regole|politiche)|i miei principi)"
    r"|\bnon (?:ti |vi )?(?:scriver|fornir|aiuter|parteciper|risponder|condivider|creer|generer"
    r"|riveler)ò\b",
    r"(?:ma|però|tuttavia|invece|[.;!]),? (?:(?:ti|vi|le) )?(?:posso|possiamo|potrei|ecco"
    r"|di seguito|in generale)",
)
_GERMAN_ACTS = (
    r"\b(?:(?:weiter)?helfen|unterst[üu]tz\w+|erf[üu]llen|bereitstellen|geben|beantworten"
    r"|erstellen"
    r"|schreiben|verfassen|anbieten|nachkommen|weitergeben|herausgeben|teilen|verraten|nennen"
    r"|preisgeben|öffnen|aufrufen|zugreifen|erstatten|übersetzen|generieren|diskutieren|besprechen"
    r"|mitteilen|durchgeben|lesen|einsehen|äußern|mitmachen|teilnehmen|fortfahren|bearbeiten"
    r"|ausführen|bewerten|dienen|eingehen"
    r"|zeigen|empfehlen(?<!genug empfehlen)|offenlegen|kommentieren|leisten)\b"
)
_GERMAN = _declining(
    "nicht|kein|ablehn|lehne|weigere|meine",
    r"\b(?:(?:ich|wir) (?:kann|darf|können|dürfen|werde|möchte|will)"
    r"|(?:kann|darf|können|dürfen|werde|möchte) (?:ich|wir))\b(?: [^.,;:!?]{0,60})?"
    r" (?:nicht|kein\w*)\b(?! (?:umhin|genug))[^.;:!?]{0,80}"
    + _GERMAN_ACTS
    + r"|(?:tut mir leid|entschuldig\w*|leider|bedaure|bedauere|verzeihung|sorry)\b[^.!?]{0,60}"
    r"\b(?:(?:kann|darf|können|möchte) (?:ich|wir)|(?:ich|wir) (?:kann|darf|können|möchte))\b"
    r"[^.!?]{0,60}\b(?:nicht|kein\w*)\b"
    r"|\b(?:ich bin|bin ich) (?:leider |dazu )?nicht (?:in der lage|befugt|berechtigt|autorisiert"
    r"|bereit|imstande|dafür programm|programm)"
    r"|\bmir (?:leider )?nicht (?:möglich|erlaubt|gestattet)|\bich weigere mich"
    r"|\b(?:ich muss|muss ich)[^.;:!?]{0,60} ablehnen|\bich lehne [^.;:!?]{0,40}\bab\b"
    r"|\bgegen meine (?:richtlinien|grundsätze|regeln|prinzipien|programmierung)",
    r"(?:aber|jedoch|allerdings|stattdessen|sondern|[.;!]),? (?:(?:ich|wir) (?:kann|können|werde)"
    r"|(?:kann|können) (?:ich|wir)|hier (?:ist|sind)|gerne?|im allgemeinen)",
)
_DUTCH_ACTS = (
    r"\b(?:(?:mee|ver)?helpen|doorgeven|meedelen|laten zien|lezen|sturen|delen|geven|schrijven"
    r"|beantwoorden|voldoen|verstrekken|bieden|maken"
    r"|vertellen|openen|vertalen|genereren|bespreken|praten|meewerken|deelnemen|verwerken"
    r"|terugbetalen|uitvoeren|doorgaan|noemen|opstellen|ondersteunen|prijsgeven|reageren)\b"
)
_DUTCH = _declining(
    "niet|geen|weiger|afwijzen|mijn ",
    r"\b(?:(?:ik|wij|we) (?:kan|mag|kunnen|mogen|wil|ga|zal)"
    r"|(?:kan|mag|kunnen|mogen|zal|ga) (?:ik|wij|we))\b(?: [^.,;:!?]{0,60})?"
    r" (?:niet|geen)\b(?! (?:laten|genoeg))[^.;:!?]{0,80}"
    + _DUTCH_ACTS
    + r"|(?:spijt (?:me|mij|ons)|helaas|sorry|excuses)\b[^.!?]{0,60}\b(?:(?:kan|mag|kunnen|mogen)"
    r" (?:ik|wij|we)|(?:ik|wij|we) (?:kan|mag|kunnen|mogen))\b[^.!?]{0,60}\b(?:niet|geen)\b"
    r"|\b(?:ik ben|ben ik) (?:helaas )?niet (?:in staat|bevoegd|gemachtigd|bereid|geprogrammeerd)"
    r"|\b(?:voor )?mij (?:helaas )?niet (?:mogelijk|toegestaan)|\bik weiger\b"
    r"|\b(?:ik moet|moet ik)[^.;:!?]{0,50} (?:weigeren|afwijzen)"
    r"|\btegen mijn (?:richtlijnen|principes|beleid|regels)",
    r"(?:maar|echter|daarentegen|[.;!]),? (?:(?:ik|wij|we) (?:kan|kunnen|zal)"
    r"|(?:kan|kunnen) (?:ik|wij|we)|hier (?:is|zijn)|in het algemeen)",
)
_POLISH = _declining(
    "nie |odmawiam|odrzucić|odmówić|moimi",
    r"(?:przepraszam\w*|przykro mi|niestety|wybacz\w*)\b[^.!?;]{0,50}\bnie (?:(?:ci|tego|w tym) )*"
    r"(?:mogę|możemy|jestem w stanie|wolno mi|mam (?:uprawnień|pozwolenia))"
    r"|\bnie (?:mogę|możemy|będę (?:mógł|mogła)|będę|będziemy) "
    r"(?:(?:ci|panu|pani|państwu|w|tym|tego) )*(?:pom[óa]|poda[ćw]|udziel|udostępni"
    r"|przekaza|przesła|pokaza|wysła|powiedzieć ci|spełni|odpowi|ujawni|wygenerow|stworzy|tworzyć"
    r"|napisać|pisać|zrealizow|wykonać|kontynuow|dostarczy|przedstawi|zwrócić|omawiać|rozmawiać"
    r"|wziąć udział|brać udział|uczestnicz|otworzyć|przetłumacz|doradz|zaoferow|wspiera|zrobić"
    r"|popiera|skomentow|komentow|wyrazić)"
    r"|\bnie (?:jestem|jesteśmy) (?:w stanie|upoważni|uprawni|zaprogramow)|\bnie wolno mi"
    r"|\bnie mam (?:uprawnień|pozwolenia|prawa)|\bodmawiam|\bmuszę (?:odmówić|odrzucić)"
    r"|\bsprzeczn\w+ z moimi|\b(?:wolę|wolał(?:bym|abym)) nie \w+ć\b"
    r"|\bnie (?:napiszę|pomogę|podam|udzielę|udostępnię|odpowiem|stworzę|ujawnię|wygeneruję)\b",
    r"(?:ale|jednak|natomiast|zamiast tego|[.;!]),? (?:(?:ja )?mogę|możemy|oto|poniżej|ogólnie)",
)
_RUSSIAN = _declining(
    "не |нельзя|запрещено|отказ|моим",
    r"(?:извин\w+|к сожалению|прост(?:и|ите)|прошу прощения|сожалею|мне (?:очень )?жаль|увы)"
    r"\b[^.!?;]{0,50}\bне (?:могу|можем|смогу|сможем|имею|в состоянии|вправе)"
    r"|\bне (?:могу|можем|смогу|сможем|буду|стану) (?:(?:вам|тебе|вас|этого|это|с этим|в этом) )*"
    r"(?:помо[чг]|сообщ|показ|отправ|прочита|предостав|да(?:ть|вать)|выполн|отве[тч]|созда|напис"
    r"|писать|поддерж|участв|обсужд"
    r"|подел|делиться|раскры|сгенер|генерир|откры|вернуть|продолж|сделать это|перевести|комментир"
    r"|предл[оа]|обработ|переда|рассказ|назвать|способств|одобр)"
    r"|\bне уполномочен|\b(?:я|мы|^) ?не в состоянии|\bне имею (?:права|возможности)"
    r"|\bмне (?:нельзя|запрещено|не разрешено|не позволено)|\bотказываюсь"
    r"|\bпредпочитаю не |\bпредпоч[тл]\w+ (?:бы )?не |\bвынужден\w* отказ|\bпротивореч\w+ моим",
    r"(?:но|однако|зато|вместо этого|[.;!]),? (?:я )?(?:могу|можем|вот|ниже|в целом|расскажу)",
)
_TURKISH = _declining(
    "amam|emem|mıyor|miyor|mayız|meyiz|acağım|eceğim|mümkün|yetkim|iznim|redde|aykırı",
    r"(?:üzgünüm|maalesef|özür dile\w+|ne yazık ki|kusura bakma\w*)\b[^.!?;]{0,90}"
    r"[ae]m(?:[ae]m|[ıi]yor(?:um|uz)|[ae]y[ıi]z)\b"
    r"|\b(?:yardımcı ol|destek ol|ilet|gönder|oku|bildir|yardım ed|sağla|ver|paylaş|yanıtla"
    r"|cevapla|oluştur|üret|yaz|tartış|konuş"
    r"|yap|aç|iade ed|yerine getir|eriş|katıl|destekle|söyle|açıkla|sun|göster|çevir|devam ed"
    r"|gerçekleştir|tavsiye ed)y?(?:[ae]m(?:[ae]m|[ıi]yor(?:um|uz)|[ae]y[ıi]z)"
    r"|m[ae]y[ae]ca[ğg][ıi]m|m[ae]yece[ğg]im)\b"
    r"|\b\w{2,20}m[ae]m mümkün değil|\b(?:yetkim|iznim) (?:yok|bulunmuyor)|\breddediyorum"
    r"|\breddetmek zorunda|\breddetmeliyim"
    r"|\b(?:kurallar|ilkeler|yönergeler|politikalar)[ıi]ma aykırı",
    r"(?:ancak|ama|fakat|bunun yerine|[.;!]) [^.!?]{0,80}[ae]bilir(?:im|iz)\b",
)
_CHINESE_NOT = "(?:无法|無法|不能|不会|不會|不便|不可以|没办法|沒辦法|没有办法)"
_CHINESE = _declining(
    "无法|無法|不能|不会|不會|不便|不可以|办法|辦法|权限|權限|打不开|拒绝|拒絕|我的",
    r"(?:抱歉|对不起|對不起|遗憾|遺憾|不好意思)[^。!?！？]{0,30}"
    r"(?:无法|無法|不能|不可以|没办法|沒辦法|没有办法|没有权限|打不开|不便|拒绝)"
    r"|(?:^|[,，。;；!！] ?|助手|模型|ai)(?:我们|我們|我)(?:真的|也|暂时|目前|恐怕)?"
    + _CHINESE_NOT
    + r"(?!不)[^。，,]{0,8}(?:提供|协助|協助|帮|幫|回答|满足|滿足|生成|参与|支持|透露|讨论"
    r"|访问|发表|写|撰|创作|翻译|打开|处理|办理|退款|执行|完成|继续|鼓励|描述|告知|告诉|透漏|读取"
    r"|查看您|分享|评论|给出|给您|给你)"
    r"|我(?:必须|必須|只能|不得不)?(?:拒绝|拒絕)|我没有(?:权限|权利)"
    r"|(?:违反|违背)了?我的(?:准则|原则|政策|规定)",
    r"(?:但|但是|不过|然而)[,，]?(?:我们|我)?(?:可以|能够|能|会)|以下是|下面是",
)
_JAPANESE = _declining(
    "ません|かねます|お断り|拒否|ガイドライン",
    r"(?:申し訳|すみません|ごめんなさい|恐れ入り|残念ながら|恐縮)[^。]{0,60}。?[^。]{0,50}"
    r"(?:できません|出来ません|かねます|お応えでき|権限がありません)"
    r"|^[^。]{0,60}(?:手伝い|お答え|お応え|提供|回答|作成|生成|お伝え|教える|開示|公開|対応|協力"
    r"|支援|助言|アドバイス|お教え|閲覧|お渡し|お送り"
    r"|翻訳|開く|アクセス|議論|お話し|共有|返金|払い戻し|お受け|参加|加担|コメント|実行"
    r"|サポート)[^。、]{0,12}"
    r"(?:できません|出来ません|かねます)"
    r"|お断り(?:し|いたし|致し|させて)|拒否(?:し|いたし)ます|ガイドラインに(?:反|違反)|(?:文章"
    r"|記事|内容)[はを]書けません",
    r"^(?:が、|けれど|。(?:ただし|しかし|代わりに))[^。]{0,80}"
    r"(?:できます|可能です|説明|紹介|原因です|考えられます|以下|一般的)",
)
_KOREAN = _declining(
    "없습니다|없어요|어렵습니다|못합니다|못해요|않겠습니다|거절|지침에|정책에",
    r"(?:죄송|미안|안타깝게도|유감|아쉽게도)[^.]{0,60}(?:\. ?[^.]{0,50})?"
    r"(?:수(?:가|는)? 없(?:습니다|어요)|권한이 없|기 어렵습니다|못합니다|않겠습니다)"
    r"|(?:도와|도움|알려|제공|답변|대답|생성|작성|공개|공유|논의|이야기|말씀|열람|전달|보내|보여"
    r"|접근|번역|지원|참여|환불|처리|안내|만들|쓰지"
    r"|드릴|드리)[^.,]{0,14}"
    r"(?:수(?:가|는)? 없(?:습니다|어요)|기(?:는)? 어렵습니다|못합니다|못해요|않겠습니다)"
    r"|거절(?:하겠|합니다|할게요|드립니다)|권한이 없습니다|(?:지침|정책)에 (?:어긋|위배|위반)",
    r"^[.,]? ?(?:하지만|그러나|다만|대신)[^.]{0,60}(?:수 있|드리겠|다음은)",
)
_ARABIC = _declining(
    "لا |لن |غير |ليس|لست|أرفض|رفض|يخالف",
    r"(?:آسف|عذر|أعتذر|معذرة|للأسف|نأسف)[^.!?؟؛]{0,50}"
    r"(?:لا (?:أستطيع|يمكنن|أقدر|نستطيع|يُ?سمح لي)|لن (?:أتمكن|أستطيع|نتمكن)|غير قادر|لست)"
    r"|(?:لا (?:أستطيع|يمكنني|يمكننا|أقدر|يسعني|نستطيع)|لن (?:أتمكن من|أستطيع)"
    r"|ليس بإمكاني|ليس بوسعي) (?:\w+ )?(?:مساعد|إخبارك|إرسال|الاطلاع|قراءة|المساعدة|تقديم|توفير"
    r"|تلبية|الإجابة|الرد|رد "
    r"|كتابة|إنشاء|الكشف|فتح|مشاركة|المشاركة|إعطاء|الوصول|مناقشة|الحديث|ترجمة"
    r"|تنفيذ|توليد|دعم|القيام بذلك|متابعة|أن أ(?:ساعد|قدم|كتب|جيب))"
    r"|(?:أنا|إنني|إني|فأنا) غير (?:قادر|مخول|مصرح)|لست (?:قادر|مخول|مصرح)|لا يُ?سمح لي"
    r"|(?:^|\s)أرفض\b|مضطر\w* (?:إلى |ل)رفض|يخالف (?:إرشاداتي|مبادئي|سياستي|قواعدي)"
    r"|لن (?:أكتب|أساعد|أقدم|أشارك|أجيب)\b",
    r"(?:لكن|ولكن|لكنن?ي|غير أنن?ي|بدلاً? من ذلك)،? ?(?:يمكنني|أستطيع|إليك|سأ)",
)
_HINDI = _declining(
    "नहीं|असमर्थ|इनकार|इंकार|अस्वीकार|मेरे ",
    r"(?:माफ|माफ\u093c|क्षमा|खेद|दुर्भाग्य)[^।;!?]{0,90}(?:नहीं (?:कर|दे|बता|बना|लिख|खोल)|असमर्थ"
    r"|अनुमति नहीं)"
    r"|(?:मैं|हम) [^।;!?]{0,90}नहीं (?:कर|दे|बना|लिख|बता|खोल)(?: पा)? ?(?:सकता|सकती|सकते|ऊँगा"
    r"|ऊंगा)"
    r"|मैं [^।;!?]{0,90}नहीं (?:लिख|कर|द|बना|बता)ूँ?ं?ग[ाी]|मैं [^।;!?]{0,70}असमर्थ"
    r"|मुझे [^।;!?]{0,70}(?:अनुमति नहीं|अस्वीकार करना)|(?:इनकार|इंकार|अस्वीकार) करत[ाी] हूँ"
    r"|मेरे (?:नियमों|दिशानिर्देशों|सिद्धांतों) के (?:विरुद्ध|खिलाफ)",
    r"(?:लेकिन|परंतु|किंतु|मगर|पर|हालाँकि|इसके बजाय),? [^।]{0,60}(?:सकता हूँ|सकती हूँ|यहाँ|निम्न)",
)

OTHER_LANGUAGES = {
    "es": _SPANISH,
    "pt": _PORTUGUESE,
    "fr": _FRENCH,
    "it": _ITALIAN,
    "de": _GERMAN,
    "nl": _DUTCH,
    "pl": _POLISH,
    "ru": _RUSSIAN,
    "tr": _TURKISH,
    "zh": _CHINESE,
    "ja": _JAPANESE,
    "ko": _KOREAN,
    "ar": _ARABIC,
    "hi": _HINDI,
}
