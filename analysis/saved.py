"""Saved senses: a sense model and what belongs to it, immutable and content-addressed.

    fitting.keep, fitting.fit -> SavedSenses -> edits.rename, merge, split -> SavedSenses
                                         |---> sensefile.save, load; describe; assigning.assign

Beside the geometry (`types.SenseModel`) stand the usages that it was made of, its members: a key, which is a digest of
text and span, so that a member is known again to be one; its sense; and its represented row, from which an edit
rebuilds the geometry. All members are kept: 10,000 rows of 1,536 numbers are 31 MB. Texts are not, but for exemplars.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis import senses
from analysis.errors import BadOption, Place
from analysis.text import context
from analysis.types import Assignment, FloatArray, IntArray, Occurrence, SenseModel

SCHEMA_VERSION = 1
LONGEST_LABEL = 200  # characters
MOST_EXEMPLARS = 5
EXEMPLAR_WIDTH = 120  # characters kept on either side of an exemplar's target

Rows = NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A typical usage: `text[start:end]` in its near context. `key` is the member's, made of its whole text."""

    key: str
    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Origin:
    """What the senses were made with: the pretrained model by the digest of its weights, the options, the versions."""

    model: str
    source: str
    revision: str
    digest: str
    representation: str
    match: str
    language: str
    seed: int
    supervised: bool
    versions: dict[str, str]


@dataclass(frozen=True, eq=False)
class SavedSenses:
    """A sense model that can be kept. Make one with `edits.build`, which sorts members and finds the id.

    labels        (K) readable names, no two alike
    keys          (N) of the members, sorted;  member_sense  (N) an index into the senses, -1 abstained
    rows          f16 (N, R) the members as represented
    exemplars     (K) some typical members of each sense; may be none after a split
    edit, parent  what was done, and the id of the sense model that it was done to, or None
    """

    model: SenseModel
    labels: tuple[str, ...]
    keys: tuple[str, ...]
    member_sense: IntArray
    rows: Rows
    exemplars: tuple[tuple[Exemplar, ...], ...]
    provenance: Origin
    edit: str
    parent: str | None
    id: str

    def __post_init__(self) -> None:
        k, n = len(self.model.senses), len(self.keys)
        if len(self.labels) != k or len(self.exemplars) != k:
            raise ValueError(f"{k} senses, but {len(self.labels)} labels, exemplars of {len(self.exemplars)}")
        if self.member_sense.shape != (n,) or self.rows.shape != (n, self.model.centroids.shape[1]):
            raise ValueError(f"{n} members, but senses {self.member_sense.shape}, rows {self.rows.shape}")
        if len(set(self.model.senses)) < k or len(set(self.labels)) < k:
            raise ValueError("two senses have one id or label")
        if n and not -1 <= self.member_sense.min() <= self.member_sense.max() < k:
            raise ValueError("a member has a sense that is not there")
        if self.model.sizes.tolist() != np.bincount(self.member_sense[self.member_sense >= 0], minlength=k).tolist():
            raise ValueError("the sizes are not those of the members")
        if len(set(zip(self.keys, self.member_sense.tolist(), strict=True))) > len(set(self.keys)):
            raise ValueError("one usage has two senses")
        sense_of = dict(zip(self.keys, self.member_sense.tolist(), strict=True))
        if any(sense_of.get(exemplar.key) != k for k, own in enumerate(self.exemplars) for exemplar in own):
            raise ValueError("an exemplar is no member of its sense")


@dataclass(frozen=True, slots=True)
class SavedSense:
    """One sense of a sense model; `share` of the members that have a sense."""

    id: str
    label: str
    size: int
    share: float
    exemplars: tuple[Exemplar, ...]


@dataclass(frozen=True, slots=True)
class Description:
    """A sense model for people and other programs, without its arrays; `usages` and `abstained` count members."""

    schema_version: int
    id: str
    parent: str | None
    edit: str
    target: str
    senses: tuple[SavedSense, ...]
    usages: int
    abstained: int
    provenance: Origin


def key(text: str, start: int, end: int) -> str:
    """32 hexadecimal digits that stand for this usage: half of the SHA-256 of span and text."""
    return hashlib.sha256(f"{start}:{end}:{text}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def keys(occurrences: Sequence[Occurrence]) -> list[str]:
    """The key of each."""
    return [key(use.text, use.start, use.end) for use in occurrences]


def describe(saved: SavedSenses) -> Description:
    """What can be said of it without its arrays."""
    total = max(int(saved.model.sizes.sum()), 1)
    rows = zip(saved.model.senses, saved.labels, saved.model.sizes.tolist(), saved.exemplars, strict=True)
    return Description(
        schema_version=SCHEMA_VERSION,
        id=saved.id,
        parent=saved.parent,
        edit=saved.edit,
        target=saved.model.target,
        senses=tuple(SavedSense(name, label, size, round(size / total, 6), own) for name, label, size, own in rows),
        usages=len(saved.keys),
        abstained=int((saved.member_sense < 0).sum()),
        provenance=saved.provenance,
    )


def summary(saved: SavedSenses) -> dict[str, Any]:
    """What a list says of it: id, parent, edit, target, model, senses (id, label, size), usages."""
    whole = asdict(describe(saved))
    return {name: whole[name] for name in ("id", "parent", "edit", "target", "usages")} | {
        "model": saved.provenance.model,
        "senses": [{name: sense[name] for name in ("id", "label", "size")} for sense in whole["senses"]],
    }


def to_json(saved: SavedSenses) -> str:
    """What `describe` says, as one JSON object; text stays readable (no \\u escapes)."""
    return json.dumps(asdict(describe(saved)), ensure_ascii=False, allow_nan=False)


def typical(
    occurrences: Sequence[Occurrence], represented: FloatArray, sense: IntArray, model: SenseModel
) -> tuple[tuple[Exemplar, ...], ...]:
    """(K) the exemplars of each sense, nearest its centroid first, no two alike."""
    nearest = senses.exemplars(represented, Assignment(sense, np.ones(len(sense), np.float32)), model, MOST_EXEMPLARS)
    return tuple(tuple(_exemplar(occurrences[i]) for i in own) for own in nearest)


def _exemplar(use: Occurrence) -> Exemplar:
    left, word, right = context(use.text, use.start, use.end, EXEMPLAR_WIDTH)
    return Exemplar(key(use.text, use.start, use.end), left + word + right, len(left), len(left) + len(word))


def checked_label(label: str, *, where: Place = ("label",)) -> str:
    """The label on one line. BadOption for an empty one, one over `LONGEST_LABEL`, or one with control characters."""
    tidy = " ".join(label.split())
    if not tidy:
        raise BadOption("the label is empty", remedy="give a readable name", where=where)
    if len(tidy) > LONGEST_LABEL:
        what = f"the label has {len(tidy)} characters; the limit is {LONGEST_LABEL}"
        raise BadOption(what, remedy="give a shorter one", where=where)
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in tidy):
        raise BadOption("the label has control characters", remedy="give a name on one line", where=where)
    return tidy


def distinct_labels(labels: Sequence[str], ids: Sequence[str]) -> tuple[str, ...]:
    """The labels cut to `LONGEST_LABEL`; one that another sense has already gets its own id behind it."""
    found: list[str] = []
    for label, name in zip(labels, ids, strict=True):
        tidy, mark = label[:LONGEST_LABEL].strip() or name, f" [{name}]"
        while tidy in found:
            tidy = tidy[: max(LONGEST_LABEL - len(mark), 0)] + mark if not tidy.endswith(mark) else tidy + "'"
        found.append(tidy)
    return tuple(found)
