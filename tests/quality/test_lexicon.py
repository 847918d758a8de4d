"""The bars of the dictionary: SemEval-2007 by glosses and frequency, and the names of CoarseWSD-20's classes.

Which synsets each class is was written down in coarsewsd20_synsets.json before anything was measured.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from analysis.catalogue import resolve
from analysis.evaluation.cache import embed
from analysis.evaluation.induction_sets import coarsewsd20
from analysis.evaluation.outcome import Options, limited
from analysis.evaluation.run import evaluate
from analysis.lexicon.disambiguate import Dictionary, Target, disambiguate
from analysis.lexicon.glosses import Glosses, reader
from analysis.lexicon.naming import MOST, names
from analysis.lexicon.weights import weights_of
from analysis.lexicon.wordnet import Lexicon
from analysis.model.encoder import load
from analysis.types import Encoder, SenseModel, Usages
from service.settings import Settings

pytestmark = pytest.mark.quality
SYNSETS = json.loads(Path(__file__).with_name("coarsewsd20_synsets.json").read_text(encoding="utf-8"))

table: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def printed() -> Iterator[None]:
    yield
    print("\n\n" + "\n".join(table))


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load(resolve("mpnet", Settings().home))


@pytest.fixture(scope="module")
def data() -> Path:
    return Path(os.environ["POLYSEME_TEST_DATA"])


def test_semeval2007(encoder: Encoder, lexicon: Lexicon, data: Path) -> None:
    home = Settings().home
    options = Options(cache=home / "evaluation", home=home)
    report = evaluate(encoder, "raganato", data / "semeval2007", options).report
    untaught = report["baselines"].get("glosses only", report["mean"])
    table.append(f"SemEval-2007 F1, glosses and frequency: {untaught['f1']:.3f} (bar 0.60)")
    assert report["baselines"]["first sense"]["f1"] == pytest.approx(0.552, abs=0.001)
    assert untaught["f1"] >= 0.60
    if report["tagged"]:
        table.append(f"SemEval-2007 F1, and tagged text: {report['mean']['f1']:.3f} (bar 0.68)")
        assert report["mean"]["f1"] >= 0.68


def test_the_classes_of_coarsewsd20_have_their_names(encoder: Encoder, lexicon: Lexicon, data: Path) -> None:
    dictionary = Dictionary(lexicon, Glosses(reader(encoder)), weights_of(encoder.info.digest))
    right, total, silent = 0, 0, []
    for word, classes in SYNSETS.items():
        test = coarsewsd20(data / "coarsewsd20")[word].test
        some = [one for name in classes for one in limited([u for u in test if u.label == name], Options(0, MOST))]
        occurrences = tuple(one.occurrence for one in some)
        vectors, context, _ = embed(encoder, occurrences, Settings().home / "evaluation")
        sense = np.array([list(classes).index(one.label) for one in some])
        sizes = np.bincount(sense, minlength=len(classes))
        model = SenseModel(word, tuple(classes), np.zeros((len(classes), 2), np.float32), sizes, 1.0)
        found = names(dictionary, Usages(occurrences, vectors, context, ((),) * len(some)), model, sense)
        for (name, synsets), told in zip(classes.items(), found, strict=True):
            if synsets:
                total += 1
                right += bool(told) and told[0].synset in synsets
                if not told or told[0].synset not in synsets:
                    table.append(f"  {name}: {told[0].synset if told else 'none'}, not {' or '.join(synsets)}")
            else:
                silent.append(not told)
    table.append(f"CoarseWSD-20's classes that WordNet has, the right synset first: {right} of {total} (bar 80 %)")
    table.append(f"classes that it lacks, left without a name: {sum(silent)} of {len(silent)}")
    assert right / total >= 0.8


def test_the_rate_beside_the_bare_encoder(encoder: Encoder, lexicon: Lexicon, data: Path) -> None:
    """Each round reads the same sentences bare and disambiguated, one target each, the dictionary read before."""
    test = coarsewsd20(data / "coarsewsd20")["bank"].test[:64]
    targets = [Target(one.occurrence, "bank", "n") for one in test]
    dictionary = Dictionary(lexicon, Glosses(reader(encoder)), weights_of(encoder.info.digest))
    disambiguate(encoder, dictionary, targets[:8], drivers=False)
    ratios = []
    for _ in range(3):
        start = time.perf_counter()
        encoder.encode([target.occurrence for target in targets])
        bare = time.perf_counter() - start
        start = time.perf_counter()
        disambiguate(encoder, dictionary, targets, drivers=False)
        ratios.append(bare / (time.perf_counter() - start))
    table.append(f"sentences a second, beside the bare encoder's: {np.median(ratios):.2f} (bar 0.8)")
    assert np.median(ratios) >= 0.8
