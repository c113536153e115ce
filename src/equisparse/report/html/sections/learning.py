"""Learning curves."""

from collections.abc import Mapping

from markupsafe import Markup

from equisparse.report.html import elements, plots
from equisparse.run.folder import Run


def learning(run: Run) -> Markup | None:
    """Errors against epochs."""
    if not run.curve:
        return None
    return learning_plots({run.name: run})


def learning_plots(runs: Mapping[str, Run]) -> Markup:
    """One plot an error, with the curves of all runs."""
    figures = plots.learning_curves({name: run.curve for name, run in runs.items() if run.curve})
    made = (elements.plot(figure, f"Learning curve: {title}.", height=320) for title, figure in figures)
    return Markup('<div class="pair">{}</div>').format(Markup("").join(made))
