"""Corpus runs of a real model: killed in the middle, on a disk that is full, and on Ray with a worker that dies."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from analysis.corpora.engines import Local
from analysis.corpora.ray_engine import Ray, Workers
from analysis.corpora.reading import Block, ReadTask, read
from analysis.corpora.search import Use
from analysis.errors import EngineError
from analysis.pipeline import unwatched
from service.cli.corpus import Loader
from tests.conftest import absent
from tests.labelled import MONEY, RIVER

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # Ray's of its own parts
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
OPTIONS = ("--model", "minilm", "--drivers", "none", "--fit", "60", "--sample", "all")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,300 different texts that use "bank", in two files: more than a part."""
    folder, draw = tmp_path_factory.mktemp("texts"), random.Random(0)
    lines = [
        f"{draw.choice(MONEY + RIVER)} That was in {1000 + i}, in house {draw.randrange(9999)}." for i in range(1300)
    ]
    (folder / "a.txt").write_text("\n".join(lines[:700]))
    (folder / "b.jsonl").write_text("\n".join(json.dumps({"text": line}) for line in lines[700:]))
    return folder


def command(texts: Path, out: Path, *more: str) -> list[str]:
    program = "from service.cli import main; main()"
    return [sys.executable, "-c", program, "corpus", str(texts), "--target", "bank", "--out", str(out), *OPTIONS, *more]


def content(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def unbroken(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken") / "out"
    subprocess.run(command(texts, out), check=True, stdout=subprocess.DEVNULL)
    return out


def test_a_run_that_was_killed_goes_on_and_is_the_same(texts: Path, unbroken: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = out / "target=bank" / "usages-000000.parquet"
    with subprocess.Popen(command(texts, out), stdout=subprocess.DEVNULL) as running:
        while not first.exists():
            assert running.poll() is None, "it ended before it was killed"
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
    assert not (out / "report.json").exists()
    written = first.stat().st_mtime_ns
    subprocess.run(command(texts, out, "--resume"), check=True, stdout=subprocess.DEVNULL)
    assert first.stat().st_mtime_ns == written
    assert content(out) == content(unbroken)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    if os.geteuid() != 0:
        absent("right to mount a disk", "run as root")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=False)
    if mounted.returncode:
        absent("right to mount a disk", "run where mount works")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_run_that_fills_the_disk_goes_on_where_there_is_room(texts: Path, unbroken: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path, "3m"):
        out = tmp_path / "out"
        full = subprocess.run(command(texts, out), capture_output=True, text=True, check=False)
        assert full.returncode == 2
        assert "No space left on device; make room, then give the same command with --resume" in full.stderr
        subprocess.run(["mount", "-o", "remount,size=64m", str(tmp_path)], check=True)
        subprocess.run(command(texts, out, "--resume"), check=True, stdout=subprocess.DEVNULL)
        assert content(out) == content(unbroken)


def tasks(number: int) -> list[ReadTask]:
    def use(i: int) -> Use:
        text = f"We sat by the bank of river number {i}."
        return Use("f", i, str(i), text, 0, 14, 18, False)

    return [ReadTask("bank", n, tuple(use(20 * n + i) for i in range(20)), (False,) * 20) for n in range(number)]


def killing_read(encoder: object, task: ReadTask, watch: object) -> Block:
    """`read`, in a worker that dies at its fifth task, once."""
    mark = Path(os.environ["POLYSEME_TEST_MARK"])
    if task.number == 5 and not mark.exists():
        mark.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return read(encoder, task, watch)  # type: ignore[arg-type]


def test_ray_finds_the_same_though_a_worker_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYSEME_TEST_MARK", str(tmp_path / "mark"))
    load = Loader("minilm")
    here = {block.task.number: block for block in Local(load).run(read, tasks(12), unwatched)}
    engine = Ray(load, load().info.digest, workers=Workers(2))
    try:
        there = {block.task.number: block for block in engine.run(killing_read, tasks(12), unwatched)}
    finally:
        engine.close()
    assert int((tmp_path / "mark").read_text()) != os.getpid()
    assert there.keys() == here.keys()
    for number, block in here.items():
        np.testing.assert_allclose(there[number].vectors, block.vectors, atol=1e-4)
        np.testing.assert_allclose(there[number].context, block.context, atol=1e-4)


def test_ray_and_local_write_the_same(texts: Path, unbroken: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    subprocess.run(command(texts, out, "--engine", "ray", "--workers", "2"), check=True, stdout=subprocess.DEVNULL)
    for name in ("report.json", "target=bank/senses.parquet"):
        assert (out / name).read_bytes() == (unbroken / name).read_bytes()
    tables = [
        pq.ParquetDataset(sorted((folder / "target=bank").glob("usages-*")), partitioning=None).read()
        for folder in (out, unbroken)
    ]
    others = [name for name in tables[0].column_names if name not in ("vector", "context", "confidence")]
    assert tables[0].select(others).equals(tables[1].select(others))
    for name in ("vector", "context"):
        there, here = (np.array(found[name].to_pylist(), dtype=np.float32) for found in tables)
        np.testing.assert_allclose(there, here, atol=1e-4)


def test_another_model_on_the_workers_is_refused() -> None:
    engine = Ray(Loader("minilm"), "0" * 64, workers=Workers(1))
    try:
        with pytest.raises(EngineError, match="has other weights there than here; pull the same model"):
            list(engine.run(read, tasks(1), unwatched))
    finally:
        engine.close()


@pytest.mark.parametrize("listens", [True, False])
def test_a_cluster_that_cannot_be_reached_is_told_within_30_s(texts: Path, tmp_path: Path, listens: bool) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        if listens:
            deaf.listen()
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        began = time.monotonic()
        found = subprocess.run(
            command(texts, tmp_path / "out", "--engine", "ray", "--address", address),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert time.monotonic() - began < 30
        assert found.returncode == 2
        assert f"the Ray cluster at {address} cannot be reached" in found.stderr
