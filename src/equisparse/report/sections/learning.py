"""Learning curves."""

from markupsafe import Markup

from equisparse.report import html, plots
from equisparse.report.run import Run


def learning(run: Run) -> Markup | None:
    """Errors against epochs."""
    if not run.curve:
        return None
    caption = "Mean absolute errors on training (dotted) and validation frames, and the share of changed weights."
    return html.plot(plots.learning_curves({run.name: run.curve}), caption, height=340)
