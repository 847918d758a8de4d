"""The lesson's small examples: attention on one sentence, the causal mask, and self- beside cross-attention by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from analysis.complexity.attentions import SelfAttention, dense, linear, sliding_window
from analysis.complexity.clock import point
from analysis.lesson import Cross, Heads, Masking, Matrix, Method, Variant, Variants, Worked

TEXT = "I sat by the bank and watched the river."
ASKS, ASKED = "bank", "river"
WINDOW = 2
WORDS = ("I", "sat", "by", "the", "bank")
OTHER = "fire"
WIDTH = 16
Kind = Callable[[Tensor, Tensor, Tensor], Tensor]


def variants(model: Heads) -> Variants:
    """The three kinds of attention on TEXT, over the queries and keys that the model itself makes of it.

    Shown is the head in which "bank" looks most at "river", since that is the link which tells what "bank" means here;
    the figures over all heads say how it is elsewhere. Raises UnsupportedModel where the model's attention is not the
    softmax of its queries and keys alone.
    """
    q, k = (torch.from_numpy(x).flatten(0, 1) for x in model.queries_keys(TEXT))
    same = torch.eye(q.shape[1])
    kinds: dict[Method, Kind] = {
        "dense": dense,
        "sparse": lambda q, k, v: sliding_window(q, k, v, WINDOW),
        "linear": linear,
    }
    weights = {
        method: torch.stack([kind(*qk, same) for qk in zip(q, k, strict=True)]) for method, kind in kinds.items()
    }
    moved = {method: (own - weights["dense"]).abs().sum(-1).mean(-1).div(2).tolist() for method, own in weights.items()}
    spread = {method: _spread(own).mean(-1).tolist() for method, own in weights.items()}
    units = tuple(unit.text for unit in model.attention(TEXT).units)
    asks, asked = units.index(ASKS), units.index(ASKED)
    shown = int(weights["dense"][:, asks, asked].argmax())
    layer, head = divmod(shown, model.info.heads)
    return Variants(
        model=model.info.name,
        text=TEXT,
        layer=layer,
        head=head,
        heads=len(q),
        window=WINDOW,
        units=units,
        asks=asks,
        asked=asked,
        variants=tuple(
            Variant(
                method=method,
                weights=_matrix(own[shown]),
                link=float(own[shown, asks, asked]),
                moved=moved[method][shown],
                moved_all=point(len(same), moved[method]),
                spread=spread[method][shown],
                spread_all=point(len(same), spread[method]),
            )
            for method, own in weights.items()
        ),
    )


def _spread(weights: Tensor) -> Tensor:
    """To how many words a row's share goes, in effect: 1 if to one, n if evenly to n; 2^entropy."""
    bits = -torch.where(weights > 0, weights * weights.log2(), 0).sum(-1)
    return 2**bits


def masking(*, seed: int = 0) -> Masking:
    """A text read twice, the second time with another last word; a layer with random weights and random word vectors.

    With the mask no output before the last may change; and one pass over the text gives what each beginning of it
    gives alone, which is why a model can learn from all its words at once and still write one after the other.
    """
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(seed)
        layer, text, other = SelfAttention(WIDTH), torch.randn(len(WORDS), WIDTH), torch.randn(1, WIDTH)
        changed_text = torch.cat([text[:-1], other])

        def changed(causal: bool) -> tuple[float, ...]:
            difference = layer(changed_text, causal=causal) - layer(text, causal=causal)
            return tuple(difference.abs().amax(-1).tolist())

        whole = layer(text, causal=True)
        alone = torch.stack([layer(text[: i + 1], causal=True)[-1] for i in range(len(text))])
        return Masking(
            seed=seed,
            words=WORDS,
            other=OTHER,
            changed_causal=changed(True),
            changed_free=changed(False),
            weights_causal=_matrix(layer.weights(text, causal=True)),
            weights_free=_matrix(layer.weights(text)),
            prefix_error=float((whole - alone).abs().max()),
        )


# Chosen by hand, so that every score is 0, 1 or 2: four numbers a query or key, whose square root is 2. A model learns
# its own. The two numbers of a value say how much the word has to do with water, and how much with money.
ENGLISH = ("the", "river", "bank")
ENGLISH_QUERIES = ((0, 0, 0, 0), (0, 0, 2, 0), (2, 0, 0, 0))
ENGLISH_KEYS = ((0, 0, 0, 0), (2, 0, 0, 0), (1, 1, 2, 0))
ENGLISH_VALUES = ((0, 0), (10, 0), (4, 4))
GERMAN = ("das", "Ufer")
GERMAN_QUERIES = ((0, 0, 0, 0), (2, 0, 1, 0))


def cross() -> Cross:
    """The words of "the river bank" ask each other; then those of its German translation ask them."""
    return Cross(
        self_attention=worked(ENGLISH, ENGLISH, ENGLISH_QUERIES, ENGLISH_KEYS, ENGLISH_VALUES),
        cross_attention=worked(GERMAN, ENGLISH, GERMAN_QUERIES, ENGLISH_KEYS, ENGLISH_VALUES),
    )


def worked(
    asking: Sequence[str],
    asked: Sequence[str],
    queries: Sequence[Sequence[float]],
    keys: Sequence[Sequence[float]],
    values: Sequence[Sequence[float]],
) -> Worked:
    """Dense attention step by step; queries (m, d), keys (n, d), values (n, e)."""
    q, k, v = (torch.tensor(rows, dtype=torch.float64) for rows in (queries, keys, values))
    scores = q @ k.T / math.sqrt(q.shape[1])
    exponentials = scores.exp()
    weights = exponentials / exponentials.sum(1, keepdim=True)
    return Worked(tuple(asking), tuple(asked), *map(_matrix, (q, k, v, scores, exponentials, weights, weights @ v)))


def _matrix(x: Tensor) -> Matrix:
    return tuple(tuple(row) for row in x.tolist())
