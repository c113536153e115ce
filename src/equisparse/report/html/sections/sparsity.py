"""Errors against the number of changed weights."""

from markupsafe import Markup

from equisparse.report.html import elements, plots
from equisparse.report.sparsity import sparsity_panels
from equisparse.report.tables import sparsity_table
from equisparse.run.folder import Run


def sparsity(run: Run) -> Markup | None:
    """One plot per error, and a table."""
    if not run.sparsity:
        return None
    made = [
        elements.plot(plots.sparsity(panel), f"{panel.title} against changed weights.", height=320)
        for panel in sparsity_panels(run)
    ]
    pair = Markup('<div class="pair">{}</div>').format(Markup("").join(made))
    return pair + elements.table(sparsity_table(run))
