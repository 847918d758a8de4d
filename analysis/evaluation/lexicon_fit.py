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
MOST_HELD_OUT = 6_000  # usages of them: each new lemma costs the reading of its senses' glosses


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
    """Read the usages, learn the space and the senses from most documents, the weights from the rest, then all anew.

    Raises BadOption where the text is too little, and as `encode` does.
    """
    drawn = limited(instances, options)
    chosen, tagged = _known(lexicon, drawn)
    documents = sorted({one.document for one in tagged})
    out = set(documents[HELD_OUT // 2 :: HELD_OUT] or documents[-1:])
    held = np.array([one.document in out for one in tagged], dtype=bool)
    if len(documents) < 3 or held.all():
        raise BadOption(
            f"there are {len(documents)} documents with senses of the dictionary; some must be held out",
            remedy="give SemCor, or text of three documents or more",
            where=("path",),
        )
    vectors, context = encode(encoder, [one.occurrence for one in chosen], options)

    rest, tests = np.flatnonzero(~held), limited(np.flatnonzero(held).tolist(), Options(options.seed, MOST_HELD_OUT))
    taught = fit.geometry(vectors[rest], [tagged[i] for i in rest])
    blank = np.zeros((len(scoring.POSITIONS), 1))
    partial = fit.vectors_of(
        taught, lexicon, blank, encoder.info, "most of it", len(documents) - len(out), options.seed
    )
    several = [i for i in tests if len(tagged[i].entries) > 1]
    entries = list(dict.fromkeys(entry for i in several for entry in tagged[i].entries))
    glosses = Glosses(cached(encoder, options))
    read = dict(zip(entries, glosses.of(entries), strict=True))
    counts: dict[str, Counter[str]] = {document: Counter() for document in out}
    for i in np.flatnonzero(held):
        counts[tagged[i].document].update(tagged[i].keys)
    features = fit.rows([tagged[i] for i in several], vectors[several], context[several], read, partial, counts)
    own = [tagged[i] for i in several]
    weights = fit.learn_weights(features, own)

    whole = fit.geometry(vectors, tagged)
    made = fit.vectors_of(whole, lexicon, weights, encoder.info, text, len(documents), options.seed)
    return Fitted(
        made, _quality([tagged[i] for i in tests], own, features, encoder.info.digest), unknown_keys(lexicon, drawn)
    )


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
