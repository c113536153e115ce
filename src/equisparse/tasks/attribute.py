"""Causal attribution of a finished run on its validation frames."""

import numpy as np

from equisparse.backbones.base import AbstractBackbone
from equisparse.deploy.calculator import check_adapter
from equisparse.errors import InputError
from equisparse.inference.dataset import FrameDataset, by_frame
from equisparse.inference.predict import evaluate
from equisparse.inputs.base import configured_base
from equisparse.inputs.splits import read_splits
from equisparse.interpret import attribution
from equisparse.interpret.attribution import AttributionRow, FrameErrors
from equisparse.quantities import ENERGY, FORCES
from equisparse.report.html.document import write_report
from equisparse.run.folder import RunLike, opened_run


def attribute(run: RunLike, by: str = "layer", *, frames: int = 50, device: str = "auto") -> list[AttributionRow]:
    """Errors of a run without each part of its change, and with that part alone, on its validation frames.

    The table is written to the folder of the run, and the report is rewritten.

    Parameters
    ----------
    run : str, Path or Run
        A finished run, or its folder. The data files that its configuration names are read again.
    by : str
        One of `equisparse.interpret.attribution.GROUPINGS`, or ``element``.
    frames : int
        Largest number of validation frames to use, evenly spread.
    device : str

    Returns
    -------
    list of AttributionRow
        One per group.

    Raises
    ------
    EquisparseError
        If the folder holds no finished run, its data files are missing, or `by` or `frames` is invalid.
    """
    opened = opened_run(run)
    config, adapter = opened.config, opened.adapter
    if frames < 1:
        raise InputError("Invalid number of frames.", given=f"--frames {frames}", expected="1 or more")
    attribution.check_grouping(by)
    adapter.check_spin_free("attributing errors to")
    backbone = configured_base(config, device)
    check_adapter(backbone, adapter)
    groups = attribution.group_blocks(adapter.layout, by, backbone.element_order)
    valid = read_splits(config).valid
    indices = np.linspace(0, len(valid) - 1, min(frames, len(valid))).astype(int)
    dataset = FrameDataset(backbone, [valid[index] for index in indices], dict(adapter.shifts))
    rows = attribution.attribute(adapter, backbone.model, groups, lambda: _errors(backbone, dataset))
    opened.files.attribution(by).write(rows)
    write_report(opened)
    return rows


def _errors(backbone: AbstractBackbone, dataset: FrameDataset) -> FrameErrors:
    """Errors of the current weights on each frame."""
    predicted, labels, n_atoms = evaluate(backbone, dataset), dataset.labels(), dataset.n_atoms
    energy = force = np.full(len(n_atoms), np.nan)
    if ENERGY in labels:
        energy = ENERGY.mae.factor * np.abs(predicted[ENERGY] - labels[ENERGY]) / n_atoms
    if FORCES in labels:
        errors = by_frame({FORCES: np.abs(predicted[FORCES] - labels[FORCES])}, n_atoms)
        force = np.array([FORCES.mae.factor * float(frame[FORCES].mean()) for frame in errors])
    return FrameErrors(energy, force, n_atoms)
