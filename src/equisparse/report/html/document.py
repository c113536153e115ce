"""Whole pages: sections, style and scripts in one file that needs nothing else."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from equisparse.files import write_text
from equisparse.report.html.comparison import COMPARISONS, Comparison, named
from equisparse.report.html.sections.registry import SECTIONS
from equisparse.run.folder import Row, read_run

REPORT = "report.html"


def write_report(folder: str | Path, out: Path | None = None) -> Path:
    """Write the report of a run.

    Parameters
    ----------
    folder : str or Path
        Of a finished run.
    out : Path, optional
        ``report.html`` in the folder by default.

    Returns
    -------
    Path
        The page, one file that opens without a network.

    Raises
    ------
    InputError
        If the folder holds no finished run.
    """
    run = read_run(folder)
    made = {section: section.make(run) for section in SECTIONS}
    contents = {(section.key, section.title): html for section, html in made.items() if html}
    base = f"{run.config.get('base', 'base model')}, method {run.method}"
    path = out or run.folder / REPORT
    write_text(path, page(f"Fine-tune {run.name}", base, contents))
    return path


def write_comparison(folders: Sequence[str | Path], out: Path, stability: Sequence[Row] = ()) -> Path:
    """Write one page about several runs.

    Parameters
    ----------
    folders : sequence of str or Path
        Of finished runs.
    out : Path
        The page.
    stability : sequence of row
        Rows of `equisparse.interpret.stability.StabilityRow`.

    Raises
    ------
    InputError
        If a folder holds no finished run, or two runs have the same name.
    """
    runs = Comparison(named(read_run(folder) for folder in folders), list(stability))
    made = {(key, title): make(runs) for key, title, make in COMPARISONS}
    write_text(out, page("Comparison", ", ".join(runs.runs), {place: html for place, html in made.items() if html}))
    return out


def page(title: str, subtitle: str, sections: Mapping[tuple[str, str], Markup]) -> str:
    """One self-contained page.

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
        made=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        sections=sections,
        plotly=Markup(get_plotlyjs().replace("</script", "<\\/script")),  # noqa: S704  our own dependency
    )


@cache
def _environment() -> Environment:
    """Templates of this package."""
    return Environment(loader=PackageLoader("equisparse.report.html"), autoescape=True, undefined=StrictUndefined)
