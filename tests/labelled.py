"""Small data sets in the forms of the public ones: "bank" with a river and with money in its context."""

from __future__ import annotations

from itertools import combinations, pairwise
from pathlib import Path

RIVER, MONEY = (
    [f"the bank {' '.join(some)}" for some in list(combinations(topic.split(), 4))[:6]]
    for topic in ("river water fish shore mud reed", "money loan cash credit debt coin")
)


def write_coarsewsd20(folder: Path, words: tuple[str, ...] = ("bank", "pitcher"), end: str = "\n") -> Path:
    """Each word's training half is its usages, its test half the same in another order; class 1 is the river."""
    for word in words:
        room = folder / word
        room.mkdir(parents=True)
        usages = [(text, "0") for text in MONEY] + [(text, "1") for text in RIVER]
        for half, part in (("train", usages), ("test", usages[::-1])):
            lines = [f"1\t{text.replace('bank', word)}{end}" for text, _ in part]
            (room / f"{half}.data.txt").write_text("".join(lines), newline="")
            (room / f"{half}.gold.txt").write_text("".join(f"{label}{end}" for _, label in part), newline="")
        (room / "classes_map.txt").write_text(f'{{"0": "{word}_money", "1": "{word}_river"}}')
    return folder


def write_wsi_at_scale(folder: Path) -> Path:
    """The annotators differ on the last usage only."""
    marked = [text.replace("bank", "@ @ bank @ @") for text in RIVER + MONEY]
    first = ["shore"] * 6 + ["institute"] * 6
    second = [*first[:-1], "shore"]
    rows = ["word\ttext\tann#1\tann#2", *("\t".join(["bank", *row]) for row in zip(marked, first, second, strict=True))]
    path = folder / "examples.tsv"
    path.write_text("\n".join(rows) + "\n")
    return path


def write_semeval2013(folder: Path) -> Path:
    """Two instances more than the key has."""
    (folder / "contexts").mkdir(parents=True)
    texts = [*RIVER, *MONEY, "no bank here", "nor a bank"]
    instances = [
        f'<instance id="bank.n.{i}" lemma="bank" tokenStart="{text.index("bank")}" tokenEnd="{text.index("bank") + 4}">'
        f"{text}</instance>"
        for i, text in enumerate(texts)
    ]
    (folder / "contexts" / "bank.n.xml").write_text("<instances>\n" + "\n".join(instances) + "\n</instances>\n")
    key = [f"bank.n bank.n.{i} {'shore/4 slope/1' if i < 6 else 'institute/5'}" for i in range(12)]
    (folder / "gold.key").write_text("\n".join(key) + "\n")
    return folder


def write_semeval2010(folder: Path) -> Path:
    """The target sentence stands between two others."""
    (folder / "test_data" / "nouns").mkdir(parents=True)
    instances = [
        f"<bank.n.{i}>Fish &amp; chips. <TargetSentence>{text}</TargetSentence> More.</bank.n.{i}>"
        for i, text in enumerate(RIVER + MONEY)
    ]
    file = folder / "test_data" / "nouns" / "bank.n.xml"
    file.write_text("<bank.n.test>\n" + "\n".join(instances) + "\n</bank.n.test>\n")
    (folder / "all.key").write_text("".join(f"bank.n bank.n.{i} bank.{int(i > 5)}/1\n" for i in range(12)))
    return folder


def write_wic(folder: Path) -> Path:
    """Pairs of one sense and of two in turn."""
    for half in ("train", "dev"):
        (folder / half).mkdir(parents=True)
        pairs = [(a, b, "T") for a, b in pairwise(RIVER)]
        pairs += [(a, b, "F") for a, b in zip(RIVER, MONEY, strict=True)]
        data = "".join(f"bank\tN\t1-1\t{a}\t{b}\n" for a, b, _ in pairs)
        (folder / half / f"{half}.data.txt").write_text(data)
        (folder / half / f"{half}.gold.txt").write_text("".join(f"{same}\n" for *_, same in pairs))
    return folder


def write_rawc(folder: Path) -> Path:
    """Two words; the pairs of one sense are rated 4, the others 1."""
    rows = ["word,sentence1,sentence2,same,mean_relatedness"]
    for word in ("bank", "spring"):
        same = [(RIVER[0], RIVER[1], "True", 4.0), (MONEY[0], MONEY[2], "True", 4.0)]
        other = [(RIVER[0], MONEY[0], "False", 1.0), (RIVER[1], MONEY[3], "False", 1.0)]
        rows += [f'{word},"{a.replace("bank", word)}",{b.replace("bank", word)},{s},{r}' for a, b, s, r in same + other]
    path = folder / "rawc.csv"
    path.write_text("\n".join(rows) + "\n")
    return path
