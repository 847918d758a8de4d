"""run(): the whole of a corpus run, on one screen.

Each step is kept in the output folder when it is done, so that a run that was broken off goes on behind its last part,
and finds what it would have found unbroken.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache, reduce
from io import BytesIO
from itertools import islice
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from analysis import report as pages
from analysis import sensefile
from analysis.assemble import Options
from analysis.corpora.engines import Engine
from analysis.corpora.finding import Use
from analysis.corpora.folder import Folder, to_json
from analysis.corpora.learning import Learnt, LearnTask, half_model, learn
from analysis.corpora.placing import Counts, Known, place, place_of
from analysis.corpora.reading import Block, ReadTask, nothing_to_read, read, topped_up
from analysis.corpora.search import Query, Reached, drawn, search
from analysis.corpora.sources import Files
from analysis.corpora.summary import (
    SCHEMA_VERSION,
    Report,
    TargetReport,
    from_bytes,
    senses_parquet,
    skips,
    speaks,
    target_senses,
    to_html,
)
from analysis.errors import BadOption, TargetNotFound
from analysis.pipeline import Watch, unwatched
from analysis.record import from_json
from analysis.types import Progress, silent

BLOCK = 1000  # uses a part: what a run that is broken off does anew at the most, for each worker


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a run.

    digest    of the model's weights, the name of which is `model`
    sample    uses of each target that are read at the most; None: all
    fit       of these, those that the senses are learnt from
    strict    a text that cannot be read ends the run; else it is skipped, counted and named
    """

    targets: tuple[str, ...]
    model: str
    digest: str
    options: Options
    text_field: str = "text"
    id_field: str | None = None
    sample: int | None = 10_000
    fit: int = 2000
    strict: bool = False
    pairs: Path | None = None


def run(
    folder: Folder,
    files: Files,
    plan: Plan,
    engine: Engine,
    *,
    resume: bool = False,
    watch: Watch = unwatched,
    block: int = BLOCK,
) -> Report:
    """The senses of all targets in the files, written to the folder; the report is what is in its report.json.

    Raises TargetNotFound where no text uses any of the targets; BadOption for an option that cannot be, or a folder
    that holds another run; BadFile where the disk is full, or for the first text that a strict run cannot read.
    """
    _check(plan)
    asked = _identity(files, plan, block)
    with folder.taken(asked, resume=resume):
        if not folder.is_finished:
            query = Query(
                plan.targets, plan.options.match, plan.options.language, plan.text_field, plan.id_field, plan.sample,
                plan.options.seed, plan.strict,
            )  # fmt: skip
            kilobytes = sum(source.size for source in files.sources) // 1000
            progress = _thousandths(watch("search, kB", kilobytes))
            reached = search(folder, files.sources, query, progress)
            if not any(reached.found):
                raise _nothing(folder, plan, reached)
            under_way = _Run(folder, plan, reached, block)
            under_way.learn(engine, watch)
            under_way.read(engine, watch)
            under_way.report(files, asked["options"])
        folder.clear_work()
        return from_bytes((folder.path / "report.json").read_bytes())


class _Run:
    def __init__(self, folder: Folder, plan: Plan, reached: Reached, block: int) -> None:
        self._folder, self._plan, self._reached, self._block = folder, plan, reached, block
        self._fit = plan.fit if plan.sample is None else min(plan.fit, plan.sample)
        self._known = lru_cache(maxsize=4)(self._load)
        self._found = dict(zip(plan.targets, reached.found, strict=True))

    def learn(self, engine: Engine, watch: Watch) -> None:
        """The senses of each target, from a sample of its uses."""
        todo = [target for target, found in self._found.items() if found and self._error(target) is _UNKNOWN]
        progress = watch("learn the senses of a target", len(todo)) if len(todo) > 1 else silent
        tasks = (
            LearnTask(target, tuple(drawn(self._folder, target, self._fit)), self._found[target], self._plan.options,
                      self._plan.pairs)
            for target in todo
        )  # fmt: skip
        for learnt in engine.run(learn, tasks, watch):
            self._keep(learnt)
            progress(1)

    def read(self, engine: Engine, watch: Watch) -> None:
        """The vectors of all other uses, part by part, and the sense of each."""
        total = sum(max(0, self._read_of(target) - self._fit) for target in self._learnt())
        progress = watch("read", total) if total else silent
        inner, finished = topped_up(progress)
        for block in engine.run(read, self._tasks(progress), inner):
            self._finish(block)
            finished(len(block.readable))

    def report(self, files: Files, options: Mapping[str, Any]) -> None:
        """The reports, and with the last of them the end of the run."""
        folder = self._folder
        found = Report(
            schema_version=SCHEMA_VERSION,
            options=options,
            files=len(files.sources),
            bytes=sum(source.size for source in files.sources),
            ignored=files.ignored,
            texts=self._reached.texts,
            skipped=skips(folder.path / "skipped.jsonl"),
            targets=tuple(map(self._target, self._plan.targets)),
        )
        folder.write(folder.path / "report.html", to_html(found).encode())
        folder.write(folder.path / "report.json", to_json(asdict(found)))

    def _target(self, target: str) -> TargetReport:
        error, where = self._error(target), self._folder.of(target)
        if target not in self._learnt():
            why = error if isinstance(error, str) else "no text uses it"
            return TargetReport(target, where.name, self._found[target], 0, 0, 0, 0, None, (), None, why)
        known = self._known(target)
        counts = reduce(add, map(Counts.from_json, self._counted(target)))
        found = target_senses(known.analysis, counts)
        self._folder.write(where / "senses.parquet", senses_parquet(known.analysis, found))
        return TargetReport(
            target=target,
            folder=where.name,
            found=self._found[target],
            read=sum(counts.sizes) + counts.none,
            sample=len(known.analysis.usages),
            unreadable=counts.unreadable,
            no_sense=counts.none,
            verdict=known.analysis.verdict,
            senses=found,
            speaks=speaks(known.analysis, counts),
            error=None,
        )

    def _tasks(self, progress: Progress) -> Iterator[ReadTask]:
        for target in self._learnt():
            sample = {place_of(use) for use in drawn(self._folder, target, self._fit)}
            for number, uses in enumerate(_in_blocks(drawn(self._folder, target, self._plan.sample), self._block)):
                known = tuple(place_of(use) in sample for use in uses)
                task = ReadTask(target, number, uses, known)
                if self._part(task).exists():
                    progress(known.count(False))
                elif all(known):
                    self._finish(nothing_to_read(task))
                else:
                    yield task

    def _finish(self, block: Block) -> None:
        """Write the part; its file comes last, as it says that the part is done."""
        task = block.task
        first = task.number * self._block
        content, counts = place(self._known(task.target), block, first, self._plan.options.threshold)
        self._folder.write_json(self._folder.work_of(task.target) / f"counts-{task.number:06}.json", asdict(counts))
        self._folder.write(self._part(task), content)

    def _keep(self, learnt: Learnt) -> None:
        folder, where, work = self._folder, self._folder.of(learnt.target), self._folder.work_of(learnt.target)
        if learnt.error is None:
            folder.write(where / "analysis.json", (learnt.analysis + "\n").encode())
            folder.write(where / "report.html", pages.to_html(from_json(learnt.analysis)).encode())
            folder.write(where / "model.senses", learnt.model)
            arrays: dict[str, Any] = {f"half{i}": centroids for i, centroids in enumerate(learnt.halves)}
            sink = BytesIO()
            np.savez(sink, vectors=learnt.vectors, context=learnt.context, readable=learnt.readable, **arrays)
            folder.write(work / "learnt.npz", sink.getvalue())
        folder.write_json(work / "learnt.json", learnt.error)

    def _load(self, target: str) -> Known:
        where = self._folder.of(target)
        with np.load(self._folder.work_of(target) / "learnt.npz") as arrays:
            kept = {name: arrays[name] for name in arrays.files}
        uses = [use for use, can in zip(drawn(self._folder, target, self._fit), kept["readable"], strict=True) if can]
        return Known(
            saved=sensefile.load(where / "model.senses"),
            analysis=from_json((where / "analysis.json").read_bytes()),
            vectors=kept["vectors"],
            context=kept["context"],
            row={place_of(use): i for i, use in enumerate(uses)},
            halves=tuple(half_model(target, kept[name]) for name in ("half0", "half1") if name in kept),
        )

    def _learnt(self) -> list[str]:
        return [target for target in self._plan.targets if self._error(target) is None]

    def _error(self, target: str) -> str | object | None:
        """Why the target has no senses; None where it has; _UNKNOWN where they are not learnt yet."""
        known = self._folder.work_of(target) / "learnt.json"
        return json.loads(known.read_bytes()) if known.exists() else _UNKNOWN

    def _read_of(self, target: str) -> int:
        found = self._found[target]
        return found if self._plan.sample is None else min(found, self._plan.sample)

    def _part(self, task: ReadTask) -> Path:
        return self._folder.of(task.target) / f"usages-{task.number:06}.parquet"

    def _counted(self, target: str) -> list[dict[str, Any]]:
        parts = sorted(self._folder.work_of(target).glob("counts-*.json"))
        return [json.loads(part.read_bytes()) for part in parts]


_UNKNOWN = object()


def _identity(files: Files, plan: Plan, block: int) -> dict[str, Any]:
    """What makes a run this run and no other: all that its results depend on."""
    options = {name: value for name, value in asdict(plan).items() if name not in ("options", "strict", "pairs")}
    return {
        "schema_version": SCHEMA_VERSION,
        "options": {**options, **asdict(plan.options), "block": block},
        "inputs": [[source.name, source.size, source.modified] for source in files.sources],
    }


def _check(plan: Plan) -> None:
    for name, value in (("sample", plan.sample), ("fit", plan.fit)):
        if value is not None and value < 1:
            raise BadOption(f"{name} is {value}", remedy="give 1 or more", where=(name,))
    twice = next((target for target in plan.targets if plan.targets.count(target) > 1), None)
    if twice is not None or not plan.targets:
        what = "there is no target" if twice is None else f"the target {twice!r} is given twice"
        raise BadOption(what, remedy="give each target once", where=("targets",))


def _nothing(folder: Folder, plan: Plan, reached: Reached) -> TargetNotFound:
    skipped = skips(folder.path / "skipped.jsonl")
    why = f" ({skipped.number} more could not be read; the first: {skipped.first[0]['why']})" if skipped.number else ""
    return TargetNotFound(
        f"none of {', '.join(map(repr, plan.targets))} is in the {reached.texts} texts of the corpus{why}",
        remedy="give the form that stands in the texts, in a new output folder",
        where=("targets",),
    )


def _in_blocks(uses: Iterable[Use], size: int) -> Iterator[tuple[Use, ...]]:
    source = iter(uses)
    while some := tuple(islice(source, size)):
        yield some


def _thousandths(progress: Progress) -> Progress:
    """Tells the progress of every whole thousand."""
    rest = 0

    def told(done: int) -> None:
        nonlocal rest
        whole, rest = divmod(rest + done, 1000)
        progress(whole)

    return told
