"""`make notebook`: the example notebook executed anew, and stored without what only a live notebook can show."""

import os
import re
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

EXAMPLE = Path(__file__).parents[1] / "genexp/interface/example.ipynb"
WIDGET = "application/vnd.jupyter.widget-view+json"  # a progress bar, which needs its kernel


def executed(path: Path) -> nbformat.NotebookNode:
    """The notebook after its cells have run in a folder of their own."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=1200, record_timing=False, resources=resources).execute()
    return notebook


def nobodys(text: str) -> str:
    """Without the places of this machine: where the project lies, and the file that the kernel was told its ports in."""
    return re.sub(r"-f /\S+?\.json", "-f kernel.json", text.replace(f"{Path.cwd()}/", ""))


def tidied(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Each cell's lines in one piece; no widgets."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        kept: list[nbformat.NotebookNode] = []
        for output in cell.get("outputs", []):
            if WIDGET in output.get("data", {}):
                continue
            if kept and output.output_type == kept[-1].output_type == "stream" and output.name == kept[-1].name:
                kept[-1].text += output.text
            else:
                kept.append(output)
        if cell.cell_type == "code":
            cell.outputs = kept
            cell.metadata.pop("execution", None)
    return notebook


if __name__ == "__main__":
    os.environ.pop("GENEXP_DATA", None)  # it needs none
    EXAMPLE.write_text(nobodys(nbformat.writes(tidied(executed(EXAMPLE)))) + "\n", encoding="utf-8")
