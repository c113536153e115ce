"""Points of the curve of errors against changed weights, for all media."""

from collections.abc import Sequence

from equisparse.quantities import shown_errors
from equisparse.run.folder import Run
from equisparse.run.sparsity import SparsityRow, sparsity_points


def sparsity_panels(run: Run) -> dict[str, tuple[Sequence[SparsityRow], float | None]]:
    """Title of a mean absolute error -> its points on the judged split, and the error of the base, refitted."""
    refit = run.metrics.refit[run.judged]
    panels: dict[str, tuple[Sequence[SparsityRow], float | None]] = {}
    for error in shown_errors():
        points = sparsity_points(run.sparsity, run.judged, error.name)
        if points and error.kind == "mae":
            panels[f"{error.title} ({error.unit})"] = (points, refit.get(error.name))
    return panels
