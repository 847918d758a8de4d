"""A pretrained transformer, read for its hidden states and its self-attention.

Any Hugging Face encoder or decoder with a fast tokenizer. Texts are taken a look-ahead at a time, sorted into batches
of near-equal length, and of each batch only what was asked for is kept (analysis/model/forward.py says how).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
import transformers

from analysis.attention import pool, pool_keys
from analysis.catalogue import ModelFolder
from analysis.errors import BadOption, UnsupportedModel
from analysis.model.files import first_line, read_files
from analysis.model.forward import Forward, Plain, Wanted, forward_of, nothing
from analysis.model.gradients import along, takes_scores
from analysis.model.heads import queries_keys
from analysis.model.layers import projects_values, value_zeroing
from analysis.model.layout import Layout
from analysis.model.memory import give_back, zeros
from analysis.model.packed import Packed
from analysis.model.reading import Reading
from analysis.model.rows import Rows
from analysis.types import (
    Ability,
    Attention,
    FloatArray,
    Gradients,
    IntArray,
    ModelInfo,
    Occurrence,
    Path,
    Perturbed,
    Progress,
    Respond,
    Sentences,
    Usages,
    silent,
)

# Subwords read at once, at most: attention costs their square, and a sense is decided by what stands near.
LONGEST_WINDOW = 512
# Readings sorted together: enough to fill batches of one length, and few enough that a stream holds little.
LOOK_AHEAD = 256

Item = Occurrence | Perturbed


def load(folder: ModelFolder, *, device: str = "auto", threads: int = 0) -> TransformerEncoder:
    """The model in a folder, in float32.

    `device` as torch names it ("cpu", "cuda", "cuda:1"); "auto" is CUDA where there is one. `threads` that torch may
    use, for the whole process; 0 leaves them to torch and OMP_NUM_THREADS. Touches no network. Raises BadOption for
    a device that is not there, UnsupportedModel where transformers cannot read the model without running code of the
    folder, or where it has no fast tokenizer.
    """
    place = _device(device)
    if threads:
        torch.set_num_threads(threads)
    logging: Any = transformers.logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    tokenizer, model = read_files(folder)
    if not tokenizer.is_fast:
        raise UnsupportedModel(
            f"the model {folder.name!r} has no fast tokenizer, so its subwords have no offsets",
            remedy="add the tokenizer.json of the model",
        )
    # safetensors maps the file: whoever writes over it would change the model in use, or end the process.
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()
    return TransformerEncoder(model.to(place).eval().requires_grad_(False), tokenizer, folder)


class TransformerEncoder:
    """An `Encoder` (analysis/types.py) over a loaded model. Safe to share between threads: it keeps no state."""

    def __init__(self, model: Any, tokenizer: Any, folder: ModelFolder) -> None:
        self._model = model
        self._tokenizer = tokenizer
        config = model.config
        self._layout = Layout(tokenizer, _window(model, tokenizer), folder.name)
        self._plain = Plain(model, tokenizer.pad_token_id or 0)
        self.info = ModelInfo(
            name=folder.name,
            source=folder.source,
            revision=folder.revision,
            digest=folder.digest,
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            width=config.hidden_size,
            window=self._layout.window,
            causal=self._is_causal(),
        )
        self._forward = self._fastest()
        self.abilities = self._seen_abilities()

    def encode(
        self,
        readings: Sequence[Item],
        *,
        layers: Sequence[int] = (),
        attention: bool = False,
        context: bool = True,
        progress: Progress = silent,
    ) -> Usages:
        """The target in each reading, in the order given; equal readings are computed once (see `Usages`).

        Without `context`, which is then (N, 0), the last layer is computed for the target alone.
        Raises BadSpan, BadText (reading.read) and UnsupportedModel (a mask asked of a model that has none).
        """
        unique: dict[Any, int] = {}
        which = np.array([unique.setdefault(_key(item), len(unique)) for item in readings], dtype=np.int64)
        firsts = np.unique(which, return_index=True)[1].tolist()
        counts = iter(np.bincount(which, minlength=len(unique)).tolist())
        wanted = Wanted(tuple(layers), attention, context)
        parts = [
            self._read(items, laid, wanted, list(islice(counts, len(items))), progress)
            for items, laid in self._ahead(readings[i] for i in firsts)
        ]
        usages = _joined(parts) if parts else self._read([], [], wanted, [], progress)
        if len(unique) == len(readings):
            return usages
        return replace(usages.take(which.tolist()), occurrences=tuple(map(_occurrence, readings)))

    def stream(
        self,
        readings: Iterable[Item],
        *,
        layers: Sequence[int] = (),
        attention: bool = False,
        context: bool = True,
        progress: Progress = silent,
    ) -> Iterator[Usages]:
        """`encode` of any number of readings, in the order given: `LOOK_AHEAD` at a time, and then forgotten."""
        wanted = Wanted(tuple(layers), attention, context)

        def after_batch(done: int) -> None:
            give_back()
            progress(done)

        for items, laid in self._ahead(readings):
            yield self._read(items, laid, wanted, [1] * len(items), after_batch)

    def sentences(self, texts: Sequence[str], *, progress: Progress = silent) -> Sentences:
        """Each text as one vector: the mean of the last hidden state over all subwords, special tokens too, length 1.

        That is how the sentence-transformers in the catalogue were trained (Reimers and Gurevych 2019, section 3).
        Raises BadText, with the text's place in the list, for an empty text, or one beyond the window.
        """
        laid = self._layout.sentences(texts)
        vectors = np.zeros((len(laid), self.info.width), dtype=np.float32)
        room = self._forward.room()
        for batch in self._forward.batches(laid):
            vectors[batch] = self._forward([laid[i] for i in batch], Wanted(), room).vectors
            progress(len(batch))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return Sentences(vectors, np.array([len(reading) for reading in laid], dtype=np.int64))

    def gradients(
        self,
        occurrences: Sequence[Occurrence | Perturbed],
        respond: Respond,
        *,
        path: Path,
        points: Sequence[float],
        ends: bool = False,
        progress: Progress = silent,
    ) -> Gradients:
        """See `Encoder` in analysis/types.py, and analysis/model/gradients.py for the paths.

        Raises UnsupportedModel where the path begins at a mask that the model does not have.
        """
        if path == "mask":
            self._layout.check_mask()
        walk = partial(
            along,
            self._model,
            self._lay_out(occurrences),
            respond,
            path=path,
            mask_id=self._layout.mask_id,
            causal=self.info.causal,
            progress=progress,
        )
        effects, _ = walk(points)
        return Gradients(tuple(effects), walk((0.0, 1.0), gradient=False)[1] if ends else None)

    def value_zeroing(
        self, occurrences: Sequence[Occurrence], *, progress: Progress = silent
    ) -> tuple[FloatArray, ...]:
        """For each usage f32 (W_i): see analysis/model/layers.py."""
        found = []
        for reading in self._lay_out(occurrences):
            found.append(value_zeroing(self._model, reading))
            progress(len(np.unique(reading.unit_of[reading.context])))
        return tuple(found)

    def word_attention(self, occurrence: Occurrence) -> Attention:
        """(L, H, W, W) over the words that `encode` reads of an occurrence, pooled as `attention.by_word` does."""
        (reading,) = self._lay_out([occurrence])
        pooled = pool(self._all_attention(reading.ids), reading.unit_of, len(reading.units))
        return Attention(occurrence.text, reading.units, pooled, self.info.causal)

    def attention(self, text: str) -> Attention:
        """(L, H, T, T) over the subwords of the text. Raises BadText for an empty text, or one beyond the window."""
        ids, units = self._layout.whole(text)
        return Attention(text, units, self._all_attention(ids), self.info.causal)

    def queries_keys(self, text: str) -> tuple[FloatArray, FloatArray]:
        """f32 (L, H, T, d) each, as `attention` has the text. Raises BadText, and UnsupportedModel: see heads.py."""
        ids, _ = self._layout.whole(text)
        return queries_keys(self._model, ids, self.info.name)

    def static(self, forms: Sequence[str]) -> FloatArray:
        """(F, D) rows of the embedding table, mean over a form's subwords as they stand inside a sentence."""
        table = self._model.get_input_embeddings().weight.detach()
        # A word inside a sentence may have other subwords than one at its beginning (byte-level BPE).
        taken = self._layout.tokens([f"a {form}" for form in dict.fromkeys(forms)])
        wholes = [taken[f"a {form}"] for form in forms]
        return np.stack([table[torch.from_numpy(one.ids[one.ends > 2])].mean(0).cpu().numpy() for one in wholes])

    def _lay_out(self, readings: Sequence[Item]) -> list[Reading]:
        return self._layout.usages(readings)

    def _ahead(self, readings: Iterable[Item]) -> Iterator[tuple[list[Item], list[Reading]]]:
        """The readings `LOOK_AHEAD` at a time, laid out while those before them are computed."""
        left = iter(readings)
        items = list(islice(left, LOOK_AHEAD))
        if not items:
            return
        laid = self._lay_out(items)
        with ThreadPoolExecutor(1) as thread:
            while following := list(islice(left, LOOK_AHEAD)) if len(items) == LOOK_AHEAD else []:
                task = thread.submit(self._lay_out, following)
                yield items, laid
                items, laid = following, task.result()
        yield items, laid

    def _read(
        self, items: Sequence[Item], laid: Sequence[Reading], wanted: Wanted, counts: Sequence[int], progress: Progress
    ) -> Usages:
        """Of these items, each of which stands for `counts` readings."""
        unique: dict[Any, int] = {}
        which = np.array([unique.setdefault(reading.key, len(unique)) for reading in laid], dtype=np.int64)
        todo = [laid[i] for i in np.unique(which, return_index=True)[1]]
        shares = np.bincount(which, counts, len(todo))
        n, width = len(todo), self.info.width
        vectors = zeros(n, width)
        context = zeros(n, width) if wanted.context else nothing(n)
        kept = zeros(n, len(wanted.layers), width) if wanted.layers else None
        alike: list[list[int]] = [[] for _ in todo]  # the places of each in the items
        for place, i in enumerate(which):
            alike[i].append(place)
        attention, room = self._rows(laid) if wanted.attention else [], self._forward.room()
        for batch in self._forward.batches(todo):
            found = self._forward([todo[i] for i in batch], wanted, room)
            vectors[batch], context[batch] = found.vectors, found.context
            if kept is not None:
                kept[batch] = found.layers
            for i, row in zip(batch, found.rows, strict=False):
                for place in alike[i]:
                    pool_keys(row, laid[place].unit_of, len(laid[place].units), out=attention[place])
            progress(int(shares[batch].sum()))
        if n < len(laid):
            vectors, context, kept = vectors[which], context[which], None if kept is None else kept[which]
        return Usages(
            occurrences=tuple(map(_occurrence, items)),
            vectors=vectors,
            context=context,
            words=tuple(reading.units for reading in laid),
            layer_ids=wanted.layers,
            layers=kept,
            target_attention=tuple(attention) if wanted.attention else None,
            subwords=np.array([len(reading) for reading in laid], dtype=np.int64),
        )

    def _rows(self, readings: Sequence[Reading]) -> list[FloatArray]:
        """Room for each reading's rows of attention, (L, H, W). It is one piece of memory: many small ones that outlive
        the large ones of a batch would leave holes between them, more of them with every batch."""
        shapes = [(self.info.layers, self.info.heads, len(reading.units)) for reading in readings]
        ends = np.cumsum([math.prod(shape) for shape in shapes])
        room = zeros(int(ends[-1]) if len(ends) else 0)
        return [part.reshape(shape) for part, shape in zip(np.split(room, ends[:-1]), shapes, strict=False)]

    def _all_attention(self, ids: IntArray) -> FloatArray:
        if isinstance(self._forward, Packed):
            return self._forward.whole(ids)
        return self._plain.whole(ids)

    def _fastest(self) -> Forward:
        """Tried on two texts of different length, the longer of which has a target of two words."""
        long, short = "the first of three words", "one two"
        tried = self._lay_out([Occurrence(long, "", 4, 12, "tried"), Occurrence(short, "", 0, 3, "tried")])
        pad = self._tokenizer.pad_token_id or 0
        ways = (partial(Packed, self._model, self.info.window), partial(Rows, self._model, pad))
        return forward_of(ways, self._plain, tried, self.info.layers)

    def _seen_abilities(self) -> frozenset[Ability]:
        able: set[Ability] = set()
        if self._layout.mask_id is not None:
            able.add("mask")
        ids = torch.from_numpy(self._layout.bare("one two three"))[None].to(self._model.device)
        if takes_scores(self._model, ids, window=self.info.window, causal=self.info.causal):
            able.add("gradients")
        if projects_values(self._model):
            able.add("values")
        return frozenset(able)

    def _is_causal(self) -> bool:
        """Seen, not declared: in a causal model the first position gives nothing to those after it."""
        first = self._plain.whole(self._layout.bare("one two three"))[0, :, 0]
        return bool((first[:, 1:] == 0).all())


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise BadOption(
            f"there is no device {name!r} here: {first_line(error)}",
            remedy="give auto, cpu, or cuda on a machine that has one",
            where=("device",),
        ) from error
    return device


def _occurrence(item: Item) -> Occurrence:
    return item.occurrence if isinstance(item, Perturbed) else item


def _key(item: Item) -> Any:
    """Items with the same key are laid out, and so read, alike."""
    if isinstance(item, Perturbed):
        return item.occurrence.text, item.occurrence.span, item.removed, item.operator
    return item.text, item.span


def _joined(parts: Sequence[Usages]) -> Usages:
    """One after the other."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    return Usages(
        occurrences=tuple(chain.from_iterable(part.occurrences for part in parts)),
        vectors=np.concatenate([part.vectors for part in parts]),
        context=np.concatenate([part.context for part in parts]),
        words=tuple(chain.from_iterable(part.words for part in parts)),
        layer_ids=first.layer_ids,
        layers=None
        if first.layers is None
        else np.concatenate([part.layers for part in parts if part.layers is not None]),
        target_attention=None
        if first.target_attention is None
        else tuple(chain.from_iterable(part.target_attention or () for part in parts)),
        subwords=np.concatenate([part.subwords for part in parts if part.subwords is not None]),
    )


def _window(model: Any, tokenizer: Any) -> int:
    """The most subwords read at once, special tokens included."""
    limits: list[int] = [LONGEST_WINDOW, tokenizer.model_max_length]
    limits.append(getattr(model.config, "max_position_embeddings", LONGEST_WINDOW))
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            # Tables that keep a padding row begin to count behind it (RoBERTa, MPNet).
            limits.append(module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1))
    return min(limits)
