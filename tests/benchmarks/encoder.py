"""`make bench DATA=FOLDER`: how much of a reading is the model's own arithmetic, in ratios from one run.

FOLDER is in the form of CoarseWSD-20: WORD/{test,train}.{data,gold}.txt. Each ratio is the median of rounds in which
both sides run one after the other, since a shared machine's speed changes. A measure that misses its bar says so, and
the command then ends with exit code 1.

    --only speed,products,memory,growth,senses,start,rest   these measures    --models minilm,mpnet
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers

from analysis.assemble import Options
from analysis.catalogue import resolve
from analysis.corpus import read_file
from analysis.evaluation.induction_sets import coarsewsd20
from analysis.model.encoder import load
from analysis.model.forward import Wanted
from analysis.model.memory import give_back
from analysis.pipeline import analyse
from analysis.record import to_json
from analysis.types import Occurrence
from service.settings import Settings
from tests.benchmarks.load import connected, request, serving
from tests.benchmarks.rivals import products, rivals, square
from tests.benchmarks.timed import Timed

_clock = time.perf_counter  # --clock cpu: the processor's, fair with one thread on a machine that others use

BREAKS = 16  # in which the fewer usages are read, while the many are
SENTENCE = "She opened a new account at the bank on the corner yesterday."  # of 12 words


class Line(NamedTuple):
    """One measure: its value, and the bar it is to reach (`at_least`) or not to pass; None where there is no bar."""

    measure: str
    model: str
    value: float
    bar: float | None = None
    at_least: bool = True
    note: str = ""

    @property
    def within(self) -> bool:
        return self.bar is None or (self.value >= self.bar if self.at_least else self.value <= self.bar)

    def __str__(self) -> str:
        bar = "" if self.bar is None else f"{'>=' if self.at_least else '<='} {self.bar:g}"
        return (
            f"{self.measure:66} {self.model:7} {self.value:8.3f} {bar:8} {'' if self.within else 'MISSED':7}{self.note}"
        )


def seconds(work: Callable[[], Any], clock: Callable[[], float] | None = None) -> float:
    clock = clock or _clock
    since = clock()
    work()
    return clock() - since


def by_turns(
    works: dict[str, Callable[[], Any]], rounds: int, clock: Callable[[], float] | None = None
) -> dict[str, list[float]]:
    """Seconds of each in each round; one round before is not counted."""
    for work in works.values():
        work()
    took: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            took[name].append(seconds(work, clock))
    return took


def paired(took: dict[str, list[float]], over: str, under: str) -> float:
    """How many times the seconds of one are those of the other: the median over the rounds."""
    return statistics.median(a / b for a, b in zip(took[over], took[under], strict=True))


def usages(folder: Path, n: int, seed: int = 0) -> list[Occurrence]:
    """n usages of all words, drawn with the seed; all of them for a larger n."""
    words = coarsewsd20(folder).values()
    found = [one.occurrence for word in words for half in (word.test, word.train) for one in half]
    chosen = np.random.default_rng(seed).permutation(len(found))[:n]
    return [found[i] for i in chosen]


def short(found: Sequence[Occurrence], n: int) -> list[Occurrence]:
    """n different texts of 5 to 13 words: each sentence's words next to its target, and a number."""
    result = []
    for k in range(n):
        use, reach = found[k % len(found)], 2 + k % 5
        before = use.text[: use.start].split()[-reach:]
        after = use.text[use.end :].split()[:reach]
        start = len(" ".join([*before, ""]))
        text = " ".join([*before, use.surface, *after, str(k)])
        result.append(Occurrence(text, use.target, start, start + len(use.surface), str(k)))
    return result


def speed(name: str, asked: argparse.Namespace) -> Iterator[Line]:
    """Usages a second with the target's vectors and attention at all layers, against others on these sentences."""
    folder = resolve(name, Settings().home)
    encoder, chosen = load(folder), usages(asked.data, asked.usages)
    layers = range(encoder.info.layers + 1)
    other = rivals(folder, chosen)
    took = by_turns(
        {
            "ours": lambda: encoder.encode(chosen, layers=layers, attention=True, context=False),
            "context": lambda: encoder.encode(chosen, layers=layers, attention=True),
            "senses": lambda: encoder.encode(chosen),
            **other._asdict(),
        },
        asked.rounds,
    )
    rate = len(chosen) / statistics.median(took["ours"])
    yield Line("usages a second: the target's vectors and attention, all layers", name, rate)
    yield Line("  against (a) transformers, batches of 32 as given, all kept", name, paired(took, "plain", "ours"), 2.4)
    yield Line("  against (b) the same, sorted by length", name, paired(took, "sorted", "ours"))
    st = paired(took, "sentence_transformers", "ours")
    yield Line("  against (c) sentence-transformers' token embeddings", name, st)
    yield Line("  against (d) a bare forward pass, sorted batches of 8", name, paired(took, "bare", "ours"), 1.0)
    yield Line(
        "  the same with the context's mean (last layer whole), against (a)", name, paired(took, "plain", "context")
    )
    yield Line("  the same with the context's mean, against (d)", name, paired(took, "bare", "context"))
    yield Line("  what senses need (last layer and context), against (d)", name, paired(took, "bare", "senses"))


def arithmetic(name: str, asked: argparse.Namespace) -> Iterator[Line]:
    """The model's forward passes alone, against the products of matrices in them and against one of 2048 x 2048."""
    encoder, chosen = load(resolve(name, Settings().home)), usages(asked.data, asked.usages)
    laid, forward = encoder._lay_out(chosen), encoder._forward
    rows, room = list(forward.batches(laid)), forward.room()
    own, operations = products(encoder, [[len(laid[i]) for i in batch] for batch in rows])
    large, large_operations = square()

    def passes() -> None:
        for batch in rows:
            forward([laid[i] for i in batch], Wanted(), room)

    took = by_turns({"passes": passes, "products": own, "square": large}, asked.rounds)
    yield Line(
        "share of the machine's speed on the model's own products", name, paired(took, "products", "passes"), 0.9
    )
    to_square = operations / large_operations / paired(took, "passes", "square")
    yield Line("  share of its speed on a product of 2048 x 2048", name, to_square)
    speeds = (operations / statistics.median(took["passes"]), large_operations / statistics.median(took["square"]))
    yield Line("  GFLOP/s of the forward passes", name, speeds[0] / 1e9, note=f" of {speeds[1] / 1e9:.0f} at 2048")


def memory(name: str, asked: argparse.Namespace) -> Iterator[Line]:
    """The most memory beside the loaded model while a stream is read: all layers and attention of each usage.

    Processes differ by some megabytes: of the few, which are soon read, the median of three is taken.
    """
    few = statistics.median(int(_in_a_process("peak", name, asked, asked.many // 10)) for _ in range(3))
    many = int(_in_a_process("peak", name, asked, asked.many))
    note = f" {few / 1e6:.0f} MB, {many / 1e6:.0f} MB"
    yield Line(
        f"peak memory over the weights, {asked.many:,} usages against a tenth", name, many / few, 1.1, False, note
    )


def _in_a_process(what: str, name: str, asked: argparse.Namespace, n: int) -> str:
    command = [sys.executable, "-m", "tests.benchmarks.encoder", "--data", str(asked.data), "--only", what]
    done = subprocess.run([*command, "--models", name, "--usages", str(n)], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[-1]


def peak(name: str, asked: argparse.Namespace) -> int:
    """Bytes that a process took at most beyond the loaded model; of Linux only."""
    encoder, chosen = load(resolve(name, Settings().home)), usages(asked.data, asked.usages)
    layers = range(encoder.info.layers + 1)
    encoder.encode(chosen[:8], layers=layers, attention=True)
    give_back()  # what loading left free is none of the model
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of loading
    before = _status("VmRSS")
    for _ in encoder.stream(iter(chosen), layers=layers, attention=True):
        pass
    return _status("VmHWM") - before


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def growth(name: str, asked: argparse.Namespace) -> Iterator[Line]:
    """Seconds a usage, of 100,000 short ones against 1,000, which are read at times in the midst of the others, so that
    a slow minute of the machine meets both sides."""
    encoder = load(resolve(name, Settings().home))
    many = short(usages(asked.data, asked.short), asked.short)
    few = [many[i] for i in np.random.default_rng(0).choice(len(many), 1000, replace=False)]
    encoder.encode(few)
    alone: list[float] = []
    read = 0

    def watch(done: int) -> None:
        nonlocal read
        read += done
        if read * BREAKS >= len(many) * (len(alone) + 0.5):
            alone.append(seconds(lambda: encoder.encode(few)))

    took = seconds(lambda: encoder.encode(many, progress=watch)) - sum(alone)
    ratio = (took / len(many)) / (statistics.mean(alone) / len(few))
    note = f" {len(many) / took:.0f} usages/s"
    yield Line(f"time a usage, {len(many):,} short usages against 1,000", name, ratio, 1.05, False, note)


def senses(name: str, asked: argparse.Namespace) -> Iterator[Line]:
    """What `polyseme senses` does of one word without drivers: the share of the time that is not the encoder's."""
    encoder = Timed(load(resolve(name, Settings().home)))
    found = [use for use in usages(asked.data, 10**9) if use.target in ("apple", "bank", "java", "pitcher")]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "texts.jsonl")
        rows = [
            {"id": str(i), "text": u.text, "start": u.start, "end": u.end} for i, u in enumerate(found[: asked.found])
        ]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        since = time.perf_counter()
        analysis = analyse(encoder, read_file(file), "word", Options(drivers="none"))
        Path(folder, "out.json").write_text(to_json(analysis))
        took = time.perf_counter() - since
    note = f" {took:.1f} s, {took - encoder.spent:.1f} s of it outside"
    share = 1 - encoder.spent / took
    yield Line(f"share of `senses` outside the encoder, {len(rows):,} usages", name, share, 0.1, False, note)


def start(_: str, asked: argparse.Namespace) -> Iterator[Line]:
    """A new process each: `polyseme --help` and `import torch`."""

    def run(code: str, *arguments: str) -> Callable[[], Any]:
        return lambda: subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)

    took = by_turns(
        {"help": run("from service.cli import main; main()", "--help"), "torch": run("import torch")},
        7,
        time.perf_counter,
    )
    yield Line("start of `polyseme --help` against `import torch`", "", paired(took, "help", "torch"), 0.3, False)


def rest(name: str, asked: argparse.Namespace) -> Iterator[Line]:
    """Attention of one sentence over REST, one layer, against a plain call in process."""
    import asyncio

    folder = resolve(name, Settings().home)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder.path, local_files_only=True)
    model = transformers.AutoModel.from_pretrained(
        folder.path, local_files_only=True, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    layer = model.config.num_hidden_layers - 1
    sent = request({"text": SENTENCE, "model": name, "layers": [layer]}, "/v1/attention")

    @torch.inference_mode()
    def plain() -> list[Any]:
        output = model(**tokenizer(SENTENCE, return_tensors="pt"), output_attentions=True)
        weights: list[Any] = output.attentions[layer][0].tolist()
        return weights

    async def run(port: int) -> dict[str, list[float]]:
        took: dict[str, list[float]] = {"rest": [], "plain": []}
        async with connected(port) as ask:
            for _ in range(40):
                since = time.perf_counter()
                status, _ = await ask(sent)
                took["rest"].append(time.perf_counter() - since)
                assert status == 200
                took["plain"].append(seconds(plain, time.perf_counter))
        return {key: values[8:] for key, values in took.items()}

    with tempfile.TemporaryDirectory() as place, serving(Path(place), POLYSEME_MODEL=name) as server:
        took = asyncio.run(run(server.port))
    ratio = statistics.median(took["rest"]) / statistics.median(took["plain"])
    note = f" {1e3 * statistics.median(took['rest']):.1f} ms, {1e3 * statistics.median(took['plain']):.1f} ms"
    yield Line("attention of 12 words over REST, a layer, against a plain call", name, ratio, 1.3, False, note)


MEASURES: dict[str, tuple[Callable[[str, argparse.Namespace], Iterator[Line]], tuple[str, ...]]] = {
    "speed": (speed, ("minilm", "mpnet")),
    "products": (arithmetic, ("minilm", "mpnet")),
    "memory": (memory, ("minilm",)),
    "growth": (growth, ("minilm",)),
    "senses": (senses, ("mpnet",)),
    "start": (start, ("",)),
    "rest": (rest, ("mpnet",)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder in the form of CoarseWSD-20")
    parser.add_argument("--only", default=",".join(MEASURES), help="measures, with commas between them")
    parser.add_argument("--models", default="", help="models, with commas; each measure has its own when not given")
    parser.add_argument("--usages", type=int, default=128, help="sentences of the comparisons")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--many", type=int, default=10_000, help="usages of `memory`")
    parser.add_argument("--short", type=int, default=100_000, help="usages of `growth`")
    parser.add_argument("--found", type=int, default=5_000, help="usages of `senses`")
    parser.add_argument("--json", type=Path, help="write the lines here too")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall", help="cpu: for a busy machine, one thread")
    asked = parser.parse_args()
    global _clock  # noqa: PLW0603 - an option of the whole run
    _clock = time.process_time if asked.clock == "cpu" else time.perf_counter
    if asked.only == "peak":
        print(peak(asked.models, asked))
        return
    about = {"torch": torch.__version__, "threads": torch.get_num_threads(), "clock": asked.clock}
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, float32, {asked.clock} time", flush=True)
    lines = []
    for measure in asked.only.split(","):
        run, models = MEASURES[measure]
        for model in asked.models.split(",") if asked.models and models != ("",) else models:
            for line in run(model, asked):
                print(line, flush=True)
                lines.append(line)
    if asked.json:
        rows = [line._asdict() | {"within": line.within} for line in lines]
        asked.json.write_text(json.dumps(about | {"lines": rows}, indent=1) + "\n")
    sys.exit(not all(line.within for line in lines))


if __name__ == "__main__":
    main()
