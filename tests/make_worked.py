"""`make worked`: writes the worked examples that the pages show before anything is asked, as real models give them."""

from __future__ import annotations

import json
from pathlib import Path

from analysis import attention as views
from analysis.assemble import Options
from analysis.catalogue import resolve
from analysis.corpus import documents
from analysis.model.encoder import load
from analysis.pipeline import analyse
from analysis.record import Analysis, to_json
from service.dictionary import Shelf
from service.settings import Settings
from service.web.views import charts_of

WHERE = Path(__file__).parents[1] / "service" / "web" / "worked"
SENTENCE = "The bank by the river"
TWO = ["I went to the bank to deposit money", "I sat by the bank watching the river"]


def write(name: str, analysis: Analysis) -> None:
    """The analysis and its charts."""
    (WHERE / f"{name}.json").write_text(to_json(analysis) + "\n", encoding="utf-8")
    charts = json.dumps(charts_of(analysis), ensure_ascii=False)
    (WHERE / f"{name}-charts.json").write_text(charts + "\n", encoding="utf-8")


def main() -> None:
    home = Settings().home
    for name in ("mpnet", "smollm2"):
        encoder = load(resolve(name, home))
        if name == "mpnet":
            bank = documents((WHERE / "bank.txt").read_text(encoding="utf-8").splitlines())
            write("senses", analyse(encoder, bank, "bank", namer=Shelf(home).name))
            write("vectors", analyse(encoder, documents(TWO), "bank", Options(drivers="none", pairs=200)))
        view = views.by_word(encoder.attention(SENTENCE))
        layers, heads = range(view.weights.shape[0]), range(view.weights.shape[1])
        shown = views.to_dict(view, encoder.info, "word", list(layers), list(heads))
        (WHERE / f"attention-{name}.json").write_text(json.dumps(shown) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
