"""The example notebook, run from top to bottom in a kernel of its own."""

from __future__ import annotations

import re
import warnings
from importlib.resources import files

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = files("analysis").joinpath("examples", "senses.ipynb")


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    read = nbformat.reads(NOTEBOOK.read_text(encoding="utf-8"), as_version=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the kernel's client's own
        NotebookClient(read, timeout=120, kernel_name="python3").execute()
    return read


def outputs(notebook: nbformat.NotebookNode, kind: str) -> list[str]:
    return [output["data"][kind] for cell in notebook.cells for output in cell.get("outputs", ())
            if kind in output.get("data", ())]  # fmt: skip


def test_it_is_kept_without_outputs_or_a_machines_paths() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    read = nbformat.reads(text, as_version=4)
    nbformat.validate(read)
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in read.cells)
    assert not re.search(r"/(home|root|tmp|Users|work)/", text)


@pytest.mark.slow
def test_an_analysis_shows_its_senses_and_its_map(notebook: nbformat.NotebookNode) -> None:
    (shown,) = outputs(notebook, "text/html")
    assert "<strong>bank</strong>: several senses in 12 usages, read with minilm" in shown
    assert 'src="data:image/svg+xml;base64,' in shown
    assert "<script" not in shown


@pytest.mark.slow
def test_its_charts_are_drawn_without_another_host(notebook: nbformat.NotebookNode) -> None:
    drawn = outputs(notebook, "image/svg+xml")
    assert len(drawn) == 3
    assert all("<svg" in svg for svg in drawn)
    assert not [kind for cell in notebook.cells for output in cell.get("outputs", ()) for kind in output.get("data", ())
                if kind == "text/html" and "http" in output["data"][kind].replace("http://www.w3.org", "")]  # fmt: skip
