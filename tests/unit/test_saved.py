"""Saved senses: what is written is what is read, an edit touches what it names, and members keep their senses."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import numpy as safetensors
from safetensors import safe_open

from analysis import assigning, edits, fitting, sensefile
from analysis.corpus import Labelled, documents, read_labelled
from analysis.errors import BadFile, BadOption, ModelMismatch, TargetNotFound
from analysis.pipeline import induced
from analysis.saved import LONGEST_LABEL, SavedSenses, describe, distinct_labels, key
from analysis.types import Document, ModelInfo, Span
from tests.fake import FakeEncoder

WORDS = {
    "river": ["water", "fish", "mud", "canoe", "reed", "flood"],
    "money": ["loan", "cash", "credit", "coin", "debt", "cheque"],
    "blood": ["donor", "plasma", "nurse", "vein", "clinic", "serum"],
}


def texts(*names: str, n: int = 8) -> list[Document]:
    """n texts a sense, each with four of the sense's six words."""
    random = np.random.default_rng(0)
    lines = [f"the bank {name} {' '.join(random.permutation(WORDS[name])[:4])}" for name in names for _ in range(n)]
    return documents(lines)


@pytest.fixture(scope="module")
def saved() -> SavedSenses:
    """Three senses of eight usages."""
    kept = fitting.keep(induced(FakeEncoder(), texts("river", "money", "blood"), "bank"))
    assert kept.model.senses == ("s0", "s1", "s2")
    return kept


@pytest.fixture(scope="module")
def learnt() -> SavedSenses:
    """The same texts, with labels and a classifier."""
    return fitting.fit(FakeEncoder(), labelled("river", "money", "blood"), "bank")[0]


def labelled(*names: str) -> list[Labelled]:
    return [Labelled(document, names[i // 8]) for i, document in enumerate(texts(*names))]


def assert_same(a: SavedSenses, b: SavedSenses) -> None:
    assert describe(a) == describe(b)
    assert a.keys == b.keys
    for one, other in (
        (a.model.centroids, b.model.centroids),
        (a.model.sizes, b.model.sizes),
        (a.member_sense, b.member_sense),
        (a.rows, b.rows),
        (a.model.weights, b.model.weights),
    ):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
    assert (a.model.temperature, a.model.familiar) == (b.model.temperature, b.model.familiar)


# The file.


@pytest.mark.parametrize("name", ["saved", "learnt"])
def test_what_is_saved_is_loaded(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    kept: SavedSenses = request.getfixturevalue(name)
    sensefile.save(kept, tmp_path / "bank.senses")
    read = sensefile.load(tmp_path / "bank.senses")
    assert_same(read, kept)
    assert sensefile.to_bytes(read) == sensefile.to_bytes(kept) == (tmp_path / "bank.senses").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["bank.senses"]


def test_the_file_is_safetensors_that_others_can_read(saved: SavedSenses, tmp_path: Path) -> None:
    sensefile.save(saved, tmp_path / "bank.safetensors")
    with safe_open(tmp_path / "bank.safetensors", "np") as file:
        assert json.loads(file.metadata()["polyseme"])["id"] == saved.id
        np.testing.assert_array_equal(file.get_tensor("centroids"), saved.model.centroids)


@pytest.mark.parametrize("name", ["saved", "learnt"])
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_file_with_another_byte_is_refused(name: str, request: pytest.FixtureRequest, data: st.DataObject) -> None:
    whole = sensefile.to_bytes(request.getfixturevalue(name))
    header = int.from_bytes(whole[:8], "little") + 8
    # half of the cases in the header, where a byte may mean nothing
    position = data.draw(st.one_of(st.integers(0, header - 1), st.integers(0, len(whole) - 1)))
    other = data.draw(st.one_of(st.sampled_from(b" \t\n"), st.integers(0, 255)).filter(lambda b: b != whole[position]))
    with pytest.raises(BadFile):
        sensefile.from_bytes(whole[:position] + bytes([other]) + whole[position + 1 :])


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_file_that_is_cut_short_or_goes_on_is_refused(saved: SavedSenses, data: st.DataObject) -> None:
    whole = sensefile.to_bytes(saved)
    cut = data.draw(st.integers(0, len(whole) - 1))
    for changed in (whole[:cut], whole + whole[cut:]):
        with pytest.raises(BadFile, match=r"here\.bin is cut short"):
            sensefile.from_bytes(changed, name="here.bin")


def rewritten(kept: SavedSenses, **document: object) -> bytes:
    """The file with another document, under the id that this content has: made on purpose, not by accident."""
    arrays = sensefile._arrays(kept)
    changed = sensefile._document(kept) | document
    changed["id"] = sensefile._content_id(changed, arrays)
    return safetensors.save(arrays, {"polyseme": sensefile._canonical(changed)})


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"schema_version": 2}, "has schema 2, and this version of Polyseme reads 1"),
        ({"schema_version": "1"}, "no whole sense model"),
        ({"senses": ["s0", "s1"]}, "no whole sense model"),
        ({"senses": ["s0", "s1", "s1"]}, "one id"),
        ({"labels": ["a", "b", "b"]}, "label"),
        ({"more": 1}, "no whole sense model"),
        ({"temperature": 0.0}, "temperature"),
        ({"provenance": {}}, "no whole sense model"),
        ({"exemplars": [[], [], [{"key": "0" * 32, "text": "bank", "start": 0, "end": 4}]]}, "no member"),
    ],
)
def test_a_file_that_was_made_wrong_is_refused(saved: SavedSenses, document: dict[str, object], says: str) -> None:
    assert sensefile.from_bytes(rewritten(saved)).id == saved.id
    with pytest.raises(BadFile, match=says):
        sensefile.from_bytes(rewritten(saved, **document))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("keys", lambda a: a[:, :8]),
        ("keys", lambda a: a[:-1]),
        ("rows", lambda a: a[:, 1:]),
        ("rows", lambda a: a.astype(np.float32)),
        ("rows", lambda a: a * np.float16("nan")),
        ("centroids", lambda a: a[0]),
        ("centroids", lambda a: a[:0]),
        ("sizes", lambda a: a + 1),
        ("sizes", lambda a: a[:, None]),
        ("member_sense", lambda a: a + 1),
        ("member_sense", lambda a: a - 5),
        ("more", lambda a: a),
    ],
)
def test_a_file_with_arrays_that_do_not_fit_is_refused(
    saved: SavedSenses, name: str, change: Callable[[Any], Any]
) -> None:
    arrays = sensefile._arrays(saved)
    arrays[name] = np.ascontiguousarray(change(arrays.get(name, arrays["sizes"])))
    document = sensefile._document(saved)
    whole = document | {"id": sensefile._content_id(document, arrays)}
    with pytest.raises(BadFile, match="no whole sense model"):
        sensefile.from_bytes(safetensors.save(arrays, {"polyseme": sensefile._canonical(whole)}))


def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    weights = safetensors.save({"w": np.zeros(2, np.float32)}, {"format": "pt"})
    with pytest.raises(BadFile, match="holds no sense model"):
        sensefile.from_bytes(weights)
    for data in (b"", b"the bank\n", b"{}", b"\x02" + bytes(7) + b"{}", b"\x04" + bytes(7) + b"null"):
        with pytest.raises(BadFile):
            sensefile.from_bytes(data)
    with pytest.raises(BadFile, match="No such file"):
        sensefile.load(tmp_path / "none")
    with pytest.raises(BadFile, match="directory"):
        sensefile.load(tmp_path)


def test_a_place_that_cannot_be_written_leaves_nothing_behind(saved: SavedSenses, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "no such folder" / "a"):
        with pytest.raises(BadFile, match="cannot write"):
            sensefile.save(saved, path)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


# The id.


def test_the_order_of_the_usages_does_not_matter(saved: SavedSenses) -> None:
    turned = fitting.keep(induced(FakeEncoder(), texts("river", "money", "blood")[::-1], "bank"))
    # ties of size are broken by the rows, so the senses are the same; ids of texts are not part of a sense model
    assert_same(turned, saved)
    some = labelled("river", "money")
    first, second = (fitting.fit(FakeEncoder(), given, "bank")[0] for given in (some, some[::-1]))
    assert first.id == second.id


def test_other_content_has_another_id(saved: SavedSenses, learnt: SavedSenses) -> None:
    fewer = fitting.keep(induced(FakeEncoder(), texts("river", "money", "blood")[1:], "bank"))
    others = [fewer, learnt, edits.rename(saved, "s0", "x"), sensefile.identified(replace(saved, edit="by hand"))]
    assert len({saved.id, *(other.id for other in others)}) == 5
    assert all(len(name) == 20 and int(name, 16) >= 0 for name in (saved.id, learnt.id))


# Edits.


def test_a_rename_touches_nothing_else(saved: SavedSenses) -> None:
    renamed = edits.rename(saved, "s1", "  the  shore ")
    assert renamed.labels == (saved.labels[0], "the shore", saved.labels[2])
    assert (renamed.parent, renamed.edit) == (saved.id, "rename s1 to the shore")
    assert renamed.model is saved.model
    back = replace(renamed, labels=saved.labels, parent=None, edit="induced")
    assert sensefile.identified(back).id == saved.id
    assert edits.rename(saved, "s1", saved.labels[1]).labels == saved.labels


@pytest.mark.parametrize("name", ["saved", "learnt"])
def test_a_merge_keeps_the_senses_that_it_leaves_alone(name: str, request: pytest.FixtureRequest) -> None:
    kept: SavedSenses = request.getfixturevalue(name)
    merged = edits.merge(kept, ["s2", "s0"])
    assert merged.model.senses == ("s0+s2", "s1")
    assert merged.labels == (f"{kept.labels[0]} + {kept.labels[2]}", kept.labels[1])
    assert (merged.parent, merged.edit) == (kept.id, "merge s0, s2")
    assert merged.model.sizes.tolist() == [16, 8]
    np.testing.assert_array_equal(merged.model.centroids[1], kept.model.centroids[1])
    np.testing.assert_allclose(merged.model.centroids[0], kept.model.centroids[[0, 2]].mean(axis=0), atol=1e-6)
    assert (merged.model.weights is None) == (kept.model.weights is None)
    assert {e.key for e in merged.exemplars[0]} & {e.key for e in kept.exemplars[0]}
    assert {e.key for e in merged.exemplars[0]} & {e.key for e in kept.exemplars[2]}
    assert sensefile.from_bytes(sensefile.to_bytes(merged)).id == merged.id


def test_a_split_undoes_a_merge_of_clear_senses(saved: SavedSenses) -> None:
    merged = edits.merge(saved, ["s0", "s2"])
    parts = edits.split(merged, "s0+s2")
    assert parts.model.senses == ("(s0+s2).1", "(s0+s2).2", "s1")
    assert parts.parent == merged.id
    was = dict(zip(saved.keys, saved.member_sense.tolist(), strict=True))
    groups = {(was[own], k) for own, k in zip(parts.keys, parts.member_sense.tolist(), strict=True)}
    assert len(groups) == 3, "each old sense is in one of the new"
    np.testing.assert_array_equal(parts.model.centroids[2], saved.model.centroids[1])
    third = edits.split(parts, "s1", 3)
    assert third.model.senses == ("(s0+s2).1", "(s0+s2).2", "s1.1", "s1.2", "s1.3")
    assert edits.merge(third, ["s1.2", "(s0+s2).1"]).model.senses == ("(s0+s2).1+s1.2", "(s0+s2).2", "s1.1", "s1.3")


def test_all_senses_may_become_one_and_be_parted_again(learnt: SavedSenses) -> None:
    one = edits.merge(learnt, learnt.model.senses)
    assert one.model.senses == ("s0+s1+s2",)
    assert one.model.weights is None
    again = edits.split(one, "s0+s1+s2", 3)
    assert again.model.weights is not None, "it was learnt from labels, and is again"
    assert again.provenance == learnt.provenance


def test_no_id_has_two_meanings_along_a_chain(saved: SavedSenses) -> None:
    meaning: dict[str, set[frozenset[str]]] = {}
    chain = [saved]
    for step in range(6):
        last = chain[-1]
        chain.append(edits.split(last, last.model.senses[0]) if step % 2 else edits.merge(last, last.model.senses[:2]))
    for link in chain:
        for k, name in enumerate(link.model.senses):
            members = frozenset(np.array(link.keys)[link.member_sense == k].tolist())
            meaning.setdefault(name, set()).add(members)
    assert [link.parent for link in chain[1:]] == [link.id for link in chain[:-1]]
    assert all(len(found) == 1 for found in meaning.values()), meaning


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda s: edits.rename(s, "s9", "x"), "no sense 's9'; choose from s0, s1, s2"),
        (lambda s: edits.merge(s, ["s0", "s9"]), "no sense 's9'; choose from s0, s1, s2"),
        (lambda s: edits.split(s, "s9"), "no sense 's9'; choose from s0, s1, s2"),
        (lambda s: edits.merge(s, ["s0", "s0"]), "two senses or more"),
        (lambda s: edits.merge(s, []), "two senses or more"),
        (lambda s: edits.split(s, "s0", 1), "a split into 1"),
        (lambda s: edits.split(s, "s0", 9), "9 senses"),
        (lambda s: edits.rename(s, "s0", " \n"), "empty"),
        (lambda s: edits.rename(s, "s0", "x" * (LONGEST_LABEL + 1)), "201 characters"),
        (lambda s: edits.rename(s, "s0", "a\x1bb"), "control"),
        (lambda s: edits.rename(s, "s0", s.labels[1]), "is that of s1 already"),
    ],
)
def test_an_edit_that_cannot_be(saved: SavedSenses, edit: object, says: str) -> None:
    with pytest.raises(BadOption, match=says):
        edit(saved)  # type: ignore[operator]


def test_a_split_needs_distinct_members() -> None:
    same = fitting.fit(FakeEncoder(), [Labelled(Document("the bank", str(i)), "x") for i in range(5)], "bank")[0]
    with pytest.raises(BadOption, match="only 1 of the 5 usages are distinct"):
        edits.split(same, "s0")


@given(st.lists(st.text("ab ", max_size=3), min_size=1, max_size=6))
def test_labels_are_made_distinct(labels: list[str]) -> None:
    made = distinct_labels(labels, [f"s{k}" for k in range(len(labels))])
    assert len(set(made)) == len(labels)
    assert all(name.strip() and len(name) <= LONGEST_LABEL + len(labels) for name in made)


# Usages put in.


@pytest.mark.parametrize("name", ["saved", "learnt"])
def test_members_get_their_own_senses_back_whatever_the_threshold(name: str, request: pytest.FixtureRequest) -> None:
    kept: SavedSenses = request.getfixturevalue(name)
    given = texts("river", "money", "blood")
    found = assigning.assign(kept, FakeEncoder(), given, threshold=1.0)
    senses = [use.sense for use in found.usages]
    assert [len(set(senses[i : i + 8])) for i in (0, 8, 16)] == [1, 1, 1]
    assert set(senses) == {"s0", "s1", "s2"}
    assert all(use.flags == ("known",) and 0 < use.confidence <= 1 for use in found.usages)
    assert min(use.confidence for use in found.usages) < 1


def test_members_follow_an_edit_against_the_geometry(saved: SavedSenses) -> None:
    """Labels that no geometry could tell apart are given back all the same, and so is an abstention."""
    random = np.random.default_rng(1).permutation(len(saved.keys)) % 3 - 1
    torn = edits.build(
        target="bank",
        ids=["a", "b"],
        labels=["a", "b"],
        keys=saved.keys,
        member_sense=random,
        rows=saved.rows,
        exemplars=[[], []],
        provenance=saved.provenance,
        edit="by hand",
    )
    told = dict(zip(torn.keys, random.tolist(), strict=True))
    given = texts("river", "money", "blood")
    found = assigning.assign(torn, FakeEncoder(), given).usages
    for use in found:
        k = told[key(use.text, use.start, use.end)]
        assert (use.sense, use.flags) == ((None, ("known", "abstained")) if k < 0 else ("ab"[k], ("known",)))
    assert describe(torn).abstained == 8
    again = sensefile.from_bytes(sensefile.to_bytes(edits.merge(torn, ["a", "b"])))
    assert {use.sense for use in assigning.assign(again, FakeEncoder(), given).usages} == {None, "a+b"}


def test_new_usages(learnt: SavedSenses) -> None:
    new = documents(["the bank reed mud river water canoe flood", "the bank zebra quark lemma", "bank", "no such word"])
    found = assigning.assign(learnt, FakeEncoder(), new)
    assert [(use.label, use.flags) for use in found.usages] == [
        ("river", ()),
        (None, ("none-of-these",)),
        (None, ("none-of-these",)),
    ]
    (warning,) = found.warnings
    assert (warning.kind, warning.source_ids) == ("target-missing", ("4",))
    assert (found.sense_model, found.model, found.target) == (learnt.id, "fake", "bank")
    unsure = assigning.assign(learnt, FakeEncoder(), new[:1], threshold=1.0).usages[0]
    assert (unsure.sense, unsure.flags, unsure.confidence) == (None, ("abstained",), found.usages[0].confidence)
    rows = assigning.to_csv(found).split("\r\n")
    assert rows[0].startswith("id,source_id,left,keyword,right,sense,label,confidence")
    assert rows[2].endswith(",4,8,none-of-these")
    assert json.loads(assigning.to_json(found))["usages"][1]["sense"] is None


def test_a_usage_is_known_by_its_place_and_its_whole_text(learnt: SavedSenses) -> None:
    text = texts("river")[0].text
    twice = Document(f"{text} bank", "x")
    spans = Document(text, "y", (Span(4, 7),))
    flags = [use.flags for use in assigning.assign(learnt, FakeEncoder(), [twice, spans]).usages]
    assert not any("known" in own for own in flags)
    long = Document(f"the bank {'filler ' * 100}", "z")
    (use,) = assigning.assign(learnt, FakeEncoder(), [long]).usages
    assert "window" in use.flags
    assert use.text[use.start : use.end] == "bank"


@dataclass
class Other(FakeEncoder):
    """Another revision: other weights under the same name."""

    @property
    def info(self) -> ModelInfo:
        return replace(super().info, revision="2", digest="f" * 64)


def test_another_encoder_is_refused_with_both(saved: SavedSenses) -> None:
    other = Other()
    with pytest.raises(ModelMismatch, match=r"made with fake \(revision 1, weights 0{12}.*revision 2, weights f{12}"):
        assigning.assign(saved, other, texts("river"))
    assert other.asked == [], "before any text is read"
    origin = replace(saved.provenance, representation="another")
    with pytest.raises(ModelMismatch, match="another version of Polyseme"):
        assigning.assign(replace(saved, provenance=origin), FakeEncoder(), texts("river"))


def test_an_encoder_of_another_width_is_refused(saved: SavedSenses) -> None:
    with pytest.raises(ModelMismatch, match="48 numbers a usage, and the model fake gives 16"):
        assigning.assign(saved, FakeEncoder(width=8), texts("river"))


def test_what_cannot_be_assigned(saved: SavedSenses) -> None:
    for threshold in (-0.1, 1.1, float("nan")):
        with pytest.raises(BadOption, match="no probability"):
            assigning.assign(saved, FakeEncoder(), texts("river"), threshold=threshold)
    with pytest.raises(TargetNotFound):
        assigning.assign(saved, FakeEncoder(), documents(["no such word"]))


# Learnt from labels.


def test_labels_become_senses_by_size() -> None:
    given = [*labelled("money"), *labelled("river")[:5], Labelled(Document("no such word", "9"), "lost")]
    kept, notices = fitting.fit(FakeEncoder(), given, "bank")
    assert (kept.model.senses, kept.labels) == (("s0", "s1"), ("money", "river"))
    assert kept.model.sizes.tolist() == [8, 5]
    assert kept.model.weights is not None
    assert kept.provenance.supervised
    assert [notice.kind for notice in notices] == ["target-missing", "label-missing"]
    assert "'lost'" in notices[1].message


def test_two_labels_for_one_usage_are_refused() -> None:
    given = [Labelled(Document("the bank", "a"), "x"), Labelled(Document("the bank", "b"), "y")]
    with pytest.raises(BadOption, match="labels 'x' and 'y', in the texts 'a' and 'b'"):
        fitting.fit(FakeEncoder(), given, "bank")
    again = [given[0], given[0]]
    assert fitting.fit(FakeEncoder(), again, "bank")[0].model.sizes.tolist() == [2]


def test_texts_with_one_id_keep_their_own_labels() -> None:
    given = [Labelled(replace(document, id="same"), label) for document, label in labelled("river", "money")]
    found = assigning.assign(fitting.fit(FakeEncoder(), given, "bank")[0], FakeEncoder(), texts("river", "money"))
    assert [use.label for use in found.usages] == ["river"] * 8 + ["money"] * 8


def test_labels_are_read_from_any_record(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "the bank", "label": 0, "id": "x"}\n\n{"text": "a bank", "label": " b "}\n')
    assert [(found.document.id, found.label) for found in read_labelled(path)] == [("x", "0"), ("3", "b")]
    table = tmp_path / "a.tsv"
    table.write_text("text\tgold\nthe bank\tmoney\n")
    assert [found.label for found in read_labelled(table, label_field="gold")] == ["money"]
    with path.open("rb") as stream:
        assert len(read_labelled(stream)) == 2


@pytest.mark.parametrize(
    ("name", "content", "error", "says"),
    [
        ("a.txt", "the bank\n", BadFile, "without labels"),
        ("a.jsonl", '{"text": "the bank"}\n', BadOption, "line 1 has no field 'label'.*'text'"),
        (
            "a.jsonl",
            '{"text": "bank", "label": "x"}\n{"text": "bank", "label": ""}\n',
            BadFile,
            "line 2: 'label' is ''",
        ),
        ("a.jsonl", '{"text": "bank", "label": null}\n', BadFile, "line 1: 'label' is None"),
        ("a.jsonl", '{"text": "bank", "label": ["x"]}\n', BadFile, "line 1"),
        ("a.csv", "text,label\n", BadFile, "empty"),
    ],
)
def test_labels_that_cannot_be_read(tmp_path: Path, name: str, content: str, error: type, says: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(error, match=says):
        read_labelled(tmp_path / name)


def test_nothing_can_be_kept_of_a_sense_that_abstains_whole() -> None:
    found = induced(FakeEncoder(), texts("river", "money"), "bank")
    silent = np.where(found.assignment.sense == 1, -1, found.assignment.sense)
    with pytest.raises(BadOption, match="every usage of s1 abstains"):
        fitting.keep(found._replace(assignment=replace(found.assignment, sense=silent)))
