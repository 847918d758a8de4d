"""The README's examples, run as they stand: what it shows must be what a reader sees."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.model import encoder
from service.cli import main
from service.settings import Settings
from service.settings_table import table, written
from tests.real import real

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHOWN_AT = "http://127.0.0.1:8000"
NUMBER = re.compile(r"-?\d+\.\d+|-?\d+")


def examples() -> list[tuple[str, str]]:
    """(command, what it prints) of every console block."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output.strip()))
    return found


COMMANDS = [example for example in examples() if example[0].startswith("polyseme")]
REQUESTS = [example for example in examples() if example[0].startswith("curl")]


def assert_as_shown(shown: str, printed: str) -> None:
    """Equal, but for what "…" stands for, and for the last digits of decimal fractions (other processors round)."""
    pattern, numbers = "", []
    for piece in re.split(r"(\s*…\s*|-?\d+\.\d+|\s+)", shown):
        if "…" in piece:
            pattern += ".*?"
        elif NUMBER.fullmatch(piece) and "." in piece:
            pattern += r"(-?\d+\.\d+(?:e-\d+)?)"
            numbers.append(float(piece))
        else:
            pattern += r"\s+" if piece.isspace() else re.escape(piece)
    match = re.fullmatch(pattern, printed.strip(), re.DOTALL)
    assert match, f"the README shows\n{shown}\nand the command prints\n{printed[:2000]}"
    assert [float(n) for n in match.groups()] == pytest.approx(numbers, abs=0.011)


def test_the_readme_has_examples() -> None:
    assert len(COMMANDS) >= 3
    routes = " ".join(re.findall(r":8000(/(?:v1/)?\w+)", " ".join(command for command, _ in REQUESTS)))
    for noun in ("senses", "analyses", "attention", "embeddings", "compare", "models"):
        assert f"/v1/{noun}" in routes
    assert "/v1/sense-models/" in " ".join(command for command, _ in REQUESTS)
    assert "/livez" in routes
    assert "/readyz" in routes


def test_commands_print_what_the_readme_shows(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the README's order, since later commands use the files of those before; each model is loaded once for all."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(encoder, "load", lambda found, **_: real(found.name))
    (ROOT / "out").mkdir(exist_ok=True)  # as `make demo` does
    for command, shown in COMMANDS:
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit):
            main()
        printed = capfd.readouterr()
        assert_as_shown(shown, printed.out + printed.err)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`polyseme serve`, as `make serve` starts it, on a free port and with a database of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    database = tmp_path_factory.mktemp("data") / "polyseme.db"
    run = [sys.executable, "-c", "from service.cli import main; main()", "serve", "--port", str(port)]
    with subprocess.Popen(
        run, env=os.environ | {"POLYSEME_DATABASE_URL": f"sqlite:///{database}"}, stderr=subprocess.DEVNULL
    ) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"{address}/livez", timeout=1).close()
                    break
                except OSError:
                    assert process.poll() is None, "the service stopped"
                    time.sleep(0.1)
            yield address
        finally:
            process.terminate()


def test_the_service_answers_what_the_readme_shows(service: str) -> None:
    """In the README's order, since later requests use the analysis of the first."""
    ids: dict[str, str] = {}
    # The README's own ids are of its content on the machine that wrote it; here another last digit may make another.
    for command, shown in REQUESTS:
        for there, here in ids.items():
            command, shown = command.replace(there, here), shown.replace(there, here)  # noqa: PLW2901
        arguments = shlex.split(command.replace(SHOWN_AT, service))
        printed = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=ROOT).stdout
        made, expected = (re.search(r'"id": ?"([0-9a-f]{20})"', text) for text in (printed, shown))
        if made and expected and "/v1/analyses/" not in command:
            ids[expected[1]] = made[1]
            shown = shown.replace(expected[1], made[1])  # noqa: PLW2901
        if not re.search(r"/v1/models", command):
            assert_as_shown(shown, printed)
        else:  # which models are loaded by now depends on what was asked before
            assert '"max_texts":1000' in printed
            assert '"name":"mpnet","default":true' in printed


def test_the_settings_table_is_that_of_the_code() -> None:
    assert table() in README, "write it anew: make readme"
    assert written(README) == README
    assert all(f"POLYSEME_{name.upper()}" in table() for name in Settings.model_fields)
    assert written(README.replace("`POLYSEME_MODEL`", "`POLYSEME_OTHER`")) == README


def test_the_python_example_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(encoder, "load", lambda found, **_: real(found.name))
    exec(code[1], {})
    assert capsys.readouterr().out.startswith("several senses")
