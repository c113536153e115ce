"""Choose the frames of a pool that should be computed with DFT next."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from equisparse.adapters.ensemble_file import ENSEMBLE, Ensemble, read_ensemble
from equisparse.backbones.base import AbstractBackbone
from equisparse.data.farthest import farthest, nearest_known
from equisparse.data.fingerprint import NEAR
from equisparse.data.frames import Floats, LabelledFrame, unlabelled
from equisparse.deploy.calculator import check_adapter
from equisparse.inference.predict import predict_structures
from equisparse.inference.structures import check_structures
from equisparse.inputs.base import configured_base
from equisparse.inputs.frames import Frames, load_structures, write_unlabelled
from equisparse.inputs.splits import read_splits
from equisparse.interpret.calibration import atom_spread
from equisparse.options import check_counts
from equisparse.quantities import FORCES
from equisparse.run.files import EnsembleFolder
from equisparse.run.folder import Run, RunLike, opened_run
from equisparse.tasks.ensemble import EnsembleRun

_MEV = 1000.0


@dataclass(frozen=True)
class SelectedFrame:
    """A frame that was selected, and why.

    Parameters
    ----------
    index : int
        Index of the frame in the pool, from 0.
    formula : str
    force_std_mev_per_ang : float or None
        Calibrated uncertainty of the forces on the least certain atom; None without an ensemble.
    rank : int or None
        Rank of the frame in the pool by this uncertainty, from 1; None without an ensemble.
    distance_ang : float
        Difference of the frame from the nearest training frame or earlier selected frame of its composition; infinite
        if there is none.
    reason : str
        The same as a sentence.
    """

    index: int
    formula: str
    force_std_mev_per_ang: float | None
    rank: int | None
    distance_ang: float
    reason: str


def select_frames(
    pool: Frames,
    run: RunLike | EnsembleRun,
    *,
    n: int = 20,
    out: str | Path | None = None,
    shortlist: int = 5,
    device: str = "auto",
) -> list[SelectedFrame]:
    """Choose frames that are uncertain and differ from the training frames and from one another.

    With an ensemble, the ``shortlist * n`` frames with the largest uncertainty are kept. With a single run, all are.
    From these, frames are picked one after the other, each the farthest from the training frames and from those picked
    before, by the descriptor that finds near duplicates. Near duplicates of them are never picked.

    Parameters
    ----------
    pool : files, globs, a packaged set, Atoms or labelled frames
        Frames to choose from, such as those of a molecular dynamics run and ``probe/failed.extxyz``; labels are not
        read.
    run : str, Path, Run or EnsembleRun
        A finished ensemble or its folder, or a finished run or its folder. The training files that it names are read
        again.
    n : int
        Number of frames to choose; fewer are chosen if all others are near duplicates.
    out : str or Path, optional
        Extended XYZ file to which the frames are written, without labels. `info` holds index and reason.
    shortlist : int
        Number of uncertain frames per frame to choose, with an ensemble.
    device : str
        Where to compute, with an ensemble.

    Returns
    -------
    list of SelectedFrame
        In the order of picking.

    Raises
    ------
    EquisparseError
        If the folder holds neither, frames are missing, or an element is unknown to the base.
    """
    check_counts(n=n, shortlist=shortlist)
    structures = load_structures(pool)
    frames = unlabelled(structures, "pool")
    run = run.folder if isinstance(run, EnsembleRun) else run
    uncertainty = _uncertainty(run, structures, device)
    kept = _most_uncertain(uncertainty, len(frames), shortlist * n)
    candidates = [frames[index] for index in kept]
    picked = farthest(candidates, nearest_known(candidates, _training_frames(run)), n, NEAR)
    ranks = None if uncertainty is None else np.argsort(np.argsort(-uncertainty, kind="stable"), kind="stable") + 1
    rows = [_row(frames[kept[place]], distance, uncertainty, ranks) for place, distance in picked]
    if out is not None:
        write_unlabelled(Path(out), [_with_reason(structures[row.index], row) for row in rows])
    return rows


def _is_ensemble(run: RunLike) -> bool:
    """Whether a folder is that of an ensemble."""
    return not isinstance(run, Run) and (Path(run) / ENSEMBLE).is_file()


def _training_frames(run: RunLike) -> list[LabelledFrame]:
    """Training and validation frames of a run, or of the first member of an ensemble."""
    splits = read_splits(_first_run(run).config)
    return [*splits.train, *splits.valid]


def _first_run(run: RunLike) -> Run:
    """A run; the first member of an ensemble."""
    if isinstance(run, Run) or not _is_ensemble(run):
        return opened_run(run)
    name = next(iter(read_ensemble(run).adapters))
    return opened_run(EnsembleFolder(Path(run)).member(name).path)


def _uncertainty(run: RunLike, structures: Sequence[Atoms], device: str) -> Floats | None:
    """Calibrated uncertainty of the forces on the least certain atom of each structure, eV/Angstrom; None for a run."""
    if isinstance(run, Run) or not _is_ensemble(run):
        return None
    ensemble = read_ensemble(run)
    backbone = configured_base(_first_run(run).config, device)
    check_structures(backbone, structures)
    spread = ensemble.scales.forces * _force_spread(backbone, ensemble, structures)
    starts = np.cumsum([0, *(len(atoms) for atoms in structures[:-1])])
    return np.asarray(np.maximum.reduceat(spread, starts))


def _force_spread(backbone: AbstractBackbone, ensemble: Ensemble, structures: Sequence[Atoms]) -> Floats:
    """Root mean square over components of the members' standard deviation, per atom, (n_all_atoms,), eV/Angstrom."""
    forces = []
    for adapter in ensemble.adapters.values():
        adapter.check_spin_free("selecting with")
        check_adapter(backbone, adapter)
        with adapter.applied(backbone.model):
            forces.append(predict_structures(backbone, structures)[FORCES])
    return atom_spread(np.std(np.stack(forces), axis=0, ddof=1))


def _most_uncertain(uncertainty: Floats | None, n_frames: int, count: int) -> list[int]:
    """Indices of the frames with the largest uncertainty, in the order of the pool; all without an uncertainty."""
    if uncertainty is None:
        return list(range(n_frames))
    return sorted(np.argsort(-uncertainty, kind="stable")[:count].tolist())


def _row(
    frame: LabelledFrame, distance: float, uncertainty: Floats | None, ranks: NDArray[np.intp] | None
) -> SelectedFrame:
    """Selected frame with its reason."""
    std = None if uncertainty is None else _MEV * float(uncertainty[frame.index])
    rank = None if ranks is None else int(ranks[frame.index])
    known = (
        f"differs by {distance:.2f} Angstrom from the nearest training or selected frame"
        if np.isfinite(distance)
        else f"no training or selected frame has the composition {frame.formula}"
    )
    certain = "" if ranks is None else f"force uncertainty {std:.0f} meV/Angstrom, rank {rank} of {len(ranks)}; "
    return SelectedFrame(frame.index, frame.formula, std, rank, distance, certain + known)


def _with_reason(atoms: Atoms, row: SelectedFrame) -> Atoms:
    """Copy of a selected structure whose `info` holds index and reason."""
    chosen: Atoms = atoms.copy()
    chosen.info = {"pool_index": row.index, "reason": row.reason}
    return chosen
