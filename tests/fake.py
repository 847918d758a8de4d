"""An Encoder without weights, so that most tests need no model: same layouts, windows and shapes as the real one.

A word is one piece; its vector comes from its letters. A hidden state is the word's own vector mixed with the mean of
its context, more of it at each layer, so that usages with words in common are near each other, as in a real model.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from analysis.attention import pool_keys
from analysis.errors import BadText
from analysis.model.reading import Reading, Specials, perturb, read, tokens
from analysis.same_sense import Learnt, PairModel
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
    Unit,
    Usages,
    silent,
)

SPECIALS = Specials(((1, Unit("[CLS]", 0, 0, True)),), ((2, Unit("[SEP]", 0, 0, True)),))
MASK = 3
# Words that say little take no part in the mean of the context, as a trained model would have learnt.
LITTLE = frozenset(
    zlib.crc32(word) for word in b"a an and at by for from i in into is it my of on our the to was we".split()
)


@dataclass
class FakeEncoder:
    """Counts what it is asked for in `asked`, so that a test can say what something costs."""

    causal: bool = False
    window: int = 64
    width: int = 24
    layers: int = 3
    heads: int = 2
    asked: list[int] = field(default_factory=list)

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(
            name="fake",
            source="tests",
            revision="1",
            digest="0" * 64,
            layers=self.layers,
            heads=self.heads,
            width=self.width,
            window=self.window,
            causal=self.causal,
        )

    def encode(
        self,
        readings: Sequence[Occurrence | Perturbed],
        *,
        layers: Sequence[int] = (),
        attention: bool = False,
        context: bool = True,
        progress: Progress = silent,
    ) -> Usages:
        self.asked.append(len(readings))
        laid = [self._read(item) for item in readings]
        context_of = [self._context(reading) for reading in laid]
        hidden = np.stack(list(map(self._hidden, laid, context_of)))  # (N, L+1, D)
        progress(len(readings))
        return Usages(
            occurrences=tuple(r.occurrence if isinstance(r, Perturbed) else r for r in readings),
            vectors=hidden[:, -1],
            context=np.stack(context_of)[:, : self.width * context],
            words=tuple(reading.units for reading in laid),
            layer_ids=tuple(layers),
            layers=hidden[:, list(layers)] if layers else None,
            target_attention=tuple(map(self._row, laid)) if attention else None,
            subwords=np.array([len(reading) for reading in laid], dtype=np.int64),
        )

    def sentences(self, texts: Sequence[str], *, progress: Progress = silent) -> Sentences:
        self.asked.append(len(texts))
        found = [words(text) for text in texts]
        for i, units in enumerate(found):
            if not 0 < len(units) <= self.window - 2:
                raise BadText(f"the text has {len(units)} words", remedy="give one sentence", where=("texts", i))
        means = [
            np.mean([self._vector(zlib.crc32(unit.text.lower().encode())) for unit in units], 0) for units in found
        ]
        progress(len(texts))
        vectors = np.stack([mean / np.linalg.norm(mean) for mean in means]).astype(np.float32)
        return Sentences(vectors, np.array([len(units) + 2 for units in found], dtype=np.int64))

    def attention(self, text: str) -> Attention:
        units = (SPECIALS.before[0][1], *words(text), SPECIALS.after[0][1])
        if not 2 < len(units) <= self.window:
            raise BadText(f"the text has {len(units) - 2} words", remedy="give one sentence", where=("text",))
        n = len(units)
        weights = np.ones((n, n), dtype=np.float32)
        if self.causal:
            weights = np.tril(weights)
        weights /= weights.sum(axis=1, keepdims=True)
        return Attention(text, units, np.broadcast_to(weights, (self.layers, self.heads, n, n)).copy(), self.causal)

    @property
    def abilities(self) -> frozenset[Ability]:
        return frozenset(["gradients", "values", *([] if self.causal else ["mask"])])

    def word_attention(self, occurrence: Occurrence) -> Attention:
        units = self._read(occurrence).units
        return Attention(occurrence.text, units, self.attention(" ".join("x" * (len(units) - 2))).weights, self.causal)

    def value_zeroing(
        self, occurrences: Sequence[Occurrence], *, progress: Progress = silent
    ) -> tuple[FloatArray, ...]:
        """The context's words alike: each is the same part of their mean."""
        found = []
        for reading in map(self._read, occurrences):
            share = np.bincount(reading.unit_of, reading.context, len(reading.units))
            found.append((share / max(1, share.sum())).astype(np.float32))
            progress(int(share.sum()))
        return tuple(found)

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
        """By hand: the context's mean is all that changes, and the target's state is 0.9 of it.

        Gates that are equal cancel out of a mean; of the fading context each word's gate still weighs its distance
        from the mean. The embeddings move it as a whole.
        """
        passes = len(occurrences) * (3 * len(points) + 2 * ends)
        self.asked.append(passes)
        progress(passes)
        effects, values = [], []
        for i, reading in enumerate(map(self._read, occurrences)):
            said = self._speaking(reading)
            vectors = np.array([self._vector(k) for k in reading.ids[said]], dtype=np.float32).reshape(-1, self.width)
            start = {"gates": vectors, "mask": self._vector(MASK) + 0 * vectors, "zero": 0 * vectors}[path]
            added = np.zeros(len(reading.units), dtype=np.float32)
            at, context = np.array([i]), self._context(reading)
            own = self._hidden(reading, context)[-1] - 0.9 * context

            def responds(mean: FloatArray, own: FloatArray = own, at: IntArray = at) -> list[FloatArray]:
                state = own + 0.9 * mean
                return list(respond(state[None].astype(np.float32), mean[None].astype(np.float32), at))

            for point in points if len(said) else ():
                mean = (start + point * (vectors - start)).mean(axis=0)
                _, to_state, to_mean = responds(mean)
                way = vectors - mean if path == "gates" else vectors - start
                slope = way @ (0.9 * to_state + to_mean)[0] / len(said) / len(points)
                added[reading.unit_of[said]] += slope / (max(point, 1e-6) if path == "gates" else 1)
            effects.append(added)
            first, last = (start.mean(axis=0), vectors.mean(axis=0)) if len(said) else (np.zeros(self.width),) * 2
            values.append([responds(mean.astype(np.float32))[0][0] for mean in (first, last)])
        return Gradients(tuple(effects), np.array(values, dtype=np.float32) if ends else None)

    def static(self, forms: Sequence[str]) -> FloatArray:
        return np.stack([self._vector(zlib.crc32(form.lower().encode())) for form in forms])

    def _read(self, item: Occurrence | Perturbed) -> Reading:
        occurrence = item.occurrence if isinstance(item, Perturbed) else item
        found = words(occurrence.text)
        ids = [zlib.crc32(unit.text.lower().encode()) for unit in found]
        whole = tokens(occurrence.text, ids, [(unit.start, unit.end) for unit in found], found)
        reading = read(occurrence, whole, SPECIALS, self.window)
        return perturb(reading, item.removed, item.operator, MASK) if isinstance(item, Perturbed) else reading

    def _hidden(self, reading: Reading, context: FloatArray) -> FloatArray:
        """(L+1, D): at layer 0 the word and its position, then more and more of the context."""
        own = np.mean([self._vector(i) for i in reading.ids[reading.target]], axis=0)
        position = 0.1 * np.sin(np.flatnonzero(reading.target)[0] * np.arange(1, self.width + 1))
        mix = np.linspace(0, 0.9, self.layers + 1)[:, None]
        return ((1 - mix) * (own + position) + mix * context).astype(np.float32)

    def _context(self, reading: Reading) -> FloatArray:
        vectors = [self._vector(i) for i in reading.ids[self._speaking(reading)]]
        return np.mean(vectors, axis=0, dtype=np.float32) if vectors else np.zeros(self.width, dtype=np.float32)

    def _speaking(self, reading: Reading) -> IntArray:
        """The positions of the context that take part in its mean."""
        ids = reading.ids.tolist()
        return np.array([k for k in np.flatnonzero(reading.context) if ids[k] not in LITTLE], dtype=np.int64)

    def _row(self, reading: Reading) -> FloatArray:
        """(L, H, W): even over the words read; a causal target sees nothing after itself."""
        row = np.ones(len(reading), dtype=np.float32)
        if self.causal:
            row[np.flatnonzero(reading.target)[-1] + 1 :] = 0
        pooled = pool_keys(row / row.sum(), reading.unit_of, len(reading.units))
        return np.broadcast_to(pooled, (self.layers, self.heads, len(pooled))).copy()

    def _vector(self, seed: int) -> FloatArray:
        return _vector(int(seed), self.width)


@cache
def _vector(seed: int, width: int) -> FloatArray:
    vector = np.random.default_rng(seed).standard_normal(width).astype(np.float32)
    vector.flags.writeable = False
    return vector


def pair_model(info: ModelInfo, log_odds: float) -> PairModel:
    """One that gives any two usages of the encoder these log-odds of sharing a sense."""
    axes = np.eye(3 * info.width, 2).astype(np.float16)
    learnt = Learnt(info.name, info.digest, "made up", usages=2, lemmas=1, pairs=1, seed=0, versions={})
    return PairModel(axes, axes[: info.width], np.array([0, 0, 0, 0, log_odds]), learnt)
