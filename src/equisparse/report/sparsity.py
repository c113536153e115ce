"""Points of the curve of errors against changed weights, for all media."""

from dataclasses import dataclass

from equisparse.quantities import ShownError, shown_errors
from equisparse.run.folder import Run
from equisparse.run.sparsity import SparsityRow, sparsity_points


@dataclass(frozen=True)
class SparsityPanel:
    """Curve of one error on the judged split.

    Parameters
    ----------
    error : ShownError
    points : list of SparsityRow
        Fewest changed weights first.
    base : float or None
        Error of the base with refitted reference energies; None if training started from an adapter.
    """

    error: ShownError
    points: list[SparsityRow]
    base: float | None

    @property
    def title(self) -> str:
        """Name of the error with its unit."""
        return f"{self.error.title} ({self.error.unit})"


def sparsity_panels(run: Run) -> list[SparsityPanel]:
    """Curves of all mean absolute errors on the judged split."""
    refit = {} if run.metrics.start else run.metrics.refit[run.judged]
    panels = []
    for error in shown_errors():
        points = sparsity_points(run.sparsity, run.judged, error.name)
        if points and error.kind == "mae":
            panels.append(SparsityPanel(error, points, refit.get(error.name)))
    return panels
