"""is_polite with no judge: words and phrases that nobody polite says. It finds rudeness that is spelled out, and no other."""

from collections.abc import Sequence

import regex

SCORER = "is_polite_lexicon@1"
NO_JUDGE = "no judge is configured: only impolite words and phrases were looked for"

_INSULTS = r"""idiots?|idiotic|morons?|moronic|imbeciles?|stupid(?:ity|ly)?|dumb(?:ass)?|dimwits?|fools?|jerks?|losers?|bastards?
    |assholes?|arseholes?|dickheads?|bitch(?:es)?|wankers?|scumbags?|cretins?|pathetic|brainless|clueless|retard(?:s|ed)?
    |idioten?|dumm(?:kopf|köpfe|e[rnms]?)?|blöd(?:e[rnms]?|mann)?|trottel|arschl(?:och|öcher)|depp(?:en)?|vollidiot(?:en)?
    |idiota|estúpid[oa]s?|imbécil(?:es)?|tont[oa]s?|imbéciles?|connards?|connasses?|abrutis?"""
_OBSCENE = (
    r"fuck(?:ing|ed|er|s)?|shit(?:ty|s)?|bullshit|crap(?:py)?|damn(?:ed)?|goddamn|piss\ off|scheiße?|verdammt|merde|putain|mierda|joder"
)
_PHRASES = r"""shut\ (?:the\ \w+\ )?up|shut\ it|get\ lost|go\ away|go\ to\ hell|screw\ you|drop\ dead|get\ out\ of\ here
    |(?:that['\u2019]s|that\ is|it['\u2019]s|it\ is)\ (?:your|not\ (?:my|our))\ (?:own\ )?(?:problem|fault)
    |(?:I|we)\ (?:don['\u2019]t|do\ not|couldn['\u2019]t)\ (?:give\ a\ \w+|care)
    |what(?:['\u2019]s|\ is)\ wrong\ with\ you|are\ you\ (?:deaf|blind|serious)|who\ cares|stop\ (?:wasting\ my\ time|bothering\ (?:me|us))
    |(?:you['\u2019]re|you\ are)\ (?:wasting\ my\ time|useless|hopeless|ridiculous|annoying|worthless|too\ slow|ignorant)
    |as\ I(?:['\u2019]ve|\ have)?\ (?:already\ )?(?:said|told\ you)\ (?:\w+\ ){0,3}times|how\ many\ times\ do\ I|use\ your\ brain
    |can['\u2019]t\ you\ (?:read|listen|understand)|don['\u2019]t\ you\ (?:get|understand)\ it|leave\ me\ alone|I\ hate\ you
    |halt(?:en\ Sie)?\ (?:den|die|das|dein\w*|ihr\w*)\ (?:mund|maul|klappe)|(?:ist|das\ ist)\ (?:nicht\ mein|dein|ihr)\ problem"""
# "not stupid", "no fool": whoever denies it isn't rude.
_DENIED = r"(?<!\b(?:not|isn['\u2019]t|aren['\u2019]t|no|never|nicht|kein|keine)\s(?:an?\s|at\sall\s|so\s)?)"
_RUDE = regex.compile(rf"{_DENIED}\b(?:{_INSULTS}|{_OBSCENE}|{_PHRASES})\b", regex.IGNORECASE | regex.VERBOSE | regex.VERSION1)


def rude(text: str) -> list[tuple[int, int]]:
    """Where the text is rude."""
    return [match.span() for match in _RUDE.finditer(text)]


def reason(quotes: Sequence[str]) -> str:
    """What was found, for a person to read."""
    if not quotes:
        return "no impolite word or phrase found"
    return f"impolite: {', '.join(repr(quote) for quote in quotes[:10])}"
