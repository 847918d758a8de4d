"""The tokenizer and the model of a folder, as transformers reads them.

transformers takes half a minute to take a GGUF file apart, so of a pulled one what it made is kept beside the model:

    HOME/models/.NAME-DIGEST/    config.json, model.safetensors (float32) with its SHA-256, tokenizer.json
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError
from transformers import modeling_gguf_pytorch_utils

from analysis.catalogue import ModelFolder
from analysis.errors import UnsupportedModel

SUM = "model.safetensors.sha256"
UNREADABLE = (OSError, ValueError, KeyError, ImportError, SafetensorError)


def read_files(folder: ModelFolder) -> tuple[Any, Any]:
    """The tokenizer and the model, in float32, with eager attention. Touches no network, runs no code of the folder.

    Raises UnsupportedModel where transformers cannot read them.
    """
    try:
        if not folder.weights.endswith(".gguf"):
            return _parts(folder.path)
        if folder.source == "folder":  # nothing is read or written beside a file that is the user's own
            return _parts(folder.path, gguf_file=folder.weights)
        return _of_pulled_gguf(folder)
    except UNREADABLE as error:
        raise UnsupportedModel(
            f"transformers cannot read the model in {folder.path}: {first_line(error)}",
            remedy="give an encoder or decoder that transformers knows, with its config.json and tokenizer",
        ) from error


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _of_pulled_gguf(folder: ModelFolder) -> tuple[Any, Any]:
    place = folder.path.parent / f".{folder.path.name}-{folder.digest[:20]}"
    with suppress(*UNREADABLE):  # not there, or damaged
        if (place / SUM).read_text() == _sum(place):
            return _parts(place)
    tokenizer, model = _parts(folder.path, gguf_file=folder.weights)
    with suppress(*UNREADABLE):  # a disk that is full, or may not be written to: it is read anew the next time
        _keep(tokenizer, model, place)
    return tokenizer, model


def _parts(path: Path, **more: str) -> tuple[Any, Any]:
    where: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False, **more}
    with _no_bar():
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, **where)
        model = transformers.AutoModel.from_pretrained(
            path, use_safetensors=True, dtype=torch.float32, attn_implementation="eager", **where
        )
    return tokenizer, model


@contextmanager
def _no_bar() -> Iterator[None]:
    """Without the bar that transformers draws for a GGUF file, in a pipe too, whatever it is told of bars."""
    gguf: Any = modeling_gguf_pytorch_utils
    shown = gguf.tqdm
    gguf.tqdm = partial(shown, disable=True)
    try:
        yield
    finally:
        gguf.tqdm = shown


def _sum(place: Path) -> str:
    with (place / "model.safetensors").open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _keep(tokenizer: Any, model: Any, place: Path) -> None:
    """Whole or not at all."""
    # The weights are plain float32 now; transformers would refuse to save what still says that it is GGUF.
    model.hf_quantizer = None
    del model.config.quantization_config
    part = Path(tempfile.mkdtemp(prefix=place.name, dir=place.parent))
    try:
        model.save_pretrained(part)
        tokenizer.save_pretrained(part)
        (part / SUM).write_text(_sum(part))
        shutil.rmtree(place, ignore_errors=True)
        part.rename(place)
    finally:
        shutil.rmtree(part, ignore_errors=True)
