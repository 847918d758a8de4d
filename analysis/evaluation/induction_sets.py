"""Readers of the data sets in which people gave usages senses.

coarsewsd20     CoarseWSD-20 (Loureiro et al. 2021), and its out-of-domain usages
wsi_at_scale    a hundred Wikipedia sentences for each of twenty nouns, two annotators (Eyal et al. 2022)
semeval2013     SemEval-2013 Task 13, graded senses (Jurgens and Klapaftis 2013)
semeval2010     SemEval-2010 Task 14 (Manandhar et al. 2010)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from analysis.evaluation.datasets import (
    Answer,
    Graded,
    Labelled,
    Word,
    locate,
    malformed,
    read_key,
    read_text,
    read_xml,
    rows,
    token_span,
)
from analysis.types import Occurrence, Span

_COARSE = "a folder of WORD/{test,train}.{data,gold}.txt, or the out-of-domain .tsv"
_COARSE_DATA = "`index of the target token, tab, tokenised sentence`"
_COARSE_GOLD = "one class a line, as many lines as the data file has"
_COARSE_MAP = 'a JSON object from class to name, such as {"0": "bank_bank"}'
_COARSE_TSV = "`word, tab, name of the class, tab, index of the target token, tab, tokenised sentence`"
_WSI = "a header `word text ann#1 ann#2 ...` and rows parted by tabs, the target between `@ @` marks"
_2013 = "a folder with contexts/LEMMA.xml and gold.key, or the task's own contexts/xml-format and keys/gold/all.key"
_2013_XML = "<instance id tokenStart tokenEnd>text</instance>, the offsets half-open code points of the text"
_2010 = "a folder with XML files of the lemmas and gold.key or all.key, or the task's own evaluation/unsup_eval/keys"
_OTHER_FORMS = {"lie": "lah", "swear": "swore"}  # in SemEval-2010's texts, and in no table of lemmas
_2010_XML = "<lemma.n.1>... <TargetSentence>...</TargetSentence> ...</lemma.n.1>, the target in the target sentence"


def coarsewsd20(path: Path) -> dict[str, Word]:
    """For each word its halves. Raises BadFile.

    Of the out-of-domain TSV the usages are the test half; the training half is that of WORD/ beside the file, or in
    CoarseWSD-20/ or coarsewsd20/ beside it, and empty where none is there.
    """
    if path.is_file():
        return _out_of_domain(path)
    if (path / "test.data.txt").is_file():
        return {path.resolve().name: _coarse_word(path, path.resolve().name)}
    folders = sorted(data.parent for data in path.glob("*/test.data.txt"))
    if not folders:
        malformed(path, None, "no data set is there", _COARSE)
    return {folder.name: _coarse_word(folder, folder.name) for folder in folders}


def _coarse_word(folder: Path, word: str) -> Word:
    names = _names(folder / "classes_map.txt")
    train = (folder / "train.data.txt").is_file()
    return Word(_half(folder, word, "test", names), _half(folder, word, "train", names) if train else ())


def _half(folder: Path, word: str, half: str, names: dict[str, str] | None) -> tuple[Labelled, ...]:
    data, gold = folder / f"{half}.data.txt", folder / f"{half}.gold.txt"
    texts, classes = rows(data, 2, _COARSE_DATA), [row[0].strip() for row in rows(gold, 1, _COARSE_GOLD)]
    if len(texts) != len(classes):
        first = min(len(texts), len(classes)) + 1
        malformed(gold, first, f"it has {len(classes)} lines for {len(texts)} sentences", _COARSE_GOLD)
    found = []
    for number, ((index, text), label) in enumerate(zip(texts, classes, strict=True), 1):
        if names is not None and label not in names:
            malformed(gold, number, f"there is no class {label!r}", f"one of {', '.join(names)}")
        occurrence = _token(data, number, text, word, index, f"{word}.{half}.{number}", _COARSE_DATA)
        found.append(Labelled(occurrence, (names[label] if names else label,)))
    return tuple(found)


def _token(path: Path, line: int, text: str, word: str, index: str, id_: str, form: str) -> Occurrence:
    span = token_span(text, index)
    if span is None:
        malformed(path, line, f"there is no token {index!r} in {len(text.split())}, counted from 0", form)
    return Occurrence(text, word, span.start, span.end, id_)


def _names(path: Path) -> dict[str, str] | None:
    if not path.is_file():
        return None
    try:
        names = json.loads(read_text(path, _COARSE_MAP))
    except json.JSONDecodeError as error:
        malformed(path, error.lineno, f"it is not JSON ({error.msg})", _COARSE_MAP)
    if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
        malformed(path, 1, "it is not an object of names", _COARSE_MAP)
    return names


def _out_of_domain(path: Path) -> dict[str, Word]:
    found: dict[str, list[Labelled]] = {}
    for number, (word, label, index, text) in enumerate(rows(path, 4, _COARSE_TSV), 1):
        occurrence = _token(path, number, text, word, index, f"{word}.outofdomain.{number}", _COARSE_TSV)
        found.setdefault(word, []).append(Labelled(occurrence, (label,)))
    result = {}
    for word, usages in sorted(found.items()):
        beside = (path.parent / word, *(path.parent / folder / word for folder in ("CoarseWSD-20", "coarsewsd20")))
        folder = next((folder for folder in beside if (folder / "train.data.txt").is_file()), None)
        train = _half(folder, word, "train", _names(folder / "classes_map.txt")) if folder else ()
        result[word] = Word(tuple(usages), train)
    return result


def wsi_at_scale(path: Path) -> dict[str, Word]:
    """For each word its usages with the senses of the two annotators; the marks round the target are left out.

    `path` is examples.tsv or the folder that holds it. Raises BadFile.
    """
    file = path / "examples.tsv" if path.is_dir() else path
    header, *_ = read_text(file, _WSI).split("\n", 1)
    names = header.rstrip("\r").split("\t")
    if names[:4] != ["word", "text", "ann#1", "ann#2"]:
        malformed(file, 1, "the header is another", _WSI)
    words: dict[str, list[Labelled]] = {}
    for number, (word, marked, first, second, *_) in enumerate(rows(file, len(names), _WSI)[1:], 2):
        parts = marked.split("@ @")
        if len(parts) != 3 or not parts[1].strip():
            malformed(file, number, f"it has {len(parts) - 1} marks `@ @`, not two round the target", _WSI)
        if not first.strip() or not second.strip():
            malformed(file, number, "an annotator gave no sense", _WSI)
        text = parts[0] + parts[1].strip() + parts[2]
        end = len(parts[0]) + len(parts[1].strip())
        occurrence = Occurrence(text, word, len(parts[0]), end, f"{word}.{number}")
        words.setdefault(word, []).append(Labelled(occurrence, (first.strip(), second.strip())))
    if not words:
        malformed(file, 2, "there are no rows", _WSI)
    return {word: Word(tuple(usages)) for word, usages in words.items()}


def semeval2013(path: Path) -> dict[str, list[Graded]]:
    """For each lemma ("dark.j") the instances of the gold key, in its order, with their graded senses. Raises BadFile.

    Instances that the key leaves out are left out here too.
    """
    folder = next((f for f in (path / "contexts" / "xml-format", path / "contexts") if any(f.glob("*.xml"))), None)
    key = next((f for f in (path / "gold.key", path / "keys" / "gold" / "all.key") if f.is_file()), None)
    if folder is None or key is None:
        malformed(path, None, "no data set is there", _2013)
    contexts: dict[str, Occurrence] = {}
    for file in sorted(folder.glob("*.xml")):
        whole, nodes = read_xml(file, _2013_XML)
        for node in nodes:
            if node.tag == "instance":
                text = whole[node.start : node.end]
                span = _offsets(node.attributes, len(text))
                if "id" not in node.attributes or span is None:
                    malformed(file, node.line, "an instance has no id, or no span inside its text", _2013_XML)
                lemma = node.attributes.get("lemma", file.name.partition(".")[0])
                id_ = node.attributes["id"]
                contexts[id_] = Occurrence(text, lemma, span.start, span.end, id_)
    return {
        lemma: [Graded(_answered(key, id_, answer, contexts), answer.senses) for id_, answer in answers.items()]
        for lemma, answers in read_key(key).items()
    }


def _offsets(attributes: Mapping[str, str], length: int) -> Span | None:
    start, end = attributes.get("tokenStart", ""), attributes.get("tokenEnd", "")
    if not (start.isdecimal() and end.isdecimal()):
        return None
    return Span(int(start), int(end)) if int(start) < int(end) <= length else None


def _answered(key: Path, id_: str, answer: Answer, contexts: dict[str, Occurrence]) -> Occurrence:
    if id_ not in contexts:
        malformed(key, answer.line, f"{id_} is in no context file", "an instance of the context files")
    return contexts[id_]


def semeval2010(path: Path) -> dict[str, Word]:
    """For each lemma ("access.n") the instances of the gold key, each with its likeliest sense. Raises BadFile.

    The target is found in the target sentence by its lemma; the sentences around it are read as well.
    """
    keys = (path / "gold.key", path / "all.key", path / "evaluation" / "unsup_eval" / "keys" / "all.key")
    key = next((file for file in keys if file.is_file()), None)
    files = sorted((path / "test_data").rglob("*.xml")) or sorted(path.rglob("*.xml"))
    if key is None or not files:
        malformed(path, None, "no data set is there", _2010)
    contexts: dict[str, Occurrence] = {}
    for file in files:
        contexts.update((found.source_id, found) for found in _target_sentences(file))
    return {
        lemma: Word(
            tuple(
                Labelled(_answered(key, id_, answer, contexts), (max(answer.senses, key=answer.senses.__getitem__),))
                for id_, answer in answers.items()
            )
        )
        for lemma, answers in read_key(key).items()
    }


def _target_sentences(file: Path) -> Iterable[Occurrence]:
    whole, nodes = read_xml(file, _2010_XML)
    instances = [node for node in nodes if node.depth == 1]
    lemma = instances[0].tag.partition(".")[0] if instances else ""
    inside = {
        instance.tag: [n for n in nodes if n.tag == "TargetSentence" and instance.start <= n.start < instance.end]
        for instance in instances
    }
    for instance in instances:
        if len(inside[instance.tag]) != 1:
            malformed(file, instance.line, f"{instance.tag} has not one <TargetSentence>", _2010_XML)
    sentences = [inside[instance.tag][0] for instance in instances]
    texts = [whole[node.start : node.end] for node in sentences]
    spans = locate(texts, lemma)
    other = _OTHER_FORMS.get(lemma)
    spans = [span or (locate([text], other)[0] if other else None) for text, span in zip(texts, spans, strict=True)]
    for instance, sentence, span in zip(instances, sentences, spans, strict=True):
        if span is None:
            malformed(file, sentence.line, f"no form of {lemma!r} is in the target sentence", _2010_XML)
        start = sentence.start - instance.start + span.start
        text = whole[instance.start : instance.end]
        yield Occurrence(text, lemma, start, start + span.end - span.start, instance.tag)
