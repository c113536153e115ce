"""Run the tutorials as notebooks: ``python scripts/run_tutorials.py [--record] [SCRIPT ...]``; by default, all of them.

With ``--record``, what each prints and draws is written to docs/tutorials/outputs, for the pages of the site.
"""

import argparse
import json
import os
import resource
from importlib.metadata import version
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbformat import NotebookNode

TUTORIALS = Path(__file__).parents[1] / "docs" / "tutorials"
PACKAGES = ("equisparse", "torch", "sevenn", "numpy", "ase")
"""Packages whose versions are recorded."""


def main() -> None:
    """Run the tutorials that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the outputs to docs/tutorials/outputs")
    parser.add_argument("scripts", nargs="*", type=Path)
    options = parser.parse_args()
    os.environ.pop("MPLBACKEND", None)  # the kernel keeps figures in the notebook
    for script in options.scripts or sorted(TUTORIALS.glob("[0-9]*.py")):
        notebook = jupytext.read(script)
        seconds = run(notebook)
        print(f"{script.name}: {seconds:.0f} s of processor time", flush=True)
        if options.record:
            path = TUTORIALS / "outputs" / f"{script.stem}.json"
            path.write_text(json.dumps(record(notebook, seconds), indent=1, ensure_ascii=False) + "\n")


def run(notebook: NotebookNode) -> float:
    """Run a notebook in a kernel of its own, and return the processor time in seconds."""
    before = _processor_time()
    NotebookClient(notebook, timeout=None, kernel_name="python3").execute()
    return _processor_time() - before


def record(notebook: NotebookNode, seconds: float) -> dict[str, object]:
    """Code and outputs of each code cell, with the versions and the machine.

    Parameters
    ----------
    notebook : NotebookNode
        A notebook that was run.
    seconds : float
        Its processor time.
    """
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return {
        "versions": {package: version(package) for package in PACKAGES},
        "processor": processor(),
        "seconds": round(seconds),
        "cells": [{"code": cell.source, **_outputs(cell)} for cell in cells],
    }


def processor() -> str:
    """Name of the processor, where Linux tells it."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"


def _outputs(cell: NotebookNode) -> dict[str, str]:
    """Text and picture of a cell; messages on the standard error are left out."""
    text = "".join(output.text for output in cell.outputs if output.get("name") == "stdout")
    pictures = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
    if len(pictures) > 1:
        raise ValueError("A cell draws several pictures; split it.")
    return {"text": text, "picture": "".join(pictures).replace("\n", "")}


def _processor_time() -> float:
    """Processor time of the kernels that ended and of their child processes, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
