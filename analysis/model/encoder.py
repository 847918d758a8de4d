"""A pretrained transformer, read for its hidden states and its self-attention.

Any Hugging Face encoder or decoder with a fast tokenizer. Small batches of near-equal length waste the least padding;
of each batch only the target's rows are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import transformers

from analysis.attention import pool, pool_keys
from analysis.catalogue import ModelFolder
from analysis.errors import BadText, Place, UnsupportedModel
from analysis.model.batches import batches
from analysis.model.gradients import along, takes_scores
from analysis.model.heads import queries_keys
from analysis.model.layers import projects_values, value_zeroing
from analysis.model.reading import Reading, Specials, Tokens, perturb, read, tokens
from analysis.text import words
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
    Span,
    Unit,
    Usages,
    silent,
)

# Subwords read at once, at most: attention costs their square, and a sense is decided by what stands near.
LONGEST_WINDOW = 512


def load(folder: ModelFolder, *, device: str = "cpu") -> TransformerEncoder:
    """The model in a folder, in float32, with eager attention (the only kind that gives its weights).

    Touches no network. Raises UnsupportedModel where transformers cannot read it without running code of the folder,
    or where it has no fast tokenizer.
    """
    logging: Any = transformers.logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    where: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    if folder.weights.endswith(".gguf"):
        where["gguf_file"] = folder.weights
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder.path, **where)
        model = transformers.AutoModel.from_pretrained(
            folder.path, use_safetensors=True, dtype=torch.float32, attn_implementation="eager", **where
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise UnsupportedModel(
            f"transformers cannot read the model in {folder.path}: {_first_line(error)}",
            remedy="give an encoder or decoder that transformers knows, with its config.json and tokenizer",
        ) from error
    if not tokenizer.is_fast:
        raise UnsupportedModel(
            f"the model {folder.name!r} has no fast tokenizer, so its subwords have no offsets",
            remedy="add the tokenizer.json of the model",
        )
    return TransformerEncoder(model.to(device).eval().requires_grad_(False), tokenizer, folder)


class TransformerEncoder:
    """An `Encoder` (analysis/types.py) over a loaded model. Safe to share between threads: it keeps no state."""

    def __init__(self, model: Any, tokenizer: Any, folder: ModelFolder) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._specials = _specials(tokenizer)
        config = model.config
        self.info = ModelInfo(
            name=folder.name,
            source=folder.source,
            revision=folder.revision,
            digest=folder.digest,
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            width=config.hidden_size,
            window=_window(model, tokenizer),
            causal=self._is_causal(),
        )
        self.abilities = self._seen_abilities()

    def encode(
        self,
        readings: Sequence[Occurrence | Perturbed],
        *,
        layers: Sequence[int] = (),
        attention: bool = False,
        progress: Progress = silent,
    ) -> Usages:
        """The target in each reading, in the order given; equal readings are computed once (see `Usages`).

        Raises BadSpan, BadText (reading.read) and UnsupportedModel (a mask asked of a model that has none).
        """
        laid = self._lay_out(readings)
        unique: dict[Any, int] = {}
        which = np.array([unique.setdefault(reading.key, len(unique)) for reading in laid], dtype=np.int64)
        firsts = np.unique(which, return_index=True)[1]
        todo = [laid[i] for i in firsts]
        shares = np.bincount(which, minlength=len(todo))

        width = self.info.width
        vectors = np.zeros((len(todo), width), dtype=np.float32)
        context = np.zeros((len(todo), width), dtype=np.float32)
        kept = np.zeros((len(todo), len(layers), width), dtype=np.float32) if layers else None
        rows: list[FloatArray] = [np.empty(0, dtype=np.float32)] * len(todo)
        for batch in batches([len(reading) for reading in todo]):
            output = self._forward([todo[i].ids for i in batch], hidden=bool(layers), attention=attention)
            for slot, i in enumerate(batch):
                target, others = torch.from_numpy(todo[i].target), torch.from_numpy(todo[i].context)
                length = len(target)
                last = output.last_hidden_state[slot, :length]
                vectors[i] = last[target].mean(0).numpy()
                if others.any():
                    context[i] = last[others].mean(0).numpy()
                if kept is not None:
                    for position, layer in enumerate(layers):
                        kept[i, position] = output.hidden_states[layer][slot, :length][target].mean(0).numpy()
                if attention:
                    # (H, T): the target's rows only, mean over its pieces, one layer after the other.
                    rows[i] = np.stack([a[slot][:, :length][:, target, :length].mean(1) for a in output.attentions])
            progress(int(shares[batch].sum()))

        return Usages(
            occurrences=tuple(r.occurrence if isinstance(r, Perturbed) else r for r in readings),
            vectors=vectors[which],
            context=context[which],
            words=tuple(reading.units for reading in laid),
            layer_ids=tuple(layers),
            layers=None if kept is None else kept[which],
            target_attention=tuple(
                pool_keys(rows[u], reading.unit_of, len(reading.units)) for u, reading in zip(which, laid, strict=True)
            )
            if attention
            else None,
            subwords=np.array([len(reading) for reading in laid], dtype=np.int64),
        )

    def sentences(self, texts: Sequence[str], *, progress: Progress = silent) -> Sentences:
        """Each text as one vector: the mean of the last hidden state over all subwords, special tokens too, length 1.

        That is how the sentence-transformers in the catalogue were trained (Reimers and Gurevych 2019, section 3).
        Raises BadText, with the text's place in the list, for an empty text, or one beyond the window.
        """
        laid = [self._whole(text, ("texts", i)) for i, text in enumerate(texts)]
        vectors = np.zeros((len(laid), self.info.width), dtype=np.float32)
        for batch in batches([len(ids) for ids in laid]):
            last = self._forward([laid[i] for i in batch], hidden=False, attention=False).last_hidden_state
            for slot, i in enumerate(batch):
                mean = last[slot, : len(laid[i])].mean(0)
                vectors[i] = (mean / mean.norm()).numpy()
            progress(len(batch))
        return Sentences(vectors, np.array([len(ids) for ids in laid], dtype=np.int64))

    def _whole(self, text: str, where: Place) -> IntArray:
        """(T) the ids of a text that the window holds, between the special tokens."""
        bare = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        room = self.info.window - len(self._specials)
        if not 0 < len(bare) <= room:
            raise BadText(
                f"the text has {len(bare)} subwords; the model reads 1 to {room}",
                remedy="give a text with words in it, or send a long one in parts",
                where=where,
            )
        before, after = ([i for i, _ in some] for some in (self._specials.before, self._specials.after))
        return np.array([*before, *bare, *after], dtype=np.int64)

    def gradients(
        self,
        occurrences: Sequence[Occurrence],
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
            self._check_mask()
        walk = partial(
            along,
            self._model,
            self._lay_out(occurrences),
            respond,
            path=path,
            mask_id=self._tokenizer.mask_token_id,
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
        whole = self._tokens(text)
        room = self.info.window - len(self._specials)
        if not 0 < len(whole.ids) <= room:
            raise BadText(
                f"the text has {len(whole.ids)} subwords; an attention matrix takes 1 to {room}",
                remedy="give one sentence, or split the text",
                where=("text",),
            )
        before, after = self._specials.before, self._specials.after
        pieces = zip(whole.starts.tolist(), whole.ends.tolist(), strict=True)
        units = (*(u for _, u in before), *(Unit(text[s:e], s, e) for s, e in pieces), *(u for _, u in after))
        ids = np.concatenate([[i for i, _ in before], whole.ids, [i for i, _ in after]]).astype(np.int64)
        return Attention(text, units, self._all_attention(ids), self.info.causal)

    def queries_keys(self, text: str) -> tuple[FloatArray, FloatArray]:
        """f32 (L, H, T, d) each, as `attention` has the text. Raises BadText, and UnsupportedModel: see heads.py."""
        ids = self._whole(text, ("text",))
        return queries_keys(self._model, self._forward([ids], hidden=True, attention=True), self.info.name)

    def static(self, forms: Sequence[str]) -> FloatArray:
        """(F, D) rows of the embedding table, mean over a form's subwords as they stand inside a sentence."""
        table = self._model.get_input_embeddings().weight.detach()
        rows = []
        for form in forms:
            # A word inside a sentence may have other subwords than one at its beginning (byte-level BPE).
            whole = self._tokens(f"a {form}")
            rows.append(table[torch.from_numpy(whole.ids[whole.ends > 2])].mean(0).numpy())
        return np.stack(rows)

    def _lay_out(self, readings: Sequence[Occurrence | Perturbed]) -> list[Reading]:
        texts: dict[str, Tokens] = {}
        plain: dict[tuple[str, Span], Reading] = {}
        laid = []
        for item in readings:
            occurrence = item.occurrence if isinstance(item, Perturbed) else item
            key = (occurrence.text, occurrence.span)
            if key not in plain:
                if occurrence.text not in texts:
                    texts[occurrence.text] = self._tokens(occurrence.text)
                plain[key] = read(occurrence, texts[occurrence.text], self._specials, self.info.window)
            reading = plain[key]
            if isinstance(item, Perturbed):
                if item.operator == "mask":
                    self._check_mask()
                reading = perturb(reading, item.removed, item.operator, self._tokenizer.mask_token_id)
            laid.append(reading)
        return laid

    def _tokens(self, text: str) -> Tokens:
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return tokens(text, encoded["input_ids"], encoded["offset_mapping"], words(text))

    @torch.inference_mode()
    def _forward(self, ids: Sequence[Any], *, hidden: bool, attention: bool) -> Any:
        """One padded batch; padding stands on the right, so a position means the same with and without it."""
        longest = max(len(row) for row in ids)
        padded = torch.full((len(ids), longest), self._tokenizer.pad_token_id or 0, dtype=torch.long)
        mask = torch.zeros((len(ids), longest), dtype=torch.long)
        for slot, row in enumerate(ids):
            padded[slot, : len(row)] = torch.from_numpy(row)
            mask[slot, : len(row)] = 1
        device = self._model.device
        return self._model(
            input_ids=padded.to(device),
            attention_mask=mask.to(device),
            output_hidden_states=hidden,
            output_attentions=attention,
        )

    def _all_attention(self, ids: IntArray) -> FloatArray:
        output = self._forward([ids], hidden=False, attention=True)
        weights: FloatArray = torch.stack(output.attentions)[:, 0].numpy()
        return weights

    def _check_mask(self) -> None:
        if "mask" not in self.abilities:
            raise UnsupportedModel(
                f"the model {self.info.name!r} has no mask token",
                remedy="choose a driver method that needs none",
                where=("drivers",),
            )

    def _seen_abilities(self) -> frozenset[Ability]:
        able: set[Ability] = set()
        if self._tokenizer.mask_token_id is not None:
            able.add("mask")
        ids = torch.from_numpy(self._tokens("one two three").ids)[None].to(self._model.device)
        if takes_scores(self._model, ids, window=self.info.window, causal=self.info.causal):
            able.add("gradients")
        if projects_values(self._model):
            able.add("values")
        return frozenset(able)

    def _is_causal(self) -> bool:
        """Seen, not declared: in a causal model the first position gives nothing to those after it."""
        ids = self._tokens("one two three").ids
        first = self._forward([ids], hidden=False, attention=True).attentions[0][0, :, 0]
        return bool((first[:, 1:] == 0).all())


def _specials(tokenizer: Any) -> Specials:
    """What the tokenizer adds around any text, found by asking it for one."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a", add_special_tokens=True)["input_ids"]
    start = next((i for i in range(len(full)) if full[i : i + len(bare)] == bare), 0)

    def units(ids: list[int]) -> tuple[tuple[int, Unit], ...]:
        return tuple((i, Unit(tokenizer.convert_ids_to_tokens(i), 0, 0, special=True)) for i in ids)

    return Specials(units(full[:start]), units(full[start + len(bare) :]))


def _window(model: Any, tokenizer: Any) -> int:
    """The most subwords read at once, special tokens included."""
    limits: list[int] = [LONGEST_WINDOW, tokenizer.model_max_length]
    limits.append(getattr(model.config, "max_position_embeddings", LONGEST_WINDOW))
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            # Tables that keep a padding row begin to count behind it (RoBERTa, MPNet).
            limits.append(module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1))
    return min(limits)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
