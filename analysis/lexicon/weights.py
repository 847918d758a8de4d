"""Weights of what is known of a dictionary sense before any tagged text was given; `make_weights` wrote the numbers."""

from __future__ import annotations

import numpy as np

PRIOR = ("log count", "log share of the counts", "is the most frequent", "1 / rank by count")
GLOSSES = (
    "cosine of the word and the lemma before its gloss", "of the word and the gloss", "of the context and the gloss",
    "of the word and its nearest example", "has an example",
)  # fmt: skip
WEIGHTS = np.zeros((4, len(PRIOR) + len(GLOSSES)))
NONE = 0.0
