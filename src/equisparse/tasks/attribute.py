"""Causal attribution of a finished run on its validation frames."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console

from equisparse.adapters.file import load_adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.config.finetune import read_config
from equisparse.deploy.calculator import check_adapter
from equisparse.errors import InputError
from equisparse.files import make_folder, write_rows
from equisparse.inputs.splits import load_base, read_splits
from equisparse.interpret.attribution import FrameErrors, attribute, check_grouping, group_blocks
from equisparse.report.html.document import write_report
from equisparse.run.folder import ATTRIBUTION, CONFIG, read_run
from equisparse.tasks.results import ADAPTER
from equisparse.training.dataset import FrameDataset
from equisparse.training.predict import evaluate


def attribute_run(folder: str | Path, by: str, console: Console, *, frames: int = 50, device: str = "auto") -> Path:
    """Write what each group of a run's change does to its validation errors, and make the report again.

    Parameters
    ----------
    folder : str or Path
        Of a finished run; its data files are read again, from where its configuration names them.
    by : str
        One of `equisparse.interpret.attribution.GROUPINGS`, or ``element``.
    console : Console
    frames : int
        At most so many validation frames, evenly spread.
    device : str

    Returns
    -------
    Path
        The table.

    Raises
    ------
    EquisparseError
        If the folder holds no finished run, the data are gone, or `by` or `frames` has no meaning.
    """
    folder = read_run(folder).folder
    config = read_config(folder / CONFIG)
    if frames < 1:
        raise InputError("Errors need frames.", given=f"--frames {frames}", expected="1 or more")
    check_grouping(by)
    adapter = load_adapter(folder / ADAPTER)
    adapter.check_spin_free("attributing errors to")
    backbone = load_base(config, device)
    check_adapter(backbone, adapter)
    groups = group_blocks(adapter.layout, by, backbone.element_order)
    valid = read_splits(config).valid
    chosen = [valid[number] for number in np.linspace(0, len(valid) - 1, min(frames, len(valid))).astype(int)]
    dataset = FrameDataset(backbone, chosen, dict(adapter.shifts))
    rows = attribute(adapter, backbone.model, groups, lambda: _errors(backbone, dataset))
    path = folder / ATTRIBUTION.format(by)
    make_folder(path.parent)
    write_rows(path, [asdict(row) for row in rows])
    console.print(f"{len(rows)} groups on {len(chosen)} validation frames", markup=False, highlight=False)
    write_report(folder)
    return path


def _errors(backbone: AbstractBackbone, dataset: FrameDataset) -> FrameErrors:
    """Errors of the present weights, frame by frame."""
    found = evaluate(backbone, dataset)
    labels = dataset.labels()
    energy, forces = labels.energy.numpy(), labels.forces.numpy()
    n_atoms = np.array([len(part) for part in found.forces])
    ends = np.cumsum(n_atoms)[:-1]
    labelled = zip(found.forces, np.split(forces, ends), strict=True)
    return FrameErrors(
        energy=1e3 * np.abs(found.energy - energy) / n_atoms,
        force=np.array([1e3 * np.abs(part - label).mean() for part, label in labelled]),
        n_atoms=n_atoms,
    )
