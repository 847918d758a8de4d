"""What the commands share: their options, the settings, the encoder, the texts, progress, and where output goes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from analysis.errors import BadFile, BadOption
from service.settings import Settings

if TYPE_CHECKING:
    from analysis.pipeline import Watch
    from analysis.types import Document, Encoder

Target = Annotated[str, typer.Argument(help="The ambiguous word, or several words.")]
File = Annotated[str, typer.Argument(help=".txt (a sentence a line), .jsonl, .csv, .tsv, .parquet; - reads lines.")]
Model = Annotated[str | None, typer.Option(help="A name of `polyseme models list`, a pulled Hub name, or a folder.")]
TextField = Annotated[str, typer.Option(help="The field or column that holds the text.")]
IdField = Annotated[str | None, typer.Option(help="The field or column that holds an id of the text.")]
MatchBy = Annotated[str, typer.Option(help="lemma: 'bank' finds 'Banks'; exact: this form only.")]
Language = Annotated[str, typer.Option(help="The language of the lemmas, as a two-letter code.")]
NSenses = Annotated[int | None, typer.Option(help="The number of senses; from the data when left out.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same answer.")]
Threshold = Annotated[float, typer.Option(help="The least confidence, 0 to 1; below it a usage has no sense.")]
Drivers = Annotated[
    str,
    typer.Option(
        help="occlusion (the default: what leaving words out does), occlusion-exact, occlusion-mask, gates, "
        "integrated-gradients, gradient-x-input, value-zeroing, attention, attention-max, attention:LAYER:HEAD, "
        "rollout; none."
    ),
]
Budget = Annotated[int, typer.Option(help="The passes a usage that the default method may spend on trying words.")]
Json = Annotated[str | None, typer.Option("--json", metavar="PATH", help="Write JSON; - is standard output.")]


def settings() -> Settings:
    """From the environment. Raises BadOption that names the variable which is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = f"POLYSEME_{first['loc'][0]}".upper()
        raise BadOption(f"the setting {name} is not right: {first['msg']}", remedy="mend or unset it") from error
    except SettingsError as error:  # a list that is no JSON; the error itself shows no value
        name = "POLYSEME_" + str(error).split('"')[1].upper()
        raise BadOption(f"the setting {name} is not a JSON list", remedy='write it as ["a", "b"]') from error


def read_documents(file: str, text_field: str, id_field: str | None) -> list[Document]:
    """The texts of a file, or of standard input for "-"."""
    from analysis import corpus

    if file == "-":
        return corpus.read_stream(sys.stdin.buffer, text_field=text_field, id_field=id_field)
    return corpus.read_file(Path(file), text_field=text_field, id_field=id_field)


def load_encoder(model: str | None) -> Encoder:
    """The model of that name, or the default one."""
    from analysis.catalogue import resolve

    chosen = settings()
    folder = resolve(model or chosen.model, chosen.home)

    from analysis.model.encoder import load

    return load(folder, device=chosen.device, threads=chosen.threads)


@contextmanager
def watching() -> Iterator[Watch]:
    """A progress bar on a terminal, none in a pipe."""
    from analysis.pipeline import unwatched

    if not sys.stderr.isatty():
        yield unwatched
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(TextColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:.3g}/s")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(""), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def watch(step: str, total: int) -> Callable[[int], None]:
            task = bars.add_task(step, total=total)
            return lambda done: bars.advance(task, done)

        yield watch


def write(path: str | Path, content: str | bytes) -> None:
    """To the path, or to standard output for "-"."""
    data = content.encode() if isinstance(content, str) else content
    if str(path) == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise BadFile(
            f"cannot write {path}: {error.strerror}", remedy="name a file in a folder that you may write to"
        ) from error


def make_folder(folder: Path) -> None:
    """The folder, with those above it, where it is not there. Raises BadFile."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadFile(
            f"cannot write into {folder}: {error.strerror}", remedy="name a folder that you may write to"
        ) from error
