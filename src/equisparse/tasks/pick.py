"""Take one adapter of the curve of a run."""

import shutil
from pathlib import Path

from equisparse.errors import InputError
from equisparse.files import make_folder
from equisparse.run.folder import RunLike, opened_run
from equisparse.run.sparsity import SparsityRow

_CLOSE = 0.1
"""Largest relative difference of the fraction of the picked adapter from the wanted one."""


def pick(run: RunLike, changed: float, out: str | Path) -> SparsityRow:
    """Copy the adapter of a run that changes a fraction of the weights; the run was made with ``curve=True``.

    Parameters
    ----------
    run : str, Path or Run
        A finished run, or its folder.
    changed : float
        Changed weights over all weights of the model, such as 0.01.
    out : str or Path
        File to write.

    Returns
    -------
    SparsityRow
        Number of changed weights, size and force error, or the first other error, of the adapter that was copied.

    Raises
    ------
    InputError
        If the run has no curve, or no adapter with about this fraction.
    """
    opened = opened_run(run)
    rows = opened.sparsity
    if not rows:
        raise InputError(
            "This run has only one adapter.",
            given=str(opened.folder),
            expected="a run of finetune --curve",
            next_step="repeat the fine-tune with --curve, or use its adapter.safetensors",
        )
    nearest = min(rows, key=lambda row: abs(row.changed_fraction_model - changed))
    if abs(nearest.changed_fraction_model - changed) > _CLOSE * changed:
        fractions = sorted({row.changed_fraction_model for row in rows})
        raise InputError(
            "The run has no adapter with this fraction of changed weights.",
            given=f"{changed:g}",
            expected="one of " + ", ".join(f"{fraction:.3g}" for fraction in fractions),
            next_step="choose one of these, or fine-tune with --changed",
        )
    make_folder(Path(out).parent)
    shutil.copyfile(opened.folder / nearest.file, out)
    return nearest
