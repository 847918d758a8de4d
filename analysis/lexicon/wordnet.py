"""WordNet 3.0 (Miller 1995; Fellbaum 1998) through nltk's reader: the senses of a word, most frequent first."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from analysis.errors import BadOption, DigestMismatch, NotInLexicon
from analysis.lexicon import pull

Pos = Literal["n", "v", "a", "r"]
POS_NAMES: dict[Pos, str] = {"n": "noun", "v": "verb", "a": "adjective", "r": "adverb"}
_BY_NUMBER: dict[str, Pos] = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
_KEY = re.compile(r"([^%\s]+)%([1-5]):(\d\d):(\d\d):([^:\s]*):(\d\d|)")
MOST_EXAMPLES = 4  # of a sense, that are read
MOST_PARTS = 5  # of a word of several, whose parts may inflect


@dataclass(frozen=True, slots=True)
class Entry:
    """One sense of one lemma. `synonyms` are the synset's other words; `count` is how often WordNet's own sense-tagged
    text has it; `file` is its lexicographer file ("noun.object"); `above` are its hypernyms' synset ids, for an
    adjective the similar ones'."""

    key: str
    synset: str
    lemma: str
    pos: Pos
    gloss: str
    examples: tuple[str, ...]
    synonyms: tuple[str, ...]
    count: int
    file: str
    above: tuple[str, ...]


class Lexicon:
    """Looks words up. Safe to share between threads: nltk's reader moves one place in each file, so it is locked."""

    def __init__(self, reader: Any) -> None:
        self._reader, self._lock = reader, Lock()
        # What was read once stays: an entry is a kilobyte, and the same words are asked for again and again.
        self.entries = lru_cache(maxsize=20_000)(self._entries)

    def lemmas(self, form: str, pos: Pos | None = None) -> tuple[tuple[str, Pos], ...]:
        """The lemmas that a form can be of, by part of speech: "banks" is of ("bank", "n") and ("bank", "v").

        By morphy(7WN): WordNet's exceptions, then its endings. Words of several parts may stand with spaces. Raises
        NotInLexicon.
        """
        wanted = "_".join(form.lower().replace("’", "'").split())
        asked = tuple(POS_NAMES) if pos is None else (pos,)
        forms = dict.fromkeys((wanted, wanted.removesuffix("'s"), wanted.replace("-", "_"), wanted.replace("-", "")))
        for tried in filter(None, forms):
            found = tuple((lemma, p) for p in asked for lemma in self._morphy(tried, p))
            if found:
                return found
        elsewhere = [] if pos is None else [p for p in POS_NAMES if any(self._morphy(tried, p) for tried in forms)]
        if elsewhere:
            names = " and ".join(POS_NAMES[p] for p in elsewhere)
            what = f"WordNet has {form!r} as {names}, but not as {POS_NAMES[asked[0]]}"
            raise NotInLexicon(what, remedy="choose another part of speech, or leave it out", where=("pos",))
        raise NotInLexicon(
            f"WordNet has no {form!r}", remedy="give a word in its dictionary form, or another word", where=("target",)
        )

    def candidates(self, form: str, pos: Pos | None = None) -> tuple[Entry, ...]:
        """The senses of all lemmas that the form can be of. Raises NotInLexicon."""
        return tuple(entry for lemma, p in self.lemmas(form, pos) for entry in self.entries(lemma, p))

    def by_key(self, key: str) -> Entry | None:
        """The sense of a key, "bank%1:17:01::"; None where WordNet 3.0 has no such key."""
        parts = _KEY.fullmatch(key)
        if parts is None:
            return None
        return next((entry for entry in self.entries(parts[1], _BY_NUMBER[parts[2]]) if entry.key == key.lower()), None)

    def synset_text(self, synset: str) -> str:
        """A synset's words and gloss, for one that stands above an entry."""
        with self._lock:
            found = self._reader.synset(synset)
            return f"{', '.join(_spaced(name) for name in found.lemma_names())}: {found.definition()}"

    def _entries(self, lemma: str, pos: Pos) -> tuple[Entry, ...]:
        """The senses of a lemma in WordNet's order; none where it has no such word."""
        name = lemma.lower().replace(" ", "_")
        with self._lock:
            try:
                offsets = self._reader._lemma_pos_offset_map.get(name, {}).get(pos, ())
                synsets = [self._reader.synset_from_pos_and_offset(pos, offset) for offset in offsets]
                return tuple(_entry(synset, name, pos) for synset in synsets)
            except Exception as error:  # a file that is not what its index says raises nearly anything
                raise DigestMismatch(
                    f"WordNet's files are damaged: {name!r} cannot be read", remedy="run `polyseme lexicon pull`"
                ) from error

    def _morphy(self, form: str, pos: Pos) -> list[str]:
        forms: list[str] = self._reader._morphy(form, pos)
        parts = form.split("_")
        if forms or not 1 < len(parts) <= MOST_PARTS:
            return forms
        # Any part may inflect: "took_place", "attorneys_general".
        bases = [dict.fromkeys((part, *self._reader._morphy(part, pos))) for part in parts]
        every = ("_".join(own) for own in product(*bases))
        return [
            other for other in every if other in self._reader._lemma_pos_offset_map and self._reader._morphy(other, pos)
        ]


def _entry(synset: Any, name: str, pos: Pos) -> Entry:
    own = next(lemma for lemma in synset.lemmas() if lemma.name().lower() == name)
    if synset.pos() == "s":  # nltk leaves the head's place out of the key: WordNet has "several%5:00:00:some(a):00"
        before, _, number = own.key().rpartition(":")
        mark = synset.similar_tos()[0].lemmas()[0].syntactic_marker() or ""
        own._key = f"{before.removesuffix(mark)}{mark}:{number}"  # nltk gives the same lemma the next time
    above = synset.similar_tos() if pos == "a" else synset.hypernyms() + synset.instance_hypernyms()
    return Entry(
        key=own.key(),
        synset=synset.name(),
        lemma=_spaced(own.name()),
        pos=pos,
        gloss=synset.definition(),
        examples=tuple(synset.examples()[:MOST_EXAMPLES]),
        synonyms=tuple(_spaced(lemma) for lemma in synset.lemma_names() if lemma.lower() != name),
        count=own.count(),
        file=synset.lexname(),
        above=tuple(other.name() for other in above),
    )


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def check_pos(pos: str | None) -> Pos | None:
    """Raises BadOption for what is no part of speech."""
    for known in POS_NAMES:
        if pos == known:
            return known
    if pos is None:
        return None
    told = ", ".join(f"{letter} ({name})" for letter, name in POS_NAMES.items())
    raise BadOption(f"there is no part of speech {pos!r}", remedy=f"choose from {told}", where=("pos",))


def load(home: Path) -> Lexicon:
    """The dictionary that was pulled into the home. Takes some seconds, once a process.

    Raises LexiconNotPulled, and DigestMismatch where a file is not what was pulled.
    """
    return _opened(pull.found(home))


@lru_cache(maxsize=1)
def _opened(place: Path) -> Lexicon:
    import nltk.data
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    class Reader(WordNetCorpusReader):  # type: ignore[misc]
        def map_wn(self, version: str = "wordnet") -> None:
            """To other versions: wants files that are not here, and nothing asks for it."""

        def open(self, file: str) -> Any:
            """An index of lemmas is read whole: at once it takes half the time that nltk's own reader does."""
            whole = file.startswith("index.") and file != "index.sense"
            return io.StringIO((place / file).read_text(encoding="utf-8")) if whole else super().open(file)

    if str(place) not in nltk.data.path:
        nltk.data.path.append(str(place))  # nltk opens no other folder's files
    try:
        return Lexicon(Reader(str(place), omw_reader=object()))  # no other languages; None would be warned of
    except Exception as error:  # as of an entry
        raise DigestMismatch("WordNet's files are damaged", remedy="run `polyseme lexicon pull`") from error
