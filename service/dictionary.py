"""The dictionary as the service and the commands have it: opened at its first use, its senses read once a model."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from analysis.lexicon.disambiguate import Dictionary
from analysis.lexicon.glosses import Glosses, reader
from analysis.lexicon.vectors import SenseVectors, for_encoder
from analysis.lexicon.wordnet import Lexicon, load
from analysis.types import Encoder


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
            return Dictionary(lexicon, *self._by_model[digest])
