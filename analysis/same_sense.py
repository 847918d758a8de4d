"""The probability that two usages of one word share a sense, learnt once on sense-tagged text.

    usages with their tags --fit--> PairModel --same_sense--> probability
                                       |  save, load, for_encoder

The target's hidden states in three layers from the middle up, side by side, and its context, each of unit length, go
through a linear map of their own: the layers below the last tell senses apart better, as the last one is already made
to tell whole sentences apart. The map whitens the variation within senses and keeps the axes along which the senses of
one lemma differ most (linear discriminant analysis, Fisher 1936; the same step before scoring pairs in speaker
verification: WCCN, Hatch et al. 2006, and PLDA, Ioffe 2006). Cosine and squared distance in the two maps are four
features of a pair, and a logistic regression with balanced classes turns them into a probability: 0.5 where both
answers are as likely before the usages are seen.

It rests on three things. What varies within the senses of most lemmas (syntax, topic, position) varies so for a word
that was never seen; the tagged text is of the language of the usages; and "different" is taught by senses in different
lexicographer files of WordNet ("act" and "food"), as finer ones are not told apart by people either. The regression is
taught by nouns in one written form: other forms of a word lie apart for reasons that are not its senses, and the senses
of verbs shade into each other. It sees each lemma through maps learnt without it, so that the probability is calibrated
for new words. Cosine beside distance lets it weigh how far from the middle the two usages lie, as PLDA does: where both
are far, being near to each other says more. No pair gets more than two identical usages do.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors
from scipy.linalg import eigh
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from analysis.errors import BadFile, BadOption, ModelMismatch
from analysis.grouping import unit
from analysis.types import FloatArray, IntArray

AXES = 150  # kept of each map; more gain nothing
MIDDLE = 1 / 2, 2 / 3, 5 / 6  # of the way from the first layer to the last
SHRINKAGE = 0.3  # of the covariance within senses, towards a multiple of the identity
MOST_OF_A_SENSE = 50  # usages that count towards the covariance, so that a frequent sense does not rule it
DRAWS = 120  # pairs drawn of one lemma, at most
FOLDS = 5  # of lemmas: the regression sees each through maps learnt on the others
PENALTY = 0.003  # of the regression: scikit-learn's `C`, on standardised features
# The nouns of CoarseWSD-20 are never learnt from, so that figures on them are of new words.
COARSEWSD = (
    "apple arm bank bass bow chair club crane deck digit hood java mole pitcher pound seal spring square trunk yard"
)
HELD_BACK = frozenset(COARSEWSD.split())
SCHEMA_VERSION = 2  # 1 read the last layer
SHIPPED = Path(__file__).with_name("learnt")
ENTRY = "polyseme_pairs"  # of the file's metadata

Matrix = NDArray[np.float64]
Half = NDArray[np.float16]


class Tag(NamedTuple):
    """What a tagger said of one usage: `sense` is the sense of this lemma and part of speech, `file` WordNet's
    lexicographer file of it ("14" is noun.group), `form` the target as it is written, in small letters."""

    lemma: str
    pos: str
    sense: str
    file: str
    form: str = ""


class Places(NamedTuple):
    """Usages in the two maps: f32 (N, R) and (N, Q)."""

    target: FloatArray
    context: FloatArray


class Pairs(NamedTuple):
    """Rows of usages to compare, `first` and `second` int (P), and `same` bool (P): whether they share a sense."""

    first: IntArray
    second: IntArray
    same: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Learnt:
    """Where a PairModel comes from: the encoder, the text, and how much of it."""

    encoder: str
    digest: str
    text: str
    usages: int
    lemmas: int
    pairs: int
    seed: int
    versions: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class PairModel:
    """`target_map` f16 (3D, R), `context_map` f16 (D, Q); `coefficients` f64 (5): of the cosine and the squared
    distance of the targets, of the cosine and the squared distance of the contexts, and the intercept."""

    target_map: Half
    context_map: Half
    coefficients: Matrix
    learnt: Learnt

    def __post_init__(self) -> None:
        shapes = self.target_map.shape, self.context_map.shape, self.coefficients.shape
        two = len(shapes[0]) == len(shapes[1]) == 2 and self.target_map.size and self.context_map.size
        if not two or shapes[0][0] != len(MIDDLE) * shapes[1][0] or shapes[2] != (5,):
            raise ValueError(f"maps {shapes[0]} and {shapes[1]} with coefficients {shapes[2]}")
        if not all(np.isfinite(a).all() for a in (self.target_map, self.context_map, self.coefficients)):
            raise ValueError("an array is not finite")

    @property
    def digest(self) -> str:
        """The SHA-256 of the weights of the encoder whose vectors it reads."""
        return self.learnt.digest


def middle_layers(n_layers: int) -> tuple[int, ...]:
    """The layers that a target is judged by, of an encoder of `n_layers`; 12 gives 6, 8 and 10."""
    return tuple(round(share * n_layers) for share in MIDDLE)


def same_sense(
    model: PairModel, layers_a: FloatArray, context_a: FloatArray, layers_b: FloatArray, context_b: FloatArray
) -> FloatArray:
    """f32 (N), 0..1: the probability that usage a and usage b of a row share a sense; `layers` (N, 3, D) are the
    target's states in `middle_layers`, `context` (N, D).

    Symmetric in a and b. Identical usages get the highest probability that the model gives.
    """
    a, b = place(model, layers_a, context_a), place(model, layers_b, context_b)
    return _probability(model.coefficients, _features(a, b)).astype(np.float32)


def place(model: PairModel, layers: FloatArray, context: FloatArray) -> Places:
    """The usages, `layers` (N, 3, D) and `context` (N, D), in the model's two maps. A context of zeros stays zero."""
    return Places(_through(model.target_map, _side_by_side(layers)), _through(model.context_map, context))


def fit(
    layers: FloatArray,
    context: FloatArray,
    tags: Sequence[Tag],
    *,
    encoder: str,
    digest: str,
    text: str,
    seed: int = 0,
) -> PairModel:
    """Learn from N tagged usages, `layers` (N, 3, D) and `context` (N, D), read by the encoder of that name and digest.

    `text` names where they come from. Lemmas of HELD_BACK are left out, and so are usages whose states are zero.
    Raises BadOption where they hold no two usages of one sense, or no two senses in different lexicographer files.
    """
    targets = _side_by_side(layers)
    rows = np.flatnonzero([tag.lemma.lower() not in HELD_BACK for tag in tags] & np.any(targets != 0, axis=1))
    known = [tags[row] for row in rows.tolist()]
    pairs = draw_pairs(known, seed=seed)
    lemmas = np.unique([_lemma(tag) for tag in known])
    folds = dict(zip(lemmas, np.random.default_rng(seed).permutation(len(lemmas)) % FOLDS, strict=True))
    fold = np.array([folds[_lemma(tag)] for tag in known], dtype=np.int64)
    maps: list[Half] = []
    features: list[Matrix] = []
    for given in (targets, context):
        directions = unit(given[rows])
        scatters = [
            _scatter(directions[fold == f], [known[i] for i in np.flatnonzero(fold == f).tolist()])
            for f in range(FOLDS)
        ]
        whole = _discriminant(scatters)
        scale = np.abs(whole).max()  # within the range of f16, whatever the encoder's; the regression makes up for it
        found = np.zeros((len(pairs.same), 2))
        for f in range(FOLDS):
            own = np.flatnonzero(fold[pairs.first] == f)
            placed = directions @ (_discriminant([one for other, one in enumerate(scatters) if other != f]) / scale)
            found[own] = _compared(placed[pairs.first[own]], placed[pairs.second[own]])
        maps.append((whole / scale).astype(np.float16))
        features.append(found)
    coefficients = _regress(np.concatenate(features, axis=1), pairs.same)
    learnt = Learnt(
        encoder=encoder,
        digest=digest,
        text=text,
        usages=len(rows),
        lemmas=len(lemmas),
        pairs=len(pairs.same),
        seed=seed,
        versions={name: version(name) for name in ("numpy", "polyseme", "scipy")},
    )
    return PairModel(maps[0], maps[1], coefficients, learnt)


def draw_pairs(tags: Sequence[Tag], *, seed: int = 0) -> Pairs:
    """Pairs of usages of one noun in one written form drawn at random, at most DRAWS of each.

    Same is the same sense; different is senses in different lexicographer files. What is neither is left out. Raises
    BadOption where either is missing.
    """
    random = np.random.default_rng(seed)
    usages: dict[tuple[str, str], list[int]] = {}
    for row, tag in enumerate(tags):
        if tag.pos == "n":
            usages.setdefault((_lemma(tag), tag.form), []).append(row)
    found: list[tuple[int, int, bool]] = []
    for _, own in sorted(usages.items()):
        for _ in range(min(DRAWS, 3 * len(own)) if len(own) > 1 else 0):
            first, second = (own[i] for i in random.choice(len(own), 2, replace=False))
            same = tags[first].sense == tags[second].sense
            if same or tags[first].file != tags[second].file:
                found.append((first, second, same))
    if len({same for *_, same in found}) < 2:
        raise BadOption(
            f"the nouns of {len(tags)} tagged usages hold no two of one sense, or no two of senses in different "
            "lexicographer files",
            remedy="give more text, or a higher limit",
            where=("limit",),
        )
    first, second, same = (np.array(column) for column in zip(*found, strict=True))
    return Pairs(first, second, same)


def for_encoder(digest: str, folder: Path | None) -> PairModel | None:
    """The model for the encoder of that digest: the caller's own, `<digest>.safetensors` in `folder`, else the one
    that ships; None where there is neither. Raises as `load` does."""
    own = folder / f"{digest}.safetensors" if folder else None
    if own and own.exists():
        return load(own, digest=digest)
    shipped = (load(path) for path in sorted(SHIPPED.glob("*.safetensors")))
    return next((model for model in shipped if model.digest == digest), None)


def save(model: PairModel, path: Path) -> None:
    """Write the file; one that is there is replaced whole or not at all. Raises BadFile where it cannot be written."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(_to_bytes(model))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        what = f"cannot write {path}: {error.strerror}"
        raise BadFile(what, remedy="name a file in a folder that you may write to") from error


def load(path: Path, *, digest: str | None = None) -> PairModel:
    """The inverse of `save`. `digest` is the encoder's, where it must be that one.

    Raises BadFile for a file that is missing, cut short, was changed since it was written, or is of a newer schema,
    and ModelMismatch for one learnt with another encoder.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadFile(
            f"{path} cannot be read: {error.strerror}", remedy="check the path and its permissions"
        ) from error
    model = _from_bytes(data, str(path))
    if digest is not None and model.digest != digest:
        raise ModelMismatch(
            f"{path} was learnt with the encoder {model.digest}, and the encoder is {digest}",
            remedy="run `polyseme fit-pairs` with the encoder, or delete the file",
        )
    return model


def _lemma(tag: Tag) -> str:
    return f"{tag.lemma}.{tag.pos}"


class _Scatter(NamedTuple):
    """Sums of squares and products (D, D), each with its degrees of freedom."""

    within: Matrix
    n_within: int
    between: Matrix
    n_between: int


def _scatter(rows: Matrix, tags: Sequence[Tag]) -> _Scatter:
    """Within: usages (N, D) round the mean of their sense. Between: senses' means round the mean of their lemma's."""
    senses: dict[str, dict[str, list[int]]] = {}
    for row, tag in enumerate(tags):
        senses.setdefault(_lemma(tag), {}).setdefault(tag.sense, []).append(row)
    within, between = [np.zeros((0, rows.shape[1]))], [np.zeros((0, rows.shape[1]))]
    n_within = n_between = 0
    for own in senses.values():
        for usages in own.values():
            some = rows[usages[:MOST_OF_A_SENSE]]
            within.append(some - some.mean(axis=0))
            n_within += len(some) - 1
        means = np.array([rows[usages[:MOST_OF_A_SENSE]].mean(axis=0) for usages in own.values()])
        between.append(means - means.mean(axis=0))
        n_between += len(means) - 1
    inner, outer = np.concatenate(within), np.concatenate(between)
    return _Scatter(inner.T @ inner, n_within, outer.T @ outer, n_between)


def _discriminant(scatters: Sequence[_Scatter]) -> Matrix:
    """(D, R) whitens within senses and has the axes of the largest variation between them first."""
    n_within, n_between = sum(s.n_within for s in scatters), sum(s.n_between for s in scatters)
    within = np.sum([s.within for s in scatters], axis=0) / max(n_within, 1)
    between = np.sum([s.between for s in scatters], axis=0) / max(n_between, 1)
    width = len(within)
    even = max(float(np.trace(within)) / width, 1e-9)  # usages may be copies of each other
    shrunk = (1 - SHRINKAGE) * within + SHRINKAGE * even * np.eye(width)
    axes = min(AXES, width)
    _, found = eigh(between, shrunk, subset_by_index=(width - axes, width - 1))
    discriminant: Matrix = found[:, ::-1]
    return discriminant


def _compared(a: Matrix, b: Matrix) -> Matrix:
    """(P, 2) cosine and squared distance of rows. Two rows of zeros are equal: their cosine is 1."""
    alone = ~(a.any(axis=1) | b.any(axis=1))
    return np.stack([(unit(a) * unit(b)).sum(axis=1) + alone, ((a - b) ** 2).sum(axis=1)], axis=1)


def _features(a: Places, b: Places) -> Matrix:
    """(P, 4), in the order of the coefficients."""
    parts = [_compared(x.astype(np.float64), y.astype(np.float64)) for x, y in zip(a, b, strict=True)]
    return np.concatenate(parts, axis=1)


def _probability(coefficients: Matrix, features: Matrix) -> Matrix:
    # not a matrix product, whose rounding may depend on the row
    return _capped((features * coefficients[:4]).sum(axis=1) + coefficients[4], coefficients)


def _capped(logit: Matrix, coefficients: Matrix) -> Matrix:
    """No pair gets more than two identical usages do, whose cosines are 1 and whose distances are 0."""
    found: Matrix = expit(np.minimum(logit, coefficients[0] + coefficients[2] + coefficients[4]))
    return found


def _regress(features: Matrix, same: NDArray[np.bool_]) -> Matrix:
    """(5) logistic regression on (P, 4), both answers weighing half."""
    mean, deviation = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-12)
    learnt = LogisticRegression(C=PENALTY, class_weight="balanced").fit((features - mean) / deviation, same)
    slopes: Matrix = learnt.coef_[0] / deviation
    return np.append(slopes, learnt.intercept_[0] - slopes @ mean)


def _side_by_side(layers: FloatArray) -> FloatArray:
    """(N, 3, D) -> (N, 3D), each layer brought to unit length."""
    sides: FloatArray = unit(layers).astype(np.float32).reshape(len(layers), -1)
    return sides


def _through(map_: Half, given: FloatArray) -> FloatArray:
    if given.ndim != 2 or given.shape[1] != len(map_):
        raise ValueError(f"vectors {given.shape} for maps of width {len(map_)}")
    return unit(given).astype(np.float32) @ map_.astype(np.float32)


# ---- the file: safetensors, the rest of the model as JSON in the one entry of its metadata ----


def _to_bytes(model: PairModel) -> bytes:
    arrays: dict[str, NDArray[Any]] = {
        "target_map": np.ascontiguousarray(model.target_map, dtype="<f2"),
        "context_map": np.ascontiguousarray(model.context_map, dtype="<f2"),
        "coefficients": np.ascontiguousarray(model.coefficients, dtype="<f8"),
    }
    document = {"schema_version": SCHEMA_VERSION, "learnt": asdict(model.learnt)}
    content = hashlib.sha256(_canonical(document).encode())
    for name, array in sorted(arrays.items()):
        content.update(f"{name} {array.shape}".encode() + array.tobytes())
    written: bytes = safetensors.save(arrays, {ENTRY: _canonical(document | {"content": content.hexdigest()})})
    return written


def _from_bytes(data: bytes, name: str) -> PairModel:
    remedy = "install Polyseme anew if the file came with it, else run `polyseme fit-pairs` again"
    try:
        arrays = safetensors.load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        document = json.loads(header["__metadata__"][ENTRY])
        other = document["schema_version"] != SCHEMA_VERSION
        told = str(document["content"])
        if not other:
            model = PairModel(
                arrays["target_map"], arrays["context_map"], arrays["coefficients"], Learnt(**document["learnt"])
            )
            again = _to_bytes(model)
            found = json.loads(json.loads(again[8 : 8 + int.from_bytes(again[:8], "little")])["__metadata__"][ENTRY])
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        what = f"{name} is cut short, was changed, or is no model of `polyseme fit-pairs`"
        raise BadFile(what, remedy=remedy, where=("file",)) from error
    if other:
        what = f"{name} has schema {document['schema_version']}, and this version of Polyseme reads {SCHEMA_VERSION}"
        raise BadFile(what, remedy="run `polyseme fit-pairs` again with this version", where=("file",))
    if again != data:
        what = f"{name} was changed since it was written: its content says {told} and is {found['content']}"
        raise BadFile(what, remedy=remedy, where=("file",))
    return model


def _canonical(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
