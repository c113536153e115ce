"""Rank the magnetic orders of a structure with a fine-tuned model."""

import io
from collections.abc import Sequence
from pathlib import Path

import ase.io

from equisparse.adapters.file import load_adapter
from equisparse.backbones.base import AbstractBackbone, check_elements
from equisparse.data.read import read_frames
from equisparse.deploy.calculator import check_adapter, spin_model
from equisparse.errors import InputError
from equisparse.files import make_folder, write_text
from equisparse.magnetism.orders import Order, scan_orders


def scan_file(
    structure: str,
    backbone: AbstractBackbone,
    adapter_file: str,
    supercell: Sequence[int] = (1, 1, 1),
    out: str | None = None,
) -> list[Order]:
    """Collinear magnetic orders of the first frame of a file, the lowest in energy first.

    Parameters
    ----------
    structure : str
        Any file that ASE reads; spins in it do not count.
    backbone : AbstractBackbone
        The base; untouched afterwards.
    adapter_file : str
        Of a run with ``--spin``.
    supercell : three int
    out : str, optional
        Extended XYZ file that gets all orders, with their input spins as ``initial_magmoms``, predicted moments as
        ``predicted_magmoms``, and energies above the lowest as ``above_lowest_mev_per_atom``.

    Raises
    ------
    EquisparseError
        If a file, an element or the adapter cannot be used, or there are no orders or too many.
    """
    adapter = load_adapter(adapter_file)
    check_adapter(backbone, adapter)
    model = spin_model(backbone, adapter)
    if model is None:
        raise InputError(
            "This adapter knows nothing of spins.",
            given=adapter_file,
            expected="an adapter of `equisparse finetune --spin`",
        )
    if len(supercell) != 3 or min(supercell) < 1:
        raise InputError("This is no supercell.", given=str(list(supercell)), expected="three numbers such as 2 2 1")
    atoms = read_frames(structure)[0].atoms
    check_elements(backbone, [atoms])
    with adapter.applied(backbone.model):
        orders = scan_orders(model, atoms, supercell)
    if out is not None:
        _write(Path(out), orders)
    return orders


def _write(path: Path, orders: Sequence[Order]) -> None:
    """Write all orders as one extended XYZ file."""
    frames = []
    for order in orders:
        frame = order.atoms.copy()
        frame.arrays["predicted_magmoms"] = order.moments
        frame.info = {"above_lowest_mev_per_atom": 1e3 * order.energy, "signs": order.signs, "count": order.count}
        frames.append(frame)
    text = io.StringIO()
    ase.io.write(text, frames, format="extxyz")
    make_folder(path.parent)
    write_text(path, text.getvalue())
