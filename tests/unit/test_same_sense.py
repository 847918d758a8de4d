"""The probability that two usages share a sense, on planted data; its file; SemCor's reader; `polyseme fit-pairs`."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from analysis import pair_learning, same_sense
from analysis.errors import BadFile, BadOption, ModelMismatch
from analysis.evaluation import metrics, pair_fit, pairs
from analysis.evaluation.cache import Embedded
from analysis.evaluation.outcome import Options
from analysis.evaluation.run import evaluate
from analysis.evaluation.semcor import semcor
from analysis.pair_learning import Tag
from analysis.same_sense import PairModel
from analysis.types import FloatArray
from service.cli import fit_pairs as command
from service.cli import main
from tests import labelled
from tests.fake import FakeEncoder

WIDTH = 12
DIGEST = "a" * 64


def planted(lemmas: int, seed: int) -> tuple[FloatArray, FloatArray, list[Tag]]:
    """Two senses a lemma, 12 usages each, the same in all three layers: senses differ along six axes, and the other
    six are larger and say nothing.

    A third of the usages stand alone: their context is zero.
    """
    random = np.random.default_rng(seed)
    rows, tags = [], []
    for lemma in range(lemmas):
        for sense, mean in enumerate(random.normal(size=(2, 6))):
            for _ in range(12):
                told = mean + 0.3 * random.normal(size=(2, 6))
                rows.append(np.concatenate([told, 2 * random.normal(size=(2, 6))], axis=1))
                tags.append(Tag(f"lemma{lemma}", "n", str(sense), f"{sense:02}"))
    both = np.array(rows, dtype=np.float32)
    both[::3, 1] = 0
    return three(both[:, 0]), both[:, 1], tags


def three(vectors: FloatArray) -> FloatArray:
    """(N, D) as (N, 3, D)."""
    return np.repeat(vectors[:, None], 3, axis=1)


def learn(lemmas: int = 60, seed: int = 0) -> PairModel:
    return pair_learning.fit(*planted(lemmas, seed), encoder="planted", digest=DIGEST, text="made up", seed=seed)


MODEL = learn()
Row = st.deferred(lambda: arrays(np.float32, (4, WIDTH), elements=st.floats(-3, 3, width=16)))


@settings(max_examples=80, deadline=None)
@given(Row)
def test_symmetric_within_0_and_1_and_never_above_identical_usages(rows: FloatArray) -> None:
    a, b, c, d = (three(row[None]) if k % 2 == 0 else row[None] for k, row in enumerate(rows))
    there = same_sense.same_sense(MODEL, a, b, c, d)
    assert there == same_sense.same_sense(MODEL, c, d, a, b)
    assert 0 <= there[0] <= 1
    if rows[0].any():
        assert same_sense.same_sense(MODEL, a, b, a, b)[0] >= there[0] - 1e-6


def test_the_log_odds_of_each_two_usages_are_those_of_their_probability() -> None:
    layers, context, _ = planted(1, seed=3)
    rows = np.array([5, 0, 9, 17, 3])  # the context of the second, third and last is zero
    odds = same_sense.log_odds(MODEL, layers, context)(rows)
    for i, own in zip(rows, odds, strict=True):
        told = same_sense.same_sense(MODEL, layers[[i] * 5], context[[i] * 5], layers[rows], context[rows])
        np.testing.assert_allclose(1 / (1 + np.exp(-own)), told, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(odds, odds.T)


def test_senses_of_new_words_are_told_apart_better_than_by_cosine_and_calibrated() -> None:
    layers, context, tags = planted(40, seed=7)
    drawn = pair_learning.draw_pairs(tags, seed=1)
    read = Embedded(layers[:, 0], context, layers)
    first, second = read.take(drawn.first), read.take(drawn.second)
    learnt = pairs.pair_scores(MODEL, first, second)
    cosine = metrics.auroc(pairs.pair_scores(None, first, second), drawn.same)
    assert metrics.auroc(learnt, drawn.same) > cosine + 0.1
    assert metrics.balanced_accuracy(drawn.same, learnt >= 0.5) > 0.8
    assert metrics.expected_calibration_error(learnt, drawn.same) < 0.13


def test_the_same_seed_gives_the_same_model_and_held_back_nouns_teach_nothing() -> None:
    layers, context, tags = planted(20, seed=2)

    def learnt(tags: list[Tag]) -> PairModel:
        return pair_learning.fit(layers, context, tags, encoder="planted", digest=DIGEST, text="made up")

    first, again = learnt(tags), learnt(tags)
    np.testing.assert_array_equal(first.coefficients, again.coefficients)
    np.testing.assert_array_equal(first.target_map, again.target_map)
    bank = [tag._replace(lemma="Bank") if tag.lemma == "lemma3" else tag for tag in tags]
    assert learnt(bank).learnt.usages == first.learnt.usages - 24


def test_what_is_neither_same_nor_different_is_not_drawn() -> None:
    plural = Tag("run", "n", "3", "41", "runs")
    tags = [Tag("run", "n", "1", "38", "run"), Tag("run", "n", "2", "38", "run"), Tag("run", "v", "1", "04", "run")] * 4
    with pytest.raises(BadOption, match="lexicographer"):
        pair_learning.draw_pairs([*tags, plural])
    tags += [Tag("run", "n", "3", "41", "run"), plural, plural]
    drawn = pair_learning.draw_pairs(tags)
    for first, second, same in zip(drawn.first, drawn.second, drawn.same, strict=True):
        a, b = tags[first], tags[second]
        assert (a.lemma, a.pos, a.form) == (b.lemma, "n", b.form)
        assert (a.sense == b.sense) == same
        assert same or a.file != b.file


def test_the_layers_of_a_target_stand_from_the_middle_up() -> None:
    assert [same_sense.middle_layers(n) for n in (12, 6, 30, 1)] == [(6, 8, 10), (3, 4, 5), (15, 20, 25), (0, 1, 1)]


# ---- the file ----


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "new" / "m.safetensors"
    same_sense.save(MODEL, path)
    read = same_sense.load(path, digest=DIGEST)
    assert read.learnt == MODEL.learnt
    for name in ("target_map", "context_map", "coefficients"):
        np.testing.assert_array_equal(getattr(read, name), getattr(MODEL, name))
    assert [file.name for file in path.parent.iterdir()] == ["m.safetensors"]


def test_another_encoders_model_is_refused_with_both_digests(tmp_path: Path) -> None:
    path = tmp_path / f"{'b' * 64}.safetensors"
    same_sense.save(MODEL, path)
    with pytest.raises(ModelMismatch, match=f"{DIGEST}.*{'b' * 64}"):
        same_sense.for_encoder("b" * 64, tmp_path)


def test_changed_content_is_refused_with_both_digests(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    same_sense.save(MODEL, path)
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BadFile, match=r"changed .* says [0-9a-f]{64} and is [0-9a-f]{64}"):
        same_sense.load(path)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_byte_of_the_file_can_be_another(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("pairs") / "m.safetensors"
    same_sense.save(MODEL, path)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    flipped = bytes([whole[at] ^ data.draw(st.integers(1, 255))])
    path.write_bytes(data.draw(st.sampled_from([whole[:at], whole[:at] + flipped + whole[at + 1 :], whole + b" "])))
    with pytest.raises(BadFile):
        same_sense.load(path)


@pytest.mark.parametrize("version", [1, 3])
def test_another_schema_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    path = tmp_path / "m.safetensors"
    with monkeypatch.context() as newer:
        newer.setattr(same_sense, "SCHEMA_VERSION", version)
        same_sense.save(MODEL, path)
    with pytest.raises(BadFile, match=f"schema {version}"):
        same_sense.load(path)


def test_the_callers_own_model_comes_before_the_one_that_ships(tmp_path: Path) -> None:
    shipped = [same_sense.load(path) for path in sorted(same_sense.SHIPPED.glob("*.safetensors"))]
    mpnet = next(model for model in shipped if model.learnt.encoder == "mpnet")
    assert all(path.stat().st_size < 2_000_000 for path in same_sense.SHIPPED.glob("*.safetensors"))
    found = same_sense.for_encoder(mpnet.digest, tmp_path)
    assert found is not None
    assert found.learnt == mpnet.learnt
    own = replace(MODEL, learnt=replace(MODEL.learnt, digest=mpnet.digest))
    same_sense.save(own, tmp_path / f"{mpnet.digest}.safetensors")
    found = same_sense.for_encoder(mpnet.digest, tmp_path)
    assert found is not None
    assert found.learnt == own.learnt
    assert same_sense.for_encoder(DIGEST, tmp_path) is None


# ---- SemCor ----

TEXT = """<contextfile concordance=brown>
<context filename=br-a01 paras=yes>
<p pnum=1>
<s snum=1>
<wf cmd=done rdf=group pos=NNP lemma=group wnsn=1 lexsn=1:03:00:: pn=group>Fulton_County</wf>
<wf cmd=done pos=VB lemma=take_place wnsn=2 lexsn=2:30:00::>took_place</wf>
<wf cmd=ignore pos=IN>near</wf>
<wf cmd=done pos=NN lemma=river wnsn=1 lexsn=1:17:00::>rivers</wf>
<wf cmd=done pos=NN lemma=year wnsn=1;2 lexsn=1:28:01::;1:28:02::>years</wf>
<wf cmd=done pos=JJ lemma=wide wnsn=0 lexsn=3:00:00::>wide</wf>
<wf cmd=done pos=JJ lemma=recent wnsn=2 lexsn=5:00:00:past:00>recent</wf>
<punc>.</punc>
</s>
</p>
</context>
</contextfile>
"""


def write_semcor(folder: Path, text: str = TEXT) -> Path:
    (folder / "brown1" / "tagfiles").mkdir(parents=True)
    (folder / "brown1" / "tagfiles" / "br-a01").write_text(text)
    (folder / "brown1" / "tagfiles" / "._br-a01").write_bytes(b"\xff")
    (folder / "README").write_text("not a tag file")
    return folder


def pack(folder: Path, path: Path) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder, "semcor3.0")
        link = tarfile.TarInfo("semcor3.0/brown1/tagfiles/br-link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return path


def test_semcor_gives_each_tagged_usage_from_the_folder_and_from_the_archive(tmp_path: Path) -> None:
    folder = write_semcor(tmp_path / "semcor3.0")
    before = sorted(tmp_path.rglob("*"))
    found = list(semcor(folder))
    assert [(usage.occurrence.surface, *usage.tag) for usage in found] == [
        ("took place", "take place", "v", "2", "30", "took place"),
        ("rivers", "river", "n", "1", "17", "rivers"),
        ("recent", "recent", "a", "2", "00", "recent"),
    ]
    assert {usage.occurrence.text for usage in found} == {"Fulton County took place near rivers years wide recent ."}
    assert sorted(tmp_path.rglob("*")) == before
    archive = pack(folder, tmp_path / "semcor.tar.gz")
    assert list(semcor(archive)) == found
    assert sorted(tmp_path.rglob("*")) == sorted([*before, archive])


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("<punc>.</punc>", "<punc>.", 12),
        ("<s snum=1>\n", "", 4),
        ("</s>\n", "", 13),
        ("lexsn=2:30:00::", "lexsn=2", 6),
        (">near<", ">ne<b>ar<", 7),
        ("</contextfile>\n", "<s snum=2>\n", 16),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_semcor_says_where_it_is_malformed(tmp_path: Path, old: str, new: str, line: int, packed: bool) -> None:
    assert old in TEXT
    path = write_semcor(tmp_path / "semcor3.0", TEXT.replace(old, new))
    with pytest.raises(BadFile, match=rf"br-a01, line {line}: .*expected "):
        list(semcor(pack(path, tmp_path / "semcor.tar.gz") if packed else path))


def test_semcor_refuses_what_is_no_semcor(tmp_path: Path) -> None:
    folder = write_semcor(tmp_path / "semcor3.0")
    packed = pack(folder, tmp_path / "semcor.tar.gz")
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(packed.read_bytes()[:-200])
    empty = tmp_path / "empty"
    empty.mkdir()
    for path in (cut, empty, folder / "README", tmp_path / "none.tar.gz"):
        with pytest.raises(BadFile, match=path.name):
            list(semcor(path))
    latin = io.BytesIO(TEXT.encode().replace(b">near<", b">n\xe9ar<")).getvalue()
    (folder / "brown1" / "tagfiles" / "br-a01").write_bytes(latin)
    with pytest.raises(BadFile, match=r"br-a01, line 7: it is not UTF-8"):
        list(semcor(folder))


# ---- the fit for any encoder ----


def many_lemmas(n: int = 40, river: Sequence[str] = labelled.RIVER, money: Sequence[str] = labelled.MONEY) -> str:
    """Nouns with a sense in a river's context and one in money's, "bank" among them."""
    lines = ["<contextfile concordance=brown>"]
    for i in range(n):
        lemma = "bank" if i == 0 else f"noun{i}"
        for sense, (file, texts) in enumerate((("17", river), ("14", money)), 1):
            for text in texts:
                words = [f"<wf cmd=ignore pos=NN>{word}</wf>" for word in text.split() if word != "bank"]
                tagged = f"<wf cmd=done pos=NN lemma={lemma} wnsn={sense} lexsn=1:{file}:00::>{lemma}</wf>"
                lines += ["<s snum=1>", tagged, *words, "</s>"]
    return "\n".join([*lines, "</contextfile>"]) + "\n"


def test_the_sample_is_of_whole_texts_and_keeps_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usages = list(semcor(write_semcor(tmp_path / "semcor3.0", many_lemmas())))
    drawn = pair_fit.sample(usages, Options(limit=100))
    texts = {usage.occurrence.text for usage in drawn}
    assert len(texts) == 100
    assert len(drawn) == sum(usage.occurrence.text in texts for usage in usages)
    assert drawn == pair_fit.sample(usages, Options(limit=100)) != pair_fit.sample(usages, Options(1, 100))
    assert "bank" not in {usage.tag.lemma for usage in pair_fit.sample(usages, Options())}
    monkeypatch.setattr(pair_fit, "MOST_OF_A_LEMMA", 2)
    assert len(pair_fit.sample(usages, Options())) == 2 * 39


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[object, str, str]]:
    monkeypatch.setenv("POLYSEME_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(command, "load_encoder", lambda _: FakeEncoder())

    def polyseme(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr("sys.argv", ["polyseme", "fit-pairs", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return (ended.value.code, *capsys.readouterr())

    return polyseme


def test_the_command_and_the_evaluation_that_then_uses_it(
    run: Callable[..., tuple[object, str, str]], tmp_path: Path
) -> None:
    data = write_semcor(tmp_path / "semcor3.0", many_lemmas())
    code, out, err = run(str(data), "--json", "-")
    assert (code, err) == (0, "")
    told = json.loads(out)
    home = tmp_path / "home" / "pairs"
    assert told["file"] == str(home / f"{'0' * 64}.safetensors")
    assert told["held_out"]["auroc"] > 0.9
    assert 0.5 < told["held_out"]["cosine_auroc"] <= 1
    assert told["learnt"]["lemmas"] == 39
    assert list((tmp_path / "home" / "evaluation").rglob("*.npz"))
    code, out, err = run(str(data), "--limit", "400", "--seed", "1")
    assert (code, err) == (0, "")
    assert "AUROC" in out
    assert "the cosine" in out
    wic = labelled.write_wic(tmp_path / "wic")
    assert evaluate(FakeEncoder(), "wic", wic).report["score"] == "cosine"
    learnt = evaluate(FakeEncoder(), "wic", wic, Options(pairs=home)).report
    assert (learnt["score"], learnt["mean"]["accuracy"]) == ("same_sense", 1)
    assert 0 < learnt["mean"]["threshold"] < 1


def test_what_is_no_better_than_the_cosine_is_not_kept(
    run: Callable[..., tuple[object, str, str]], tmp_path: Path
) -> None:
    """Each sense always stands in the same sentence but for one word, so the cosine is right of every pair."""
    river, money = ([f"{text} {end}" for end in "abcdefgh"] for text in (labelled.RIVER[0], labelled.MONEY[0]))
    code, out, err = run(str(write_semcor(tmp_path / "semcor3.0", many_lemmas(40, river, money))))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "no better than the cosine" in err
    assert not (tmp_path / "home" / "pairs").exists()


def test_too_little_text_is_one_line(run: Callable[..., tuple[object, str, str]], tmp_path: Path) -> None:
    code, out, err = run(str(write_semcor(tmp_path / "semcor3.0")))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "lexicographer" in err
    assert not (tmp_path / "home" / "pairs").exists()
