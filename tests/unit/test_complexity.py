"""The lesson's measurements: each kind of attention against a plain loop, gradients against the chain rule by hand."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from analysis.complexity import clock, cost, examples, flow
from analysis.complexity.attentions import SelfAttention, dense, linear, linear_quadratic, sliding_window
from analysis.errors import UnsupportedModel
from analysis.lesson import Heads, Variants

LENGTHS = st.integers(1, 40)


def qkv(n: int, seed: int = 0, width: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, n, width, dtype=torch.float64, generator=generator)


def by_loop(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """Attention word by word, pair by pair."""
    rows = []
    for i in range(len(q)):
        near = [j for j in range(len(k)) if abs(i - j) <= window]
        shares = [math.exp(float(q[i] @ k[j]) / math.sqrt(q.shape[1])) for j in near]
        rows.append(sum(share / sum(shares) * v[j] for share, j in zip(shares, near, strict=True)))
    return torch.stack(rows)  # type: ignore[arg-type]


@given(n=LENGTHS, window=st.integers(0, 45), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_window_is_attention_to_near_words_only(n: int, window: int, seed: int) -> None:
    q, k, v = qkv(n, seed)
    torch.testing.assert_close(sliding_window(q, k, v, window), by_loop(q, k, v, window))


@given(n=LENGTHS, more=st.integers(0, 9), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_a_full_window_is_dense(n: int, more: int, seed: int) -> None:
    q, k, v = qkv(n, seed)
    torch.testing.assert_close(sliding_window(q, k, v, n - 1 + more), dense(q, k, v))
    torch.testing.assert_close(dense(q, k, v), by_loop(q, k, v, n))


@given(n=LENGTHS, seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_linear_attention_equals_its_quadratic_form(n: int, seed: int) -> None:
    q, k, v = qkv(n, seed)
    torch.testing.assert_close(linear(q, k, v), linear_quadratic(q, k, v))


@pytest.mark.parametrize("kind", [dense, linear, lambda q, k, v: sliding_window(q, k, v, 3)])
def test_the_identity_as_values_shows_the_weights(kind: Any) -> None:
    q, k, v = qkv(11)
    weights = kind(q, k, torch.eye(11, dtype=torch.float64))
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(11, dtype=torch.float64))
    torch.testing.assert_close(weights @ v, kind(q, k, v))


def test_cheaper_kinds_do_less_work_and_not_the_same_with_a_mask() -> None:
    """Twice the words: dense has four times as much alive at once, the other two about twice."""
    grows = {}
    for name, kind in (("dense", dense), ("window", lambda q, k, v: sliding_window(q, k, v, 8)), ("linear", linear)):
        most = [clock.peak_bytes(lambda kind=kind, n=n: kind(*qkv(n))) for n in (512, 1024)]
        grows[name] = most[1] / most[0]
    assert grows["dense"] == pytest.approx(4, rel=0.05)
    assert grows["window"] == pytest.approx(2, rel=0.1)
    assert grows["linear"] == pytest.approx(2, rel=0.1)


def test_one_word_at_a_time_gives_the_same() -> None:
    layer, x = SelfAttention(8), torch.randn(9, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(layer.one_at_a_time(x), layer(x))


@pytest.mark.parametrize("kind", [dense, linear, lambda q, k, v: sliding_window(q, k, v, 32)])
def test_peak_memory_is_what_the_profiler_sees(kind: Any, tmp_path: Any, capfd: Any) -> None:
    """PyTorch's own profiler as the oracle: what the allocator gave and took, in its order."""
    q, k, v = (x.float() for x in qkv(512, width=64))
    kind(q, k, v)
    with (
        torch.inference_mode(),
        torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile,
    ):
        kind(q, k, v)
    profile.export_chrome_trace(str(tmp_path / "trace.json"))
    capfd.readouterr()  # the profiler talks
    trace = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    events = sorted((e for e in trace if e["name"] == "[memory]"), key=lambda e: e["ts"])
    peak = np.cumsum([e["args"]["Bytes"] for e in events]).max()
    assert clock.peak_bytes(lambda: kind(q, k, v)) == pytest.approx(peak, rel=0.01)


def test_the_gradient_of_a_recurrence_by_hand() -> None:
    """h_t = W h_(t-1) + U x_t: d h_n / d x_1 = W^(n-1) U. And one of a tanh RNN from finite differences."""
    generator = torch.Generator().manual_seed(0)
    w, u = torch.randn(2, 3, 3, dtype=torch.float64, generator=generator) / 2
    text = torch.randn(6, 3, dtype=torch.float64, generator=generator)

    def recurrence(x: Tensor) -> Tensor:
        states, state = [], torch.zeros(len(x), 3, dtype=torch.float64)
        for t in range(x.shape[1]):
            state = state @ w.T + x[:, t] @ u.T
            states.append(state)
        return torch.stack(states, 1)

    expected = torch.stack([torch.linalg.norm(torch.linalg.matrix_power(w, 5 - t) @ u) for t in range(6)])
    torch.testing.assert_close(flow.gradient_norms(recurrence, text), expected)

    network = flow._networks(0)["rnn"]
    text = torch.randn(4, flow.WIDTH, dtype=torch.float64, generator=generator)
    step = 1e-6
    nudged = text.repeat(2 * flow.WIDTH, 1, 1)
    nudged[: flow.WIDTH, 0] += step * torch.eye(flow.WIDTH, dtype=torch.float64)
    nudged[flow.WIDTH :, 0] -= step * torch.eye(flow.WIDTH, dtype=torch.float64)
    last = network(nudged)[:, -1].detach()
    jacobian = (last[: flow.WIDTH] - last[flow.WIDTH :]) / (2 * step)
    torch.testing.assert_close(flow.gradient_norms(network, text)[0], torch.linalg.norm(jacobian), rtol=1e-6, atol=0)


def test_gradients_fade_through_a_recurrence_and_not_through_attention() -> None:
    measured = flow.paths(quick=True)
    ratio = {series.method: series for series in measured.ratio}
    assert all(series.at(1).median == 1 for series in ratio.values())
    assert ratio["rnn"].at(16).high < 0.01
    assert ratio["lstm"].at(16).high < 0.01
    assert 0.3 < ratio["dense"].at(16).low <= ratio["dense"].at(16).high < 3
    again = flow.paths(quick=True)
    assert (again.ratio, again.gradient) == (measured.ratio, measured.gradient)
    assert flow.paths(quick=True, seed=7).ratio != measured.ratio


def test_measuring_leaves_torch_as_it_was() -> None:
    torch.manual_seed(3)
    expected, threads = torch.rand(2), torch.get_num_threads()
    torch.manual_seed(3)
    flow.paths(quick=True)
    cost.parallel(quick=True)
    cost.cost(quick=True)
    examples.masking()
    assert torch.equal(torch.rand(2), expected)
    assert torch.get_num_threads() == threads


def test_rounds_take_turns() -> None:
    order: list[str] = []
    tasks = {name: lambda name=name: order.append(name) for name in "ab"}
    samples = clock.rounds(tasks, 3)
    assert [len(seconds) for seconds in samples.values()] == [3, 3]
    turns = "".join(name for i, name in enumerate(order) if i == 0 or order[i - 1] != name)
    assert turns == "ab" * 4, "once to warm up, then three rounds"


@given(power=st.floats(0, 3), factor=st.floats(1e-6, 10), noise=st.floats(0, 0.2), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_the_exponent_of_a_power_law_is_found(power: float, factor: float, noise: float, seed: int) -> None:
    sizes = [512, 1024, 2048]
    jitter = np.exp(noise * np.random.default_rng(seed).standard_normal((3, 15)))
    samples = factor * np.array(sizes, dtype=float)[:, None] ** power * jitter
    found = clock.exponent("dense", sizes, samples.tolist(), seed=seed)
    assert found.value == pytest.approx(power, abs=1e-6 + 2 * noise)
    assert found.low - 1e-9 <= found.value <= found.high + 1e-9
    assert (found.n_from, found.n_to) == (512, 2048)
    x, y = np.log(sizes), np.log(np.median(samples, axis=1))
    assert found.value == pytest.approx(np.polyfit(x, y, 1)[0], abs=1e-9)


def test_costs_are_measured_at_every_size() -> None:
    measured = cost.cost(quick=True)
    assert [series.method for series in measured.time] == ["dense", "sparse", "linear"]
    for series in (*measured.time, *measured.memory):
        assert [point.n for point in series.points] == list(cost.QUICK)
        assert all(0 < point.low <= point.median <= point.high for point in series.points)
    assert [point.median for point in measured.matrix.points] == [4 * n * n for n in cost.QUICK]
    dense_memory = {point.n: point.median for point in measured.memory[0].points}
    assert dense_memory[64] == 4 * (2 * 64 * 64 + 64 * cost.WIDTH), "scores and weights, or weights and output"
    assert measured.machine.threads == torch.get_num_threads()
    assert measured.machine.processor
    parallel = cost.parallel(quick=True)
    assert [series.method for series in parallel.time] == ["rnn", "dense", "stepwise"]
    assert parallel.overtaken in (None, *cost.QUICK)


def test_a_mask_hides_what_comes_later() -> None:
    shown = examples.masking()
    assert shown.changed_causal[:-1] == (0,) * (len(shown.words) - 1)
    assert shown.changed_causal[-1] > 0.01
    assert min(shown.changed_free) > 0.01
    assert shown.prefix_error < 1e-6
    masked, free = np.array(shown.weights_causal), np.array(shown.weights_free)
    assert (masked[np.triu_indices(len(shown.words), 1)] == 0).all()
    np.testing.assert_allclose([masked.sum(1), free.sum(1)], 1, atol=1e-6)


def test_the_worked_example_by_hand() -> None:
    """e^0 = 1, e^1 = 2.718, e^2 = 7.389; a row's weights are these over their sum."""
    e = math.e
    own, across = examples.cross().self_attention, examples.cross().cross_attention
    assert own.scores == ((0, 0, 0), (0, 0, 2), (0, 2, 1))
    assert own.weights[2] == pytest.approx((1 / (1 + e**2 + e), e**2 / (1 + e**2 + e), e / (1 + e**2 + e)))
    assert own.output[2] == pytest.approx(((10 * e**2 + 4 * e) / (1 + e**2 + e), 4 * e / (1 + e**2 + e)))
    assert own.output[2] == pytest.approx((7.63, 0.98), abs=0.005)
    assert across.scores == ((0, 0, 0), (0, 2, 2))
    assert across.weights[1] == pytest.approx((0.063, 0.468, 0.468), abs=0.001)
    assert (np.shape(own.weights), np.shape(across.weights)) == ((3, 3), (2, 3))


@pytest.fixture(scope="module")
def minilm() -> Any:
    from tests.real import real

    return real("minilm")


@pytest.fixture(scope="module")
def shown(minilm: Any) -> Variants:
    assert isinstance(minilm, Heads)
    return examples.variants(minilm)


def test_queries_and_keys_are_the_models_own(minilm: Any, shown: Variants) -> None:
    own = minilm.attention(shown.text).weights
    assert shown.heads == own.shape[0] * own.shape[1]
    np.testing.assert_allclose(shown.variants[0].weights, own[shown.layer, shown.head], atol=1e-4)
    assert own[:, :, shown.asks, shown.asked].max() == pytest.approx(shown.variants[0].link, abs=1e-4)
    assert [shown.units[i] for i in (shown.asks, shown.asked)] == ["bank", "river"]


def test_what_cheaper_attention_gives_up(shown: Variants) -> None:
    own, window, mixed = (np.array(variant.weights) for variant in shown.variants)
    far = abs(np.subtract.outer(np.arange(len(own)), np.arange(len(own)))) > shown.window
    assert (window[far] == 0).all()
    renormalised = np.where(far, 0, own)
    np.testing.assert_allclose(window, renormalised / renormalised.sum(1, keepdims=True), atol=1e-5)
    assert shown.variants[1].moved == pytest.approx((own * far).sum(1).mean(), abs=1e-5)
    assert shown.variants[0].moved == 0
    assert shown.variants[1].link == 0 < shown.variants[2].link < shown.variants[0].link / 2
    assert shown.variants[2].spread > shown.variants[0].spread
    np.testing.assert_allclose(mixed.sum(1), 1, atol=1e-5)


def test_a_model_that_adds_positions_to_its_scores_is_refused(minilm: Any) -> None:
    from analysis.model.heads import queries_keys

    class Positioned(torch.nn.Module):
        """Its attention is not the softmax of its queries and keys."""

        def __init__(self) -> None:
            super().__init__()
            self.inner, self.device = minilm._model, minilm._model.device

        def forward(self, **asked: Any) -> Any:
            output = self.inner(**asked)
            output.attentions = tuple(weights.flip(-1) for weights in output.attentions)
            return output

    with pytest.raises(UnsupportedModel, match="'other'"):
        queries_keys(Positioned(), np.array([101, 2924, 102]), "other")
