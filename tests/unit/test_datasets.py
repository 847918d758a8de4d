"""Readers of the public data sets, on tiny files of the same form, good and malformed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.errors import BadFile, BadOption
from analysis.evaluation import induction_sets, pair_sets
from analysis.evaluation.datasets import Word, locate, read_key, read_xml
from analysis.evaluation.run import DATASETS, prepare


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.encode())
    return folder


def refused(read: Callable[[Path], Any], path: Path, *said: str) -> BadFile:
    with pytest.raises(BadFile) as caught:
        read(path)
    for part in said:
        assert part in str(caught.value)
    return caught.value


def surfaces(word: Word) -> list[tuple[str, str]]:
    return [(usage.occurrence.surface, usage.label) for usage in word.test]


def test_an_unknown_data_set_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="there is no data set 'senseval'; choose from coarsewsd20, wsi-at-scale") as e:
        prepare("senseval", tmp_path)
    assert all(name in str(e.value) for name in DATASETS)
    induced = {"coarsewsd20", "wsi-at-scale", "semeval2013", "semeval2010"}
    assert set(DATASETS) == induced | {"wic", "rawc", "drivers", "raganato"}


@pytest.mark.parametrize("dataset", list(DATASETS))
def test_a_path_without_the_data_set_is_refused(dataset: str, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        assert "expected" in str(refused(lambda p: prepare(dataset, p), path, str(path)))


# ---- CoarseWSD-20 ----

COARSE = {
    "bank/classes_map.txt": '{"0": "money", "1": "river"}',
    "bank/test.data.txt": "1\tthe bank  is open .\r\n4\twe sat on the bank\r\n",
    "bank/test.gold.txt": "0\r\n1\r\n",
    "bank/train.data.txt": "0\tbanks lend\n",
    "bank/train.gold.txt": "0\n",
}


def test_coarsewsd20_and_its_line_ends(tmp_path: Path) -> None:
    words = induction_sets.coarsewsd20(write(tmp_path, COARSE))
    assert list(words) == ["bank"]
    assert surfaces(words["bank"]) == [("bank", "money"), ("bank", "river")]
    first = words["bank"].test[0].occurrence
    assert (first.text, first.target, first.start, first.source_id) == ("the bank  is open .", "bank", 4, "bank.test.1")
    assert [usage.occurrence.surface for usage in words["bank"].train] == ["banks"]
    assert induction_sets.coarsewsd20(tmp_path / "bank") == words


def test_without_names_or_training_half_the_classes_stay_numbers(tmp_path: Path) -> None:
    files = {name: text for name, text in COARSE.items() if "test." in name}
    words = induction_sets.coarsewsd20(write(tmp_path, files))
    assert [usage.label for usage in words["bank"].test] == ["0", "1"]
    assert words["bank"].train == ()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("test.gold.txt", "0\n", ("test.gold.txt, line 2", "1 lines for 2 sentences", "expected one class a line")),
        ("test.gold.txt", "0\n7\n", ("test.gold.txt, line 2", "no class '7'", "expected one of 0, 1")),
        ("test.gold.txt", "0\n\n1\n", ("test.gold.txt, line 2", "empty")),
        ("test.data.txt", "1\tthe bank\n5\twe sat on the bank\n", ("test.data.txt, line 2", "no token '5' in 5")),
        ("test.data.txt", "1\tthe bank\n-1\ton the bank\n", ("test.data.txt, line 2", "no token '-1'")),
        ("test.data.txt", "1\tthe bank\nwe sat\n", ("test.data.txt, line 2", "1 fields", "index of the target token")),
        ("test.data.txt", "", ("test.data.txt", "empty")),
        ("classes_map.txt", "{'0': 1}", ("classes_map.txt, line 1", "not JSON", "a JSON object")),
        ("classes_map.txt", "[1]", ("classes_map.txt, line 1", "a JSON object")),
    ],
)
def test_malformed_coarsewsd20(tmp_path: Path, name: str, content: str, said: tuple[str, ...]) -> None:
    refused(induction_sets.coarsewsd20, write(tmp_path, COARSE | {f"bank/{name}": content}), *said)


def test_coarsewsd20_without_gold_and_not_utf8(tmp_path: Path) -> None:
    write(tmp_path, COARSE)
    (tmp_path / "bank" / "test.data.txt").write_bytes(b"1\tthe bank\n1\tthe \xff\n")
    error = refused(induction_sets.coarsewsd20, tmp_path, "test.data.txt, line 2", "not UTF-8")
    assert error.where == ("file", 2)
    write(tmp_path, COARSE)
    (tmp_path / "bank" / "test.gold.txt").unlink()
    refused(induction_sets.coarsewsd20, tmp_path, "test.gold.txt", "cannot be read")


@pytest.mark.parametrize("beside", [".", "CoarseWSD-20", "coarsewsd20"])
def test_out_of_domain_usages_take_the_training_half_beside_them(tmp_path: Path, beside: str) -> None:
    write(tmp_path / beside, COARSE)
    write(tmp_path, {"ood.tsv": "bank\triver\t2\tDown the Bank .\npitcher\tjug\t0\tPitchers !\n"})
    words = induction_sets.coarsewsd20(tmp_path / "ood.tsv")
    assert surfaces(words["bank"]) == [("Bank", "river")]
    assert [usage.label for usage in words["bank"].train] == ["money"]
    assert surfaces(words["pitcher"]) == [("Pitchers", "jug")]
    assert words["pitcher"].train == ()
    write(tmp_path, {"ood.tsv": "bank\triver\tDown the Bank .\n"})
    refused(induction_sets.coarsewsd20, tmp_path / "ood.tsv", "ood.tsv, line 1", "3 fields", "name of the class")


# ---- WSI at scale ----

HEADER = "word\ttext\tann#1\tann#2\tSystem label id\n"


def test_wsi_at_scale_has_two_annotators_and_loses_its_marks(tmp_path: Path) -> None:
    rows = 'bank\tThe @ @ banks @ @ of "a river.\tshore\tside\t1\nbow\t@ @ Bow @ @\tship\tship\t2\n'
    write(tmp_path, {"examples.tsv": HEADER + rows})
    words = induction_sets.wsi_at_scale(tmp_path / "examples.tsv")
    usage = words["bank"].test[0]
    assert usage.occurrence.text == 'The banks of "a river.'
    assert (usage.occurrence.surface, usage.labels) == ("banks", ("shore", "side"))
    assert words["bow"].test[0].occurrence.text == "Bow"
    assert induction_sets.wsi_at_scale(tmp_path) == words


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("word\ttext\tann#1\n", ("line 1", "header")),
        (HEADER, ("line 2", "no rows")),
        (HEADER + "bank\tThe bank.\ta\tb\t1\n", ("line 2", "0 marks")),
        (HEADER + "bank\tThe @ @ bank.\ta\tb\t1\n", ("line 2", "1 marks")),
        (HEADER + "bank\tThe @ @  @ @.\ta\tb\t1\n", ("line 2", "two round the target")),
        (HEADER + "bank\t@ @ bank @ @\ta\t \t1\n", ("line 2", "annotator")),
        (HEADER + "bank\t@ @ bank @ @\ta\n", ("line 2", "3 fields parted by tabs, not 5")),
    ],
)
def test_malformed_wsi_at_scale(tmp_path: Path, content: str, said: tuple[str, ...]) -> None:
    refused(induction_sets.wsi_at_scale, write(tmp_path, {"examples.tsv": content}), "examples.tsv", *said)


# ---- keys and XML ----


def test_keys(tmp_path: Path) -> None:
    write(tmp_path, {"a.key": "b.n b.n.1 s%1:0::/3 s%2:0::/0.5 !! sure\nb.n b.n.2 x y/4\nc.v c.v.1 x\n"})
    key = read_key(tmp_path / "a.key")
    assert key["b.n"]["b.n.1"].senses == {"s%1:0::": 3, "s%2:0::": 0.5}
    assert key["b.n"]["b.n.2"].senses == {"x": 1, "y": 1}, "as the official scorers have it"
    assert (key["c.v"]["c.v.1"].senses, key["c.v"]["c.v.1"].line) == ({"x": 1}, 3)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("b.n b.n.1", "2 fields"),
        ("b.n b.n.1 !! x", "2 fields"),
        ("b.n b.n.1 x/-1", "no number above zero"),
        ("b.n b.n.1 x/0", "no number above zero"),
        ("b.n b.n.1 x/nan", "no number above zero"),
        ("b.n b.n.1 x/inf", "no number above zero"),
        ("b.n b.n.1 x/many", "no number above zero"),
        ("b.n b.n.1 /3", "no name"),
        ("b.n b.n.0 x", "has an answer already"),
    ],
)
def test_malformed_keys(tmp_path: Path, line: str, said: str) -> None:
    write(tmp_path, {"a.key": f"b.n b.n.0 x\r\n{line}\r\n"})
    refused(read_key, tmp_path / "a.key", "a.key, line 2", said, "expected")


def test_xml_that_could_grow_or_read_files_is_refused(tmp_path: Path) -> None:
    def read(path: Path) -> Any:
        return read_xml(path, "<a>")

    bomb = '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]>\n<a>&c;</a>'
    refused(read, write(tmp_path, {"a.xml": "\n" + bomb}) / "a.xml", "a.xml, line 2", "DOCTYPE", "expected <a>")
    outside = '<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>'
    refused(read, write(tmp_path, {"a.xml": outside}) / "a.xml", "a.xml, line 1", "DOCTYPE")
    refused(read, write(tmp_path, {"a.xml": "<a>\n<b></a>"}) / "a.xml", "a.xml, line 2", "not XML (mismatched tag)")
    refused(read, write(tmp_path, {"a.xml": "<a>&nbsp;</a>"}) / "a.xml", "not XML (undefined entity)")
    text, nodes = read_xml(write(tmp_path, {"a.xml": "<a>x&amp;<b c='1'>y</b>\r\n</a>"}) / "a.xml", "")
    assert text == "x&y\n"
    assert [(node.tag, text[node.start : node.end], node.line, node.depth) for node in nodes] == [
        ("a", "x&y\n", 1, 0),
        ("b", "y", 1, 1),
    ]
    assert nodes[1].attributes == {"c": "1"}


# ---- SemEval-2013 ----

DARK = (
    '<instances lemma="dark" partOfSpeech="j">\n'
    '<instance id="dark.j.1" lemma="dark" tokenStart="2" tokenEnd="6">a dark &amp; night</instance>\n'
    '<instance id="dark.j.2" lemma="dark" tokenStart="0" tokenEnd="4">Dark.</instance></instances>'
)
SEMEVAL2013 = {"contexts/dark.j.xml": DARK, "gold.key": "dark.j dark.j.1 d%1/3 d%2/4\n"}


@pytest.mark.parametrize(
    "names", [("contexts", "gold.key"), ("contexts/xml-format", "keys/gold/all.key")], ids=["plain", "as published"]
)
def test_semeval2013_has_the_instances_of_the_gold_key(tmp_path: Path, names: tuple[str, str]) -> None:
    write(tmp_path, {f"{names[0]}/dark.j.xml": DARK, names[1]: SEMEVAL2013["gold.key"]})
    words = induction_sets.semeval2013(tmp_path)
    (usage,) = words["dark.j"]
    assert (usage.occurrence.text, usage.occurrence.surface) == ("a dark & night", "dark")
    assert (usage.occurrence.source_id, usage.senses) == ("dark.j.1", {"d%1": 3, "d%2": 4})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gold.key": "dark.j dark.j.9 d%1/3\n"}, ("gold.key, line 1", "dark.j.9 is in no context file")),
        ({"contexts/dark.j.xml": DARK.replace('"6"', '"60"')}, ("dark.j.xml, line 2", "no span inside its text")),
        ({"contexts/dark.j.xml": DARK.replace('tokenEnd="4"', "")}, ("dark.j.xml, line 3", "tokenStart tokenEnd")),
        ({"contexts/dark.j.xml": DARK[:-5]}, ("dark.j.xml, line 3", "not XML")),
    ],
)
def test_malformed_semeval2013(tmp_path: Path, change: dict[str, str], said: tuple[str, ...]) -> None:
    refused(induction_sets.semeval2013, write(tmp_path, SEMEVAL2013 | change), *said)


# ---- SemEval-2010 ----

LIE = (
    "<lie.v.test>\n"
    "<lie.v.1>It was late. <TargetSentence>He lay down.</TargetSentence> He slept.</lie.v.1>\n"
    "<lie.v.2><TargetSentence>They 'll lah &amp; rest.</TargetSentence></lie.v.2>\n"
    "</lie.v.test>"
)
SEMEVAL2010 = {"lie.v.xml": LIE, "all.key": "lie.v lie.v.1 lie.v.s1/0.3 lie.v.s2/0.7\nlie.v lie.v.2 lie.v.s1\n"}


@pytest.mark.parametrize(
    "names",
    [("lie.v.xml", "all.key"), ("test_data/verbs/lie.v.test.xml", "evaluation/unsup_eval/keys/all.key")],
    ids=["plain", "as published"],
)
def test_semeval2010_finds_the_target_in_the_target_sentence(tmp_path: Path, names: tuple[str, str]) -> None:
    write(tmp_path, dict(zip(names, SEMEVAL2010.values(), strict=True)))
    words = induction_sets.semeval2010(tmp_path)
    assert surfaces(words["lie.v"]) == [("lay", "lie.v.s2"), ("lah", "lie.v.s1")]
    assert words["lie.v"].test[0].occurrence.text == "It was late. He lay down. He slept."


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lie.v.xml": LIE.replace("He lay", "He sat")}, ("lie.v.xml, line 2", "no form of 'lie'")),
        ({"lie.v.xml": LIE.replace("TargetSentence", "Sentence")}, ("lie.v.xml, line 2", "not one <TargetSentence>")),
        ({"all.key": "lie.v lie.v.3 s1\n"}, ("all.key, line 1", "lie.v.3 is in no context file")),
    ],
)
def test_malformed_semeval2010(tmp_path: Path, change: dict[str, str], said: tuple[str, ...]) -> None:
    refused(induction_sets.semeval2010, write(tmp_path, SEMEVAL2010 | change), *said)


def test_a_target_is_found_by_its_lemma_or_the_beginning_it_shares() -> None:
    texts = ["He went.", "We analysed it.", "Nothing here.", ""]
    spans = [locate([text], lemma)[0] for text, lemma in zip(texts, ("go", "analyze", "figure", "go"), strict=True)]
    assert [span and text[span.start : span.end] for text, span in zip(texts, spans, strict=True)] == [
        "went",
        "analysed",
        None,
        None,
    ]
    assert locate(["ran, ran", "no", "Runs"], "run")[::2] == [*locate(["ran"], "run"), *locate(["Runs"], "run")]


# ---- WiC and RAW-C ----

WIC = {
    f"{half}/{half}.{kind}.txt": content
    for half in ("train", "dev")
    for kind, content in (
        ("data", "board\tN\t2-1\tRoom and board .\tHe boards .\nhook\tV\t0-1\tHook a fish .\tHe hooked it .\n"),
        ("gold", "F\nT\n"),
    )
}


def test_wic(tmp_path: Path) -> None:
    data = pair_sets.wic(write(tmp_path, WIC))
    assert (len(data.train), len(data.dev)) == (2, 2)
    assert [(p.first.surface, p.second.surface, p.same) for p in data.dev] == [
        ("board", "boards", False),
        ("Hook", "hooked", True),
    ]
    assert data.dev[0].id == "dev.1"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dev/dev.gold.txt": "F\n"}, ("dev.gold.txt, line 2", "1 lines for 2 pairs")),
        ({"dev/dev.gold.txt": "F\nyes\n"}, ("dev.gold.txt, line 2", "'yes' is neither T nor F")),
        ({"dev/dev.data.txt": "a\tN\t0-0\ta\ta b\n"}, ("dev.gold.txt, line 2", "2 lines for 1 pairs")),
        ({"train/train.data.txt": "a\tN\t0-9\ta\tb\nb\tN\t0-0\tb\tb\n"}, ("train.data.txt, line 1", "'0-9'")),
        ({"train/train.data.txt": "a\tN\t0\ta\tb\nb\tN\t0-0\tb\tb\n"}, ("train.data.txt, line 1", "'0'")),
        ({"train/train.data.txt": "a\tN\t0-0\ta\nb\tN\t0-0\tb\tb\n"}, ("train.data.txt, line 1", "4 fields")),
    ],
)
def test_malformed_wic(tmp_path: Path, change: dict[str, str], said: tuple[str, ...]) -> None:
    refused(pair_sets.wic, write(tmp_path, WIC | change), *said)


def test_wic_without_gold(tmp_path: Path) -> None:
    (write(tmp_path, WIC) / "train" / "train.gold.txt").unlink()
    refused(pair_sets.wic, tmp_path, "train.gold.txt", "cannot be read")


COLUMNS = "word,ambiguity,sentence1,sentence2,same,mean_relatedness\r\n"
RAWC = COLUMNS + 'track,P,"She saw, there, tracks.",The race track.,False,1.25\r\nact,P,He acted.,An act.,True,4.0\r\n'


def test_rawc(tmp_path: Path) -> None:
    first, second = pair_sets.rawc(write(tmp_path, {"raw-c.csv": RAWC}) / "raw-c.csv")
    assert (first.first.surface, first.second.surface, first.same, first.relatedness) == (
        "tracks",
        "track",
        False,
        1.25,
    )
    assert (second.first.text, second.first.surface, second.same, second.id) == ("He acted.", "acted", True, "act.3")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("word,sentence1,sentence2,same\n", ("line 1", "no column mean_relatedness", "expected CSV")),
        (COLUMNS, ("line 2", "no rows")),
        (COLUMNS + "act,P,An act.,An act.,maybe,1\n", ("line 2", "neither True nor False")),
        (COLUMNS + "act,P,An act.,,True,1\n", ("line 2", "missing")),
        (COLUMNS + "act,P,An act.\n", ("line 2", "3 fields, and the header 6")),
        (COLUMNS + "act,P,An act, no.,An act.,True,1\n", ("line 2", "7 fields, and the header 6")),
        (COLUMNS + "act,P,An act.,An act.,True,high\n", ("line 2", "'high' is not a number")),
        (COLUMNS + "act,P,An act.,An act.,True,nan\n", ("line 2", "not a number")),
        (COLUMNS + "act,P,An act.,A play.,True,1\n", ("line 2", "no form of 'act' is in sentence 2")),
        (COLUMNS + 'act,P,"An act.,An act.,True,1\n', ("line 2", "not CSV")),
    ],
)
def test_malformed_rawc(tmp_path: Path, content: str, said: tuple[str, ...]) -> None:
    refused(pair_sets.rawc, write(tmp_path, {"a.csv": content}) / "a.csv", "a.csv", *said)
