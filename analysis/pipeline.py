"""analyse(): the whole way of the data, from texts to an Analysis, on one screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from analysis import pictures, senses, stability, static
from analysis.assemble import Explained, Named, Options, Pictured, assemble
from analysis.drivers import faithfulness, methods
from analysis.drivers.response import Response
from analysis.errors import BadOption
from analysis.grouping import LogOdds
from analysis.record import Analysis, UsageAttention
from analysis.same_sense import for_encoder, log_odds, middle_layers
from analysis.text import FUNCTION_WORDS, find
from analysis.types import (
    Assignment,
    Document,
    Encoder,
    FloatArray,
    IntArray,
    Occurrence,
    Progress,
    SenseModel,
    Usages,
    silent,
)

# Beyond this many usages, layers and attention are kept for seeded samples only: they show, they do not group.
DETAILED = 1000
COMPARED = 500

# Called with the name of a step and the readings it takes; gives back what is told of each one done.
Watch = Callable[[str, int], Progress]

# Called with the encoder, the usages, the senses' model, each usage's sense (-1: none) and a watch; gives the senses'
# names in a dictionary, which this room does not know.
Namer = Callable[[Encoder, Usages, SenseModel, IntArray, Watch], Named]


class Induced(NamedTuple):
    """An Analysis and what stands behind it, from which its senses can be saved; `represented` f32 (N, R), and
    `log_odds` what was learnt of usages of other words, where that is known."""

    analysis: Analysis
    usages: Usages
    represented: FloatArray
    model: SenseModel
    assignment: Assignment
    log_odds: LogOdds | None


def unwatched(_step: str, _total: int) -> Progress:
    """The watch that nobody keeps."""
    return silent


def analyse(
    encoder: Encoder,
    documents: Sequence[Document],
    target: str,
    options: Options = Options(),  # noqa: B008 - frozen
    *,
    pairs: Path | None = None,
    namer: Namer | None = None,
    watch: Watch = unwatched,
) -> Analysis:
    """The senses of `target` in the documents, what drove each, and the static vector beside the contextual ones.

    `pairs` is the folder of the caller's own PairModels (`polyseme fit-pairs`), which have a say in the senses;
    `namer` looks the senses up in a dictionary.

    Raises TargetNotFound where no document uses the target; BadOption for an option that the data or the model do not
    allow; BadSpan and BadText as `Encoder.encode` does.
    """
    return induced(encoder, documents, target, options, pairs=pairs, namer=namer, watch=watch).analysis


def induced(
    encoder: Encoder,
    documents: Sequence[Document],
    target: str,
    options: Options = Options(),  # noqa: B008 - frozen
    *,
    pairs: Path | None = None,
    namer: Namer | None = None,
    watch: Watch = unwatched,
) -> Induced:
    """`analyse`, with the arrays behind the Analysis."""
    _check(options, encoder)
    passes: Counter[str] = Counter()
    watch = _counting(passes, watch)
    found = find(documents, target, match=options.match, language=options.language)
    n = len(found.occurrences)
    senses.check_n_senses(options.n_senses, n)

    usages, odds = _usages(encoder, found.occurrences, pairs, watch("read", n))
    asked = options.n_senses
    model, nearest = senses.induce(
        usages.vectors, usages.context, target=target, n_senses=asked, seed=options.seed, log_odds=odds
    )
    assignment = senses.abstaining(nearest, options.threshold)
    represented = senses.represent(usages.vectors, usages.context)
    held = stability.stability(represented, nearest.sense, n_senses=asked, seed=options.seed, log_odds=odds)

    compared = np.arange(n) if n <= DETAILED else sample(nearest.sense, COMPARED, options.seed)
    comparison = static.compare(
        encoder,
        _detailed(encoder, usages, compared, watch),
        assignment.sense[compared],
        ids=[f"u{i}" for i in compared],
        pairs=options.pairs,
        seed=options.seed,
    )

    # A usage that abstains is explained by its nearest sense.
    response = Response(model, nearest.sense, represented)
    explained = _explained(encoder, usages, response, options, watch)
    named = namer(encoder, usages, model, assignment.sense, watch) if namer and options.language == "en" else Named()
    analysis = assemble(
        found,
        usages,
        response,
        assignment,
        explained,
        comparison,
        held,
        Pictured(
            pictures.similarity(represented, assignment.sense, sample(nearest.sense, pictures.SIMILAR, options.seed)),
            _attended(encoder, usages, senses.exemplars(represented, assignment, model), watch)
            if options.attention
            else None,
        ),
        target=target,
        options=options,
        info=encoder.info,
        passes=dict(passes),
        named=named,
    )
    return Induced(analysis, usages, represented, model, assignment, odds)


def _explained(encoder: Encoder, usages: Usages, response: Response, options: Options, watch: Watch) -> Explained:
    """The drivers of a sample of the usages, and the test of a sample of these."""
    if options.drivers == "none":
        return Explained({}, None)
    chosen = sample(response.sense, options.explained, options.seed)
    shown, about = _detailed(encoder, usages, chosen, watch), response.take(chosen.tolist())
    cost = methods.passes(encoder, shown, about, method=options.drivers, budget=options.budget)
    attributions = methods.explain(
        encoder,
        shown,
        about,
        method=options.drivers,
        budget=options.budget,
        function_words=FUNCTION_WORDS.get(options.language, ()),
        progress=watch("explain", cost),
    )
    by_usage = dict(zip(chosen.tolist(), attributions, strict=True))
    # With one sense there is nothing to choose, and so nothing to prove.
    if not options.faithfulness or len(response.model.senses) < 2:
        return Explained(by_usage, None)
    tested = sample(about.sense, options.faithfulness, options.seed).tolist()
    return Explained(
        by_usage,
        faithfulness.faithfulness(
            encoder,
            shown.take(tested),
            [attributions[i] for i in tested],
            about.take(tested),
            fractions=options.fractions,
            seed=options.seed,
            progress=watch("test the drivers", faithfulness.passes(len(tested), encoder, fractions=options.fractions)),
        ),
    )


def _attended(
    encoder: Encoder, usages: Usages, exemplars: Sequence[Sequence[int]], watch: Watch
) -> tuple[UsageAttention, ...]:
    """The attention of the senses' exemplars; of the first one of each the whole matrix."""
    of = exemplars[: pictures.SENSES]
    chosen = np.array([i for own in of for i in own], dtype=np.int64)
    shown, rows = _detailed(encoder, usages, chosen, watch), usages.words
    whole = {own[0] for own in of if own and len(rows[own[0]]) <= pictures.LONGEST}
    progress = watch("read attention", len(whole))
    found = []
    for k, i in enumerate(chosen.tolist()):
        use = usages.occurrences[i]
        attention = encoder.word_attention(use) if i in whole else None
        progress(attention is not None)
        assert shown.target_attention is not None  # noqa: S101 - `_detailed` reads it
        found.append(pictures.usage_attention(f"u{i}", rows[i], use.span, shown.target_attention[k], attention))
    return tuple(one for one in found if one is not None)


def sample(sense: IntArray, size: int, seed: int) -> IntArray:
    """At most `size` indices into N usages, in order, drawn with the seed; each sense keeps its share, at least one."""
    n = len(sense)
    if n <= size:
        return np.arange(n)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(n)
    # The r-th drawn of a sense of m usages has the rank (r + 1/2) / m: taking the lowest ranks keeps the shares.
    rank = np.empty(n)
    for s in np.unique(sense):
        own = shuffled[sense[shuffled] == s]
        rank[own] = (np.arange(len(own)) + 0.5) / len(own)
        rank[own[0]] = 0
    return np.sort(np.argsort(rank, kind="stable")[:size])


def _usages(
    encoder: Encoder, occurrences: Sequence[Occurrence], pairs: Path | None, progress: Progress
) -> tuple[Usages, LogOdds | None]:
    """The usages, in detail unless they are many; and what was learnt of usages of other words, where that is known."""
    few, learnt = len(occurrences) <= DETAILED, for_encoder(encoder.info.digest, pairs)
    middle = middle_layers(encoder.info.layers)
    if few:
        usages = _in_detail(encoder, occurrences, progress)
    else:
        usages = encoder.encode(occurrences, layers=sorted(set(middle)) if learnt else (), progress=progress)
    if learnt is None or usages.layers is None:
        return usages, None
    kept = [usages.layer_ids.index(layer) for layer in middle]
    odds = log_odds(learnt, usages.layers[:, kept], usages.context)
    return usages if few else replace(usages, layer_ids=(), layers=None), odds


def _in_detail(encoder: Encoder, occurrences: Sequence[Occurrence], progress: Progress) -> Usages:
    return encoder.encode(occurrences, layers=range(encoder.info.layers + 1), attention=True, progress=progress)


def _detailed(encoder: Encoder, usages: Usages, indices: IntArray, watch: Watch) -> Usages:
    """The usages at the indices, with layers and attention; read again where the first reading did not keep them."""
    if usages.layers is not None:
        return usages.take(indices.tolist())
    chosen = [usages.occurrences[i] for i in indices]
    return _in_detail(encoder, chosen, watch("read in detail", len(chosen)))


def _check(options: Options, encoder: Encoder) -> None:
    if options.drivers != "none":
        methods.check_method(options.drivers, encoder)
    methods.check_budget(options.budget)
    faithfulness.check_fractions(options.fractions)
    senses.check_threshold(options.threshold)
    if options.faithfulness < 0:
        raise BadOption(
            f"{options.faithfulness} usages cannot be tested", remedy="give 0 or more", where=("faithfulness",)
        )
    if options.explained < 1:
        raise BadOption("no usage to explain", remedy="give 1 or more, or drivers 'none'", where=("explained",))


def _counting(passes: Counter[str], watch: Watch) -> Watch:
    """The same watch, which also adds up the readings of each step."""

    def counted(step: str, total: int) -> Progress:
        inner = watch(step, total)

        def progress(done: int) -> None:
            passes[step] += done
            inner(done)

        return progress

    return counted
