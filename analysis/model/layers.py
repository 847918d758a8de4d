"""What each layer would do without a word's values: value zeroing (Mohebbi et al. 2023).

Each layer reads its true input; the value vectors of one word are nought in it, and how far the target's state turns
says how much of that word the layer mixes in. This runs on a copy of the model that shares its weights, so that nobody
else's reading meets the hooks.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch

from analysis.errors import UnsupportedModel
from analysis.model.reading import Reading
from analysis.types import FloatArray

ROWS = 8  # words tried at once
VALUES = frozenset({"value", "v", "v_proj", "v_lin"})  # what architectures call the projection to values


def value_zeroing(model: Any, reading: Reading) -> FloatArray:
    """f32 (W): 1 - cosine of the target's state with and without the word's values, each layer's share, mean of layers.

    The shares of a layer sum to 1 over the context's words; target and special tokens have 0. Costs about a forward
    pass a word. Raises UnsupportedModel where the model does not `projects_values`.
    """
    if not projects_values(model):
        raise UnsupportedModel(
            "value zeroing needs a model that projects to values in a matrix of its own",
            remedy="choose another driver method",
            where=("drivers",),
        )
    twin = copy.deepcopy(model, {id(p): p for p in (*model.parameters(), *model.buffers())})
    layers, projections = _layers(twin), _projections(twin)
    words = np.unique(reading.unit_of[reading.context])
    turned = np.zeros((len(layers), len(reading.units)), dtype=np.float32)
    for first in range(0, len(words), ROWS):
        tried = words[first : first + ROWS]
        kept = torch.from_numpy(reading.unit_of[None] != np.concatenate([[-1], tried])[:, None]).to(model.device)
        for layer, turn in enumerate(_turns(twin, layers, projections, reading, kept)):
            turned[layer, tried] = turn
    total = turned.sum(axis=1, keepdims=True)
    shares: FloatArray = np.divide(turned, total, out=np.zeros_like(turned), where=total > 0).mean(axis=0)
    return shares


def _turns(twin: Any, layers: Any, projections: Any, reading: Reading, kept: torch.Tensor) -> list[FloatArray]:
    """For each layer (B - 1): how far the target turns, with the values of the positions not `kept` (B, T) at nought.

    Row 0 keeps all of them: its states are the true input of every layer, for all rows.
    """
    target = torch.from_numpy(reading.target).to(kept.device)
    turns: list[FloatArray] = []

    def true_input(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if args:
            return (args[0][:1].expand_as(args[0]), *args[1:]), kwargs
        return args, kwargs | {"hidden_states": kwargs["hidden_states"][:1].expand_as(kwargs["hidden_states"])}

    def without_values(_module: Any, _args: Any, values: torch.Tensor) -> torch.Tensor:
        return values * kept[..., None]

    def compare(_module: Any, _args: Any, output: Any) -> None:
        states = (output if isinstance(output, torch.Tensor) else output[0])[:, target]
        cosine = torch.nn.functional.cosine_similarity(states[:1], states[1:], dim=-1)
        turns.append((1 - cosine).clamp(min=0).mean(1).cpu().numpy())

    handles = [layer.register_forward_pre_hook(true_input, with_kwargs=True) for layer in layers]
    handles += [layer.register_forward_hook(compare) for layer in layers]
    handles += [projection.register_forward_hook(without_values) for projection in projections]
    try:
        with torch.inference_mode():
            ids = torch.from_numpy(reading.ids).to(kept.device).expand(len(kept), -1)
            twin(input_ids=ids, attention_mask=torch.ones_like(ids))
    finally:
        for handle in handles:
            handle.remove()
    return turns


def projects_values(model: Any) -> bool:
    """Whether each layer projects to values in a matrix of its own; some keep queries, keys and values in one."""
    layers = _layers(model)
    return layers is not None and len(_projections(model)) == len(layers)


def _layers(model: Any) -> Any:
    """The stack of layers: the list of modules as long as the model is deep; None where there is none."""
    depth = model.config.num_hidden_layers
    return next((m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == depth), None)


def _projections(model: Any) -> list[Any]:
    return [module for name, module in model.named_modules() if name.rpartition(".")[2] in VALUES]
