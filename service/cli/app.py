"""The command line: reads options, calls the library, prints. One line on standard error and exit code 2 for bad input.

Nothing heavy is imported before a command runs, so that `--help` is quick.
"""

from __future__ import annotations

import os
import sys

import typer

from analysis.errors import PolysemeError
from service.cli import (
    analyses,
    attention,
    corpus,
    db,
    evaluate,
    fit_pairs,
    lesson,
    lexicon,
    models,
    sense_models,
    serve,
    worker,
)

app = typer.Typer(
    name="polyseme",
    help="Word senses from contextual vectors, and the context words that drove each.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(analyses.senses)
app.command()(analyses.compare)
app.command()(attention.attention)
app.command()(sense_models.assign)
app.command()(corpus.corpus)
app.command()(evaluate.evaluate)
app.command()(fit_pairs.fit_pairs)
app.command()(lexicon.disambiguate)
app.command()(lesson.lesson)
app.command()(worker.worker)
app.add_typer(db.db_app, name="db")
app.command()(serve.serve)
app.command()(serve.key)
app.add_typer(sense_models.sense_models_app, name="sense-models")
app.add_typer(models.models_app, name="models")
app.add_typer(lexicon.lexicon_app, name="lexicon")


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
        _fail(f"{error.format_message().rstrip('.')}; see `polyseme --help`")
    sys.exit(code or 0)


def _fail(line: str) -> None:
    print("polyseme: " + " ".join(line.split()), file=sys.stderr)
    sys.exit(2)
