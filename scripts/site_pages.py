"""Hook of MkDocs: pages that are made from the source. They are never edited by hand.

The commands and their options come from the application, the API from the list of public names, the changes from
CHANGELOG.md, the page for contributors from CONTRIBUTING.md, and the tutorials from the scripts in docs/tutorials and
from what they printed and drew in a run (docs/tutorials/outputs, written by scripts/run_tutorials.py).
"""

import base64
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jupytext
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbformat import NotebookNode
from nbformat.v4 import new_output

from equisparse.cli.app import PROGRAM, build_app

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"
LOG = logging.getLogger("mkdocs.hooks.site_pages")
ROOMS = {
    "tasks": "Functions of the commands",
    "config": "Configurations",
    "training": "Training",
    "methods": "Methods",
    "adapters": "Adapters",
    "backbones": "Base models",
    "data": "Frames and labels",
    "run": "Runs",
    "deploy": "Calculators and merging",
    "interpret": "Interpretation",
    "robustness": "Robustness",
    "observables": "Properties",
    "magnetism": "Magnetism",
    "quantities": "Quantities",
    "errors": "Errors",
}
"""Room of the package -> title of its page."""
PLACES = {"inputs": "methods", "report": "tasks"}
"""Room -> room on whose page its names are shown."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Fill the places of the generated pages in the navigation."""
    pages = {"TUTORIALS": [_tutorial_page(path) for path in _tutorials()], "API": [f"api/{room}.md" for room in ROOMS]}
    config.nav = _filled(config.nav, {**pages, "TUTORIALS": ["tutorials/index.md", *pages["TUTORIALS"]]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    pages: dict[str, str | bytes] = {
        "commands.md": _commands(),
        "changelog.md": _copy("CHANGELOG.md"),
        "contributing.md": _copy("CONTRIBUTING.md"),
    }
    pages |= {**dict(_api()), **dict(_tutorial_files())}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Remove the dash before an empty description: the names of some parameters say enough."""
    return re.sub(r'\s*\u2013\s*<div class="doc-md-description">\s*</div>', "", html)


def _filled(nav: object, pages: dict[str, list[str]]) -> object:
    """Navigation in which names of lists are replaced by the lists."""
    if isinstance(nav, list):
        return [_filled(item, pages) for item in nav]
    if isinstance(nav, dict):
        return {title: _filled(item, pages) for title, item in nav.items()}
    return pages.get(nav, nav) if isinstance(nav, str) else nav


def _commands() -> str:
    """Page of all commands with their options."""
    app = build_app()
    del app["--install-completion"]  # an option that is registered as a command; see docs/install.md
    text = app.generate_docs(output_format="markdown", recursive=True)
    text = re.sub(r"## Table of Contents.*?(?=\*\*Fine-tune\*\*)", "", text, flags=re.DOTALL)
    text = re.sub(rf"(?<={PROGRAM} )([\w-]+) \1 ", r"\1 ", text)
    text = re.sub(rf"^## {PROGRAM} (.*)$", rf"## \1 {{#{PROGRAM}-\1}}", text, flags=re.MULTILINE)
    return text.replace(f"# {PROGRAM}\n", "# Commands\n", 1)


def _copy(name: str) -> str:
    """Page that is a file of the repository."""
    return (ROOT / name).read_text()


def _api() -> Iterator[tuple[str, str]]:
    """Name and text of each page of the API."""
    public = re.findall(r"^from (equisparse\.(\w+)[\w.]*) import (\w+) as", _stub(), flags=re.MULTILINE)
    for room, title in ROOMS.items():
        entries = [entry for entry in public if PLACES.get(entry[1], entry[1]) == room]
        entries.sort(key=lambda entry: entry[1] != room)  # names of other rooms come last
        names = [f"{module}.{name}" for module, _, name in entries]
        yield f"api/{room}.md", "\n\n".join([f"# {title}", *_of_room(names)])
    shown = {*ROOMS, *PLACES}
    if missing := {place for _, place, _ in public} - shown:
        raise ValueError(f"These rooms have public names but no page: {', '.join(sorted(missing))}")


def _of_room(names: list[str]) -> Iterator[str]:
    """Parts of a page of the API."""
    yield "All names are imported from `equisparse`: `from equisparse import " + names[0].rpartition(".")[2] + "`."
    yield from (f"::: {name}" for name in names)


def _stub() -> str:
    """List of the public names."""
    return (ROOT / "src" / "equisparse" / "__init__.pyi").read_text()


def _tutorials() -> list[Path]:
    """Scripts of the tutorials in the order of their names."""
    return sorted(TUTORIALS.glob("[0-9]*.py"))


def _tutorial_page(path: Path) -> str:
    """Name of the page of a tutorial."""
    return f"tutorials/{path.stem}.md"


def _tutorial_files() -> Iterator[tuple[str, str | bytes]]:
    """Name and content of the page, the notebook and the pictures of each tutorial."""
    for path in _tutorials():
        record = json.loads((TUTORIALS / "outputs" / f"{path.stem}.json").read_text())
        notebook = _with_outputs(path, record["cells"])
        yield f"tutorials/{path.stem}.ipynb", jupytext.writes(notebook, fmt="ipynb")
        yield from _pictures(path.stem, notebook)
        parts = _page_parts(path.stem, notebook)
        yield _tutorial_page(path), "\n\n".join([*parts, _downloads(path.stem), _provenance(record)])


def _pictures(name: str, notebook: NotebookNode) -> Iterator[tuple[str, bytes]]:
    """Name and content of each picture of a tutorial."""
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", ()):
            if output.output_type == "display_data":
                yield f"tutorials/{_picture(name, index)}", base64.b64decode(output.data["image/png"])


def _page_parts(name: str, notebook: NotebookNode) -> Iterator[str]:
    """Text, code and outputs of a tutorial in their order."""
    heading = ""
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            heading = "".join(re.findall(r"^#+ (.*)$", cell.source, flags=re.MULTILINE)[-1:]) or heading
            yield cell.source
            continue
        yield f"```python\n{cell.source}\n```"
        for output in cell.outputs:
            if output.output_type == "stream":
                yield f'```text title="Output"\n{output.text.rstrip()}\n```'
            else:
                yield f"![Figure: {heading}]({_picture(name, index)})"


def _picture(name: str, index: int) -> str:
    """File of the picture that a cell draws; a cell draws one at most."""
    return f"{name}-{index}.png"


def _with_outputs(path: Path, recorded: list[dict[str, Any]]) -> NotebookNode:
    """Notebook of a tutorial with the outputs of its run."""
    notebook = jupytext.read(path)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.source for cell in cells] != [outputs["code"] for outputs in recorded]:
        LOG.warning("%s is not the code that was run: nox -s tutorials -- --record %s", path.name, path)
        return notebook
    for cell, outputs in zip(cells, recorded, strict=True):
        if outputs["text"]:
            cell.outputs.append(new_output("stream", name="stdout", text=outputs["text"]))
        if outputs["picture"]:
            cell.outputs.append(new_output("display_data", data={"image/png": outputs["picture"]}))
    return notebook


def _downloads(name: str) -> str:
    """Line with the files of a tutorial."""
    return f"This page is [a script]({name}.py) and [a notebook]({name}.ipynb). `nox -s tutorials` runs it."


def _provenance(record: dict[str, Any]) -> str:
    """Line that says which run the outputs of a tutorial are from."""
    versions = ", ".join(f"{package} {version}" for package, version in record["versions"].items())
    where = f"{record['seconds']} s of processor time on {record['processor']}"
    return f"The outputs are those of a run with {versions}. It took {where}."
