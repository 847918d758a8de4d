"""What the encoder is measured against: what a user would write, and the machine itself. Nothing here is ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import transformers

from analysis.catalogue import ModelFolder
from analysis.types import Occurrence

Work = Callable[[], Any]


class Rivals(NamedTuple):
    """Each is one reading of all the usages."""

    plain: Work
    sorted: Work
    sentence_transformers: Work
    bare: Work


def rivals(folder: ModelFolder, usages: Sequence[Occurrence]) -> Rivals:
    """The model as a user would load it: eager where attention is wanted, as transformers chooses elsewhere."""
    # It imports half of the machine's libraries, and their warnings.
    from sentence_transformers import SentenceTransformer, models

    where: Any = {"local_files_only": True, "dtype": torch.float32}
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder.path, local_files_only=True)
    eager = transformers.AutoModel.from_pretrained(folder.path, attn_implementation="eager", **where).eval()
    own = transformers.AutoModel.from_pretrained(folder.path, **where).eval()
    sentences = SentenceTransformer(modules=[models.Transformer(str(folder.path))], device="cpu")
    in_order = sorted(usages, key=lambda usage: len(tokenizer(usage.text)["input_ids"]))
    texts = [usage.text for usage in usages]

    def prepared(size: int) -> list[Any]:
        """Batches as the model takes them, longest first: (d) is the forward pass alone."""
        longest_first = in_order[::-1]
        return [
            tokenizer([u.text for u in longest_first[i : i + size]], padding=True, truncation=True, return_tensors="pt")
            for i in range(0, len(usages), size)
        ]

    eights = prepared(8)

    @torch.inference_mode()
    def bare() -> None:
        for batch in eights:
            own(**batch)

    return Rivals(
        plain=lambda: script(tokenizer, eager, usages, 32),
        sorted=lambda: script(tokenizer, eager, in_order, 32),
        sentence_transformers=lambda: sentences.encode(
            texts, output_value="token_embeddings", batch_size=32, show_progress_bar=False
        ),
        bare=bare,
    )


@torch.inference_mode()
def script(tokenizer: Any, model: Any, usages: Sequence[Occurrence], size: int) -> list[Any]:
    """The target's vectors at all layers and its rows of attention, as one would write it with transformers."""
    found = []
    for first in range(0, len(usages), size):
        batch = usages[first : first + size]
        encoded = tokenizer(
            [u.text for u in batch], padding=True, truncation=True, return_tensors="pt", return_offsets_mapping=True
        )
        offsets = encoded.pop("offset_mapping")
        output = model(**encoded, output_attentions=True, output_hidden_states=True)
        hidden, attention = torch.stack(output.hidden_states), torch.stack(output.attentions)
        for i, usage in enumerate(batch):
            target = (offsets[i, :, 0] < usage.end) & (offsets[i, :, 1] > usage.start)
            found.append((hidden[:, i, target].mean(1).numpy(), attention[:, i, :, target].mean(2).numpy()))
    return found


def square(side: int = 2048) -> tuple[Work, float]:
    """One product of two square matrices, and its floating-point operations."""
    a, b, out = torch.randn(side, side), torch.randn(side, side), torch.empty(side, side)
    return lambda: torch.mm(a, b, out=out), 2.0 * side**3


@torch.inference_mode()
def products(encoder: Any, batches: Sequence[Sequence[int]]) -> tuple[Work, float]:
    """All products of matrices that reading batches of texts of these lengths takes, and nothing else; and their
    floating-point operations. The weights are the model's own; attention's two products go by texts of one length."""
    layers, heads = encoder._forward._layers, encoder._forward._heads
    width, wide = layers[0].up.weight.shape[1], layers[0].up.weight.shape[0]
    most = max(map(sum, batches))
    narrow, broad = torch.randn(most, width), torch.randn(most, wide)
    outs = {n: torch.empty(most, n) for n in {3 * width, width, wide}}
    plan, operations = [], 0.0
    for lengths in batches:
        rows = sum(lengths)
        alike = []
        for length in set(lengths):
            many = lengths.count(length) * heads
            left, right = torch.randn(many, length, width // heads), torch.randn(many, width // heads, length)
            square = torch.randn(many, length, length)
            alike.append((left, right, square, torch.empty_like(square), torch.empty_like(left)))
            operations += 4.0 * many * length**2 * (width // heads) * len(layers)
        operations += 2.0 * rows * width * (4 * width + 2 * wide) * len(layers)
        plan.append((rows, alike))

    @torch.inference_mode()
    def work() -> None:
        for rows, alike in plan:
            for layer in layers:
                torch.mm(narrow[:rows], layer.qkv.weight.T, out=outs[3 * width][:rows])
                for left, right, square, scores, mixed in alike:
                    torch.bmm(left, right, out=scores)
                    torch.bmm(square, left, out=mixed)
                torch.mm(narrow[:rows], layer.out.weight.T, out=outs[width][:rows])
                torch.mm(narrow[:rows], layer.up.weight.T, out=outs[wide][:rows])
                torch.mm(broad[:rows], layer.down.weight.T, out=outs[width][:rows])

    return work, operations
