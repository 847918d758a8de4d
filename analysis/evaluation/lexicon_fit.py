"""Sense vectors for any encoder from tagged text: what is read, the fit, and its quality on documents held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from analysis.errors import BadOption
from analysis.evaluation.outcome import Options, encode, limited
from analysis.evaluation.raganato import cached, unknown_keys
from analysis.evaluation.semcor import sense_keys
from analysis.evaluation.unified import Instance, unified
from analysis.lexicon import fit, scoring
from analysis.lexicon.fit import Tagged
from analysis.lexicon.glosses import Glosses
from analysis.lexicon.vectors import SenseVectors
from analysis.lexicon.wordnet import Lexicon
from analysis.types import Encoder

HELD_OUT = 15  # one document in so many is held out: the weights are learnt there
MOST_HELD_OUT = 3_000  # usages of them: each new lemma costs the reading of its senses' glosses
MOST_OF_A_SENSE = 10  # usages read


class Quality(NamedTuple):
    """F1 on usages of held-out documents, monosemous words too; each half with the weights learnt on the other."""

    f1: float
    glosses_f1: float
    first_sense_f1: float
    instances: int


class Fitted(NamedTuple):
    """The vectors learnt on all documents, and the quality of those learnt on the documents that were not held out."""

    vectors: SenseVectors
    held_out: Quality
    unknown_keys: dict[str, int]


def read_tagged(path: Path) -> list[Instance]:
    """The tagged usages of SemCor's archive or folder, or of the unified framework's XML. Raises BadFile."""
    is_unified = path.suffix == ".xml" or (path.is_dir() and next(path.rglob("*.data.xml"), None) is not None)
    return [one for own in unified(path).values() for one in own] if is_unified else list(sense_keys(path))


def fit_vectors(
    encoder: Encoder, lexicon: Lexicon, instances: Sequence[Instance], options: Options, *, text: str
) -> Fitted:
    """Read some of the usages, learn the space and the senses from most documents, the weights from the rest, then all
    anew from both.

    Of each sense at most MOST_OF_A_SENSE usages are read, since the encoder reads a text once a usage; those of senses
    that were read least come first, so that a limit leaves out what teaches least. How often a sense stands in the text
    is counted over all of it. Raises BadOption where the text is too little, and as `encode` does.
    """
    chosen, tagged = _known(lexicon, instances)
    documents = sorted({one.document for one in tagged})
    out = set(documents[HELD_OUT // 2 :: HELD_OUT] or documents[-1:])
    held = [i for i, one in enumerate(tagged) if one.document in out]
    tests = limited(held, Options(options.seed, MOST_HELD_OUT))
    taught = telling([None if one.document in out else one for one in tagged], options)
    if not tests or not taught:
        raise BadOption(
            f"there are {len(documents)} documents with senses of the dictionary, and some must be held out",
            remedy="give SemCor, or text of three documents or more",
            where=("path",),
        )
    vectors, context, _ = encode(encoder, [chosen[i].occurrence for i in (*tests, *taught)], options)
    n, info = len(tests), encoder.info

    def made(first: int, weights: fit.Matrix, documents: set[str], name: str) -> SenseVectors:
        """Of the usages read from that one on, with what was counted in the documents."""
        space = fit.geometry(vectors[first:], [tagged[i] for i in (*tests, *taught)[first:]])
        counts = Counter(key for one in tagged if one.document in documents for key in one.keys)
        return fit.vectors_of(space, counts, lexicon, weights, info, name, len(documents), options.seed)

    partial = made(n, np.zeros((len(scoring.POSITIONS), 1)), set(documents) - out, "all but what is held out")
    several = [row for row, i in enumerate(tests) if len(tagged[i].entries) > 1]
    own = [tagged[tests[row]] for row in several]
    entries = list(dict.fromkeys(entry for one in own for entry in one.entries))
    read = dict(zip(entries, Glosses(cached(encoder, options)).of(entries), strict=True))
    counts = {document: Counter[str]() for document in out}
    for i in held:
        counts[tagged[i].document].update(tagged[i].keys)
    features = fit.rows(own, vectors[several], context[several], read, partial, counts)
    quality = _quality([tagged[i] for i in tests], own, features, info.digest)
    weights = fit.learn_weights(features, own)
    return Fitted(made(0, weights, set(documents), text), quality, unknown_keys(lexicon, instances))


def telling(tagged: Sequence[Tagged | None], options: Options) -> list[int]:
    """Which usages are read, at most `options.limit` of them: of words with several senses, the senses in turn."""
    order = np.random.default_rng(options.seed).permutation(len(tagged)).tolist()
    seen: Counter[str] = Counter()
    ranked: list[tuple[int, int]] = []
    for i in order:
        one = tagged[i]
        if one is not None and len(one.entries) > 1 and seen[one.keys[0]] < MOST_OF_A_SENSE:
            ranked.append((seen[one.keys[0]], i))
            seen[one.keys[0]] += 1
    ranked.sort(key=lambda pair: pair[0])
    return sorted(i for _, i in ranked[: options.limit])


def _quality(tests: Sequence[Tagged], own: Sequence[Tagged], features: Sequence[fit.Matrix], digest: str) -> Quality:
    """`own` are the tests with several senses, of which the features are."""
    documents = sorted({one.document for one in own})
    first = set(documents[::2])
    right = 0
    for half in (True, False):
        these = [i for i, one in enumerate(own) if (one.document in first) == half]
        others = [i for i, one in enumerate(own) if (one.document in first) != half]
        weights = fit.learn_weights([features[i] for i in others or these], [own[i] for i in others or these])
        right += sum(fit.answers([features[i] for i in these], [own[i] for i in these], weights))
    alone = sum(one.entries[0].key in one.keys for one in tests if len(one.entries) == 1)
    shipped = fit.untaught(digest, features[0].shape[1]) if features else np.zeros((4, 1))
    return Quality(
        f1=(right + alone) / len(tests),
        glosses_f1=(sum(fit.answers(features, own, shipped)) + alone) / len(tests),
        first_sense_f1=sum(one.entries[0].key in one.keys for one in tests) / len(tests),
        instances=len(tests),
    )


def _known(lexicon: Lexicon, instances: Sequence[Instance]) -> tuple[list[Instance], list[Tagged]]:
    """The instances with keys that the dictionary has, and what is known of them."""
    kept, tagged = [], []
    for instance in instances:
        found = [entry for entry in map(lexicon.by_key, instance.keys) if entry is not None]
        if found:
            kept.append(instance)
            senses = lexicon.entries(found[0].lemma, found[0].pos)
            tagged.append(Tagged(tuple(entry.key for entry in found), senses, instance.document))
    return kept, tagged
