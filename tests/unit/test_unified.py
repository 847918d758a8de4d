"""The unified framework's reader and scorer, and SemCor's sense keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import BadFile
from analysis.evaluation.semcor import sense_keys
from analysis.evaluation.unified import Score, joined, score, unified
from analysis.types import Span
from tests.unit.test_same_sense import write_semcor

XML = """<?xml version="1.0" encoding="UTF-8" ?>
<corpus lang="en" source="mini"><text id="d000">
<sentence id="d000.s000">
<wf lemma="``" pos=".">``</wf>
<instance id="d000.s000.t000" lemma="bank" pos="NOUN">Banks</instance>
<instance id="d000.s000.t001" lemma="take_place" pos="VERB">took place</instance>
</sentence>
<sentence id="d000.s001">
<instance id="d000.s001.t000" lemma="so" pos="ADV">So</instance>
</sentence></text></corpus>
"""
KEY = """d000.s000.t000 bank%1:17:01:: bank%1:14:00::
d000.s000.t001 take_place%2:30:00::
d000.s001.t000 so%4:02:00::
"""


def write(folder: Path, name: str = "mini", xml: str = XML, key: str = KEY) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.data.xml").write_text(xml, encoding="utf-8")
    (folder / f"{name}.gold.key.txt").write_text(key, encoding="utf-8")
    return folder


def test_each_instance_with_its_place_its_keys_and_its_set(tmp_path: Path) -> None:
    ((name, found),) = unified(write(tmp_path / "a")).items()
    assert name == "mini"
    assert [(one.occurrence.surface, one.occurrence.target, one.pos) for one in found] == [
        ("Banks", "bank", "n"),
        ("took place", "take place", "v"),
        ("So", "so", "r"),
    ]
    assert found[0].occurrence.text == '" Banks took place'
    assert found[0].keys == ("bank%1:17:01::", "bank%1:14:00::")
    assert found[0].document == "mini.data.xml:d000"
    assert unified(tmp_path / "a" / "mini.data.xml") == {"mini": found}


def test_a_file_of_all_sets_adds_nothing_to_a_set_that_is_there(tmp_path: Path) -> None:
    alone = unified(write(tmp_path / "a"))["mini"]
    write(tmp_path / "a", "ALL", XML.replace('id="d0', 'id="mini.d0'), KEY.replace("d000.s", "mini.d000.s"))
    found = unified(tmp_path / "a")
    assert list(found) == ["mini"]
    assert [one.keys for one in found["mini"]] == [one.keys for one in alone]


@pytest.mark.parametrize(
    ("xml", "key", "told"),
    [
        (XML, KEY.replace("d000.s001.t000", "d000.s001.t009"), r"line 9: the instance d000\.s001\.t000 has no line"),
        (XML, KEY + "d000.s001.t000 so%4:02:00::\n", r"key\.txt, line 4: .* has a line already"),
        (XML, KEY.replace(" so%4:02:00::", ""), r"key\.txt, line 3: it has no sense key"),
        (XML.replace('pos="ADV"', 'pos="X"'), KEY, r"line 9: an instance has no id, lemma"),
        (XML.replace("</corpus>", ""), KEY, "it is not XML"),
        (XML.replace("instance", "wf"), KEY, "it has no instances"),
        ('<!DOCTYPE a [<!ENTITY b "c">]>' + XML[XML.index("<corpus") :], KEY, "DOCTYPE"),
    ],
)
def test_what_is_malformed_is_named(tmp_path: Path, xml: str, key: str, told: str) -> None:
    with pytest.raises(BadFile, match=told):
        unified(write(tmp_path / "a", xml=xml, key=key))


def test_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no data set is there"):
        unified(tmp_path)
    (tmp_path / "x.data.xml").write_text(XML, encoding="utf-8")
    with pytest.raises(BadFile, match=r"there is no x\.gold\.key\.txt beside it"):
        unified(tmp_path)


def test_the_score_by_hand() -> None:
    gold = {"a": ["s1"], "b": ["s1", "s2"], "c": ["s3"], "d": ["s4"]}
    # b is right by its second key, c answers two of which one is right, d has no answer, e is in no gold.
    found = score(gold, {"a": ["s9"], "b": ["s2"], "c": ["s3", "s5"], "d": [], "e": ["s1"]})
    assert found == Score(precision=1.5 / 3, recall=1.5 / 4, f1=2 * 0.5 * 0.375 / 0.875, instances=4)
    assert score(gold, {}) == Score(0.0, 0.0, 0.0, 4)


@given(st.dictionaries(st.sampled_from("abcdef"), st.booleans(), min_size=1))
def test_with_one_answer_each_all_three_are_the_accuracy(right: dict[str, bool]) -> None:
    gold = {id_: ["yes"] for id_ in right}
    found = score(gold, {id_: ["yes" if answer else "no"] for id_, answer in right.items()})
    accuracy = sum(right.values()) / len(right)
    assert found == pytest.approx((accuracy, accuracy, accuracy, len(right)))


@given(st.lists(st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1), min_size=1))
def test_each_token_stands_where_it_is_said_to(tokens: list[str]) -> None:
    text, spans = joined(tokens)
    quotes = {"``": '"', "''": '"'}
    assert [text[span.start : span.end] for span in spans] == [quotes.get(token, token) for token in tokens]
    assert spans[0] == Span(0, len(quotes.get(tokens[0], tokens[0])))


def test_semcors_sense_keys(tmp_path: Path) -> None:
    found = list(sense_keys(write_semcor(tmp_path / "semcor3.0")))
    keys = {one.occurrence.surface: one.keys for one in found}
    assert keys == {
        "took place": ("take_place%2:30:00::",),
        "rivers": ("river%1:17:00::",),
        "years": ("year%1:28:01::", "year%1:28:02::"),
        "recent": ("recent%5:00:00:past:00",),
    }
    assert [one.pos for one in found] == ["v", "n", "n", "a"]
    assert all(one.document.endswith("br-a01") for one in found)
