"""An Encoder over another that does what that one does. What wraps an encoder states only what it changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from analysis.types import (
    Ability,
    Attention,
    Encoder,
    FloatArray,
    Gradients,
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


class Passing:
    """An `Encoder` (analysis/types.py) that hands everything on to `encoder`; the model runs in `running` only."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    @contextmanager
    def running(self, progress: Progress, total: int | None) -> Iterator[Progress]:  # noqa: ARG002
        """Around each call that runs the model: gives the progress that the encoder is told to tell.

        `total` is what the progress comes to in the end, None where that is not known.
        """
        yield progress

    @property
    def info(self) -> ModelInfo:
        return self.encoder.info

    @property
    def abilities(self) -> frozenset[Ability]:
        return self.encoder.abilities

    def encode(
        self,
        readings: Sequence[Occurrence | Perturbed],
        *,
        layers: Sequence[int] = (),
        attention: bool = False,
        context: bool = True,
        progress: Progress = silent,
    ) -> Usages:
        with self.running(progress, len(readings)) as watch:
            return self.encoder.encode(readings, layers=layers, attention=attention, context=context, progress=watch)

    def sentences(self, texts: Sequence[str], *, progress: Progress = silent) -> Sentences:
        with self.running(progress, len(texts)) as watch:
            return self.encoder.sentences(texts, progress=watch)

    def attention(self, text: str) -> Attention:
        with self.running(silent, None):
            return self.encoder.attention(text)

    def word_attention(self, occurrence: Occurrence) -> Attention:
        with self.running(silent, None):
            return self.encoder.word_attention(occurrence)

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
        with self.running(progress, None) as watch:
            return self.encoder.gradients(occurrences, respond, path=path, points=points, ends=ends, progress=watch)

    def value_zeroing(
        self, occurrences: Sequence[Occurrence], *, progress: Progress = silent
    ) -> tuple[FloatArray, ...]:
        with self.running(progress, None) as watch:
            return self.encoder.value_zeroing(occurrences, progress=watch)

    def static(self, forms: Sequence[str]) -> FloatArray:
        return self.encoder.static(forms)
