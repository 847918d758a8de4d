"""Sense models from texts: kept from an analysis, or learnt from labels.

Induced -> keep -> SavedSenses
labelled texts -> fit -> SavedSenses
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from analysis import senses
from analysis.assemble import missing_notices, versions
from analysis.corpus import Labelled
from analysis.edits import build
from analysis.errors import BadOption
from analysis.pipeline import Induced, Watch, unwatched
from analysis.record import Notice
from analysis.saved import Origin, SavedSenses, checked_label, distinct_labels, keys, typical
from analysis.text import Found, Match, find
from analysis.types import Encoder


def keep(induced: Induced) -> SavedSenses:
    """The senses that an analysis found, as a sense model with the same ids, labels and members.

    BadOption where every usage of a sense abstains, as nothing would be left of the sense.
    """
    analysis, usages, represented, model, assignment, _ = induced
    occurrences = usages.occurrences
    for k, name in enumerate(model.senses):
        if not (assignment.sense == k).any():
            what = f"every usage of {name} abstains, so nothing of it can be kept"
            raise BadOption(what, remedy="lower the threshold", where=("threshold",))
    made = analysis.provenance
    origin = Origin(
        model=made.model,
        source=made.source,
        revision=made.revision,
        digest=made.digest,
        representation=made.representation,
        match=made.match,
        language=made.language,
        seed=made.seed,
        supervised=False,
        versions=made.versions,
    )
    return build(
        target=analysis.target,
        ids=model.senses,
        labels=distinct_labels([sense.label for sense in analysis.senses], model.senses),
        keys=keys(occurrences),
        member_sense=assignment.sense,
        rows=represented,
        exemplars=typical(occurrences, represented, assignment.sense, model),
        provenance=origin,
        edit="induced",
    )


def fit(
    encoder: Encoder,
    labelled: Sequence[Labelled],
    target: str,
    *,
    match: Match = "lemma",
    language: str = "en",
    seed: int = 0,
    watch: Watch = unwatched,
) -> tuple[SavedSenses, tuple[Notice, ...]]:
    """A sense model learnt from labelled texts, and a notice of those that do not use the target.

    Every use of the target in a text has the text's label. Senses are numbered by size, largest first. Raises
    TargetNotFound where no text uses the target, and BadOption for a usage that has two labels, or a label that is no
    name; BadSpan and BadText as `Encoder.encode` does.
    """
    found, told = _find_labelled(labelled, target, match, language)
    counts = Counter(told)
    labels = sorted(counts, key=lambda label: (-counts[label], label))
    sense = np.array([labels.index(label) for label in told], dtype=np.int64)
    usages = encoder.encode(found.occurrences, progress=watch("read", len(found.occurrences)))
    represented = senses.represent(usages.vectors, usages.context)
    ids = tuple(f"s{k}" for k in range(len(labels)))
    info = encoder.info
    saved = build(
        target=target,
        ids=ids,
        labels=labels,
        keys=keys(found.occurrences),
        member_sense=sense,
        rows=represented,
        exemplars=typical(found.occurrences, represented, sense, senses.fit(represented, sense, ids, target=target)),
        provenance=Origin(
            model=info.name,
            source=info.source,
            revision=info.revision,
            digest=info.digest,
            representation=senses.REPRESENTATION,
            match=match,
            language=language,
            seed=seed,
            supervised=True,
            versions=versions(),
        ),
        edit="fitted",
    )
    lost = sorted({checked_label(label) for _, label in labelled} - set(labels))
    notices = missing_notices(found, target)
    if lost:
        what = f"no usage is left of {', '.join(map(repr, lost))}"
        notices.append(Notice("label-missing", what))
    return saved, tuple(notices)


def _find_labelled(labelled: Sequence[Labelled], target: str, match: Match, language: str) -> tuple[Found, list[str]]:
    """The occurrences and the label of each. BadOption where one usage has two labels."""
    documents = [document for document, _ in labelled]
    # By number, as two texts may have one id.
    numbered = find([replace(d, id=str(i)) for i, d in enumerate(documents)], target, match=match, language=language)
    which = [int(use.source_id) for use in numbered.occurrences]
    found = Found(
        tuple(replace(use, source_id=documents[i].id) for use, i in zip(numbered.occurrences, which, strict=True)),
        tuple(documents[int(i)].id for i in numbered.missing),
    )
    labels = [checked_label(labelled[i].label, where=("source", documents[i].id)) for i in which]
    first: dict[str, int] = {}
    for position, own in enumerate(keys(found.occurrences)):
        other = first.setdefault(own, position)
        if labels[other] != labels[position]:
            texts = f"{found.occurrences[other].source_id!r} and {found.occurrences[position].source_id!r}"
            raise BadOption(
                f"the same usage has the labels {labels[other]!r} and {labels[position]!r}, in the texts {texts}",
                remedy="give each usage one label",
                where=("source", found.occurrences[position].source_id),
            )
    return found, labels
