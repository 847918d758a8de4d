"""Texts as words, and where in them a target stands.

Every offset is a half-open code point of the text as it was read: nothing is normalised before it is located.
Words follow the spirit of Unicode Standard Annex 29; graphemes, scripts and marks are those of the `regex` package.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import regex
import simplemma
from simplemma.strategies.dictionaries.dictionary_factory import SUPPORTED_LANGUAGES

from analysis.errors import BadOption, TargetNotFound
from analysis.types import Document, Occurrence, Unit

Match = Literal["lemma", "exact"]
_ENGLISH = """
a an the this that these those each every either neither some any no all both half such what which whose
i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers herself
it its itself they them their theirs themselves one ones who whom someone anyone everyone nobody something anything
everything nothing
am is are was were be been being have has had having do does did doing done can could may might must shall should will
would ought
and or but nor so yet if because although though while whereas unless until since when where whether as than
about above across after against along among around at before behind below beneath beside between beyond by despite
down during except for from in inside into like near of off on onto out outside over past per through throughout to
toward towards under up upon via with within without
not there here then now also just only very too quite rather s t
"""
# Words that join others and say little by themselves: the closed classes of a language (Quirk et al. 1985, 2.40).
FUNCTION_WORDS = {"en": frozenset(_ENGLISH.split())}


@dataclass(frozen=True, slots=True)
class Found:
    """Occurrences by document, then offset; `missing` are the ids of the documents without the target."""

    occurrences: tuple[Occurrence, ...]
    missing: tuple[str, ...]


class _Part(NamedTuple):
    """A part of the target: the forms with this `surface`, those with a lemma of `stems`, and those `always` sought."""

    surface: str
    stems: frozenset[str | None]
    always: frozenset[str]


class _Sought(NamedTuple):
    """The parts of each word of a target, and the patterns of what must not stand `before` and `after` it."""

    chunks: tuple[tuple[_Part, ...], ...]
    before: str
    after: str


_EXTEND = r"\p{M}\p{GCB=Extend}\u00ad\u200d\u2060"  # what belongs to the character before it
_MARKS = f"[{_EXTEND}]{{0,32}}"  # bounded, or a text of a million marks would take a day to look back through
_NOT_JOINED = r"(?!(?<=\p{ExtPict}\p{GCB=Extend}{0,32}\u200d)\p{ExtPict})"  # "👩" is not in "👩‍💻", nor "💻"
_KATAKANA = r"\p{Katakana}ー\uff70\uff9e\uff9f"
_SPACELESS = r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_OTHER = rf"\p{{Han}}\p{{Hiragana}}{_KATAKANA}{_SPACELESS}"
_CORE = rf"[[\p{{L}}\p{{N}}_]--[{_OTHER}]]"
_LETTERS = rf"[[\p{{L}}\p{{N}}_\p{{M}}\p{{GCB=Prepend}}]--[{_OTHER}]][{_CORE}\p{{GCB=Prepend}}{_EXTEND}]*"
_JOINED = rf"{_LETTERS}(?:(?<=[\p{{L}}\p{{M}}])['’‐‑-](?=\p{{L}}){_LETTERS})*"
# Scripts in which a word may begin and end inside a run: no dictionary here says where.
_UNBOUNDED = rf"\p{{Han}}[{_EXTEND}]*|\p{{Hiragana}}[\p{{Hiragana}}ー{_EXTEND}]*|[{_SPACELESS}][{_SPACELESS}{_EXTEND}]*"
_BOUNDED = rf"[{_KATAKANA}][{_KATAKANA}{_EXTEND}]*"
# \X counts flags from the start of their run, each time anew; a pair of regional indicators needs no counting.
_SIGN = rf"(?:\p{{GCB=Regional_Indicator}}{{2}}|(?![\s\x1c-\x1f])\X)[{_EXTEND}]*"
_WORD, _PART, _GRAPHEME, _IS_UNBOUNDED, _IS_BOUNDED, _IS_LETTERS = (
    regex.compile(pattern, regex.VERSION1)
    for pattern in (
        f"{_UNBOUNDED}|{_BOUNDED}|{_JOINED}|{_SIGN}",
        f"{_UNBOUNDED}|{_BOUNDED}|{_LETTERS}|{_SIGN}",
        r"\X",
        _UNBOUNDED,
        _BOUNDED,
        _LETTERS,
    )
)
# German and Luxembourgish tell a noun by its capital: "Schloss" is the castle, "schloss" is a form of "to close".
_CAPITAL_NOUNS = frozenset({"de", "lb"})
_MARGIN = 64  # characters; longer than most words
_LONGEST = 100  # characters
_FEW = 1000  # forms: to keep those of a corpus would take longer than it saves
_ALIKE = str.maketrans({"’": "'", "‐": "-", "‑": "-", "\u00ad": None, "\u2060": None, "\ufe0e": None, "\ufe0f": None})


def words(text: str) -> tuple[Unit, ...]:
    """The words of a text in order, W units with half-open code-point offsets that cover all but white space.

    A word is a run of letters, marks, digits and underscores, joined by apostrophes or hyphens between letters; a Han
    character alone; a run of Hiragana, of Katakana, or of a script without spaces; else one grapheme, as an emoji is.
    """
    return tuple(Unit(found[0], found.start(), found.end()) for found in _WORD.finditer(text))


def lemma(word: str, language: str = "en") -> str:
    """The dictionary form of a word, from simplemma's tables, on the word's lower-cased NFC form.

    So a capital says nothing ("Banks" and "BANKS" are "bank"), but in a language that writes its nouns with one.
    An unknown word is its own lemma. Raises BadOption for a language without a table.
    """
    if language not in SUPPORTED_LANGUAGES:
        remedy = f"choose from {', '.join(sorted(SUPPORTED_LANGUAGES))}; or use match='exact'"
        raise BadOption(f"there are no lemmas for the language {language!r}", remedy=remedy, where=("language",))
    form = _composed(word.replace("\u00ad", ""))
    noun = language in _CAPITAL_NOUNS and form[:1].isupper()
    return _lemma(form.capitalize() if noun else form.lower(), language) if form else form


@lru_cache(maxsize=2**17)
def _lemma(form: str, language: str) -> str:
    # No table has so long a word, and taking a blob apart costs the square of its length.
    return simplemma.lemmatize(form, language) if len(form) <= _LONGEST else form


def find(documents: Sequence[Document], target: str, *, match: Match = "lemma", language: str = "en") -> Found:
    """Every occurrence of the target; a document with spans of its own has exactly those.

    "exact" takes the surface form as it is written, up to canonical equivalence (Unicode Standard Annex 15); "lemma"
    also takes any case, and any word whose lemma is the target or the target's lemma. Both look at whole words, and a
    part beside an apostrophe or a hyphen is one: "bank" is in "bank's" and "river-bank", not in "embankment". White
    space in the target is any white space in the text. With signs in it ("U.S.", "AT&T") only its case may vary.
    Han, Hiragana and the scripts without spaces are found inside a run.

    Raises TargetNotFound where nothing is found, BadOption for an empty target, unknown match or language.
    """
    _check(target, match)
    pattern = _pattern([document.text for document in documents if not document.spans], target, match, language)
    occurrences: list[Occurrence] = []
    missing: list[str] = []
    for document in documents:
        own = sorted((span.start, span.end) for span in document.spans)
        spans = own or [found.span() for found in (pattern.finditer(document.text) if pattern else ())]
        occurrences += (Occurrence(document.text, target, start, end, document.id) for start, end in spans)
        if not spans:
            missing.append(document.id)
    if not occurrences:
        looser = ", match='lemma'" if match == "exact" else ""
        raise TargetNotFound(
            f"{target!r} is not in the {len(documents)} text{'s' * (len(documents) != 1)} given",
            remedy=f"give the form that stands in the texts{looser}, or spans",
            where=("target",),
        )
    return Found(tuple(occurrences), tuple(missing))


def may_use(run: str, target: str, *, match: Match = "lemma", language: str = "en") -> bool:
    """Whether a text that holds this run of characters between white space may use the target; see `find`.

    False for every run of a text means that it does not. Raises BadOption as `find` does.
    """
    _check(target, match)
    if match == "lemma":
        lemma("", language)
    return _pattern([run], target.split(maxsplit=1)[0], match, language) is not None


def _check(target: str, match: Match) -> None:
    if match not in get_args(Match):
        remedy = f"choose from {', '.join(get_args(Match))}"
        raise BadOption(f"there is no match {match!r}", remedy=remedy, where=("match",))
    if not target.strip():
        raise BadOption("the target is empty", remedy="give the word to look for", where=("target",))


def _pattern(texts: Sequence[str], target: str, match: Match, language: str) -> regex.Pattern[str] | None:
    """The target as a pattern of the very forms that stand in the texts, so that offsets need no way back.

    Each distinct form is compared once, however long the corpus. None where some part of the target is in no text.
    """
    sought = _sought(target, match, language)
    forms = {form for text in texts for form in _PART.findall(text)}
    keys = _keys if len(forms) < _FEW else _new_keys
    known = [(form, *keys(form, language if match == "lemma" else None)) for form in forms]
    pieces: list[str] = []
    for parts in sought.chunks:
        piece = ""
        for part in parts:
            same = part.always | {form for form, own, stem in known if own == part.surface or stem in part.stems}
            if not same:
                return None
            piece += f"(?:{'|'.join(map(regex.escape, sorted(same)))})"
        pieces.append(piece)
    whole = r"\s+".join(pieces)
    # A negation is no word with an ending: "won" is not in "won't".
    negation = r"(?!(?i:(?<=n)['’]t)(?!\p{L}))" if language == "en" else ""
    return _compiled(f"{sought.before}{whole}(?![{_EXTEND}]){sought.after}{negation}")


@lru_cache(maxsize=512)
def _sought(target: str, match: Match, language: str) -> _Sought:
    chunks: list[list[str]] = [_PART.findall(chunk) for chunk in target.split()]
    found = []
    for forms in chunks:
        # The parts of "mother-in-law" inflect; those of "U.S." are no words of their own.
        inflects = match == "lemma" and all(_IS_LETTERS.fullmatch(form) or _folded(form) == "-" for form in forms)
        parts = []
        for form in forms:
            surface, stem = _new_keys(form, language if match == "lemma" else None)
            spelt = (form, _composed(form), unicodedata.normalize("NFD", form)) if _IS_UNBOUNDED.fullmatch(form) else ()
            parts.append(_Part(surface, frozenset((surface, stem) if inflects else ()), frozenset(spelt)))
        found.append(tuple(parts))
    has_letters = any(_IS_LETTERS.fullmatch(form) for forms in chunks for form in forms)
    before, after = _boundaries(chunks[0][0], has_letters)[0], _boundaries(chunks[-1][-1], has_letters)[1]
    return _Sought(tuple(found), before, after)


@lru_cache(maxsize=512)
def _compiled(source: str) -> regex.Pattern[str]:
    return regex.compile(source, regex.VERSION1)  # regex's own cache takes 50 microseconds to look into


def _boundaries(part: str, has_letters: bool) -> tuple[str, str]:
    """What must not stand before the target where it begins with this part, and after it where it ends with it."""
    if _IS_UNBOUNDED.fullmatch(part):
        return "", ""
    if _IS_BOUNDED.fullmatch(part):
        return rf"(?<!\p{{Katakana}}[{_KATAKANA}{_EXTEND}]{{0,32}})", rf"(?![{_KATAKANA}])"
    if _IS_LETTERS.fullmatch(part):
        return rf"(?<!{_CORE}{_MARKS})", rf"(?!{_CORE})"
    # "U.S." is not in "U.S.A.", but "C++" is in "C++20", and "$" and an emoji stand anywhere.
    return (r"(?<!\p{L})", r"(?!\p{L})") if has_letters else (_NOT_JOINED, "")


def _keys(form: str, language: str | None) -> tuple[str, str | None]:
    """By what forms are compared: as they are written, and by their lemma where there is a language."""
    # In requests the same words come again and again. Only short ones are kept, so that no text can fill the memory.
    return _kept_keys(form, language) if len(form) <= _LONGEST else _new_keys(form, language)


def _new_keys(form: str, language: str | None) -> tuple[str, str | None]:
    return (_composed(form), None) if language is None else (_folded(form), _folded(lemma(form, language)))


_kept_keys = lru_cache(maxsize=2**12)(_new_keys)


def _composed(form: str) -> str:
    return unicodedata.normalize("NFC", form)


def _folded(form: str) -> str:
    """Canonical caseless matching (Unicode Standard, 3.13), with apostrophes and hyphens of every shape alike."""
    return _composed(unicodedata.normalize("NFD", form.translate(_ALIKE)).casefold())


def context(text: str, start: int, end: int, width: int = 60) -> tuple[str, str, str]:
    """Keyword in context: (left, keyword, right), white space shown as single spaces.

    Left and right have at most `width` characters each, and whole words only, unless the nearest word alone is longer.
    Raises BadSpan for a span that is not inside the text, BadOption for a negative width.
    """
    if width < 0:
        raise BadOption(f"the width {width} is negative", remedy="give 0 or more", where=("width",))
    keyword = Occurrence(text, "", start, end, "").surface
    # A margin beyond the width tells where the word at the edge begins or ends; a word too long is cut at a grapheme.
    low, high = max(0, start - width), min(len(text), end + width)
    first, last = max(0, low - _MARGIN), high + _MARGIN
    cuts = (_WORD, _GRAPHEME)
    low = next((w.start() for cut in cuts for w in cut.finditer(text, first, start) if w.start() >= low), start)
    ends = ([w.end() for w in cut.finditer(text, end, last) if w.end() <= high] for cut in cuts)
    high = next((inside[-1] for inside in ends if inside), end)
    left, right = _one_line(text[low:start]).lstrip(), _one_line(text[end:high]).rstrip()
    return left, _one_line(keyword), right


def _one_line(text: str) -> str:
    return " ".join(regex.split(r"\s+", text))
