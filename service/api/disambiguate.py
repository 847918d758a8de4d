"""Words in texts against the dictionary."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from analysis.assemble import missing_notices
from analysis.errors import BadOption, LimitExceeded, NotInLexicon
from analysis.lexicon import disambiguate as lexical
from analysis.lexicon.disambiguate import Target
from analysis.lexicon.wordnet import Lexicon
from analysis.record import Notice
from analysis.types import Document
from service.api import texts
from service.api.services import Services, Wired
from service.dictionary_schemas import DisambiguateRequest
from service.problems import documented

router = APIRouter(prefix="/v1", tags=["disambiguate"])


@router.post("/disambiguate", response_model=lexical.Disambiguation, responses=documented(400, 413, 415, 422, 503))
async def disambiguate(request: DisambiguateRequest, services: Wired) -> Response:
    """Which sense of WordNet 3.0 each word has in the texts, and the words that drove the first sense over the second.

    Where the first sense's probability is below the threshold, `sense` is null; `senses` has all the same.
    """
    model = services.check_model(request.model)
    documents = await services.off_loop(texts.to_documents, request.texts, services.settings)

    def work() -> str:
        lexicon = services.shelf.lexicon()
        targets, notices = _targets(request, documents, lexicon, services)
        encoder = services.encoders[model]
        with texts.placing(documents):
            found = lexical.disambiguate(
                encoder,
                services.shelf.dictionary(encoder),
                targets,
                threshold=request.threshold,
                drivers=request.drivers,
                budget=request.budget,
                warnings=notices,
            )
        return lexical.to_json(found)

    return Response(await services.infer(work), media_type="application/json")


def _targets(
    request: DisambiguateRequest, documents: list[Document], lexicon: Lexicon, services: Services
) -> tuple[list[Target], list[Notice]]:
    """The words to look up, and which texts lack the target. Errors point to the text, span or target that is wrong."""
    if request.target is not None:
        lexicon.lemmas(request.target, request.pos)
        found = texts.find(documents, request.target, "lemma", "en", services.settings)
        uses = [Target(use, request.target, request.pos) for use in found.occurrences]
        return uses, missing_notices(found, request.target)
    targets: list[Target] = []
    for i, document in enumerate(documents):
        if not document.spans:
            targets += lexical.content_words(lexicon, [document], request.pos)
        try:
            targets += lexical.spans_of(lexicon, document, request.pos)
        except NotInLexicon as error:
            error.where = ("texts", i, *error.where)
            raise
    if len(targets) > services.settings.max_usages:
        raise LimitExceeded(
            f"there are {len(targets):,} words to look up; the limit is {services.settings.max_usages:,}",
            remedy="send fewer texts at a time, or name a target",
            where=("texts",),
        )
    if not targets:
        raise BadOption(
            "the dictionary has no word of the texts", remedy="give texts in English, or a target", where=("texts",)
        )
    return targets, []
