"""All-words disambiguation against WordNet, scored as the unified framework does (Raganato et al. 2017)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from analysis.errors import LexiconNotPulled, NotInLexicon
from analysis.evaluation.outcome import Options, Outcome, Scores, encode, limited
from analysis.evaluation.outcome import report as make_report
from analysis.evaluation.unified import Instance, Score, score
from analysis.lexicon.disambiguate import Dictionary, Ranked, rank_vectors
from analysis.lexicon.glosses import Glosses, Read
from analysis.lexicon.vectors import for_encoder
from analysis.lexicon.weights import weights_of
from analysis.lexicon.wordnet import POS_NAMES, Entry, Lexicon, load
from analysis.types import Encoder, FloatArray, Occurrence, Progress

COLUMNS = ("set", "instance", "lemma", "pos", "key", "probability", "gold", "first_sense", "most_frequent_sense")
Pick = Callable[[Ranked], str]  # one of the senses, by its key


class Answered(NamedTuple):
    """An instance and its senses with their probabilities; None where the dictionary lacks its lemma."""

    instance: Instance
    ranked: Ranked | None


def evaluate_raganato(encoder: Encoder, sets: Mapping[str, Sequence[Instance]], options: Options) -> Outcome:
    """F1 by data set and part of speech, beside that of the first sense and of the most frequent one.

    The report's `words` are the sets, and each part of speech of a set. `unanswered` are the instances whose lemma the
    dictionary lacks, `unknown_keys` how often each gold key stands that it lacks. The most frequent sense is by the
    text that sense vectors were learnt from, and by WordNet's own counts without them; where there are some, "glosses
    only" is what the dictionary tells without them. The limit is by set. Raises LexiconNotPulled, and as `encode` does.
    """
    if options.home is None:
        raise LexiconNotPulled("no home folder was named to find WordNet in", remedy="name one", where=("home",))
    glosses = Glosses(cached(encoder, options))
    tagged = for_encoder(encoder.info, options.home)
    dictionary = Dictionary(load(options.home), glosses, weights_of(encoder.info.digest), tagged)
    chosen = [(name, one) for name, instances in sets.items() for one in limited(instances, options)]
    every = [one for _, one in chosen]
    entries = [candidates(dictionary.lexicon, one) for one in every]
    known = [i for i, own in enumerate(entries) if own]
    vectors, context, _ = encode(encoder, [every[i].occurrence for i in known], options)

    def answer(dictionary: Dictionary) -> list[Answered]:
        found = rank_vectors(dictionary, [entries[i] for i in known], vectors, context, options.watch)
        ranked = dict(zip(known, found, strict=True))
        return [Answered(one, ranked.get(i)) for i, one in enumerate(every)]

    answers = answer(dictionary)
    frequent = partial(most_frequent, counts=tagged.counts if tagged else {})
    words: dict[str, Scores] = {}
    for name in sets:
        of_set = [one for (own, _), one in zip(chosen, answers, strict=True) if own == name]
        words[name] = _row_of_scores(of_set, frequent)
        for pos, noun in POS_NAMES.items():
            if of_pos := [one for one in of_set if one.instance.pos == pos]:
                words[f"{name}, {noun}s"] = _row_of_scores(of_pos, frequent)
    picks: dict[str, Pick] = {"first sense": first_sense, "most frequent sense": frequent}
    baselines = {name: _told(scored(answers, pick)) for name, pick in picks.items()}
    if tagged:
        baselines["glosses only"] = _told(scored(answer(dictionary._replace(vectors=None)), best))
    report = make_report(
        "raganato",
        encoder,
        options,
        words,
        _row_of_scores(answers, frequent),
        baselines,
        method="glosses and tagged text" if tagged else "glosses",
        tagged=tagged.digest if tagged else None,
        unanswered=len(every) - len(known),
        unknown_keys=unknown_keys(dictionary.lexicon, every),
    )
    rows = [_row(name, one, frequent) for (name, _), one in zip(chosen, answers, strict=True)]
    return Outcome(report, COLUMNS, rows)


def cached(encoder: Encoder, options: Options) -> Read:
    """Reads with the encoder, and keeps what was read in the folder of the options."""

    def read(occurrences: Sequence[Occurrence], _: Progress) -> tuple[FloatArray, FloatArray]:
        found = encode(encoder, occurrences, options)
        return found.vectors, found.context

    return read


def candidates(lexicon: Lexicon, instance: Instance) -> tuple[Entry, ...]:
    """The senses of an instance's lemma; none where the dictionary lacks it."""
    lemma, pos = instance.occurrence.target, instance.pos
    try:
        return lexicon.entries(lemma, pos) or lexicon.candidates(lemma, pos)
    except NotInLexicon:
        return ()


def unknown_keys(lexicon: Lexicon, instances: Sequence[Instance]) -> dict[str, int]:
    """The gold keys that the dictionary lacks, and how often each stands, the most frequent first."""
    keys = Counter(key for instance in instances for key in instance.keys)
    return {key: n for key, n in keys.most_common() if lexicon.by_key(key) is None}


def best(ranked: Ranked) -> str:
    """The likeliest sense."""
    return ranked.entries[ranked.best].key


def first_sense(ranked: Ranked) -> str:
    """WordNet's first sense."""
    return ranked.entries[0].key


def most_frequent(ranked: Ranked, counts: Mapping[str, int]) -> str:
    """The sense with the highest count, WordNet's own where none are given; of equals the first."""
    return max(ranked.entries, key=lambda entry: counts.get(entry.key, 0) if counts else entry.count).key


def scored(answers: Sequence[Answered], pick: Pick) -> Score:
    """The score of what is picked of each instance's senses."""
    # Its place in the list names an instance: those of two sets may have the same id.
    gold = {str(i): one.instance.keys for i, one in enumerate(answers)}
    return score(gold, {str(i): (pick(one.ranked),) for i, one in enumerate(answers) if one.ranked})


def _row_of_scores(answers: Sequence[Answered], frequent: Pick) -> Scores:
    own = scored(answers, best)
    return {
        **_told(own),
        "first_sense_f1": scored(answers, first_sense).f1,
        "most_frequent_f1": scored(answers, frequent).f1,
        "instances": float(own.instances),
    }


def _told(found: Score) -> Scores:
    return {"f1": found.f1, "precision": found.precision, "recall": found.recall}


def _row(name: str, one: Answered, frequent: Pick) -> tuple[object, ...]:
    instance, ranked = one
    head = (name, instance.id, instance.occurrence.target, instance.pos)
    gold = " ".join(instance.keys)
    if ranked is None:
        return (*head, "", "", gold, "", "")
    return (*head, best(ranked), float(ranked.chances.max()), gold, first_sense(ranked), frequent(ranked))
