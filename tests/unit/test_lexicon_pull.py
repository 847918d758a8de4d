"""Pulling the dictionary, with small files: fake fetchers, and the real commands where they fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.errors import DigestMismatch, DownloadFailed, LexiconNotPulled
from analysis.fetch import Say
from analysis.lexicon import pull


def good(into: Path, say: Say) -> str:
    for name in (*pull.FILES, pull.LICENCE):
        (into / name).write_text(f"of {name}", encoding="utf-8")
    return "a test"


def silent_server(into: Path, say: Say) -> str:
    (into / "data.noun").write_text("half of it", encoding="utf-8")
    raise DownloadFailed("the first source: no answer", remedy="wait")


def wrong_bytes(into: Path, say: Say) -> str:
    raise DigestMismatch("data.noun of the first source: its SHA-256 should be a and is b", remedy="pull again")


def test_the_first_source_that_answers_gives_it(tmp_path: Path) -> None:
    told: list[str] = []
    place = pull.pull(tmp_path, say=told.append, fetchers=(silent_server, good))
    assert place == pull.found(tmp_path) == pull.verify(tmp_path) == tmp_path / "lexicon" / "wordnet-3.0"
    assert (place / "data.noun").read_text(encoding="utf-8") == "of data.noun"
    assert (place / pull.LICENCE).is_file()
    assert pull.source(tmp_path) == "a test"
    assert told == ["WordNet: the first source: no answer", "WordNet: from a test"]
    assert sorted(path.name for path in place.parent.glob("[!.]*")) == ["wordnet-3.0"]


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    pull.pull(tmp_path, fetchers=(good,))
    assert pull.pull(tmp_path, fetchers=(silent_server,)) == pull.folder(tmp_path)


def test_no_source_answers(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="the first source: no answer"):
        pull.pull(tmp_path, fetchers=(silent_server,))
    with pytest.raises(DigestMismatch, match=r"no answer; data\.noun of the first source"):
        pull.pull(tmp_path, fetchers=(silent_server, wrong_bytes))
    assert list((tmp_path / "lexicon").glob("[!.]*")) == []
    with pytest.raises(LexiconNotPulled, match="run `polyseme lexicon pull`"):
        pull.found(tmp_path)


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_a_damaged_file_is_named_and_pulled_again(tmp_path: Path, damage: str) -> None:
    file = pull.pull(tmp_path, fetchers=(good,)) / "index.verb"
    if damage == "gone":
        file.unlink()
    else:
        file.write_text("something longer than before", encoding="utf-8")
    with pytest.raises(DigestMismatch, match=r"index\.verb of WordNet.*run `polyseme lexicon pull`"):
        pull.found(tmp_path)
    pull.pull(tmp_path, fetchers=(good,))
    assert file.read_text(encoding="utf-8") == "of index.verb"


@pytest.mark.parametrize("manifest", ["", "[]", '{"files": {}}'])
def test_a_list_of_files_that_says_nothing(tmp_path: Path, manifest: str) -> None:
    (pull.pull(tmp_path, fetchers=(good,)) / "polyseme.json").write_text(manifest, encoding="utf-8")
    with pytest.raises(LexiconNotPulled):
        pull.found(tmp_path)


def test_the_table_of_lexicographer_files(tmp_path: Path) -> None:
    lines = (pull.pull(tmp_path, fetchers=(good,)) / "lexnames").read_text(encoding="ascii").splitlines()
    assert len(lines) == 45
    assert [lines[i] for i in (0, 3, 14, 29, 44)] == [
        "00\tadj.all\t3", "03\tnoun.Tops\t1", "14\tnoun.group\t1", "29\tverb.body\t2", "44\tadj.ppl\t3",
    ]  # fmt: skip


def test_debian_without_its_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DownloadFailed, match="Debian: FileNotFoundError"):
        pull.pull(tmp_path / "home", fetchers=(pull.from_debian,))


def test_debian_with_programs_that_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "apt-get"
    program.write_text("#!/bin/sh\necho 'E: Unable to locate package' >&2\nexit 100\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(DownloadFailed, match="E: Unable to locate package"):
        pull.pull(tmp_path / "home", fetchers=(pull.from_debian,))
