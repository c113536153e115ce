"""Learning curves."""

from collections.abc import Mapping

from markupsafe import Markup

from equisparse.report.curves import curve_panels
from equisparse.report.html import elements, plots
from equisparse.run.folder import Run


def learning(run: Run) -> Markup | None:
    """Errors against epochs."""
    if not run.curve:
        return None
    return learning_plots({run.name: run})


def learning_plots(runs: Mapping[str, Run]) -> Markup:
    """One plot per error, with the curves of all runs."""
    panels = curve_panels({name: run.curve for name, run in runs.items() if run.curve})
    made = (
        elements.plot(plots.learning_curve(panel), f"Learning curve: {panel.title}.", height=320) for panel in panels
    )
    return Markup('<div class="pair">{}</div>').format(Markup("").join(made))
