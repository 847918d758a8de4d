"""Texts as a model reads them: its tokenizer, its special tokens, its window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from analysis.errors import BadText, Place, UnsupportedModel
from analysis.model.reading import Reading, Specials, Tokens, perturb, read, tokens
from analysis.text import words
from analysis.types import IntArray, Occurrence, Perturbed, Span, Unit


class Layout:
    """Lays texts out for a model that reads `window` subwords at once, special tokens included. Keeps no state."""

    def __init__(self, tokenizer: Any, window: int, name: str) -> None:
        self.window, self.specials, self.name = window, _specials(tokenizer), name
        self.mask_id: int | None = tokenizer.mask_token_id
        self._tokenizer = tokenizer.backend_tokenizer
        # The file of a tokenizer may say to cut or to fill every text: here the target says where to cut.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    @property
    def room(self) -> int:
        """The most subwords of a text itself."""
        return self.window - len(self.specials)

    def usages(self, items: Sequence[Occurrence | Perturbed]) -> list[Reading]:
        """Each as `reading.read` and `reading.perturb` lay it out, and raise; each text is taken apart once."""
        plain: dict[tuple[str, Span], Reading] = {}
        occurrences = [item.occurrence if isinstance(item, Perturbed) else item for item in items]
        taken = self.tokens(list(dict.fromkeys(occurrence.text for occurrence in occurrences)))
        laid = []
        for item, occurrence in zip(items, occurrences, strict=True):
            key = (occurrence.text, occurrence.span)
            if key not in plain:
                plain[key] = read(occurrence, taken[occurrence.text], self.specials, self.window)
            reading = plain[key]
            if isinstance(item, Perturbed):
                if item.operator == "mask":
                    self.check_mask()
                reading = perturb(reading, item.removed, item.operator, self.mask_id)
            laid.append(reading)
        return laid

    def sentences(self, texts: Sequence[str]) -> list[Reading]:
        """Whole texts, which the window must hold; all of each is its target.

        Raises BadText, with the text's place in the list, for an empty text, or one beyond the window.
        """
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        laid = []
        for i, one in enumerate(encoded):
            self._check_room(
                len(one.ids),
                ("texts", i),
                "the model reads",
                "give a text with words in it, or send a long one in parts",
            )
            ids = self._with_specials(np.array(one.ids, dtype=np.int64))
            whole = np.ones(len(ids), dtype=bool)
            laid.append(Reading(ids, (), np.arange(len(ids)), whole, ~whole))
        return laid

    def whole(self, text: str) -> tuple[IntArray, tuple[Unit, ...]]:
        """The ids (T) of a text, and its subwords. Raises BadText for an empty text, or one beyond the window."""
        (found,) = self.tokens([text]).values()
        self._check_room(len(found.ids), ("text",), "an attention matrix takes", "give one sentence, or split the text")
        pieces = zip(found.starts.tolist(), found.ends.tolist(), strict=True)
        before, after = ([unit for _, unit in some] for some in (self.specials.before, self.specials.after))
        return self._with_specials(found.ids), (*before, *(Unit(text[s:e], s, e) for s, e in pieces), *after)

    def tokens(self, texts: Sequence[str]) -> dict[str, Tokens]:
        """The subwords of different texts, without special tokens."""
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return {text: tokens(text, one.ids, one.offsets, words(text)) for text, one in zip(texts, encoded, strict=True)}

    def bare(self, text: str) -> IntArray:
        """(T) the ids of a text without special tokens."""
        return np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, dtype=np.int64)

    def check_mask(self) -> None:
        """Raise UnsupportedModel where the model has no mask token."""
        if self.mask_id is None:
            raise UnsupportedModel(
                f"the model {self.name!r} has no mask token",
                remedy="choose a driver method that needs none",
                where=("drivers",),
            )

    def _with_specials(self, ids: IntArray) -> IntArray:
        before, after = ([i for i, _ in some] for some in (self.specials.before, self.specials.after))
        return np.concatenate([before, ids, after]).astype(np.int64)

    def _check_room(self, length: int, where: Place, takes: str, remedy: str) -> None:
        if not 0 < length <= self.room:
            raise BadText(f"the text has {length} subwords; {takes} 1 to {self.room}", remedy=remedy, where=where)


def _specials(tokenizer: Any) -> Specials:
    """What the tokenizer adds around any text, found by asking it for one."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a", add_special_tokens=True)["input_ids"]
    start = next((i for i in range(len(full)) if full[i : i + len(bare)] == bare), 0)

    def units(ids: list[int]) -> tuple[tuple[int, Unit], ...]:
        return tuple((i, Unit(tokenizer.convert_ids_to_tokens(i), 0, 0, special=True)) for i in ids)

    return Specials(units(full[:start]), units(full[start + len(bare) :]))
