"""All-words disambiguation against WordNet, scored as the unified framework does (Raganato et al. 2017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.errors import LexiconNotPulled, NotInLexicon
from analysis.evaluation.outcome import Options, Outcome, Scores, encode, limited
from analysis.evaluation.outcome import report as make_report
from analysis.evaluation.unified import Instance, Score, score
from analysis.lexicon.disambiguate import Dictionary, Ranked, rank_vectors
from analysis.lexicon.glosses import Glosses, Read
from analysis.lexicon.vectors import for_encoder
from analysis.lexicon.wordnet import POS_NAMES, Entry, Lexicon, load
from analysis.types import Encoder, FloatArray, Occurrence, Progress

COLUMNS = ("set", "instance", "lemma", "pos", "key", "probability", "gold", "first_sense", "most_frequent_sense")
Answers = dict[str, tuple[str, ...]]


def evaluate_raganato(encoder: Encoder, sets: Mapping[str, Sequence[Instance]], options: Options) -> Outcome:
    """F1 by data set and part of speech, beside the first sense's and the most frequent one's.

    The report's `words` are the sets, and each part of speech of a set; `unknown_keys` counts gold keys that the
    dictionary lacks, by key; `unanswered` the instances whose lemma it lacks. The most frequent sense is by the counts
    of the text that sense vectors were learnt from, by WordNet's own counts without them. The limit is by set. "glosses only" among the baselines is what
    the dictionary tells without what was learnt from tagged text. Raises LexiconNotPulled, and as `encode` does.
    """
    if options.home is None:
        raise LexiconNotPulled("no home folder was named to find WordNet in", remedy="name one", where=("home",))
    glosses = Glosses(cached(encoder, options))
    dictionary = Dictionary(load(options.home), glosses, for_encoder(encoder.info, options.home))
    chosen = {name: limited(instances, options) for name, instances in sets.items()}
    every = [instance for instances in chosen.values() for instance in instances]
    known, entries = _known(dictionary.lexicon, every)
    vectors, context = encode(encoder, [instance.occurrence for instance in known], options)
    ranked = rank_vectors(dictionary, entries, vectors, context, options.watch)
    found = {id(instance): one for instance, one in zip(known, ranked, strict=True)}
    frequent = dictionary.vectors.counts if dictionary.vectors else {}

    words: dict[str, Scores] = {}
    for name, instances in chosen.items():
        words[name] = _scores(instances, found, frequent)
        for pos, noun in POS_NAMES.items():
            own = [instance for instance in instances if instance.pos == pos]
            if own:
                words[f"{name}, {noun}s"] = _scores(own, found, frequent)
    whole = _scores(every, found, frequent)
    baselines = {
        "first sense": _told(_counted(every, {id(i): first_sense(found[id(i)].entries) for i in known})),
        "most frequent sense": _told(
            _counted(every, {id(i): most_frequent(found[id(i)].entries, frequent) for i in known})
        ),
    }
    if dictionary.vectors is not None:
        untaught = rank_vectors(Dictionary(dictionary.lexicon, glosses), entries, vectors, context)
        baselines["glosses only"] = _told(
            _counted(every, {id(i): _best(one) for i, one in zip(known, untaught, strict=True)})
        )
    unknown = [key for instance in every for key in instance.keys if dictionary.lexicon.by_key(key) is None]
    report = make_report(
        "raganato",
        encoder,
        options,
        words,
        whole,
        baselines,
        method="glosses" if dictionary.vectors is None else "glosses and tagged text",
        tagged=None if dictionary.vectors is None else dictionary.vectors.digest,
        unanswered=len(every) - len(known),
        unknown_keys={key: unknown.count(key) for key in sorted(set(unknown))},
    )
    return Outcome(report, COLUMNS, [_row(name, i, found, frequent) for name, own in chosen.items() for i in own])


def cached(encoder: Encoder, options: Options) -> Read:
    """Reads with the encoder, and keeps what was read in the folder of the options."""

    def read(occurrences: Sequence[Occurrence], progress: Progress) -> tuple[FloatArray, FloatArray]:
        return encode(encoder, occurrences, options)

    return read


def first_sense(entries: Sequence[Entry]) -> str:
    """The key of WordNet's first sense."""
    return entries[0].key


def most_frequent(entries: Sequence[Entry], counts: Mapping[str, int]) -> str:
    """The key of the sense with the highest count, WordNet's own where there are none; of equals the first."""
    return max(entries, key=lambda entry: counts.get(entry.key, 0) if counts else entry.count).key


def _known(lexicon: Lexicon, instances: Sequence[Instance]) -> tuple[list[Instance], list[tuple[Entry, ...]]]:
    known, entries = [], []
    for instance in instances:
        found = lexicon.entries(instance.occurrence.target, instance.pos)
        if not found:
            try:
                found = lexicon.candidates(instance.occurrence.target, instance.pos)
            except NotInLexicon:
                continue
        known.append(instance)
        entries.append(found)
    return known, entries


def _scores(instances: Sequence[Instance], found: Mapping[int, Ranked], counts: Mapping[str, int]) -> Scores:
    """F1 of the answers, and of the two baselines, on the same instances."""
    known = [instance for instance in instances if id(instance) in found]
    own = _counted(instances, {id(i): _best(found[id(i)]) for i in known})
    first = _counted(instances, {id(i): first_sense(found[id(i)].entries) for i in known})
    frequent = _counted(instances, {id(i): most_frequent(found[id(i)].entries, counts) for i in known})
    return {
        **_told(own),
        "first_sense_f1": first.f1,
        "most_frequent_f1": frequent.f1,
        "instances": float(own.instances),
    }


def _counted(instances: Sequence[Instance], answers: Mapping[int, str]) -> Score:
    # An instance's place in the list is its id here: those of two sets may have the same.
    gold = {str(n): instance.keys for n, instance in enumerate(instances)}
    return score(gold, {str(n): (answers[id(i)],) for n, i in enumerate(instances) if id(i) in answers})


def _told(found: Score) -> Scores:
    return {"f1": found.f1, "precision": found.precision, "recall": found.recall}


def _best(ranked: Ranked) -> str:
    return ranked.entries[ranked.best].key


def _row(name: str, instance: Instance, found: Mapping[int, Ranked], counts: Mapping[str, int]) -> tuple[object, ...]:
    ranked = found.get(id(instance))
    gold = " ".join(instance.keys)
    head = (name, instance.id, instance.occurrence.target, instance.pos)
    if ranked is None:
        return (*head, "", "", gold, "", "")
    chance = float(ranked.chances[ranked.best])
    return (*head, _best(ranked), chance, gold, first_sense(ranked.entries), most_frequent(ranked.entries, counts))
