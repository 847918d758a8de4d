"""Saved senses made from members, and made anew by a person's rename, merge or split.

An edit never changes a sense model: it makes another, whose `parent` is the old one. Senses that it leaves alone keep
their ids and, where nothing is learnt from labels, their centroids to the bit. A merged sense has the ids of its parts
("s0+s2"), a part of a split one a number behind its id ("s0.1"); so along a chain of parents no id has two meanings.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from analysis import grouping, senses
from analysis.errors import BadOption
from analysis.saved import (
    MOST_EXEMPLARS,
    Exemplar,
    Origin,
    Rows,
    SavedSenses,
    checked_label,
    distinct_labels,
)
from analysis.sensefile import identified
from analysis.types import FloatArray, IntArray


def build(
    *,
    target: str,
    ids: Sequence[str],
    labels: Sequence[str],
    keys: Sequence[str],
    member_sense: IntArray,
    rows: FloatArray | Rows,
    exemplars: Sequence[Sequence[Exemplar]],
    provenance: Origin,
    edit: str,
    parent: str | None = None,
) -> SavedSenses:
    """The saved senses of N members, with a geometry learnt from their rows (N, R) in half precision.

    Members are sorted by key, so that the order they came in changes nothing. BadOption where a sense has no member.
    """
    order = np.argsort(np.array(keys), kind="stable")
    kept, sense = np.asarray(rows, dtype=np.float16)[order], member_sense[order]
    model = senses.fit(
        kept.astype(np.float32),
        sense,
        ids,
        target=target,
        supervised=provenance.supervised,
        seed=provenance.seed,
    )
    return identified(
        SavedSenses(
            model=model,
            labels=tuple(labels),
            keys=tuple(keys[i] for i in order),
            member_sense=sense,
            rows=kept,
            exemplars=tuple(tuple(own) for own in exemplars),
            provenance=provenance,
            edit=edit,
            parent=parent,
            id="",
        )
    )


def rename(saved: SavedSenses, sense: str, label: str) -> SavedSenses:
    """The sense under another label; nothing else is touched.

    BadOption for an unknown sense, which lists the ids, and for a label that another sense has or that is no name.
    """
    k, tidy = _index(saved, sense, "sense"), checked_label(label)
    others = {
        other: name for i, (name, other) in enumerate(zip(saved.model.senses, saved.labels, strict=True)) if i != k
    }
    if tidy in others:
        what = f"the label {tidy!r} is that of {others[tidy]} already"
        raise BadOption(what, remedy="give another, or merge the two senses", where=("label",))
    labels = (*saved.labels[:k], tidy, *saved.labels[k + 1 :])
    return identified(replace(saved, labels=labels, edit=f"rename {sense} to {tidy}", parent=saved.id))


def merge(saved: SavedSenses, ids: Sequence[str]) -> SavedSenses:
    """The senses of these ids as one, at the place of the first; its label is theirs, joined by " + ".

    BadOption for an unknown id, which lists the ids, and for fewer than two different ones. To merge all is allowed.
    """
    chosen = sorted({_index(saved, name, "senses", i) for i, name in enumerate(ids)})
    if len(chosen) < 2:
        raise BadOption("a merge needs two senses or more", remedy=_listed(saved), where=("senses",))
    first = chosen[0]
    old = saved.model.senses
    name = "+".join(sorted({part for k in chosen for part in _parts(old[k])}, key=_natural))
    label = " + ".join(saved.labels[k] for k in chosen)
    kept = [k for k in range(len(old)) if k == first or k not in chosen]
    becomes = np.array([kept.index(first if k in chosen else k) for k in range(len(old))], dtype=np.int64)
    return _edited(
        saved,
        ids=[name if k == first else old[k] for k in kept],
        labels=[label if k == first else saved.labels[k] for k in kept],
        member_sense=np.where(saved.member_sense < 0, -1, becomes[saved.member_sense]),
        edit=f"merge {', '.join(old[k] for k in chosen)}",
    )


def split(saved: SavedSenses, sense: str, n: int = 2) -> SavedSenses:
    """The sense as `n` new ones, grouped as `senses.induce` groups, the largest first, in its place.

    BadOption for an unknown sense, which lists the ids, for n below two, and for fewer than n distinct members.
    """
    k = _index(saved, sense, "sense")
    if n < 2:
        raise BadOption(f"a split into {n}", remedy="give a number of senses of 2 or more", where=("n_senses",))
    members = np.flatnonzero(saved.member_sense == k)
    group = grouping.group(saved.rows[members].astype(np.float32), n_senses=n, seed=saved.provenance.seed)
    old, base = saved.model.senses, f"({sense})" if "+" in sense else sense
    moved = np.where(saved.member_sense > k, saved.member_sense + n - 1, saved.member_sense)
    moved[members] = k + group
    return _edited(
        saved,
        ids=[*old[:k], *(f"{base}.{i + 1}" for i in range(n)), *old[k + 1 :]],
        labels=[*saved.labels[:k], *(f"{saved.labels[k]} ({i + 1})" for i in range(n)), *saved.labels[k + 1 :]],
        member_sense=moved,
        edit=f"split {sense} in {n}",
    )


def _edited(
    saved: SavedSenses, *, ids: Sequence[str], labels: Sequence[str], member_sense: IntArray, edit: str
) -> SavedSenses:
    sense_of = dict(zip(saved.keys, member_sense.tolist(), strict=True))
    exemplars: list[list[Exemplar]] = [[] for _ in ids]
    # Rank by rank, so that each part of a merged sense shows its most typical usages.
    for rank in range(MOST_EXEMPLARS):
        for own in saved.exemplars:
            if rank < len(own) and len(exemplars[sense_of[own[rank].key]]) < MOST_EXEMPLARS:
                exemplars[sense_of[own[rank].key]].append(own[rank])
    return build(
        target=saved.model.target,
        ids=ids,
        labels=distinct_labels(labels, ids),
        keys=saved.keys,
        member_sense=member_sense,
        rows=saved.rows,
        exemplars=exemplars,
        provenance=saved.provenance,
        edit=edit,
        parent=saved.id,
    )


def _index(saved: SavedSenses, sense: str, *where: str | int) -> int:
    if sense not in saved.model.senses:
        raise BadOption(f"there is no sense {sense!r}", remedy=_listed(saved), where=where)
    return saved.model.senses.index(sense)


def _listed(saved: SavedSenses) -> str:
    return f"choose from {', '.join(saved.model.senses)}"


def _parts(name: str) -> list[str]:
    """What a merged sense is made of: "s0+(s1+s2).1" is "s0" and "(s1+s2).1"."""
    parts, depth = [""], 0
    for letter in name:
        depth += (letter == "(") - (letter == ")")
        if letter == "+" and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _natural(name: str) -> list[tuple[str, int]]:
    """Sorts "s2" before "s10"."""
    return [(letters, int(number or 0)) for letters, number in re.findall(r"([^0-9]*)([0-9]*)", name)]
