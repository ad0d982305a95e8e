"""The phrases by which people thank, complain, correct and ask for a person, by language.

Every pattern is matched at the start of a clause, in lower case, with "'" for every apostrophe;
so "is it wrong to ..." is no complaint, and "that's wrong" is one. A message that has none of
`TRIGGERS` is not looked at any further: every pattern needs one of them.
"""

from __future__ import annotations

import re

_THING = (
    r"(?:that|this|it|these|those|which"
    r"|(?:your|the|this|that) (?:\w+ )?(?:answer|response|reply|code|query|solution|suggestion|link"
    r"|advice|translation|calculation|result|command|function|formula|instructions?|summary)"
    r"|what you (?:said|wrote|say))"
)
_VERY = (
    r"(?:(?:still|just|simply|so|very|really|completely|totally|all|quite|plain|obviously"
    r"|clearly|definitely|absolutely|also|even|again|a|an|the|now|exactly|unfortunately) )*"
)
_NOT = (
    r"(?:(?:does|did|do|is|was|are|has|have|could) ?(?:not|n't|nt)|don't|dont|won't|wont|will not"
    r"|can't|cant|cannot|can not)"
)
_AWFUL = (
    r"(?:bad|shit|shitty|crap|crappy|frustrating|annoying|disappointing|rude|stupid|dumb|idiot|idiotic"
    r"|terrible|awful|horrible|pathetic|lousy|poor|useless|worthless|hopeless|dull|boring|clueless"
    r"|a waste(?: of (?:my )?time)?|(?:an )?idiot)\b(?! for\b)"
)
_SELF = (
    r"(?:bot|chat ?bot|tool|assistant|conversation|chat|service|system|app|model|ai|documentation)"
)
_BAD = (
    r"(?:wrong|incorrect|false|useless|terrible|awful|nonsense|ridiculous|rubbish|garbage|trash"
    r"|horrible|outdated|misleading|bullshit|unhelpful|a joke|a lie|made up|not (?:true|right"
    r"|correct|it\b|helpful|useful|working|what i|what we|a poem|an answer|the (?:answer|case|one)"
    r"|good enough|how))"
)
_GOOD = (
    r"(?:perfect|great|awesome|excellent|brilliant|amazing|beautiful|wonderful|fantastic|lovely"
    r"|superb|super|helpful|nice|good|cool|ideal|spot on|impressive|neat)"
)
_PRAISE = (
    r"(?:perfect|great|awesome|excellent|brilliant|amazing|wonderful|fantastic|lovely|superb"
    r"|(?:super|very|really|so|most) helpful)"
)
_PRAISED_THING = (
    r"(?:suggestion|idea|answer|job|work|tip|plan|stuff|explanation|poem|one|advice|summary"
    r"|list|text|translation|solution|point|recipe|choice|information|info)"
)
_PRAISED = rf"(?: {_PRAISED_THING}s?)?"
_END = r"(?:[\s!.)♥❤👍🙏😀😊:]*$)"

# Words that may stand before a phrase and say nothing.
FILLER = re.compile(
    r"(?:(?:but|and|so|well|hm+|um+|uh|oh|ah|ok|okay|alright|sorry|hey|hi|hello|wow|yeah|yes|honestly"
    r"|i'm afraid|i am afraid|i (?:think|guess|believe|feel like)|also|please|dude|man|aber|leider"
    r"|also|pero|mais|désolée?|mas|ma|però|maar|но|а)(?![\w'])[\s,.!]*)+"
)

COMPLAINT = {
    "en": (
        rf"{_THING}(?:'s|'re| is| was| are| were| seems?| looks?| sounds?)? {_VERY}{_BAD}",
        rf"{_THING} {_VERY}{_NOT} {_VERY}(?:work|help|answer|solve|fix|make (?:any )?sense|compile|run"
        r"|exist|(?:sound|look|seem) (?:right|correct|good)|right|correct|true|helpful|useful|it\b"
        r"|what i|working|enough|there)",
        rf"{_THING}(?:'s|s| is| was| are)? {_VERY}{_AWFUL}",
        rf"(?:this|the|your|that) {_SELF}(?: here)? (?:is|was|isn't|isnt)(?: not| n't)? {_VERY}"
        rf"(?:{_AWFUL}|{_BAD}|(?:helpful|good|helping|useful|working))",
        rf"(?:you|u|ur)(?:'re|re| are| r)? {_VERY}(?:being )?(?:\w+ )?{_AWFUL}",
        r"(?:this|that|it|you|everything)(?: bot| answer)? (?:really |totally |just )?(?:sucks?|sux)",
        r"i (?:really |just )?hate (?:this|that|it|you)\b",
        rf"(?:what a |such a )?{_AWFUL} (?:answer|response|reply|joke|bot|advice|service|job|experience"
        r"|suggestion|idea)",
        r"i(?:'m| am|m) (?:so |very |really |quite |getting )*(?:disappointed|frustrated|annoyed|fed up)",
        r"(?:this|it) is (?:getting|going|leading) (?:me )?(?:nowhere|to nothing)|what a waste",
        rf"you (?:really |still |obviously |clearly )?{_NOT} (?:even |really )?(?:help|understand|do what"
        r"|do (?:it|that|this)|answer|get it|know (?:anything|what))",
        r"(?:i )?(?:don't|dont|do not) think you (?:can|could|understand|understood|know|get|are|got)",
        r"you (?:did|do|got|get|have|are doing) (?:it|that|this|everything) (?:all )?wrong",
        rf"(?:it|this|that) {_NOT} (?:really )?help",
        rf"{_THING} (?:still )?(?:makes? no sense|can't be|cannot be|fails|failed|is no help|no help)",
        r"(?:the|your|that|this) \w+ (?:does not|doesn't|doesnt|didn't|did not) (?:work|help|exist)",
        rf"{_NOT} (?:work|help|make sense)",
        r"(?:nope |no )?(?:still|same) (?:not|no\b|nothing|the same|same|get|getting|wrong|broken"
        r"|fails?|failing|exits?|says|shows|crash\w*|does\w*|doesn't|can't|cannot|error|problem|issue"
        r"|result|message|thing)",
        r"(?:totally |completely |plain |just |simply )?(?:wrong|incorrect|false|nonsense|useless"
        rf"|terrible|rubbish|bullshit|unhelpful|wtf)(?: (?:again|answer|one|menu|product))?{_END}",
        r"not (?:true|correct|right|helpful|useful|working|even close|really helpful|what i|what we"
        r"|good)\b(?! (?:for|to|now|yet|away)\b)",
        r"(?:no )?i (?:meant|mean|was asking|wanted to know|was looking for|didn't ask|did not ask)\b",
        r"i (?:said|asked) (?:for|about|you|how|what|which|whether|if|that|the|[a-z]+ not)\b",
        r"i (?:already |just |have )?(?:told|said to) you",
        r"(?:i|i've|i have) (?:already|just) (?:did|done|tried|told|said|asked|explained|mentioned)",
        r"i (?:don't|do not|can't|cannot) (?:see|find|have) (?:a |an |any |that |this |such )?(?:\w+ )?"
        r"(?:\w+ )?(?:anywhere|there|like that|button|option|menu|setting)",
        r"i (?:still |now |just )?(?:get|got|am getting|keep getting) (?:an|a|the same|this) (?:\w+ )?"
        r"(?:error|exception)",
        r"i (?:don't|do not|dont|don not) (?:like|agree|believe)",
        r"i doubt (?:that|it|this)",
        r"you (?:(?:also |completely |clearly |just |again )?(?:forgot|missed|ignored|misunderstood"
        r"|misread|skipped|left out|overlooked|contradict\w*|invented|made (?:that|this|it) up"
        r"|made an? (?:\w+ )?(?:mistake|error)|got (?:it|that|this) wrong)"
        r"|(?:didn't|did not|don't|do not|haven't|never|are not|aren't|'re not)(?: even| really)? "
        r"(?:answer\w*|listen\w*|read\w*|understand\w*|understood|get it|help\w*|follow\w*|mention\w*"
        r"|include\w*)|(?:are|'re) (?:\w+ )?(?:wrong|mistaken|lying|useless|hallucinating|incorrect)"
        r"|keep \w+ing)",
        r"you're (?:not (?:listening|helping|answering)|wrong|mistaken|lying|useless)",
        r"there(?:'s| is| are|s) (?:no such|nothing (?:about|like|in)|no (?:\w+ )?(?:menu|option"
        r"|button|setting|link|field|tab|section|entry)\b)",
        r"(?:please )?(?:check|read|look|try|think)(?: (?:it|that|this|my \w+|the \w+))? again",
        r"are you (?:really |absolutely |quite |even )?(?:sure|kidding|joking|serious|stupid)",
        r"bad (?:answer|advice|bot)",
        r"makes no sense",
        r"no (?:that|this|it)(?:'s| is)? (?:not|isn't|wrong)",
    ),
    "de": (
        r"(?:nein )?(?:das|es|die|der|dies) (?:\w+ )?(?:stimmt|klappt|funktioniert|geht|hilft|passt"
        r"|löst)(?: \w+)? (?:nicht|nichts|gar nicht)",
        r"(?:das|es|die antwort|deine antwort|dies) (?:ist|war)(?: \w+)? (?:falsch|nicht (?:richtig"
        r"|korrekt|meine frage|das|was ich|hilfreich)|unsinn|quatsch|nutzlos)",
        r"(?:nein )?(?:ich )?(?:meinte|meine) (?!\w+ (?:ist|sind))",
        r"(?:stimmt|funktioniert|klappt|geht|hilft)(?: \w+)? nicht",
        rf"(?:falsch|unsinn|quatsch){_END}",
        r"das war nicht meine frage|danach habe? ich nicht gefragt|(?:du hast|sie haben) .{0,30}"
        r"(?:vergessen|ignoriert|falsch verstanden)",
        r"bist du (?:dir )?sicher|sind sie sicher|immer noch (?:nicht|derselbe|das gleiche)",
    ),
    "es": (
        r"(?:eso|esto|la respuesta) (?:no (?:es|funciona|sirve|ayuda)|está mal|es (?:falso"
        r"|incorrecto|mentira))",
        rf"no (?:me )?(?:sirve|funciona|ayuda|es (?:correcto|cierto|verdad|eso|lo que))|incorrecto{_END}",
        r"está mal\b|(?:no )?(?:quise|quería) decir|no (?:has )?respond\w+|te equivocas|te pregunté"
        r"|sigue sin|estás segur[oa]",
    ),
    "fr": (
        r"(?:c'est|cela est|ça est|la réponse est) (?:\w+ )?(?:faux|incorrect|erroné|n'importe quoi"
        r"|inutile|pas (?:ça|vrai|juste|correct|bon|ce que))",
        r"ce n'est pas (?:ça|vrai|juste|correct|ce que|la bonne)|(?:ça|cela) ne (?:marche|fonctionne"
        r"|va|m'aide|sert|répond|correspond)|(?:ça|cela) marche pas|je voulais dire|vous n'avez pas"
        r"|tu n'as pas|tu te trompes|vous vous trompez|(?:tu es|vous êtes|es-tu|êtes-vous) sûre?"
        rf"|faux{_END}|toujours pas",
    ),
    "pt": (
        r"(?:isso|isto|a resposta)(?: \w+)? (?:está|é|tá) (?:errad[oa]|incorret[oa]|falso|mentira)"
        r"|(?:isso|isto) não (?:é|funciona|ajuda|resolve|serve)|não (?:funciona|funcionou|ajudou|adianta"
        r"|resolveu|foi isso|é isso|é o que)|eu quis dizer|eu queria dizer|você não|está errado"
        rf"|tem certeza|errado{_END}|continua sem",
    ),
    "it": (
        rf"(?:è|questo è|la risposta è) (?:sbagliat[oa]|errat[oa]|falso|inutile)|sbagliato{_END}"
        r"|non (?:è (?:vero|giusto|corretto|così|quello)|funziona|va bene|aiuta|mi (?:aiuta|serve))"
        r"|(?:volevo|intendevo) dire|intendevo|ti sbagli|si sbaglia|sei sicur[oa]|non hai (?:capito"
        r"|risposto)",
    ),
    "nl": (
        r"(?:dat|dit|het) (?:klopt|werkt|helpt|lukt)(?: \w+)? niet|(?:dat|dit) is (?:niet (?:juist"
        r"|waar|wat ik|goed)|fout|onjuist|onzin)|ik bedoel(?:de)?\b|klopt niet|werkt niet|weet je"
        rf" (?:het )?zeker|je hebt .{{0,20}} vergeten|fout{_END}",
    ),
    "ru": (
        r"(?:это )?(?:не ?правильно|неверно|не верно|не так|неправда|ошибка|ерунда|бред)"
        r"|(?:всё |все |по-прежнему |опять |ничего )?не (?:работает|помогло|помогает|то\b|получается)"
        r"|я имела? в виду|я спрашивала? (?:не|про)|вы (?:не|ошиб)|ты (?:не|ошиб)|вы уверены|ты уверен",
    ),
}

THANKS = {
    "en": (
        r"(?:many |ok |okay |great |super |cool |perfect |lovely |nice |awesome |excellent |much |big )*"
        r"(?:thanks|thank you|thank u|thankyou|thx|tysm|tyvm|ty|thnx|thnks|thanx|thank's|thanku|tks|cheers|much appreciated)\b"
        r"(?! (?:to\b|in advance|for nothing|for trying|anyway|but\b))",
        r"(?:that|this|it)(?:'s| is| was| looks| sounds)? (?:really |very |so |just |exactly "
        rf"|absolutely |pretty |a |an |super |such a )*{_GOOD}{_PRAISED}{_END}",
        rf"(?:really |very |so |super |absolutely |just )*{_PRAISE}{_PRAISED}{_END}",
        rf"(?:what a |such a )?(?:really |very )*{_GOOD} {_PRAISED_THING}s?{_END}",
        r"(?:that|this|it)(?: all)? (?:now |really |actually |totally )?(?:works?|worked|helps|helped"
        r"|fixed it|fixes it|did the trick|did it|makes (?:a lot of |perfect )?sense|solved it"
        rf"|solves it|runs)(?: (?:now|great|well|perfectly|fine|a lot|for me|like a charm))*{_END}",
        rf"(?:works?|worked|solved|fixed|problem solved)(?: (?:now|great|perfectly|like a charm))?{_END}",
        r"(?:that's |that is |this is |it's )?(?:exactly|just|precisely) what i (?:needed|need|wanted"
        r"|was looking for|meant)",
        r"i (?:really |absolutely |just )?(?:love|like) (?:it|this|that)\b",
        r"(?:she|he|they|my \w+) will love (?:it|this)",
        r"(?:i )?(?:really |do )?appreciate (?:it|that|this|your|the)",
        r"you(?:'re| are|r) (?:a |the |so |really )*(?:lifesaver|best|great|amazing|awesome|helpful|star"
        r"|legend|genius|wonderful)",
        r"(?:much|way|a lot|far) better(?! (?:to|than|if))",
        r"that was (?:quick|fast|easy)",
    ),
    "de": (
        r"(?:ok |super |vielen |herzlichen |perfekt |tausend |besten |lieben |gut |ach so )*dank(?:e|\b)"
        r"(?! im voraus)",
        r"(?:das ist |das war )?(?:super|perfekt|toll|genial|prima|großartig|wunderbar|klasse|spitze)"
        rf"{_END}",
        r"(?:das |es |jetzt )*(?:hat (?:geklappt|funktioniert|geholfen)|klappt|funktioniert|geht)"
        rf"(?: jetzt| super)?{_END}",
    ),
    "es": (
        r"(?:muchas |mil |ok |vale |perfecto |muchísimas )*gracias\b(?! de antemano)",
        rf"(?:perfecto|genial|excelente|estupendo|funcionó|funciona|me sirvió|ya funciona){_END}",
    ),
    "fr": (
        r"(?:ok |un grand |mille |super |parfait )*merci\b(?! d'avance)",
        rf"(?:c'est )?(?:parfait|super|génial|excellent|top|impeccable|ça marche){_END}",
    ),
    "pt": (
        r"(?:muito |ok |valeu )*(?:obrigad[oa]|valeu|brigad[oa])\b(?! desde já)",
        rf"(?:perfeito|ótimo|excelente|funcionou|deu certo|resolvido|maravilha){_END}",
    ),
    "it": (
        r"(?:ok |mille |tante |perfetto )*grazie\b(?! in anticipo)",
        rf"(?:perfetto|ottimo|eccellente|fantastico|funziona|ha funzionato|bene){_END}",
    ),
    "nl": (
        r"(?:ok |heel erg |hartelijk |super )*(?:bedankt|dank je|dank u|dankjewel|dankuwel|dank\b)"
        r"(?! alvast)",
        rf"(?:perfect|geweldig|super|top|prima|fijn|gelukt|het werkt|het is gelukt){_END}",
    ),
    "ru": (
        r"(?:большое |огромное |ок |окей )*(?:спасибо|благодарю|спс)(?! заранее)",
        rf"(?:отлично|супер|здорово|идеально|прекрасно|получилось|заработало|всё работает){_END}",
    ),
}

_PERSON = (
    r"(?:(?:real|live|actual|human|physical|living) )?(?:human(?: being)?|person|agent|representative"
    r"|rep|operator|manager|supervisor|staff(?: member)?|employee|advisor|adviser|someone|somebody"
    r"|customer (?:service|support|care)|support(?: team| staff)?|help ?desk|colleague)\b"
)
ASK_HUMAN = {
    "en": (
        r".{0,40}\b(?:speak|talk|chat)(?:ing)? (?:to|with) (?:an? |one of |your |the |some )*"
        rf"{_PERSON}(?! (?:resources|i know|in my))",
        r".{0,30}\b(?:connect|transfer|put|pass|forward|hand|escalate|refer) (?:me|us|this|it)"
        rf"(?: \w+)? (?:to|with) (?:an? |your |the )*{_PERSON}",
        rf".{{0,20}}\bget me (?:an? |your |the )*{_PERSON}(?! for\b)",
        rf"(?:i (?:need|want|would like|'d like) )?(?:an? )?(?:real|live|human|actual) {_PERSON}"
        rf"(?: please)?{_END}",
        rf"(?:agent|representative|operator|human|supervisor|manager|customer service)"
        rf"(?: please| now)*{_END}",
        r".{0,40}\b(?:contact|call|reach|phone) (?:you|support|customer (?:service|support|care)|someone"
        r"|somebody|a person|a human|an agent)\b(?! (?:who|else|that))",
        r"(?:what's|what is|is there) (?:your|a) (?:phone|support|service) ?number",
    ),
    "de": (
        r".{0,40}\bmit (?:einem|einer|'nem|jemandem|dem|ihrem) ?(?:\w+ )?(?:menschen|mitarbeiter(?:in)?"
        r"|person|kundenservice|kundendienst|berater|support|vorgesetzten)?\b.{0,12}"
        r"(?:sprechen|reden|verbinden|chatten)",
        rf"(?:mitarbeiter|mensch|kundenservice|kundendienst)(?: bitte)?{_END}",
    ),
    "es": (
        r".{0,30}\b(?:hablar|comunicarme|pásame|páseme|comuníqueme) con (?:una? |el |la |un )?"
        r"(?:persona|humano|agente|operador|asesor|representante|alguien|servicio|encargado)",
        rf"(?:agente|operador|humano)(?: por favor)?{_END}",
    ),
    "fr": (
        r".{0,30}\bparler (?:à|avec|au) (?:un |une |quelqu'un|le |la )?(?:conseillère?|humain|personne"
        r"|agent|opérateur|responsable|service|vrai)?",
        rf"(?:conseiller|agent|humain)(?: s'il vous plaît)?{_END}",
    ),
    "pt": (
        r".{0,30}\b(?:falar|conversar) com (?:um |uma |o |a )?(?:atendente|humano|pessoa|agente"
        r"|alguém|operador|gerente|suporte)",
        rf"(?:atendente|humano)(?: por favor)?{_END}",
    ),
    "it": (
        r".{0,30}\bparlare con (?:un |una |il |la |qualcuno)? ?(?:operatore|umano|persona|agente"
        r"|responsabile|assistenza|consulente)?",
        rf"(?:operatore|umano)(?: per favore)?{_END}",
    ),
    "nl": (
        r".{0,30}\b(?:een |met een |met iemand |de )+(?:medewerker|mens|persoon|echt persoon"
        r"|klantenservice)?.{0,12}(?:spreken|praten)",
        rf"(?:medewerker|klantenservice)(?: graag| alsjeblieft)?{_END}",
    ),
    "ru": (
        r".{0,30}\b(?:поговорить|связаться|соедините|свяжите|переключите|позовите|позови)\b.{0,15}"
        r"(?:оператор|человек|менеджер|сотрудник|специалист|поддержк)",
        rf"(?:оператор|человека|оператора)(?: пожалуйста)?{_END}",
    ),
}

_FORM = (
    r"(?:shorter|longer|simpler|formal|informal|polite|friendly|friendlier|concise|detailed|brief"
    r"|casual|professional|precise|specific|catchy|funny|funnier|serious|briefly)"
)
_IT = r"(?:it|that|this|the (?:text|answer|list|last one|above))"
REVISION = {
    "en": (
        rf"(?:can you |could you |would you |please |pls |now |just )*make {_IT}\b",
        rf"keep {_IT} (?:short|simple|brief|formal|general)",
        r"(?:can you |could you |would you |please |pls |now |just )*(?:rewrite|rephrase|reword|shorten"
        rf"|simplify|format|reformat|paraphrase|expand|summari[sz]e|condense|translate|put|write|explain"
        rf"|turn|convert|show|give me) {_IT}\b",
        r"(?:(?:please |can you |could you )*(?:a (?:bit|little) |much |even |somewhat |slightly )?"
        rf"(?:more |less )?){_FORM}(?: please| pls| version)*{_END}",
        r"(?:and |now )?(?:in|as|with) (?:an? |the )?(?:\w+ )?(?:english|german|french|spanish|italian"
        r"|dutch|russian|portuguese|chinese|japanese|sentences?|words|bullets?|bullet points|lists?"
        rf"|table|json|markdown|csv|yaml|prose|fahrenheit|celsius|rhyme)(?: please| pls)*{_END}",
        r"(?:that's |it's |this is |way )?too (?:long|short|formal|complicated|technical|wordy)",
        rf"can you (?:say|do|have) {_IT} (?:in|as|with|more)",
    ),
    "de": (
        r"(?:bitte |mach (?:es |das )?|etwas |viel |ein bisschen )*(?:kürzer|länger|einfacher|förmlicher"
        rf"|höflicher|ausführlicher|formeller)(?: bitte| machen)*{_END}",
        r"(?:bitte )?(?:auf|in) (?:deutsch|englisch|französisch|spanisch|stichpunkten|stichworten"
        rf"|einfacher sprache)(?: bitte)?{_END}",
        r"(?:bitte )?(?:kannst|könntest|können|könnten) (?:du|sie) (?:das |es )?(?:\w+ )?(?:kürzer"
        r"|einfacher|länger|umformulieren|höflicher|ausführlicher)",
    ),
    "es": (
        r"(?:hazlo |un poco |por favor )*más (?:corto|largo|breve|formal|sencillo|simple|detallado)",
        rf"(?:en|al) (?:inglés|español|francés|alemán)(?: por favor)?{_END}",
    ),
    "fr": (
        r"(?:un peu |rends-le )*plus (?:court|long|simple|formel|poli|détaillé|bref)",
        rf"en (?:anglais|français|allemand|espagnol)(?: s'il (?:te|vous) plaît)?{_END}",
    ),
    "pt": (
        r"(?:um pouco )?mais (?:curto|longo|simples|formal|breve|detalhado)",
        rf"em (?:inglês|português|espanhol)(?: por favor)?{_END}",
    ),
    "it": (
        r"(?:un po' )?più (?:corto|breve|lungo|semplice|formale|dettagliato)",
        rf"in (?:inglese|italiano|francese)(?: per favore)?{_END}",
    ),
    "nl": (
        rf"(?:iets |maak het )*(?:korter|langer|simpeler|eenvoudiger|formeler)(?: graag)?{_END}",
    ),
    "ru": (rf"(?:сделай |сделайте |можно |немного )*(?:короче|длиннее|проще|подробнее){_END}",),
}

# Chinese and Japanese have no spaces: these are looked for anywhere in the head of a message.
JOINED = {
    "ask_human": (
        r"转人工|人工客服|人工服务|找人工|真人客服|和真人|跟真人|轉人工|真人客服",
        r"オペレーター|担当者(?:に|と)|人間(?:の担当|と話)|有人対応",
    ),
    "complaint": (
        r"不对(?!吗|吧)|不對|说错了|答错|错了(?!吗)|不正确|没有?用|没用|不是这个意思|我的意思是|不是我要|你没有?回答"
        r"|还是不行|没解决|答非所问",
        r"違います|違う(?!の)|間違って|そうではなく|そうじゃなく|うまくいきません|動きません|役に立た|聞きたいのは|ではありません",
    ),
    "thanks": (
        r"谢谢|謝謝|多谢|感谢|太好了|非常好|解决了",
        r"ありがとう|助かりました|助かります|感謝|できました|うまくいきました|完璧",
    ),
    "revision": (
        r"短一点|简短|简单一点|再短|用(?:英文|中文|英语)|翻译成",
        r"短くして|簡単に(?:して|説明)|(?:英語|日本語)で",
    ),
}
JOINED_NOT = re.compile(r"不用谢|不谢|不用了|先谢|结构です|結構です|大丈夫です")

# At least one of these words stands in every message that a pattern fits.
TRIGGERS = frozenset(
    """
    shit shitty crap crappy frustrating annoying disappointing rude dumb idiot idiotic pathetic lousy poor
    worthless hopeless dull boring clueless sucks suck sux hate disappointed frustrated annoyed fed waste
    nowhere nothing cant dont isnt wasnt arent cannot wasn't understand understood can don
    wrong incorrect false useless terrible awful nonsense ridiculous rubbish garbage trash horrible
    outdated misleading bullshit unhelpful joke lie made not doesn't doesnt didn't didnt don't isn't
    won't aren't aren haven't never still same already meant mean asking wanted looking said asked
    told see find error exception like agree believe doubt forgot missed ignored misunderstood
    misread skipped left overlooked contradict contradicts contradicted invented got keep there
    there's theres check again sure kidding joking serious stupid bad sense wtf can't cannot fails
    failed no nope you're help mistaken actually should correct actual incorrectly fact
    thanks thank thankyou thx tysm tyvm ty thnx thnks thanx thank's thanku tks cheers appreciated appreciate perfect great awesome
    excellent brilliant amazing beautiful wonderful fantastic lovely superb super helpful nice good
    cool ideal spot impressive neat works work worked helps helped fixed fixes trick did solved solves
    runs exactly precisely love lifesaver best star legend genius better quick fast easy
    human person agent representative rep operator manager supervisor staff employee advisor adviser
    someone somebody customer support helpdesk desk colleague call reach contact phone number
    make rewrite rephrase reword shorten simplify format reformat paraphrase expand summarise
    summarize condense translate put write explain turn convert show give shorter longer simpler
    formal informal polite friendly friendlier concise detailed brief casual professional precise
    specific elaborate catchy funny funnier briefly too english german french spanish italian dutch
    russian portuguese chinese japanese bullets bullet list table json markdown csv yaml prose
    fahrenheit celsius rhyme sentence sentences words
    nein doch non não nee нет
    nicht nichts falsch unsinn quatsch meinte meine sicher noch danke dank perfekt toll genial prima
    großartig wunderbar klasse spitze klappt funktioniert geklappt geholfen geht mitarbeiter mensch
    menschen mitarbeiterin kundenservice kundendienst kürzer länger einfacher förmlicher höflicher
    ausführlicher formeller englisch deutsch französisch spanisch stichpunkten stichworten
    sprache umformulieren vergessen ignoriert verstanden sprechen reden
    eso esto está mal sirve funciona ayuda incorrecto quise quería equivocas pregunté sigue gracias
    perfecto excelente estupendo funcionó sirvió hablar comunicarme pásame páseme agente operador
    humano más inglés español francés alemán decir segura seguro
    c'est faux n'est ça cela voulais n'avez n'as trompes trompez sûr sûre toujours merci parfait
    excellent top impeccable parler conseiller plus anglais français allemand espagnol
    isso isto não errado errada certeza continua obrigado obrigada valeu brigado brigada perfeito
    ótimo funcionou certo resolvido maravilha falar conversar atendente mais inglês português
    è sbagliato sbagliata errato falso inutile non volevo intendevo sbagli sbaglia sicuro sicura
    grazie perfetto ottimo eccellente fantastico funzionato bene parlare operatore umano più inglese
    niet bedoel bedoelde fout onzin onjuist zeker bedankt dankjewel dankuwel geweldig fijn gelukt
    werkt medewerker klantenservice spreken praten korter langer simpeler eenvoudiger formeler
    не неправильно неверно неправда ошибка ерунда бред имел имела спрашивал спрашивала вы ты
    спасибо благодарю спс отлично супер здорово идеально прекрасно получилось заработало работает
    оператор оператора человека поговорить связаться соедините свяжите переключите позовите позови
    короче длиннее проще подробнее
    """.split()
)

# Words that do not tell one question from another.
STOPWORDS = frozenset(
    """
    the and for you your are was were will would can could should does did do how what which who why
    when where from with this that these those have has had not but please want need tell know like
    there here it's its i'm i've me my mine our we us they them their is be been being an a of to in on
    at by or so if then than as it i am may might must shall let get got just also again about into
    der die das den dem des ein eine einen einem einer und oder ich du sie er es wir ihr mein meine
    meinen meiner dein ist sind war wird kann soll muss wie was wer wo wann warum welche welcher mir
    mich bitte nicht auf in im am an zu zum zur von mit für bei aus da
    el la los las un una unos y o de del al en con por para que qué cómo dónde cuándo es está se su mi
    le les des du et ou je tu il elle nous vous ils est sont mon ma mes ce cette pour par sur dans que
    qui quels quelles quel quelle comment où quand à au aux une
    os as um uma e do da dos das no na eu você meu minha como onde quando
    il lo gli i di che come dove quando un uno per sono mio mia
    het een en ik je van op te dat hoe waar wanneer mijn
    как где когда что мне мой моя это и в на с для я не
    """.split()
)


# The sign of a user who states the right answer is found by other means (sources/implicit.py).
CORRECTING = frozenset(
    """
    no nope wrong false incorrect actually fact not should correct right actual real mean nein doch
    non não nee нет
    """.split()
)
_NEGATED = frozenset(
    """
    not doesn't doesnt didn't didnt don't dont isn't isnt won't wont wasn't wasnt aren't arent can't
    cant cannot haven't don
    """.split()
)
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")


def _by_bits() -> tuple[dict[str, tuple[tuple[int, re.Pattern[str]], ...]], dict[str, int]]:
    """Compile the patterns by sign and language, and map each trigger to the bits of its patterns.

    A message is tried only with the patterns that hold one of its words.
    """
    patterns: dict[str, tuple[tuple[int, re.Pattern[str]], ...]] = {}
    bits = dict.fromkeys(TRIGGERS | CORRECTING, 0)
    bit = 1
    for name, phrases in SIGNS.items():
        compiled = []
        for every in phrases.values():
            source = "|".join(every)
            held = set(_WORD.findall(source.replace("\\b", " ").replace("\\w", " ")))
            pieces = {piece for piece in held if len(piece) > 3}
            for word in TRIGGERS:
                # Patterns are written in pieces ("obrigad[oa]"): a piece stands for its words.
                if (
                    word in held
                    or any(piece in word for piece in pieces)
                    or (word in _NEGATED and "n't" in source)
                ):
                    bits[word] |= bit
            compiled.append((bit, re.compile(source)))
            bit <<= 1
        patterns[name] = tuple(compiled)
    for word in CORRECTING:
        bits[word] |= bit
    return patterns, bits


SIGNS = {
    "ask_human": ASK_HUMAN,
    "complaint": COMPLAINT,
    "thanks": THANKS,
    "revision": REVISION,
}
PATTERNS, TRIGGER_BITS = _by_bits()
JOINED_SIGNS = {name: re.compile("|".join(patterns)) for name, patterns in JOINED.items()}
