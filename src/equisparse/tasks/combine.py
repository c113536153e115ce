"""Add, subtract and scale adapters."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from equisparse.adapters import arithmetic
from equisparse.adapters.adapter import Adapter
from equisparse.adapters.file import save_adapter
from equisparse.files import make_folder
from equisparse.inputs.adapters import AdapterLike, adapter_name, loaded_adapter
from equisparse.inputs.base import Base, LoadOptions, loaded_base

if TYPE_CHECKING:
    from typing_extensions import Unpack


def combine(
    adapters: Sequence[AdapterLike],
    weights: Sequence[float],
    *,
    base: Base | None = None,
    out: str | Path | None = None,
    **load_options: "Unpack[LoadOptions]",
) -> Adapter:
    """Weighted sum of adapters: weights ``[1, 1]`` add two, ``[1, -1]`` subtract, ``[0.5]`` scales one.

    Parameters
    ----------
    adapters : sequence of str, Path or Adapter
        One or more adapters, or their files, of the same base.
    weights : sequence of float
        One per adapter.
    base : str, Path or AbstractBackbone, optional
        Base model; needed only for adapters that multiply weights (method ``scale``).
    out : str or Path, optional
        File to which the result is written.
    **load_options
        How a base given by name is loaded; see `equisparse.inputs.base.LoadOptions`.

    Raises
    ------
    EquisparseError
        If a file cannot be read, or the adapters cannot be combined.
    """
    changes = [loaded_adapter(adapter) for adapter in adapters]
    backbone = None if base is None else loaded_base(base, load_options)
    names = [adapter_name(adapter) for adapter in adapters]
    combined = arithmetic.combine(changes, weights, names=names, backbone=backbone)
    if out is not None:
        make_folder(Path(out).parent)
        save_adapter(combined, Path(out))
    return combined
