"""Laws of the sections of a report, as functions: ``for law in SECTION_LAWS: law(make, folder)``.

Call them with a run that has the data of the section and with a run that does not have it. Each law raises
AssertionError if it is violated.
"""

import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

from markupsafe import Markup

from equisparse.run.folder import Run, read_run

MakeSection = Callable[[Run], Markup | None]
"""A section: HTML of a run, or None if the run has no data for it."""
SectionLaw = Callable[[MakeSection, Path], None]
"""A law of one section, for the folder of one run."""

_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
"""Elements without an end."""


class _Elements(HTMLParser):
    """Reader that checks the nesting of elements, and collects their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> ends nothing"
        assert self.open[-1] == tag, f"</{tag}> ends <{self.open[-1]}>"
        self.open.pop()


def section_is_html(make: MakeSection, folder: Path) -> None:
    """A section is None or text whose parts are escaped, and every element in it is closed."""
    made = make(read_run(folder))
    assert made is None or isinstance(made, Markup), "return markupsafe.Markup: other text is escaped"
    assert made is None or made.strip(), "return None if there is nothing to show"
    elements = _elements(made)
    assert not elements.open, f"not closed: {elements.open}"


def section_is_self_contained(make: MakeSection, folder: Path) -> None:
    """A section loads nothing, and no two of its elements have the same id."""
    attributes = _elements(make(read_run(folder))).attributes
    loaded = [value for name, value in attributes if name in {"src", "srcset", "href"}]
    assert all(value.startswith(("#", "data:")) for value in loaded), loaded
    assert not [value for name, value in attributes if name == "style" and "url(" in value]
    assert not [value for name, value in attributes if name.startswith("on")], "no scripts in attributes"
    ids = Counter(value for name, value in attributes if name == "id")
    repeated = [value for value, count in ids.items() if count > 1]
    assert not repeated, f"ids that occur twice: {repeated}"


def section_is_reproducible(make: MakeSection, folder: Path) -> None:
    """A second call gives the same section, apart from ids that Plotly draws at random."""
    first, second = (re.sub(r"[0-9a-f-]{36}", "", make(read_run(folder)) or "") for _ in range(2))
    assert first == second


def run_is_not_changed(make: MakeSection, folder: Path) -> None:
    """The files of the run are the same afterwards."""
    before = _files(folder)
    make(read_run(folder))
    assert _files(folder) == before


SECTION_LAWS: tuple[SectionLaw, ...] = (
    section_is_html,
    section_is_self_contained,
    section_is_reproducible,
    run_is_not_changed,
)
"""All laws."""


def _elements(made: Markup | None) -> _Elements:
    """Elements of a section."""
    elements = _Elements()
    elements.feed(made or "")
    elements.close()
    return elements


def _files(folder: Path) -> dict[Path, bytes]:
    """Contents of all files below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
