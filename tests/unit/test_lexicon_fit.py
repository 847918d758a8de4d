"""Sense vectors learnt from small tagged texts, and the evaluation that uses them; real WordNet, an encoder without
weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from analysis.errors import BadOption, LexiconNotPulled
from analysis.evaluation import lexicon_fit
from analysis.evaluation.lexicon_fit import Fitted, fit_vectors, read_tagged, telling
from analysis.evaluation.outcome import Options
from analysis.evaluation.raganato import evaluate_raganato
from analysis.evaluation.unified import unified
from analysis.lexicon import pull, vectors
from analysis.lexicon.fit import Tagged
from analysis.lexicon.wordnet import Lexicon
from service.settings import Settings
from tests.fake import FakeEncoder
from tests.unit.test_unified import write

RIVER, MONEY, RIDGE = "bank%1:17:01::", "bank%1:14:00::", "bank%1:17:00::"
NEAR = {RIVER: "river water fish", MONEY: "money loan cash"}


def corpus(folder: Path, name: str, documents: int, unknown: str = "") -> Path:
    """Two sentences of each sense in each document."""
    texts, keys = [], []
    for d in range(documents):
        sentences = []
        for s, key in enumerate((RIVER, MONEY, RIVER, MONEY)):
            around = NEAR[key].split()
            around = around[(d + s) % 3 :] + around[: (d + s) % 3]
            words = "".join(f'<wf lemma="{word}" pos="NOUN">{word}</wf>' for word in around)
            instance = f'<instance id="d00{d}.s{s}.t0" lemma="bank" pos="NOUN">bank</instance>'
            sentences.append(f'<sentence id="d00{d}.s{s}">{instance}{words}</sentence>')
            keys.append(f"d00{d}.s{s}.t0 {unknown if unknown and (d, s) == (0, 0) else key}")
        texts.append(f'<text id="d00{d}">{"".join(sentences)}</text>')
    xml = f'<corpus lang="en" source="{name}">{"".join(texts)}</corpus>'
    return write(folder, name, xml, "\n".join(keys) + "\n")


@pytest.fixture
def home(tmp_path: Path, lexicon: Lexicon) -> Path:
    """A home with the dictionary and nothing else."""
    (tmp_path / "home" / "lexicon").mkdir(parents=True)
    shutil.copytree(pull.folder(Settings().home), pull.folder(tmp_path / "home"))
    return tmp_path / "home"


def fitted(lexicon: Lexicon, path: Path) -> Fitted:
    return fit_vectors(FakeEncoder(), lexicon, read_tagged(path), Options(), text="a test")


def test_fit_and_evaluate(tmp_path: Path, home: Path, lexicon: Lexicon) -> None:
    sets = unified(corpus(tmp_path / "test", "mini", 1))
    encoder, options = FakeEncoder(), Options(home=home)
    untaught = evaluate_raganato(encoder, sets, options)
    assert untaught.report["method"] == "glosses"
    # WordNet's first sense of "bank" is the river's: half of the usages here.
    assert untaught.report["baselines"]["first sense"]["f1"] == 0.5

    found = fitted(lexicon, corpus(tmp_path / "train", "train", 5))
    assert found.vectors.counts == {MONEY: 10, RIVER: 10}
    assert found.held_out.instances == 4
    assert found.held_out.f1 == 1
    assert found.held_out.first_sense_f1 == 0.5
    vectors.save(found.vectors, home)
    taught = evaluate_raganato(encoder, sets, options)
    assert (taught.report["method"], taught.report["tagged"]) == ("glosses and tagged text", found.vectors.digest)
    assert taught.report["mean"]["f1"] == 1
    assert taught.report["words"]["mini, nouns"]["instances"] == 4
    assert taught.report["baselines"]["glosses only"] == {
        name: untaught.report["mean"][name] for name in ("f1", "precision", "recall")
    }
    assert [row[4] for row in taught.rows] == [row[6] for row in taught.rows]


def test_keys_and_lemmas_that_the_dictionary_lacks_are_counted(tmp_path: Path, home: Path, lexicon: Lexicon) -> None:
    found = fitted(lexicon, corpus(tmp_path / "train", "train", 5, unknown="bank%1:17:99::"))
    assert found.unknown_keys == {"bank%1:17:99::": 1}
    assert found.vectors.counts == {MONEY: 10, RIVER: 9}

    sets = unified(corpus(tmp_path / "test", "mini", 1, unknown="bank%1:17:99::"))
    odd = sets["mini"][1]
    sets["mini"][1] = odd._replace(occurrence=type(odd.occurrence)("blorf", "blorf", 0, 5, "1"))
    report = evaluate_raganato(FakeEncoder(), sets, Options(home=home)).report
    assert report["unknown_keys"] == {"bank%1:17:99::": 1}
    assert report["unanswered"] == 1
    assert report["mean"]["recall"] < report["mean"]["precision"]


def test_text_that_is_too_little(tmp_path: Path, lexicon: Lexicon) -> None:
    with pytest.raises(BadOption, match="there are 1 documents with senses of the dictionary"):
        fitted(lexicon, corpus(tmp_path / "train", "train", 1))


def test_evaluation_without_the_dictionary(tmp_path: Path) -> None:
    sets = unified(corpus(tmp_path / "test", "mini", 1))
    with pytest.raises(LexiconNotPulled, match="polyseme lexicon pull"):
        evaluate_raganato(FakeEncoder(), sets, Options(home=tmp_path))


def test_senses_take_turns_to_be_read(lexicon: Lexicon) -> None:
    entries = lexicon.entries("bank", "n")
    keys = [RIVER] * 30 + [MONEY] * 12 + [RIDGE]
    tagged = [Tagged((key,), entries, "d") for key in keys]
    most = lexicon_fit.MOST_OF_A_SENSE
    every = telling(tagged, Options())
    assert sorted(keys[i] for i in every) == sorted([RIVER] * most + [MONEY] * most + [RIDGE])
    assert sorted(keys[i] for i in telling(tagged, Options(limit=5))) == sorted([RIVER] * 2 + [MONEY] * 2 + [RIDGE])
    assert telling([*tagged, None], Options(seed=1)) != every
    assert telling([Tagged((RIVER,), entries[:1], "d")], Options()) == []
