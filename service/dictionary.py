"""The dictionary as the service and the commands have it: opened at its first use, its senses read once a model."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from analysis.assemble import Named
from analysis.errors import LexiconNotPulled, PolysemeError
from analysis.lexicon.disambiguate import Dictionary
from analysis.lexicon.glosses import Glosses, reader
from analysis.lexicon.naming import names
from analysis.lexicon.vectors import SenseVectors, for_encoder
from analysis.lexicon.weights import weights_of
from analysis.lexicon.wordnet import Lexicon, load
from analysis.pipeline import Watch
from analysis.record import Notice
from analysis.types import Encoder, IntArray, SenseModel, Usages


class Shelf:
    """Holds WordNet of a home, and for each model the senses that it has read; safe to share between threads."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = Lock()
        self._lexicon: Lexicon | None = None
        self._by_model: dict[str, tuple[Glosses, SenseVectors | None]] = {}

    def lexicon(self) -> Lexicon:
        """WordNet; takes seconds the first time. Raises LexiconNotPulled, DigestMismatch."""
        with self._lock:
            if self._lexicon is None:
                self._lexicon = load(self._home)
            return self._lexicon

    def dictionary(self, encoder: Encoder) -> Dictionary:
        """What `disambiguate` needs of a model. Raises as `lexicon`, and BadFile for damaged sense vectors."""
        lexicon, digest = self.lexicon(), encoder.info.digest
        with self._lock:
            if digest not in self._by_model:
                self._by_model[digest] = (Glosses(reader(encoder)), for_encoder(encoder.info, self._home))
            glosses, tagged = self._by_model[digest]
            return Dictionary(lexicon, glosses, weights_of(digest), tagged)

    def name(self, encoder: Encoder, usages: Usages, model: SenseModel, sense: IntArray, watch: Watch) -> Named:
        """A `pipeline.Namer`. Without the dictionary the senses have no names, and a notice says how to get it.

        The senses are read anew each time: a job that goes on must ask for the same readings as before.
        """
        try:
            dictionary = Dictionary(self.lexicon(), Glosses(reader(encoder)), weights_of(encoder.info.digest))
        except LexiconNotPulled as error:
            return Named(notice=Notice("lexicon-missing", f"{error.what}: senses have no names of it; {error.remedy}"))
        except PolysemeError as error:
            return Named(notice=Notice("lexicon-damaged", f"{error.what}; {error.remedy}"))
        return Named(tuple(names(dictionary, usages, model, sense, watch)))
