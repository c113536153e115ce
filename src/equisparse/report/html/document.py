"""Complete HTML pages: sections, style and scripts in one file that works offline."""

import base64
import gzip
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from equisparse.files import write_text
from equisparse.interpret.stability import StabilityRow
from equisparse.report.html.comparison import COMPARISONS, Comparison
from equisparse.report.html.sections.registry import SECTIONS
from equisparse.run.folder import Run


def write_report(run: Run, out: Path | None = None) -> Path:
    """Write the report of a run.

    Parameters
    ----------
    run : Run
    out : Path, optional
        File to write; ``report.html`` in the folder of the run by default.

    Returns
    -------
    Path
        The file that was written; it opens without a network.
    """
    made = {section: section.make(run) for section in SECTIONS}
    contents = {(section.key, section.title): html for section, html in made.items() if html}
    subtitle = f"{run.config.base}, method {run.metrics.method}"
    path = out or run.files.report
    write_text(path, page(f"Fine-tune {run.name}", subtitle, contents))
    return path


def write_comparison(runs: Mapping[str, Run], out: Path, stability: Sequence[StabilityRow] = ()) -> Path:
    """Write one page that compares several runs.

    Parameters
    ----------
    runs : mapping of str to Run
        Name of a run -> run.
    out : Path
        File to write.
    stability : sequence of StabilityRow
        Agreement of the changes of each pair of runs; empty if it cannot be computed.
    """
    comparison = Comparison(runs, list(stability))
    made = {(key, title): make(comparison) for key, title, make in COMPARISONS}
    write_text(out, page("Comparison", ", ".join(runs), {place: html for place, html in made.items() if html}))
    return out


def page(title: str, subtitle: str, sections: Mapping[tuple[str, str], Markup]) -> str:
    """Self-contained HTML page.

    Parameters
    ----------
    title, subtitle : str
    sections : mapping
        Anchor and title of a section -> its HTML.
    """
    template = _environment().get_template("page.html.j2")
    return template.render(
        title=title,
        subtitle=subtitle,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        sections=sections,
        plotly=_packed_plotly(),
    )


@cache
def _packed_plotly() -> str:
    """Source of Plotly, compressed and in base64; the script of the page unpacks it.

    The page is 2 MB in this way, instead of 5 MB. A part of Plotly would be no smaller and lacks charts: the scenes in
    space and the heat map of the changes are in different parts.
    """
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), mtime=0)).decode()


@cache
def _environment() -> Environment:
    """Templates of this package."""
    return Environment(loader=PackageLoader("equisparse.report.html"), autoescape=True, undefined=StrictUndefined)
