"""`polyseme senses`, `compare` and `attention`, in process, read by an encoder without weights; and all bad input."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.charts import frame, gallery
from analysis.record import from_json
from analysis.types import Encoder
from service.cli import analyses, attention, common, main
from tests.fake import FakeEncoder
from tests.labelled import MONEY, RIVER

Run = Callable[..., str]
TEXTS = RIVER[:3] + MONEY[:3]
FAKES = {None: FakeEncoder(), "causal": FakeEncoder(causal=True)}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """`polyseme` with these arguments, in a folder with texts; what it printed, on the stream that its code says.

    Models but the default and "causal" are looked for where they really are.
    """
    real = common.load_encoder

    def load(name: str | None) -> Encoder:
        return FAKES[name] if name in FAKES else real(name)

    for module in (analyses, attention):
        monkeypatch.setattr(module, "load_encoder", load)
    monkeypatch.setenv("POLYSEME_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("\n".join(TEXTS))

    def invoke(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr("sys.argv", ["polyseme", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert ended.value.code == code, printed
        assert (printed.out if code else printed.err) == ""
        return printed.err if code else printed.out

    return invoke


# what is printed and written


def test_json_on_standard_output_is_json_only(run: Run) -> None:
    for arguments in (["senses", "bank", "texts.txt"], ["compare", "bank", "texts.txt"]):
        analysis = from_json(run(*arguments, "--json", "-"))
        assert [usage.text for usage in analysis.usages] == TEXTS
        assert len(analysis.senses) == 2
    weights = json.loads(run("attention", "the bank lends", "--json", "-"))
    assert [unit["text"] for unit in weights["units"]] == ["[CLS]", "the", "bank", "lends", "[SEP]"]
    rows = json.loads(run("models", "list", "--json", "-"))
    assert {row["name"]: row["pulled"] for row in rows} == {"mpnet": False, "minilm": False, "smollm2": False}


def test_senses_are_printed_with_their_drivers_and_exemplars(run: Run) -> None:
    printed = run("senses", "bank", "texts.txt")
    analysis = from_json(run("senses", "bank", "texts.txt", "--json", "-"))
    assert "bank: several senses (2 senses in 6 usages, fake)" in printed
    texts = {usage.id: usage.text for usage in analysis.usages}
    for sense in analysis.senses:
        assert f"{sense.label}   {sense.id}, 3 usages, 50%" in printed
        assert sense.drivers
        assert f"{sense.drivers[0].word} {sense.drivers[0].effect:+.3f} ({sense.drivers[0].support}x)" in printed
        for exemplar in sense.exemplars:
            assert f"\n     {texts[exemplar]}\n" in printed


def test_reports_are_written_and_named(run: Run) -> None:
    files = ["--json", "a.json", "--html", "a.html", "--csv", "a.csv", "--parquet", "a.parquet"]
    printed = run("senses", "bank", "texts.txt", *files)
    for line in (
        "JSON written to a.json",
        "HTML written to a.html",
        "CSV written to a.csv",
        "Parquet written to a.parquet",
    ):
        assert line in printed
    ids = [usage.id for usage in from_json(Path("a.json").read_bytes()).usages]
    with Path("a.csv").open(newline="", encoding="utf-8") as file:
        assert [row["id"] for row in csv.DictReader(file)] == ids
    assert pq.read_table("a.parquet").column("id").to_pylist() == ids
    assert Path("a.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_charts_are_written_a_file_each_and_what_is_missing_is_said(run: Run) -> None:
    printed = run("senses", "bank", "texts.txt", "--svg", "new/svg", "--png", "png", "--drivers", "attention")
    missing = [name for name in gallery.CHARTS if f"No chart {name}: " in printed]
    drawn = {f"bank-{name}" for name in gallery.CHARTS if name not in missing}
    assert {"bank-sense-map", "bank-drivers", "bank-attention-lines"} <= drawn, "attention is kept for them"
    for ending, folder in (("svg", "new/svg"), ("png", "png")):
        assert {path.name for path in Path(folder).iterdir()} == {f"{name}.{ending}" for name in drawn}
    assert "Charts written to new/svg and png: sense-map, drivers" in printed
    run("senses", "bank", "texts.txt", "--svg", "dark", "--dark", "--drivers", "none")
    assert not Path("dark/bank-drivers.svg").exists()
    assert frame.DARK[frame.PAGE] in Path("dark/bank-sense-map.svg").read_text(encoding="utf-8")
    assert from_json(run("senses", "bank", "texts.txt", "--drivers", "none", "--json", "-")).attention is None
    assert from_json(run("senses", "bank", "texts.txt", "--attention", "--drivers", "none", "--json", "-")).attention


def test_charts_need_a_folder(run: Run) -> None:
    assert "cannot write into texts.txt" in run("senses", "bank", "texts.txt", "--svg", "texts.txt", code=2)


def test_the_matrix_of_a_text_is_drawn(run: Run) -> None:
    run("attention", "the bank", "--svg", "a.svg", "--png", "a.png", "--no-special")
    assert ">bank<" in Path("a.svg").read_text(encoding="utf-8")
    assert ">[CLS]<" not in Path("a.svg").read_text(encoding="utf-8")
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")


def test_options_reach_the_analysis(run: Run) -> None:
    options = {"n-senses": "3", "drivers": "occlusion-mask", "budget": "4", "explained": "5", "seed": "7"}
    options |= {"match": "exact", "faithfulness": "2", "driver-form": "lemma"}
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    made = from_json(run("senses", "bank", "texts.txt", *arguments, "--json", "-")).provenance
    assert (made.n_senses, made.drivers, made.budget, made.explained, made.seed) == (3, "occlusion-mask", 4, 5, 7)
    assert (made.match, made.operator, made.faithfulness, made.driver_form) == ("exact", "mask", 2, "lemma")


def test_any_method_and_its_test(run: Run) -> None:
    chosen = ["--drivers", "gates", "--faithfulness", "5", "--driver-form", "lemma", "--fraction", "0.3"]
    analysis = from_json(run("senses", "bank", "texts.txt", *chosen, "--json", "-"))
    assert all(usage.drivers and usage.gap is not None for usage in analysis.usages)
    assert analysis.faithfulness is not None
    assert {f.fractions for f in analysis.faithfulness} == {(0.3,)}
    assert [(f.method, f.operator, f.level, f.n) for f in analysis.faithfulness[:3]] == [
        ("gates", "delete", "analysis", 5),
        ("gates", "delete", "s0", 2),
        ("gates", "delete", "s1", 3),
    ]
    printed = run("senses", "bank", "texts.txt", *chosen)
    for sense in analysis.senses:
        assert sense.drivers
        assert f"{sense.drivers[0].word} {sense.drivers[0].effect:+.3f} ({sense.drivers[0].support}x)" in printed


def test_a_form_of_drivers_joins_what_is_one_word(run: Run) -> None:
    Path("forms.txt").write_text("the bank rivers fish\nthe bank river shore\nthe bank loan\nthe bank loans\n")
    words = {}
    for form in ("surface", "lemma"):
        chosen = ["--n-senses", "2", "--driver-form", form, "--json", "-"]
        analysis = from_json(run("senses", "bank", "forms.txt", *chosen))
        words[form] = {driver.word for sense in analysis.senses for driver in sense.drivers or ()}
    assert {"loan", "loans"} <= words["surface"]
    assert "loan" in words["lemma"]
    assert not {"loans", "rivers"} & words["lemma"]


def test_texts_from_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("piped.jsonl").write_text(
        "\n".join(json.dumps({"body": text, "key": f"k{i}"}) for i, text in enumerate(TEXTS))
    )
    with Path("piped.jsonl").open() as piped:
        monkeypatch.setattr("sys.stdin", piped)
        printed = run("senses", "bank", "-", "--text-field", "body", "--id-field", "key", "--json", "-")
    assert [usage.source_id for usage in from_json(printed).usages] == [f"k{i}" for i in range(6)]


def test_texts_without_the_target_are_named(run: Run) -> None:
    Path("texts.txt").write_text("\n".join([*TEXTS, "nothing"]))
    printed = run("senses", "bank", "texts.txt")
    assert "Note: 1 text does not use 'bank'" in printed
    assert "(7)" in printed


def test_a_text_cannot_steer_the_terminal(run: Run) -> None:
    Path("texts.txt").write_text("the bank \x1b[2J\x1b]0;title\x07 [bold red]river[/] \x9b31m\n")
    printed = run("senses", "bank", "texts.txt")
    assert not set(printed) & {"\x1b", "\x07", "\x9b"}
    assert "[bold red]river[/]" in printed


def test_comparison_is_printed_layer_by_layer_and_pair_by_pair(run: Run) -> None:
    printed = run("compare", "bank", "texts.txt", "--pairs", "8")
    for row in ("static", "layer 0", "layer 3"):
        assert row in printed
    analysis = from_json(run("compare", "bank", "texts.txt", "--pairs", "8", "--json", "-"))
    assert analysis.static is not None
    assert analysis.static.pairs is not None
    assert len(analysis.static.pairs) == 8
    assert analysis.static.layers[0].cosine == 1.0
    assert "2 more pairs" in printed


# attention


def matrix(printed: str, names: list[str]) -> dict[str, list[str]]:
    """The cells of each row, by its word, without their shades."""
    lines = [line.split() for line in printed.splitlines()]
    rows = {line[0]: line[1:] for line in lines if line and line[0] in names and line != names}
    return {name: [cell for cell in cells if cell not in "░▒▓█"] for name, cells in rows.items()}


def test_a_causal_model_shows_a_masked_future(run: Run) -> None:
    names = ["[CLS]", "the", "bank", "lends", "[SEP]"]
    printed = run("attention", "the bank lends", "--model", "causal")
    assert "fake, causal: mean over all 3 layers, mean over all 2 heads" in printed
    assert matrix(printed, names) == {
        "[CLS]": ["1.00", "-", "-", "-", "-"],
        "the": ["0.50", "0.50", "-", "-", "-"],
        "bank": ["0.33", "0.33", "0.33", "-", "-"],
        "lends": ["0.25", "0.25", "0.25", "0.25", "-"],
        "[SEP]": ["0.20"] * 5,
    }
    weights = json.loads(run("attention", "the bank lends", "--model", "causal", "--json", "-"))
    assert weights["causal"] is True
    for head in (head for layer in weights["weights"] for head in layer):
        assert [[weight > 0 for weight in row] for row in head] == [[k <= q for k in range(5)] for q in range(5)]
        assert [sum(row) for row in head] == pytest.approx([1] * 5, abs=1e-5)


def test_a_bidirectional_model_masks_nothing(run: Run) -> None:
    names = ["[CLS]", "the", "bank", "lends", "[SEP]"]
    printed = run("attention", "the bank lends")
    assert matrix(printed, names) == {name: ["0.20"] * 5 for name in names}
    hidden = run("attention", "the bank lends", "--no-special")
    assert matrix(hidden, names[1:4]) == {name: ["0.20"] * 3 for name in names[1:4]}
    assert "special tokens, which took 40% of the attention" in hidden


def test_layers_and_heads_are_chosen(run: Run) -> None:
    chosen = json.loads(run("attention", "the bank", "--layer", "2", "--layer", "0", "--head", "1", "--json", "-"))
    assert (chosen["layers"], chosen["heads"]) == ([2, 0], [1])
    assert (len(chosen["weights"]), len(chosen["weights"][0])) == (2, 1)
    assert "layer 2 of 0 to 2, head 1 of 0 to 1" in run("attention", "the bank", "--layer", "2", "--head", "1")


# bad input

BANK = ["senses", "bank"]
BAD = {
    "missing file": ([*BANK, "none.txt"], "there is no file none.txt"),
    "folder": ([*BANK, "folder"], "folder"),
    "folder with an ending": ([*BANK, "folder.txt"], "folder.txt is a folder"),
    "empty file": ([*BANK, "empty.txt"], "empty.txt is empty"),
    "not UTF-8": ([*BANK, "latin.txt"], "latin.txt, line 2 is not UTF-8"),
    "unknown ending": ([*BANK, "texts.docx"], "unknown ending '.docx'"),
    "broken JSON Lines": ([*BANK, "broken.jsonl"], "broken.jsonl, line 3 is not a JSON object"),
    "empty text": ([*BANK, "blank.jsonl"], "blank.jsonl, line 1: 'text' is empty"),
    "bad span": ([*BANK, "span.jsonl"], "span.jsonl, line 1: [(4, 99)] is not a span"),
    "missing column": ([*BANK, "table.csv"], "line 2 has no field 'text'; choose text_field from"),
    "missing id column": ([*BANK, "table.csv", "--text-field", "body", "--id-field", "key"], "no field 'key'"),
    "missing Parquet column": ([*BANK, "table.parquet"], "row 1 has no field 'text'"),
    "not Parquet": ([*BANK, "false.parquet"], "false.parquet is not Parquet"),
    "target in no text": (["senses", "zebra", "texts.txt"], "'zebra' is not in the 6 texts"),
    "empty target": (["senses", " ", "texts.txt"], "the target is empty"),
    "unknown model": ([*BANK, "texts.txt", "--model", "no-such-model"], "no-such-model"),
    "model not pulled": ([*BANK, "texts.txt", "--model", "minilm"], "polyseme models pull minilm"),
    "too many senses": ([*BANK, "texts.txt", "--n-senses", "7"], "7 senses of 6 usages"),
    "no senses": ([*BANK, "texts.txt", "--n-senses", "0"], "0 senses of 6 usages"),
    "more senses than distinct": ([*BANK, "same.txt", "--n-senses", "3"], "only 1 of the 4 usages are distinct"),
    "senses in words": ([*BANK, "texts.txt", "--n-senses", "many"], "'--n-senses'"),
    "unknown drivers": ([*BANK, "texts.txt", "--drivers", "magic"], "choose from occlusion, occlusion-exact, "),
    "unknown layer of drivers": ([*BANK, "texts.txt", "--drivers", "attention:9"], "no layer 9 for the drivers"),
    "no mask token": ([*BANK, "texts.txt", "--model", "causal", "--drivers", "occlusion-mask"], "has no mask token"),
    "negative test": ([*BANK, "texts.txt", "--faithfulness", "-1"], "-1 usages cannot be tested"),
    "no fraction": ([*BANK, "texts.txt", "--fraction", "0.1", "--fraction", "2"], "2.0 is no fraction of the words"),
    "unknown form of drivers": ([*BANK, "texts.txt", "--driver-form", "stem"], "choose from surface, lemma"),
    "an option that is gone": ([*BANK, "texts.txt", "--operator", "mask"], "No such option: --operator"),
    "unknown match": ([*BANK, "texts.txt", "--match", "fuzzy"], "choose from lemma, exact"),
    "unknown language": ([*BANK, "texts.txt", "--language", "xx"], "no lemmas for the language 'xx'"),
    "no budget": ([*BANK, "texts.txt", "--budget", "0"], "a budget of 0 words"),
    "nothing explained": ([*BANK, "texts.txt", "--explained", "0"], "give 1 or more"),
    "negative seed": ([*BANK, "texts.txt", "--seed", "-1"], "'--seed'"),
    "huge seed": ([*BANK, "texts.txt", "--seed", str(2**32)], "'--seed'"),
    "no pairs": (["compare", "bank", "texts.txt", "--pairs", "0"], "--pairs"),
    "unwritable JSON": ([*BANK, "texts.txt", "--json", "no/a.json"], "cannot write no/a.json"),
    "unwritable HTML": ([*BANK, "texts.txt", "--html", "folder"], "cannot write folder"),
    "unknown layer": (["attention", "the bank", "--layer", "3"], "no layer 3: the model has 3 layers; choose"),
    "unknown head": (["attention", "the bank", "--head", "-1"], "no head -1: the model has 2 heads; choose"),
    "unknown unit": (["attention", "the bank", "--unit", "letter"], "choose word or subword"),
    "empty text for attention": (["attention", ""], "words"),
    "missing argument": (BANK, "Missing argument 'file'; see"),
    "unknown option": ([*BANK, "texts.txt", "--magic"], "No such option: --magic"),
    "unknown command": (["divine", "bank"], "No such command 'divine'"),
    "option without its value": ([*BANK, "texts.txt", "--json"], "--json"),
    "wrong port": (["serve", "--port", "0"], "--port"),
    "no model to verify": (["models", "verify"], "polyseme models pull mpnet"),
}  # fmt: skip


@pytest.fixture
def bad_files(run: Run) -> None:
    """What is wrong with each is in its name; `run` has made the folder that they are in."""
    Path("folder").mkdir()
    Path("folder.txt").mkdir()
    Path("empty.txt").write_bytes(b"\n \n")
    Path("latin.txt").write_bytes("the bank\nune banque à Paris\n".encode("latin-1"))
    Path("texts.docx").write_text("the bank")
    Path("same.txt").write_text("the bank river\n" * 4)
    Path("broken.jsonl").write_text('{"text": "the bank"}\n\n{"text": "the bank"\n')
    Path("blank.jsonl").write_text('{"text": " "}\n')
    Path("span.jsonl").write_text('{"text": "the bank", "start": 4, "end": 99}\n')
    Path("table.csv").write_text("id,body\n1,the bank\n")
    Path("false.parquet").write_text("the bank")
    pq.write_table(pa.table({"body": ["the bank"]}), "table.parquet")


@pytest.mark.parametrize("name", BAD)
@pytest.mark.usefixtures("bad_files")
def test_bad_input_gets_one_line_and_code_2(run: Run, name: str) -> None:
    arguments, says = BAD[name]
    line = run(*arguments, code=2)
    assert line.startswith("polyseme: ")
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert says in line


def test_a_setting_that_is_not_right_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYSEME_MAX_TEXTS", "many")
    line = run("senses", "bank", "texts.txt", "--model", "minilm", code=2)
    assert "POLYSEME_MAX_TEXTS" in line
    assert line.count("\n") == 1


def test_an_error_of_ours_is_not_hidden(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(FakeEncoder):
        def encode(self, *_: object, **__: object) -> None:  # type: ignore[override]
            raise ZeroDivisionError

    monkeypatch.setattr(analyses, "load_encoder", lambda _: Broken())
    monkeypatch.setattr("sys.argv", ["polyseme", "senses", "bank", "texts.txt"])
    with pytest.raises(ZeroDivisionError):
        main()


def test_help_needs_no_heavy_library() -> None:
    heavy = "{'torch', 'transformers', 'sklearn', 'scipy', 'simplemma', 'pyarrow', 'fastapi', 'sqlalchemy'}"
    code = f"import sys, service.cli; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_help_names_every_command(run: Run) -> None:
    printed = run("--help")
    for command in (
        "senses",
        "compare",
        "attention",
        "assign",
        "corpus",
        "evaluate",
        "sense-models",
        "models",
        "serve",
    ):
        assert f" {command} " in printed
