"""HTML elements: tables, plots and paragraphs; text of users is escaped."""

import json
from collections.abc import Iterable, Mapping

import plotly.graph_objects as go
from markupsafe import Markup, escape

from equisparse.report.table import Cell, Level, Number, Table, show

_LONG = 40
"""Number of characters above which a column keeps a readable width."""


def json_data(values: object, name: str = "") -> Markup:
    """Values as JSON in a script element that is not executed; the script of the page finds it by `name`."""
    text = values if isinstance(values, str) else json.dumps(values, separators=(",", ":"), allow_nan=False)
    safe = text.replace("<", "\\u003c")  # the text cannot end the element
    return Markup('<script type="application/json" data-name="{}">{}</script>').format(name, Markup(safe))  # noqa: S704


def plot(figure: go.Figure, caption: str, *, height: int = 380, width: int = 0, hook: str = "") -> Markup:
    """A Plotly figure with its caption.

    Parameters
    ----------
    figure : Figure
    caption : str
        Description of the figure, also for screen readers.
    height : int
        Height in pixels.
    width : int
        Smallest width in pixels; on narrower pages the plot scrolls.
    hook : str
        Name by which the script of the page finds a plot that reacts to clicks.
    """
    return Markup(
        '<figure><div class="plot" data-hook="{0}" style="height:{1}px;min-width:{2}px" role="img" aria-label="{3}">'
        "</div><figcaption>{3}</figcaption>{4}</figure>"
    ).format(hook, height, width, caption, json_data(figure.to_json(validate=False)))


def table(content: Table) -> Markup:
    """A table; columns of numbers are aligned to the right."""
    numeric = content.numeric()
    head = _cells("th", content.header, numeric)
    lines = [Markup("<tr>{}</tr>").format(_cells("td", map(_cell, row), numeric)) for row in content.rows]
    title = Markup("<caption>{}</caption>").format(content.title) if content.title else ""
    return Markup(
        '<div class="scroll" tabindex="0" role="group" aria-label="{}"><table>{}<thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>"
    ).format(content.title or f"Table of {', '.join(content.header)}", title, head, Markup("").join(lines))


def _cell(cell: Cell) -> Markup:
    """One cell, coloured if it is a level, bold if it is the best; `Markup` is not escaped."""
    if isinstance(cell, Level):
        return Markup('<span class="level {0}">{0}</span>').format(cell)
    if isinstance(cell, Number) and cell.best:
        return Markup("<strong>{}</strong>").format(show(cell))
    return escape(cell if isinstance(cell, Markup) else show(cell))


def paragraph(text: str) -> Markup:
    """One paragraph."""
    return Markup("<p>{}</p>").format(text)


def listing(items: Iterable[object]) -> Markup:
    """A bulleted list."""
    return Markup("<ul>{}</ul>").format(Markup("").join(Markup("<li>{}</li>").format(item) for item in items))


def code(text: str) -> Markup:
    """Preformatted text that can be copied."""
    return Markup('<pre tabindex="0"><code>{}</code></pre>').format(text)


def folded(title: str, content: Markup) -> Markup:
    """Content that opens with a click, and is always open in print."""
    return Markup("<details><summary>{}</summary>{}</details>").format(title, content)


def definitions(values: Mapping[str, object]) -> Markup:
    """List of names and their values."""
    pairs = (Markup("<dt>{}</dt><dd>{}</dd>").format(name, value) for name, value in values.items())
    return Markup("<dl>{}</dl>").format(Markup("").join(pairs))


def _cells(tag: str, values: Iterable[str], numbers: Iterable[bool]) -> Markup:
    """Cells of one row."""
    cell = Markup('<{0} class="{1}">{2}</{0}>')
    return Markup("").join(
        cell.format(tag, "number" if right else "long" if len(escape(value).striptags()) > _LONG else "text", value)
        for value, right in zip(values, numbers, strict=True)
    )
