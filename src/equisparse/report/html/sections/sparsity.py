"""Errors against the number of changed weights."""

from markupsafe import Markup

from equisparse.report.html import elements, plots
from equisparse.report.search import search_line
from equisparse.report.sparsity import sparsity_panels
from equisparse.report.tables import sparsity_table
from equisparse.run.folder import Run


def sparsity(run: Run) -> Markup | None:
    """Show the search for the fewest weights in words, and the curve as plots and a table."""
    parts = []
    if line := search_line(run):
        parts.append(elements.paragraph(f"Search for the fewest weights that cost nothing: {line}."))
    if run.sparsity:
        made = [
            elements.plot(plots.sparsity(panel), f"{panel.title} against changed weights.", height=320)
            for panel in sparsity_panels(run)
        ]
        parts += [
            Markup('<div class="pair">{}</div>').format(Markup("").join(made)),
            elements.table(sparsity_table(run)),
        ]
    return Markup("").join(parts) or None
