"""The command line: reads options, calls the library, prints. One line on standard error and exit code 2 for bad input.

Nothing heavy is imported before a command runs, so that `--help` is quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from analysis.errors import BadFile, BadOption, PolysemeError
from service.settings import Settings

if TYPE_CHECKING:
    from analysis.assemble import Options
    from analysis.pipeline import Watch
    from analysis.record import Analysis
    from analysis.types import Document, Encoder

app = typer.Typer(
    name="polyseme",
    help="Word senses from contextual vectors, and the context words that drove each.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="The pretrained models.", no_args_is_help=True)
app.add_typer(models_app, name="models")

Target = Annotated[str, typer.Argument(help="The ambiguous word, or several words.")]
File = Annotated[str, typer.Argument(help=".txt (a sentence a line), .jsonl, .csv, .tsv, .parquet; - reads lines.")]
Model = Annotated[str | None, typer.Option(help="A name of `polyseme models list`, a pulled Hub name, or a folder.")]
TextField = Annotated[str, typer.Option(help="The field or column that holds the text.")]
IdField = Annotated[str | None, typer.Option(help="The field or column that holds an id of the text.")]
MatchBy = Annotated[str, typer.Option(help="lemma: 'bank' finds 'Banks'; exact: this form only.")]
Language = Annotated[str, typer.Option(help="The language of the lemmas, as a two-letter code.")]
NSenses = Annotated[int | None, typer.Option(help="The number of senses; from the data when left out.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same answer.")]
Json = Annotated[str | None, typer.Option("--json", metavar="PATH", help="Write JSON; - is standard output.")]


@app.command()
def senses(
    target: Target,
    file: File,
    model: Model = None,
    text_field: TextField = "text",
    id_field: IdField = None,
    match: MatchBy = "lemma",
    language: Language = "en",
    n_senses: NSenses = None,
    drivers: Annotated[str, typer.Option(help="occlusion, attention or none.")] = "occlusion",
    operator: Annotated[str, typer.Option(help="delete words, or mask them.")] = "delete",
    budget: Annotated[int, typer.Option(help="The most words tried for a usage.")] = 16,
    explained: Annotated[int, typer.Option(help="The most usages explained.")] = 100,
    seed: Seed = 0,
    json: Json = None,
    html: Annotated[Path | None, typer.Option(help="Write one self-contained page.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write a row a usage, keyword in context.")] = None,
    parquet: Annotated[Path | None, typer.Option(help="The same rows as Parquet.")] = None,
) -> None:
    """The senses of TARGET in FILE, and the context words that drove each."""
    from analysis import report
    from service import terminal

    options = _options(
        match=match, language=language, n_senses=n_senses, drivers=drivers, operator=operator, budget=budget,
        explained=explained, seed=seed,
    )  # fmt: skip
    analysis = _analyse(target, file, model, text_field, id_field, options)
    if json:
        _write(json, _json(analysis))
    if html:
        _write(html, report.to_html(analysis))
    if csv:
        _write(csv, report.to_csv(analysis))
    if parquet:
        _write(parquet, report.to_parquet(analysis))
    if json != "-":
        terminal.print_senses(analysis)
        for kind, path in (("JSON", json), ("HTML", html), ("CSV", csv), ("Parquet", parquet)):
            if path:
                print(f"{kind} written to {path}")


@app.command()
def compare(
    target: Target,
    file: File,
    model: Model = None,
    text_field: TextField = "text",
    id_field: IdField = None,
    match: MatchBy = "lemma",
    language: Language = "en",
    n_senses: NSenses = None,
    pairs: Annotated[int, typer.Option(min=1, help="The most pairs of usages to list.")] = 200,
    seed: Seed = 0,
    json: Json = None,
) -> None:
    """The one static vector of TARGET against its contextual ones, pair by pair and layer by layer."""
    from service import terminal

    options = _options(match=match, language=language, n_senses=n_senses, drivers="none", pairs=pairs, seed=seed)
    analysis = _analyse(target, file, model, text_field, id_field, options)
    if json:
        _write(json, _json(analysis))
    if json != "-":
        terminal.print_comparison(analysis)


@app.command()
def attention(
    text: Annotated[str, typer.Argument(help="One sentence.")],
    model: Model = None,
    layer: Annotated[list[int] | None, typer.Option(help="Counted from 0; repeats. All when left out.")] = None,
    head: Annotated[list[int] | None, typer.Option(help="Counted from 0; repeats. All when left out.")] = None,
    unit: Annotated[str, typer.Option(help="word or subword.")] = "word",
    special: Annotated[bool, typer.Option(help="Show the special tokens too.")] = True,
    json: Json = None,
) -> None:
    """The self-attention matrix of TEXT by word: the mean over the layers and heads chosen.

    With a causal model such as smollm2 a word sees nothing after itself; the masked future is shown as "-".
    """
    from json import dumps

    from analysis import attention as views
    from service import terminal

    if unit not in ("word", "subword"):
        raise BadOption(f"there is no unit {unit!r}", remedy="choose word or subword")
    encoder = _encoder(model)
    layers = views.check_indices("layer", layer, encoder.info.layers)
    heads = views.check_indices("head", head, encoder.info.heads)
    whole = encoder.attention(text)
    chosen = views.select(views.by_word(whole) if unit == "word" else whole, layers, heads)
    if json:
        _write(json, dumps(views.to_dict(chosen, encoder.info, unit, layers, heads), ensure_ascii=False) + "\n")
    if json != "-":
        terminal.print_attention(chosen, encoder.info, layer, head, special=special)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
) -> None:
    """The REST service; its documentation is at /docs. Settings come from the environment (see the README)."""
    import uvicorn

    from service.app import build

    uvicorn.run(build(_settings()), host=host, port=port, log_level="info", server_header=False)


@models_app.command("list")
def list_models(json: Json = None) -> None:
    """The models by short name, and which of them are on this machine."""
    from json import dumps

    from analysis.catalogue import CATALOGUE, pulled
    from service import terminal

    settings = _settings()
    here = {folder.name: folder for folder in pulled(settings.home)}
    rows: list[dict[str, object]] = [
        {"name": source.name, "pulled": source.name in here, "source": source.repo, "about": source.about}
        for source in CATALOGUE.values()
    ]
    rows += [
        {"name": folder.name, "pulled": True, "source": folder.source, "about": ""}
        for folder in here.values()
        if folder.name not in CATALOGUE
    ]
    for row in rows:
        row["default"] = row["name"] == settings.model
    if json:
        _write(json, dumps(rows, ensure_ascii=False) + "\n")
    if json != "-":
        terminal.print_models(rows)


@models_app.command()
def pull(
    names: Annotated[list[str], typer.Argument(help="Short names, or Hub names such as org/model.")],
    json: Json = None,
) -> None:
    """Bring models to this machine and check every file's digest. Afterwards no network is needed."""
    _each_model(names, json, "pulled", lambda name, home: _catalogue().pull(name, home, say=_say))


@models_app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="All that are on this machine, when left out.")] = None,
    json: Json = None,
) -> None:
    """Hash every file of the models again and compare with what was pinned."""
    chosen = names or [folder.name for folder in _catalogue().pulled(_settings().home)]
    if not chosen:
        raise BadOption("no model is on this machine", remedy="get one with `polyseme models pull mpnet`")
    _each_model(chosen, json, "verified", lambda name, home: _catalogue().verify(home, name))


def _each_model(names: list[str], json: str | None, done: str, act: Callable[[str, Path], Any]) -> None:
    from json import dumps

    home = _settings().home
    rows = []
    for name in names:
        folder = act(name, home)
        rows.append({"name": folder.name, "source": folder.source, "revision": folder.revision, "sha256": folder.digest,
                     "path": str(folder.path)})  # fmt: skip
        if json != "-":
            print(f"{name}: {done}, SHA-256 {folder.digest}")
    if json:
        _write(json, dumps(rows, ensure_ascii=False) + "\n")


def _catalogue() -> Any:
    from analysis import catalogue

    return catalogue


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "POLYSEME_" + "_".join(str(part) for part in first["loc"]).upper()
        raise BadOption(f"the setting {name} is not right: {first['msg']}", remedy="mend or unset it") from error


def _options(**chosen: Any) -> Options:
    from analysis.assemble import Options

    for name, known in (("match", ("lemma", "exact")), ("operator", ("delete", "mask"))):
        if chosen.get(name, known[0]) not in known:
            raise BadOption(f"there is no {name} {chosen[name]!r}", remedy=f"choose from {', '.join(known)}")
    return Options(**chosen)


def _analyse(
    target: str, file: str, model: str | None, text_field: str, id_field: str | None, options: Options
) -> Analysis:
    from analysis.pipeline import analyse

    # What is wrong with the file is said before the model takes its seconds to load.
    documents = _documents(file, text_field, id_field)
    encoder = _encoder(model)
    with _watching() as watch:
        return analyse(encoder, documents, target, options, watch=watch)


def _documents(file: str, text_field: str, id_field: str | None) -> list[Document]:
    from analysis import corpus

    if file == "-":
        return corpus.read_stream(sys.stdin.buffer, text_field=text_field, id_field=id_field)
    return corpus.read_file(Path(file), text_field=text_field, id_field=id_field)


def _encoder(model: str | None) -> Encoder:
    settings = _settings()
    folder = _catalogue().resolve(model or settings.model, settings.home)

    from analysis.model.encoder import load

    return load(folder)


@contextmanager
def _watching() -> Iterator[Watch]:
    """A progress bar on a terminal, none in a pipe."""
    from analysis.pipeline import unwatched

    if not sys.stderr.isatty():
        yield unwatched
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:

        def watch(step: str, total: int) -> Callable[[int], None]:
            task = bars.add_task(step, total=total)
            return lambda done: bars.advance(task, done)

        yield watch


def _json(analysis: Analysis) -> str:
    from analysis.record import to_json

    return to_json(analysis) + "\n"


def _write(path: str | Path, content: str | bytes) -> None:
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


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def main() -> None:
    """The `polyseme` command."""
    if not sys.stderr.isatty():
        # The libraries' own bars: read when they are imported, which is later.
        os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        code = app(standalone_mode=False)
    except PolysemeError as error:
        _fail(str(error))
    except typer.Abort:
        sys.exit(130)
    except Exception as error:
        # Typer's and Click's own errors of usage; anything else is a bug, and shows itself whole.
        if not hasattr(error, "format_message"):
            raise
        _fail(f"{error.format_message()}; see `polyseme --help`")
    sys.exit(code or 0)


def _fail(line: str) -> None:
    print("polyseme: " + " ".join(line.split()), file=sys.stderr)
    sys.exit(2)
