"""Senses of the dictionary as the model reads them: the lemma before its gloss, and within its examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.errors import TargetNotFound
from analysis.lexicon.wordnet import Entry
from analysis.pipeline import Watch, unwatched
from analysis.text import find
from analysis.types import Document, Encoder, FloatArray, Occurrence, Progress

MOST_KEPT = 5_000  # entries, of four vectors or so each: 60 MB with a width of 768

# Reads occurrences: `vectors` and `context`, f32 (N, D) each, as of Usages.
Read = Callable[[Sequence[Occurrence], Progress], tuple[FloatArray, FloatArray]]


@dataclass(frozen=True, eq=False)
class EntryVectors:
    """A sense read by the model.

    target    f32 (D): the lemma's vector where it stands before its synonyms and gloss
    gloss     f32 (D): the mean over these
    examples  f32 (n, D): the lemma's, or a synonym's, vector in each of the examples; n may be 0
    """

    target: FloatArray
    gloss: FloatArray
    examples: FloatArray


class Glosses:
    """Reads entries, each once as long as it is kept."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._kept: dict[Entry, EntryVectors] = {}

    def of(self, entries: Sequence[Entry], watch: Watch = unwatched) -> list[EntryVectors]:
        """The vectors of each entry, in the order given. Raises as `Encoder.encode` does."""
        found = {entry: kept for entry in entries if (kept := self._kept.get(entry)) is not None}
        new = [entry for entry in dict.fromkeys(entries) if entry not in found]
        if new:
            parts = [readings(entry) for entry in new]
            uses = [use for part in parts for use in part]
            vectors, context = self._read(uses, watch("read the dictionary", len(uses)))
            start = 0
            for entry, part in zip(new, parts, strict=True):
                end = start + len(part)
                found[entry] = EntryVectors(vectors[start], context[start], vectors[start + 1 : end])
                start = end
            if len(self._kept) + len(new) > MOST_KEPT:
                self._kept.clear()
            self._kept.update((entry, found[entry]) for entry in new[:MOST_KEPT])
        return [found[entry] for entry in entries]


def reader(encoder: Encoder) -> Read:
    """Reads with the encoder, and keeps nothing."""

    def read(occurrences: Sequence[Occurrence], progress: Progress) -> tuple[FloatArray, FloatArray]:
        usages = encoder.encode(occurrences, progress=progress)
        return usages.vectors, usages.context

    return read


def readings(entry: Entry) -> list[Occurrence]:
    """What is read of an entry: "bank - bank, side - sloping land ...", then each example that uses a word of it."""
    words = ", ".join((entry.lemma, *entry.synonyms))
    uses = [Occurrence(f"{entry.lemma} - {words} - {entry.gloss}", entry.lemma, 0, len(entry.lemma), entry.key)]
    for example in entry.examples:
        for word in (entry.lemma, *entry.synonyms):
            try:
                uses.append(find([Document(example, entry.key)], word).occurrences[0])
            except TargetNotFound:
                continue
            break
    return uses


def stacked(read: Sequence[EntryVectors]) -> tuple[FloatArray, FloatArray]:
    """`target` and `gloss` of the entries, f32 (E, D) each."""
    return np.stack([one.target for one in read]), np.stack([one.gloss for one in read])
