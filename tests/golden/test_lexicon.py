"""Real WordNet and a real model: what is looked up, and what a sentence makes of it."""

from __future__ import annotations

import re

import pytest

from analysis.errors import NotInLexicon
from analysis.lexicon.disambiguate import Dictionary, Target, content_words, disambiguate
from analysis.lexicon.glosses import Glosses, reader
from analysis.lexicon.weights import weights_of
from analysis.lexicon.wordnet import Lexicon
from analysis.model.encoder import TransformerEncoder
from analysis.text import find
from analysis.types import Document, Occurrence

RIVER, MONEY = "bank%1:17:01::", "bank%1:14:00::"
TEXTS = ("They fished from the bank of the river.", "She put her money in the bank at a low rate of interest.")


@pytest.fixture(scope="module")
def dictionary(lexicon: Lexicon, minilm: TransformerEncoder) -> Dictionary:
    return Dictionary(lexicon, Glosses(reader(minilm)), weights_of(minilm.info.digest))


def test_lemmas_by_wordnets_exceptions_and_endings(lexicon: Lexicon) -> None:
    assert lexicon.lemmas("Geese") == (("goose", "n"),)
    assert lexicon.lemmas("went") == (("go", "v"),)
    assert ("bank", "n") in lexicon.lemmas("banks")
    assert lexicon.lemmas("took place", "v") == (("take_place", "v"),)
    assert lexicon.lemmas("bank’s", "n") == (("bank", "n"),)


def test_senses_in_wordnets_order_with_its_counts(lexicon: Lexicon) -> None:
    first, second = lexicon.candidates("bank", "n")[:2]
    assert (first.key, first.synset, first.count, first.file) == (RIVER, "bank.n.01", 25, "noun.object")
    assert (second.key, second.synset, second.count) == (MONEY, "depository_financial_institution.n.01", 20)
    assert first.gloss == "sloping land (especially the slope beside a body of water)"
    assert first.above == ("slope.n.01",)
    assert lexicon.by_key(RIVER) == first
    # A satellite's key names the head of its cluster.
    assert lexicon.by_key("recent%5:00:00:past:00") is not None


@pytest.mark.parametrize("key", ["bank%1:17:09::", "bank", "", "nowhere%1:17:01::", "bank%9:17:01::", "bank%1:17:01"])
def test_keys_that_wordnet_lacks(lexicon: Lexicon, key: str) -> None:
    assert lexicon.by_key(key) is None


def test_words_and_parts_of_speech_that_wordnet_lacks(lexicon: Lexicon) -> None:
    with pytest.raises(NotInLexicon, match=r"WordNet has no 'blorf'"):
        lexicon.lemmas("blorf")
    with pytest.raises(NotInLexicon, match=r"has 'bank' as noun and verb, but not as adverb; choose another part"):
        lexicon.lemmas("bank", "r")


def test_the_bank_of_the_river_and_the_bank_with_the_money(minilm: TransformerEncoder, dictionary: Dictionary) -> None:
    uses = find([Document(text, str(i)) for i, text in enumerate(TEXTS)], "bank").occurrences
    found = disambiguate(minilm, dictionary, [Target(use, "bank", "n") for use in uses])
    assert [usage.sense for usage in found.usages] == [RIVER, MONEY]
    for usage in found.usages:
        chances = [sense.probability for sense in usage.senses]
        assert chances == sorted(chances, reverse=True)
        assert usage.confidence == chances[0]
        assert usage.candidates == 10
        assert sum(chances) == pytest.approx(1, abs=1e-5)
    driving = [max(usage.drivers or (), key=lambda d: d.margin or 0).word for usage in found.usages]
    assert driving[0] in ("river", "fished")
    assert driving[1] in ("money", "interest", "rate")


def test_a_threshold_that_nothing_passes(minilm: TransformerEncoder, dictionary: Dictionary) -> None:
    uses = find([Document(TEXTS[0], "1")], "bank").occurrences
    (usage,) = disambiguate(minilm, dictionary, [Target(uses[0])], threshold=1.0, drivers=False).usages
    assert usage.sense is None
    assert usage.flags == ("abstained",)
    assert usage.drivers is None


def test_every_content_word(minilm: TransformerEncoder, dictionary: Dictionary) -> None:
    targets = content_words(dictionary.lexicon, [Document("The river rose over its banks, 12 of them, blorf!", "1")])
    assert [target.occurrence.surface for target in targets] == ["river", "rose", "banks"]
    found = disambiguate(minilm, dictionary, targets, drivers=False)
    assert found.usages[0].flags == ("one sense",)
    assert found.usages[0].sense == "river%1:17:00::"
    # A verb after a noun, and a plural noun after "its".
    assert re.match(r"bank%1:", found.usages[2].senses[0].key)


def test_a_driver_is_the_drop_when_its_word_is_deleted(minilm: TransformerEncoder, dictionary: Dictionary) -> None:
    (usage,) = disambiguate(
        minilm, dictionary, [Target(find([Document(TEXTS[1], "1")], "bank").occurrences[0], "bank", "n")]
    ).usages
    driver = max(usage.drivers or (), key=lambda d: abs(d.effect))
    # The encoder deletes a word's pieces; without a word the text has the same pieces as with it deleted.
    text = " ".join((TEXTS[1][: driver.start].rstrip() + " " + TEXTS[1][driver.end :].lstrip()).split())
    start = text.index("bank")
    use = Occurrence(text, "bank", start, start + 4, "1")
    (without,) = disambiguate(minilm, dictionary, [Target(use, "bank", "n")], drivers=False).usages
    now = {sense.key: sense.probability for sense in without.senses}
    before = {sense.key: sense.probability for sense in usage.senses}
    assert before[MONEY] - now[MONEY] == pytest.approx(driver.effect, abs=2e-3)


def test_keys_are_wordnets_own(lexicon: Lexicon) -> None:
    """Of a satellite whose head stands in one place only, "some(a)", the mark is of the key, and of its count."""
    several = lexicon.candidates("several", "a")[0]
    assert (several.key, several.count) == ("several%5:00:00:some(a):00", 112)
    assert lexicon.entries("Several", "a") == lexicon.entries("several", "a"), "read twice, marked once"
    assert lexicon.by_key("convinced%5:00:00:certain(p):02") in lexicon.candidates("convinced", "a")
    assert lexicon.candidates("apt", "a")[2].key == "apt%5:00:00:intelligent:00"
