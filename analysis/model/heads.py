"""The queries and keys of every head: what its attention is the softmax of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from analysis.errors import UnsupportedModel
from analysis.types import FloatArray, IntArray

QUERIES = frozenset({"query", "q", "q_proj", "q_lin"})  # what architectures call the projections
KEYS = frozenset({"key", "k", "k_proj", "k_lin"})
CLOSE = 1e-4


@torch.inference_mode()
def queries_keys(model: Any, ids: IntArray, name: str) -> tuple[FloatArray, FloatArray]:
    """f32 (L, H, T, d) each, of one text whose subwords have the `ids` (T).

    Raises UnsupportedModel unless softmax(q·k/√d) is the model's attention: some add positions to it, or turn q and k.
    """
    one = torch.from_numpy(ids)[None].to(model.device)
    whole = torch.ones_like(one)
    output = model(input_ids=one, attention_mask=whole, output_hidden_states=True, output_attentions=True)
    weights = torch.stack(output.attentions)[:, 0]
    n_layers, n_heads, n, _ = weights.shape
    asks, keeps = ([m for at, m in model.named_modules() if at.rpartition(".")[2] in own] for own in (QUERIES, KEYS))
    if len(asks) == len(keeps) == n_layers:
        states = output.hidden_states[:-1]
        q, k = (
            torch.cat([layer(state) for layer, state in zip(layers, states, strict=True)])
            .view(n_layers, n, n_heads, -1)
            .transpose(1, 2)
            for layers in (asks, keeps)
        )
        if q.shape == k.shape and torch.allclose(
            torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1), weights, atol=CLOSE
        ):
            return np.ascontiguousarray(q.cpu().numpy()), np.ascontiguousarray(k.cpu().numpy())
    raise UnsupportedModel(
        f"the attention of {name!r} is not the softmax of its queries and keys alone",
        remedy="choose a model of BERT's kind, such as minilm",
        where=("model",),
    )
