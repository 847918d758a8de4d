"""Reader and scorer of the unified evaluation framework (Raganato, Camacho-Collados and Navigli 2017).

`NAME.data.xml` holds texts of sentences of `<wf lemma= pos=>token</wf>` and
`<instance id= lemma= pos=>token</instance>`; `NAME.gold.key.txt` has a line an instance, its id and its
sense keys of WordNet 3.0, parted by spaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from analysis.evaluation.datasets import Node, lines, malformed, read_xml
from analysis.lexicon.wordnet import Pos
from analysis.types import Occurrence, Span

_SET = "a NAME.data.xml with its NAME.gold.key.txt beside it, or a folder of such"
_XML = "sentences of <wf lemma= pos=>token</wf> and <instance id= lemma= pos=>token</instance>"
_KEY = "`instance sense-key ...`, parted by spaces"
_POS: Mapping[str, Pos] = {"NOUN": "n", "VERB": "v", "ADJ": "a", "ADV": "r"}
_QUOTES = {"``": '"', "''": '"'}  # the Penn Treebank's, which no model was trained on


class Instance(NamedTuple):
    """A tagged usage: its lemma is the occurrence's target, `keys` its gold senses, `document` where it stands."""

    id: str
    occurrence: Occurrence
    pos: Pos
    keys: tuple[str, ...]
    document: str


class Score(NamedTuple):
    """As the framework's Scorer counts: an instance without an answer counts for the recall only."""

    precision: float
    recall: float
    f1: float
    instances: int


def score(gold: Mapping[str, Sequence[str]], answers: Mapping[str, Sequence[str]]) -> Score:
    """Precision, recall and F1 of answers to instances, each a list of sense keys; any of several gold keys is right.

    Of several answers to an instance each counts its share. Answers to instances that are not in the gold are not
    looked at. All are 0 where nothing is answered.
    """
    right, answered = 0.0, 0
    for id_, given in answers.items():
        if id_ in gold and given:
            right += sum(key in gold[id_] for key in given) / len(given)
            answered += 1
    precision = right / answered if answered else 0.0
    recall = right / len(gold) if gold else 0.0
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return Score(precision, recall, f1, len(gold))


def unified(path: Path) -> dict[str, list[Instance]]:
    """By data set its instances, in the order of the texts. Raises BadFile.

    `path` is a data file, or a folder with any number of them, at any depth. Instances of a file of several data sets
    (`senseval2.d000.s000.t000`) go to the set that their id names; one that came already is not read twice.
    """
    files = [path] if path.is_file() else sorted(path.rglob("*.data.xml"))
    if not files:
        malformed(path, None, "no data set is there", _SET)
    sets: dict[str, dict[str, Instance]] = {}
    for file in files:
        for instance in _instances(file):
            own, dot, rest = instance.id.partition(".d0")
            name = own if dot else file.name.removesuffix(".xml").removesuffix(".data")
            sets.setdefault(name, {}).setdefault(f"d0{rest}" if dot else instance.id, instance)
    return {name: list(instances.values()) for name, instances in sets.items()}


def joined(tokens: Sequence[str]) -> tuple[str, list[Span]]:
    """The tokens as a text with spaces between, and where each stands in it."""
    spans: list[Span] = []
    text = ""
    for token in tokens:
        text += " " if text else ""
        shown = _QUOTES.get(token, token)
        spans.append(Span(len(text), len(text) + len(shown)))
        text += shown
    return text, spans


def _instances(file: Path) -> Iterable[Instance]:
    key = file.with_name(file.name.removesuffix(".xml").removesuffix(".data") + ".gold.key.txt")
    if not key.is_file():
        malformed(file, None, f"there is no {key.name} beside it", _SET)
    gold = _gold(key)
    whole, nodes = read_xml(file, _XML)
    document, found = "", 0
    sentence: list[Node] = []
    for node in [*nodes, Node("sentence", {}, 0, 0, 0, 0)]:
        if node.tag in ("sentence", "text"):
            instances = list(_of_sentence(file, whole, sentence, gold, document))
            found += len(instances)
            yield from instances
            sentence = []
        if node.tag == "text":
            document = node.attributes.get("id", "")
        elif node.tag in ("wf", "instance"):
            sentence.append(node)
    if not found:
        malformed(file, None, "it has no instances", _XML)


def _of_sentence(
    file: Path, whole: str, nodes: Sequence[Node], gold: Mapping[str, tuple[str, ...]], document: str
) -> Iterable[Instance]:
    tokens = [" ".join(whole[node.start : node.end].split()) for node in nodes]
    text, spans = joined(tokens)
    for node, token, span in zip(nodes, tokens, spans, strict=True):
        if node.tag == "instance":
            id_, lemma, pos = (node.attributes.get(name, "") for name in ("id", "lemma", "pos"))
            if not (id_ and lemma and token and pos in _POS):
                what = "an instance has no id, lemma or token, or a pos other than NOUN, VERB, ADJ, ADV"
                malformed(file, node.line, what, _XML)
            if id_ not in gold:
                malformed(file, node.line, f"the instance {id_} has no line in the key", _KEY)
            use = Occurrence(text, lemma.replace("_", " "), span.start, span.end, id_.rpartition(".")[0] or id_)
            yield Instance(id_, use, _POS[pos], gold[id_], f"{file.name}:{document}")


def _gold(path: Path) -> dict[str, tuple[str, ...]]:
    gold: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines(path, _KEY), 1):
        id_, *keys = line.split()
        if not keys or not all("%" in one for one in keys):
            malformed(path, number, "it has no sense key", _KEY)
        if id_ in gold:
            malformed(path, number, f"{id_} has a line already", "one line an instance")
        gold[id_] = tuple(keys)
    return gold
