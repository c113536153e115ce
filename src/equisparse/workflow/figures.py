"""The figures of a run, from its adapter, predictions and learning curve."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from equisparse.adapters.adapter import Adapter
from equisparse.data.frames import LabelledFrame
from equisparse.interpret.changes import change_table
from equisparse.report import figures
from equisparse.training.dataset import reference_energy
from equisparse.training.predict import Evaluation
from equisparse.workflow.inputs import Splits


def write_figures(
    folder: Path,
    adapter: Adapter,
    evaluations: Mapping[str, Mapping[str, Evaluation]],
    splits: Splits,
    curve: list[dict[str, float]],
) -> None:
    """Write ``learning_curve``, ``parity_energy``, ``parity_forces`` and ``changes`` as PNG.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    adapter : Adapter
    evaluations : mapping
        Stage (``base``, ``final``) -> split -> predictions. Both get the adapter's reference energies, so that the
        energies before and after differ by what was learned alone.
    splits : Splits
    curve : list of dict
        One row an epoch.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = [asdict(row) for row in change_table(adapter)]
    name, frames = splits.items()[-1]
    before, after = (evaluations[stage][name] for stage in ("base", "final"))
    drawn = {"learning_curve": figures.learning_curve(curve), "changes": figures.change_map(rows)}
    for quantity, values in (("energy", _energies), ("forces", _forces)):
        reference = _labels(quantity, frames)
        known = np.isfinite(reference)
        first, second = (values(evaluation, frames, adapter)[known] for evaluation in (before, after))
        if known.any():
            drawn[f"parity_{quantity}"] = figures.parity(quantity, reference[known], first, second, label=name)
    for title, figure in drawn.items():
        figures.save(figure, folder / f"{title}.png")


def _labels(quantity: str, frames: list[LabelledFrame]) -> NDArray[np.float64]:
    """Labels as one array: energies per atom (eV) or force components (eV/Angstrom); NaN where there is none."""
    if quantity == "energy":
        return np.array([np.nan if frame.energy is None else frame.energy / frame.n_atoms for frame in frames])
    parts = [np.full((frame.n_atoms, 3), np.nan) if frame.forces is None else frame.forces for frame in frames]
    return np.concatenate(parts).reshape(-1)


def _energies(evaluation: Evaluation, frames: list[LabelledFrame], adapter: Adapter) -> NDArray[np.float64]:
    """Predicted energies per atom with the adapter's reference energies, eV."""
    shifts = np.array([reference_energy(frame.atoms, dict(adapter.shifts)) for frame in frames])
    return np.asarray((evaluation.energy + shifts) / np.array([frame.n_atoms for frame in frames]))


def _forces(evaluation: Evaluation, _frames: list[LabelledFrame], _adapter: Adapter) -> NDArray[np.float64]:
    """Predicted force components, eV/Angstrom."""
    return np.concatenate(evaluation.forces).reshape(-1)
