"""The output folder of a run: what is in it, and how it is written so that a run that was broken off goes on.

    DIR/run.json                      which run it is: options and inputs
    DIR/target=bank/usages-00000.parquet ...   senses.parquet  analysis.json  report.html  bank.senses
    DIR/skipped.jsonl                 a line for each text that could not be read
    DIR/report.json  report.html      written last: a folder that has them is finished
    DIR/.work/                        what only a run that is under way needs

Each file is written whole under another name and then renamed: a name that is there is a step that is done.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock, Timeout

from analysis.errors import BadFile, BadOption

LONGEST_NAME = 200  # bytes of a target's name in its folder's
_FULL = (errno.ENOSPC, errno.EDQUOT)
Write = Callable[[Path, bytes], None]
Run = Mapping[str, Any]  # options and inputs, as JSON has them


def write_through(path: Path, content: bytes) -> None:
    """The content on the disk itself, not only in memory that a power cut would lose."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


class Folder:
    """The folder of one run. Errors of the disk are BadFile, with --resume as the remedy; `write` does the writing."""

    def __init__(self, path: Path, *, write: Write = write_through) -> None:
        self.path = path
        self.work = path / ".work"
        self._write = write

    @contextmanager
    def taken(self, run: Run, *, resume: bool) -> Iterator[None]:
        """The folder held for this run, and no other process.

        Raises BadOption where it holds something else: another run, or without `resume` anything at all.
        """
        if self.path.exists() and not self.path.is_dir():
            raise BadOption(f"{self.path} is a file", remedy="name a folder", where=("out",))
        lock = FileLock(self.path / ".lock")
        with self._told():
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                what = f"another process is writing to {self.path}"
                raise BadOption(what, remedy="wait for it, or name another folder", where=("out",)) from None
        try:
            self._check(run, resume)
            if not (self.path / "run.json").exists():
                self.write_json(self.path / "run.json", run)
            yield
        finally:
            lock.release()

    @property
    def is_finished(self) -> bool:
        return (self.path / "report.json").exists()

    def of(self, target: str) -> Path:
        """Where the results of a target are, named as Hive names partitions. BadOption for one that is too long."""
        name = quote(target, safe=" ")
        if len(name) > LONGEST_NAME:
            raise BadOption(f"the target {target[:20]!r}... is too long", remedy="give one word", where=("target",))
        return self.path / f"target={name}"

    def work_of(self, target: str) -> Path:
        """Where the work on a target is kept while it is under way."""
        return self.work / self.of(target).name

    def write(self, path: Path, content: bytes) -> None:
        """The whole file or nothing of it."""
        part = path.with_name(f".{path.name}.part")
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._write(part, content)
                part.replace(path)
            except OSError:
                part.unlink(missing_ok=True)
                raise

    def write_json(self, path: Path, content: object) -> None:
        self.write(path, to_json(content))

    def append(self, path: Path, at: int, content: bytes) -> int:
        """The content written behind the first `at` bytes, all else cut off; gives the new length."""
        with self._told(), path.open("r+b" if path.exists() else "w+b") as file:
            file.truncate(at)
            file.seek(at)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return at + len(content)

    def clear_work(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)

    def _check(self, run: Run, resume: bool) -> None:
        known = self.path / "run.json"
        others = [entry.name for entry in self.path.iterdir() if entry.name not in (".lock", ".run.json.part")]
        if not known.exists():
            if others:
                what = f"{self.path} is not empty, and holds no run of this command: {', '.join(sorted(others)[:3])}"
                raise BadOption(what, remedy="name a new or empty folder", where=("out",))
            return
        if not resume:
            what = f"{self.path} holds {'a finished run' if self.is_finished else 'a run that was broken off'}"
            raise BadOption(what, remedy="go on with it with --resume, or name another folder", where=("out",))
        try:
            before = json.loads(known.read_bytes())
        except (OSError, ValueError) as error:
            what = f"{known} cannot be read ({error})"
            raise BadFile(what, remedy="name another folder", where=("out",)) from error
        differences = _differences(before, json.loads(json.dumps(run)))
        if differences:
            what = f"{self.path} holds another run: {'; '.join(differences)}"
            remedy = "go on with the options and files of that run, or name another folder"
            raise BadOption(what, remedy=remedy, where=("resume",))

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            remedy = "name a folder that you may write to"
            if error.errno in _FULL:
                remedy = "make room, then give the same command with --resume: what is done is kept"
            raise BadFile(f"cannot write to {self.path}: {error.strerror}", remedy=remedy, where=("out",)) from error


def to_json(content: object) -> bytes:
    return (json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n").encode()


def _differences(before: Any, now: Any) -> list[str]:
    """What differs, in words; at most five."""
    found = [
        f"{name} was {_short(before.get('options', {}).get(name))}, and now is {_short(value)}"
        for name, value in now["options"].items()
        if before.get("options", {}).get(name) != value
    ]
    old, new = ({row[0]: row[1:] for row in run.get("inputs", [])} for run in (before, now))
    found += [f"the file {name} is new" for name in new.keys() - old.keys()]
    found += [f"the file {name} is gone" for name in old.keys() - new.keys()]
    found += [f"the file {name} was changed" for name in new.keys() & old.keys() if new[name] != old[name]]
    if before.get("schema_version") != now["schema_version"]:
        found.append("another version of Polyseme made it")
    return sorted(found)[:5]


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."
