"""What a run found, for people and programs: report.json, report.html, and a target's senses.parquet.

How well the sample speaks for the whole is measured on the uses that it does not hold.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pyarrow as pa
from pyarrow import parquet
from pydantic import TypeAdapter, ValidationError

from analysis.corpora.placing import SURE, Counts
from analysis.errors import BadFile
from analysis.marks import mark
from analysis.record import Analysis

SCHEMA_VERSION = 1
SHOWN = 200  # skipped texts that the page names, and files that it counts; skipped.jsonl has all
AGREED, STRANGE = 0.8, 0.05  # the least agreement, and the most strange uses, of a sample that speaks for the rest


@dataclass(frozen=True, slots=True)
class Speaks:
    """How a sample of n uses speaks for the `rest`, in shares of 1; None where there is no rest.

    sure, sure_sample    whose sense has a probability of at least 0.9: of the rest, and of the sample itself
    novel     of the rest, what is near none of the senses; of the sample itself it is 0.01, by the definition of near
    agreement adjusted Rand index over the rest of the senses that two halves of the sample give, each by itself; None
              where neither half finds more than one sense, or the sample is too small to halve
    """

    rest: int
    sure: float | None
    sure_sample: float | None
    novel: float | None
    agreement: float | None
    said: str


@dataclass(frozen=True, slots=True)
class TargetSense:
    """A sense with how many of all read uses have it; `stability` is that of the sample."""

    id: str
    label: str
    size: int
    share: float
    stability: float | None


@dataclass(frozen=True, slots=True)
class TargetReport:
    """`found` uses in the corpus, `read` of them, `sample` of these for the senses; `error` says why there are none."""

    target: str
    folder: str
    found: int
    read: int
    sample: int
    unreadable: int
    no_sense: int
    verdict: str | None
    senses: tuple[TargetSense, ...]
    speaks: Speaks | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Skips:
    """What could not be read: how many texts or parts of files, the files with the most, and the first by place."""

    number: int
    files: tuple[tuple[str, int], ...]
    first: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The whole run; nothing in it tells when, where or on which engine, so that the same run has the same report."""

    schema_version: int
    options: Mapping[str, Any]
    files: int
    bytes: int
    ignored: int
    texts: int
    skipped: Skips
    targets: tuple[TargetReport, ...]


_REPORT = TypeAdapter(Report)


def adjusted_rand(table: Sequence[Sequence[int]]) -> float | None:
    """Hubert and Arabie (1985) from the contingency table (K1, K2); None where neither side has two groups."""
    counts = np.asarray(table, dtype=np.float64)
    if counts.size == 0 or counts.sum() < 2 or max((counts.sum(axis=i) > 0).sum() for i in (0, 1)) < 2:
        return None

    def pairs(values: Any) -> float:
        return float((values * (values - 1) / 2).sum())

    both, rows, columns, every = (
        pairs(counts), pairs(counts.sum(axis=1)), pairs(counts.sum(axis=0)), pairs(counts.sum())
    )  # fmt: skip
    chance, most = rows * columns / every, (rows + columns) / 2
    return 1.0 if most == chance else (both - chance) / (most - chance)


def speaks(analysis: Analysis, counts: Counts) -> Speaks | None:
    """None where the analysis is of all uses."""
    if not counts.rest:
        return None
    own = [usage.confidence for usage in analysis.usages]
    agreement = adjusted_rand(counts.same)
    found = Speaks(
        rest=counts.rest,
        sure=round(counts.sure / counts.rest, 4),
        sure_sample=round(sum(value >= SURE for value in own) / len(own), 4),
        novel=round(counts.novel / counts.rest, 4),
        agreement=None if agreement is None else round(agreement, 4),
        said="",
    )
    return Speaks(**{**asdict(found), "said": _said(found, len(own))})


def _said(found: Speaks, n: int) -> str:
    novel = found.novel or 0.0
    held = novel <= STRANGE and (found.agreement is None or found.agreement >= AGREED)
    verdict = (
        "speaks well for the rest"
        if held
        else "does not speak well for the rest: learn from more usages, or take the senses with care"
    )
    if found.agreement is None:
        halves = "Neither half of the sample finds more than one sense."
    else:
        halves = (
            f"The senses that its two halves give, each by itself, agree on the rest to {found.agreement:.2f} "
            "(adjusted Rand index: 1 is wholly, 0 no better than chance)."
        )
    return (
        f"The sample of {n} {verdict}. Of the {found.rest} usages beyond it, {found.sure:.0%} have a sense with a "
        f"probability of at least {SURE} ({found.sure_sample:.0%} of the sample), and {novel:.1%} are near none of the "
        f"senses (1% of the sample). {halves}"
    )


def target_senses(analysis: Analysis, counts: Counts) -> tuple[TargetSense, ...]:
    """The senses with their sizes over all uses that were read."""
    total = max(1, sum(counts.sizes) + counts.none)
    return tuple(
        TargetSense(sense.id, sense.label, size, round(size / total, 6), sense.stability)
        for sense, size in zip(analysis.senses, counts.sizes, strict=True)
    )


def senses_parquet(analysis: Analysis, found: Sequence[TargetSense]) -> bytes:
    """A row a sense; `size` and `share` are of all uses that were read, `size_in_sample` of the analysis."""
    driver = pa.struct(
        [("word", pa.string()), ("effect", pa.float64()), ("low", pa.float64()), ("high", pa.float64()),
         ("support", pa.int64())]
    )  # fmt: skip
    schema = pa.schema(
        [
            ("id", pa.string()), ("label", pa.string()), ("size", pa.int64()), ("share", pa.float64()),
            ("stability", pa.float64()), ("size_in_sample", pa.int64()), ("exemplars", pa.list_(pa.string())),
            ("drivers", pa.list_(driver)),
        ]
    )  # fmt: skip
    names = [field.name for field in driver]
    rows = [
        {
            **asdict(row),
            "size_in_sample": sense.size,
            "exemplars": [analysis.usages[int(usage[1:])].text for usage in sense.exemplars],
            "drivers": sense.drivers and [{name: getattr(d, name) for name in names} for d in sense.drivers],
        }
        for row, sense in zip(found, analysis.senses, strict=True)
    ]  # fmt: skip
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def from_bytes(content: bytes) -> Report:
    """What report.json holds. Raises BadFile where it is no report of this schema."""
    try:
        return _REPORT.validate_json(content)
    except ValidationError as error:
        what = f"the report is no report of a corpus: {error.errors()[0]['msg']}"
        raise BadFile(what, remedy="make it anew, in another folder") from error


def skips(path: Path) -> Skips:
    """What skipped.jsonl holds."""
    if not path.exists():
        return Skips(0, (), ())
    files: Counter[str] = Counter()
    first: list[dict[str, Any]] = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            files[row["file"]] += 1
            if len(first) < SHOWN:
                first.append(row)
    most = sorted(files.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
    return Skips(files.total(), tuple(most), tuple(first))


def to_html(report: Report) -> str:
    """One page that opens offline and links to the targets' own; all text is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("analysis"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    return environment.get_template("corpus.html").render(report=report, mark=mark, sum=sum)
