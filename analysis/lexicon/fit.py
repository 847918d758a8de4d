"""Sense vectors from tagged usages: the map, the means of the senses, and the weights of what is known of a sense."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from analysis.errors import BadOption
from analysis.grouping import unit
from analysis.lexicon import scoring
from analysis.lexicon.glosses import EntryVectors
from analysis.lexicon.vectors import Learnt, SenseVectors, quantised
from analysis.lexicon.weights import weights_of
from analysis.lexicon.wordnet import Entry, Lexicon
from analysis.types import FloatArray, IntArray, ModelInfo

AXES = 300
SHRINKAGE = 0.3  # of the covariance within senses, towards a multiple of the identity
MOST_OF_A_SENSE = 50  # usages that count towards the covariance, so that a frequent sense does not rule it
FEWEST = 100  # usages of a part of speech that its own weights want; fewer share those of all

Matrix = NDArray[np.float64]


class Tagged(NamedTuple):
    """A usage that was read: its senses' keys, all of them in the dictionary, its candidates and its document."""

    keys: tuple[str, ...]
    entries: tuple[Entry, ...]
    document: str


class Geometry(NamedTuple):
    """The space, and the senses in it: `senses` f64 (S, R) their means, `usages` (S)."""

    mean: FloatArray
    axes: NDArray[np.float16]
    keys: tuple[str, ...]
    senses: Matrix
    usages: IntArray


def geometry(vectors: FloatArray, tagged: Sequence[Tagged]) -> Geometry:
    """From usages' vectors (N, D). Raises BadOption where no lemma has two senses, or no sense two usages."""
    rows = np.array([i for i, one in enumerate(tagged) for _ in one.keys])
    keys, which, usages = np.unique(
        np.array([key for one in tagged for key in one.keys]), return_inverse=True, return_counts=True
    )
    directions = unit(vectors).astype(np.float32)
    mean = directions.mean(axis=0)
    placed = unit(directions - mean).astype(np.float32)[rows]
    centres = np.zeros((len(keys), vectors.shape[1]))
    np.add.at(centres, which, placed)
    centres /= usages[:, None]
    # A key begins with its lemma and the number of its part of speech.
    lemmas = np.unique([key[: key.index("%") + 2] for key in keys.tolist()], return_inverse=True)[1]
    weight = np.minimum(usages, MOST_OF_A_SENSE)
    between, n_between = _between(centres, lemmas, weight)
    apart = placed - centres[which].astype(np.float32)
    share = (weight / usages)[which].astype(np.float32)
    within = ((apart * share[:, None]).T @ apart).astype(np.float64) / max(
        float((share - share / usages[which]).sum()), 1.0
    )
    if not n_between or not within.any():
        raise BadOption(
            "the text has no lemma with two senses, or no sense with two usages",
            remedy="give more sense-tagged text",
            where=("path",),
        )
    width = len(within)
    shrunk = (1 - SHRINKAGE) * within + SHRINKAGE * np.trace(within) / width * np.eye(width)
    axes = min(AXES, width)
    found = eigh(between / n_between, shrunk, subset_by_index=(width - axes, width - 1))[1][:, ::-1]
    found = (found / np.abs(found).max()).astype(np.float16)
    return Geometry(mean, found, tuple(keys.tolist()), centres @ found.astype(np.float64), usages.astype(np.int64))


def _between(centres: Matrix, lemmas: IntArray, weight: IntArray) -> tuple[Matrix, int]:
    """The scatter of senses round the weighted mean of their lemma's, and the usages that it is of."""
    total = np.bincount(lemmas, weights=weight)
    sums = np.zeros((len(total), centres.shape[1]))
    np.add.at(sums, lemmas, centres * weight[:, None])
    apart = (centres - (sums / total[:, None])[lemmas]) * np.sqrt(weight)[:, None]
    several = np.bincount(lemmas)[lemmas] > 1
    return apart[several].T @ apart[several], int(weight[several].sum())


def vectors_of(
    space: Geometry,
    counts: Mapping[str, int],
    lexicon: Lexicon,
    weights: Matrix,
    info: ModelInfo,
    text: str,
    documents: int,
    seed: int,
) -> SenseVectors:
    """The senses of the geometry as a file has them; `counts` are how often each stands in the text."""
    entries = [lexicon.by_key(key) for key in space.keys]
    if None in entries:
        raise ValueError("a key that the dictionary lacks")
    places, scales = quantised(space.senses)
    return SenseVectors(
        keys=space.keys,
        synsets=tuple(entry.synset for entry in entries if entry),
        files=tuple(entry.file for entry in entries if entry),
        mean=space.mean,
        axes=space.axes,
        places=places,
        scales=scales,
        usages=np.array([counts[key] for key in space.keys], dtype=np.int32),
        weights=weights,
        learnt=Learnt(
            encoder=info.name,
            digest=info.digest,
            text=text,
            usages=int(space.usages.sum()),
            senses=len(space.keys),
            documents=documents,
            seed=seed,
            versions={name: version(name) for name in ("numpy", "polyseme", "scipy")},
        ),
    )


def rows(
    tagged: Sequence[Tagged],
    vectors: FloatArray,
    context: FloatArray,
    read: Mapping[Entry, EntryVectors],
    learnt: SenseVectors | None,
    own_counts: Mapping[str, Counter[str]],
) -> list[Matrix]:
    """The features of each usage's candidates; `own_counts` are those of its document, which WordNet's hold too."""
    found = []
    for one, vector, around in zip(tagged, vectors, context, strict=True):
        minus = own_counts.get(one.document, Counter())
        counts = [max(0, entry.count - minus[entry.key]) for entry in one.entries]
        entries = [read[entry] for entry in one.entries]
        found.append(scoring.features(one.entries, entries, vector, around, counts, learnt))
    return found


def learn_weights(features: Sequence[Matrix], tagged: Sequence[Tagged]) -> Matrix:
    """f64 (4, F), a row a part of speech, from the features of usages."""
    right = [np.array([entry.key in one.keys for entry in one.entries]) for one in tagged]
    table = np.tile(scoring.learn(features, right), (len(scoring.POSITIONS), 1))
    for pos, position in scoring.POSITIONS.items():
        own = [i for i, one in enumerate(tagged) if one.entries[0].pos == pos and right[i].any()]
        if len(own) >= FEWEST:
            table[position] = scoring.learn([features[i] for i in own], [right[i] for i in own])
    return table


def untaught(digest: str, features: int) -> Matrix:
    """f64 (4, F): the weights that ship for the glosses, and nothing for what was learnt from tagged text."""
    own = weights_of(digest).scores
    return np.tile(np.append(own, np.zeros(features - len(own))), (len(scoring.POSITIONS), 1))


def answers(features: Sequence[Matrix], tagged: Sequence[Tagged], weights: Matrix) -> list[bool]:
    """Whether the likeliest candidate of each usage is right."""
    return [
        one.entries[int((own * weights[scoring.POSITIONS[one.entries[0].pos]]).sum(axis=1).argmax())].key in one.keys
        for own, one in zip(features, tagged, strict=True)
    ]
