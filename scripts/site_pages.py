"""Hook of MkDocs: pages that are made from the source. They are never edited by hand.

The commands and their options come from the application, the API from the list of public names, the changes from
CHANGELOG.md, the page for contributors from CONTRIBUTING.md, and the tutorials from the scripts in docs/tutorials.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import jupytext
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from equisparse.cli.app import PROGRAM, build_app

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"
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
    pages = {
        "commands.md": _commands(),
        "changelog.md": _copy("CHANGELOG.md"),
        "contributing.md": _copy("CONTRIBUTING.md"),
    }
    pages |= {**dict(_api()), **dict(_tutorial_files())}
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


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


def _tutorial_files() -> Iterator[tuple[str, str]]:
    """Name and text of the page and the notebook of each tutorial."""
    for path in _tutorials():
        notebook = jupytext.read(path)
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        yield f"tutorials/{path.stem}.ipynb", jupytext.writes(notebook, fmt="ipynb")
        parts = [cell.source if cell.cell_type == "markdown" else _code(cell.source) for cell in notebook.cells]
        yield _tutorial_page(path), "\n\n".join([*parts, _downloads(path.stem)])


def _code(source: str) -> str:
    """Fenced block of Python."""
    return f"```python\n{source}\n```"


def _downloads(name: str) -> str:
    """Line with the files of a tutorial."""
    return f"This page is [a script]({name}.py) and [a notebook]({name}.ipynb). `nox -s tutorials` runs it."
