"""`polyseme lexicon pull`: WordNet 3.0 from the first source that answers, checked, and kept in HOME/lexicon.

    Source --fetch--> folder beside HOME/lexicon --check digests, rename--> HOME/lexicon/wordnet-3.0

Two sources have the same dictionary in bytes of their own (Debian mends some misprints), so each has pins of its own.
nltk's reader wants `lexnames`, the table of lexnames(5WN); a package without it gets it from here.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from filelock import FileLock

from analysis.errors import DigestMismatch, DownloadFailed, LexiconNotPulled, PolysemeError
from analysis.fetch import MANIFEST, Say, one_line

NAME = "wordnet-3.0"
LICENCE = "LICENSE"
FILES = (
    *(f"{kind}.{pos}" for kind in ("data", "index") for pos in ("adj", "adv", "noun", "verb")),
    *(f"{pos}.exc" for pos in ("adj", "adv", "noun", "verb")),
    "cntlist.rev",
)
NLTK_ZIP = "cbda5ea6eef7f36a97a43d4a75f85e07fccbb4f23657d27b4ccbc93e2646ab59"  # corpora/wordnet.zip, 10,775,600 bytes
DEBIAN: Mapping[str, str] = {  # of wordnet-base 1:3.0-37
    "adj.exc": "8824cc24bbedd797b9702316b27f07cd4c2b76b629539f0a1276f03926758016",
    "adv.exc": "e7291461b629abfe63301bbe1998cee09fd575ed7107abd7ea9763adb05bf0a8",
    "cntlist.rev": "a198580b8f705fa02797bba8b13e5cbe4a9f9f40cb1697e774c7fc6a5865b035",
    "data.adj": "c89120dfc1f046ddff4a631bf9b7e9fa1a36b5e86565a23bf82dbe14f30b88a7",
    "data.adv": "444a63bf3955080ab7524f5079cfc07ff9bc682cb98bdb1db73b0fb9829f1139",
    "data.noun": "fea17d2f9656611334eac790e5d69e47645fa180c4aa481fb4cd9b3520754ca2",
    "data.verb": "adcf43e35b581e8036d8b5a52d63d9cd3d3b4870b2720d3c03c799df44777bc2",
    "index.adj": "c9865d7b4d1f805bdef82ccdcea5282436e23083e6f6f1b33e716327c4eda810",
    "index.adv": "6f5465ed5758fe9c8a2f7ec17b1300f3aa875756c70ff7cba162f7e71bcf88ea",
    "index.noun": "a490d99d93d017bf4822fe2f0ffa51fd73911ce271dc7535fade21f8814b5a04",
    "index.verb": "e2ac24816c3a8289dcb72aaa9cf8db81fdf25ec34d792bfc96ac5b7a20c8b4ae",
    "noun.exc": "2b5d675c380b39ecf595af9fa9d4e7feb1d58c643b0bff08c40ed5bfe41fab7a",
    "verb.exc": "dbbcf9a601b2d77e934e413b91d90e88ec7f933a8b77cfc00602a923b891b42c",
}
# lexnames(5WN): the lexicographer files in the order of their numbers, and the part of speech of each.
_NOUNS = (
    "Tops act animal artifact attribute body cognition communication event feeling food group location motive object "
    "person phenomenon plant possession process quantity relation shape state substance time"
)
_VERBS = (
    "body change cognition communication competition consumption contact creation emotion motion perception possession "
    "social stative weather"
)
LEXNAMES = (
    ("adj.all", 3), ("adj.pert", 3), ("adv.all", 4),
    *((f"noun.{name}", 1) for name in _NOUNS.split()),
    *((f"verb.{name}", 2) for name in _VERBS.split()),
    ("adj.ppl", 3),
)  # fmt: skip
_REMEDY = "run `polyseme lexicon pull`"

# Puts FILES and the licence into an empty folder and says where they are from, or raises PolysemeError or OSError.
Fetcher = Callable[[Path, Say], str]


def folder(home: Path) -> Path:
    """Where the dictionary is kept."""
    return home / "lexicon" / NAME


def pull(home: Path, *, say: Say = lambda _: None, fetchers: Sequence[Fetcher] | None = None) -> Path:
    """The dictionary's folder, filled unless it is there and right.

    The fetchers are tried in order; nothing is kept of one that breaks off or gives a wrong byte. Raises
    DownloadFailed or DigestMismatch with what each source answered.
    """
    place = folder(home)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(place.parent / f".{NAME}.lock"):
            with suppress(LexiconNotPulled, DigestMismatch):
                return verify(home)
            return _fetch(place, say, fetchers or (from_nltk, from_debian))
    except OSError as error:
        raise DownloadFailed(
            f"WordNet cannot be kept in {place.parent}: {one_line(error)}",
            remedy="make it a folder with room that can be written to, or choose another home",
        ) from error


def verify(home: Path) -> Path:
    """Hashes every file against what was noted when it was pulled. Raises LexiconNotPulled, DigestMismatch."""
    return _checked(home, every_byte=True)


def found(home: Path) -> Path:
    """The dictionary's folder; a file is hashed only if its size or time is not what was noted.

    Raises LexiconNotPulled, and DigestMismatch for a file that was changed or is missing.
    """
    return _checked(home, every_byte=False)


def source(home: Path) -> str:
    """Where the dictionary is from. Raises LexiconNotPulled."""
    return str(_manifest(folder(home))["source"])


def from_nltk(into: Path, say: Say) -> str:
    """A Fetcher: nltk's own download."""
    say("WordNet: asking nltk's server")
    from nltk.downloader import Downloader

    with tempfile.TemporaryDirectory(dir=into.parent) as scratch:
        try:
            with Path(scratch, "log").open("w", encoding="utf-8") as log:
                Downloader().download(
                    "wordnet", download_dir=scratch, quiet=True, raise_on_error=True, print_error_to=log
                )
        except Exception as error:  # its own errors, and those of whatever it reads with
            raise DownloadFailed(f"nltk's server: {one_line(error)}", remedy="pull again when it answers") from error
        archive = Path(scratch, "corpora", "wordnet.zip")
        _compare(archive, NLTK_ZIP, "nltk's server")
        try:
            with ZipFile(archive) as opened:
                for name in (*FILES, LICENCE):
                    with opened.open(f"wordnet/{name}") as given, (into / name).open("wb") as kept:
                        shutil.copyfileobj(given, kept)
        except (BadZipFile, KeyError) as error:
            raise DownloadFailed(f"nltk's server: {one_line(error)}", remedy="pull again") from error
    return "nltk: corpora/wordnet.zip"


def from_debian(into: Path, say: Say) -> str:
    """A Fetcher: Debian's package, downloaded and unpacked without being installed, so without root."""
    say("WordNet: downloading Debian's wordnet-base")
    with tempfile.TemporaryDirectory(dir=into.parent) as scratch:
        _run(["apt-get", "download", "wordnet-base"], scratch)
        packages = sorted(Path(scratch).glob("*.deb"))
        if not packages:
            raise DownloadFailed("Debian: apt-get gave no package", remedy="run `apt-get update`, then pull again")
        _run(["dpkg-deb", "-x", str(packages[0]), "unpacked"], scratch)
        unpacked = Path(scratch, "unpacked")
        for name in FILES:
            shutil.copyfile(unpacked / "usr/share/wordnet" / name, into / name)
            _compare(into / name, DEBIAN[name], "Debian's wordnet-base")
        shutil.copyfile(unpacked / "usr/share/doc/wordnet-base/copyright", into / LICENCE)
        return f"Debian: {packages[0].name.removesuffix('.deb').replace('%3a', ':')}"


def _run(command: Sequence[str], where: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=where, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DownloadFailed(f"Debian: {one_line(error)}", remedy=f"install {command[0]}, then pull again") from error
    if done.returncode != 0:
        told = (done.stderr.strip().splitlines() or [f"{command[0]} failed and said nothing"])[-1]
        raise DownloadFailed(f"Debian: {told[:200]}", remedy=f"see that `{' '.join(command[:3])}` works")


def _fetch(place: Path, say: Say, fetchers: Sequence[Fetcher]) -> Path:
    partial = place.parent / f".{place.name}.partial"
    failures: list[PolysemeError] = []
    try:
        for fetch in fetchers:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                origin = fetch(partial, say)
                _admit(partial, origin)
            except (PolysemeError, OSError) as error:
                failed = error if isinstance(error, PolysemeError) else DownloadFailed(one_line(error), remedy=_REMEDY)
                say(f"WordNet: {failed.what}")
                failures.append(failed)
                continue
            shutil.rmtree(place, ignore_errors=True)
            partial.rename(place)
            say(f"WordNet: from {origin}")
            return place
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    # A wrong byte says more than that another source did not answer.
    worst = next((failure for failure in failures if isinstance(failure, DigestMismatch)), failures[-1])
    raise type(worst)(f"WordNet was not pulled: {'; '.join(f.what for f in failures)}", remedy=worst.remedy)


def _admit(partial: Path, origin: str) -> None:
    """Writes the table of lexicographer files and the manifest."""
    lines = [f"{number:02}\t{name}\t{pos}\n" for number, (name, pos) in enumerate(LEXNAMES)]
    (partial / "lexnames").write_text("".join(lines), encoding="ascii")
    noted = {name: _facts(partial / name) | {"sha256": _sha256(partial / name)} for name in (*FILES, "lexnames")}
    manifest = {"name": NAME, "source": origin, "files": noted}
    (partial / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _checked(home: Path, *, every_byte: bool) -> Path:
    place = folder(home)
    for name, noted in _manifest(place)["files"].items():
        path = place / name
        same = path.is_file() and all(noted.get(key) == value for key, value in _facts(path).items())
        if every_byte or not same:
            _compare(path, str(noted["sha256"]), "WordNet")
    return place


def _manifest(place: Path) -> dict[str, dict[str, dict[str, str | int]]]:
    try:
        manifest: dict[str, dict[str, dict[str, str | int]]] = json.loads((place / MANIFEST).read_bytes())
        missing = {*FILES, "lexnames"} - set(manifest["files"])
    except FileNotFoundError as error:
        raise LexiconNotPulled("the dictionary, WordNet 3.0, is not on this machine", remedy=_REMEDY) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LexiconNotPulled("the list of the dictionary's files cannot be read", remedy=_REMEDY) from error
    if missing:
        raise LexiconNotPulled(f"the dictionary lacks {', '.join(sorted(missing))}", remedy=_REMEDY)
    return manifest


def _compare(path: Path, wanted: str, where: str) -> None:
    found_ = _sha256(path) if path.is_file() else "none, for it is missing"
    if found_ != wanted:
        raise DigestMismatch(f"{path.name} of {where}: its SHA-256 should be {wanted} and is {found_}", remedy=_REMEDY)


def _facts(path: Path) -> dict[str, str | int]:
    return {"size": path.stat().st_size, "mtime": int(path.stat().st_mtime)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
