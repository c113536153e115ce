"""Rank the magnetic orders of a structure with a fine-tuned model."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import ase.io

from equisparse.deploy.calculator import check_adapter, spin_model
from equisparse.errors import InputError
from equisparse.files import make_folder, write_text
from equisparse.inference.structures import check_structures
from equisparse.inputs.adapters import AdapterLike, adapter_name, loaded_adapter
from equisparse.inputs.base import Base, LoadOptions, loaded_base
from equisparse.inputs.frames import Frames, load_structures
from equisparse.magnetism.orders import Order, scan_orders

if TYPE_CHECKING:
    from typing_extensions import Unpack


def orders(
    structure: Frames,
    base: Base,
    adapter: AdapterLike,
    *,
    supercell: Sequence[int] = (1, 1, 1),
    out: str | Path | None = None,
    **load_options: "Unpack[LoadOptions]",
) -> list[Order]:
    """Collinear magnetic orders of a structure, the lowest in energy first.

    Parameters
    ----------
    structure : str, Path, Atoms or LabelledFrame
        Structure; of a file, the first frame. Its spins are ignored.
    base : str, Path or AbstractBackbone
        Base model; untouched afterwards.
    adapter : str, Path or Adapter
        Trained with a spin layer.
    supercell : three int
        Repetitions of the cell.
    out : str or Path, optional
        Extended XYZ file to which all orders are written, with input spins as ``initial_magmoms``, predicted
        moments as ``predicted_magmoms``, and energies above the lowest as ``above_lowest_mev_per_atom``.
    **load_options
        How a base given by name is loaded; see `equisparse.inputs.base.LoadOptions`.

    Raises
    ------
    EquisparseError
        If a file cannot be read, an element or the adapter does not fit the base, or there are no orders or too many.
    """
    change = loaded_adapter(adapter)
    if len(supercell) != 3 or min(supercell) < 1:
        raise InputError("Invalid supercell.", given=str(list(supercell)), expected="three positive integers: 2 2 1")
    backbone = loaded_base(base, load_options)
    check_adapter(backbone, change)
    model = spin_model(backbone, change)
    if model is None:
        raise InputError(
            "This adapter has no spin layer.",
            given=adapter_name(adapter),
            expected="an adapter of `equisparse finetune --spin`",
        )
    atoms = load_structures(structure)[0]
    check_structures(backbone, [atoms])
    with change.applied(backbone.model):
        ranked = scan_orders(model, atoms, supercell)
    if out is not None:
        _write(Path(out), ranked)
    return ranked


def _write(path: Path, ranked: Sequence[Order]) -> None:
    """Write all orders as one extended XYZ file."""
    frames = []
    for order in ranked:
        frame = order.atoms.copy()
        frame.arrays["predicted_magmoms"] = order.moments
        frame.info = {"above_lowest_mev_per_atom": 1e3 * order.energy, "signs": order.signs, "count": order.count}
        frames.append(frame)
    text = io.StringIO()
    ase.io.write(text, frames, format="extxyz")
    make_folder(path.parent)
    write_text(path, text.getvalue())
