"""Commands on adapter files: combine several into one, show how two differ."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import RenderableType

from equisparse.adapters.arithmetic import combine, made_of
from equisparse.adapters.file import ADAPTER, load_adapter, save_adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.files import make_folder
from equisparse.report.terminal.differences import difference_tables


def combine_files(
    files: Sequence[str], weights: Sequence[float], out: Path, base: Callable[[], AbstractBackbone] | None
) -> str:
    """Write the weighted sum of adapter files; a line about what was written.

    Parameters
    ----------
    files : sequence of str
    weights : sequence of float
        One a file.
    out : Path
        Target.
    base : callable, optional
        Loads the base model; called only if the files could be read.

    Raises
    ------
    EquisparseError
        If a file cannot be read, or the adapters cannot be combined.
    """
    adapters = [load_adapter(file) for file in files]
    backbone = None if base is None else base()
    combined = combine(adapters, weights, names=[_name(Path(file)) for file in files], backbone=backbone)
    make_folder(out.parent)
    size = save_adapter(combined, out)
    size_line = f"{size:,} bytes, {combined.stored_values:,} stored values ({combined.method})"
    return f"written: {out} = {made_of(combined)}\n{size_line}"


def _name(file: Path) -> str:
    """Name of an adapter file, with that of its run where it has the name that all runs give it."""
    return f"{file.resolve().parent.name}/{file.name}" if file.name == ADAPTER else file.name


def diff_files(first: str, second: str) -> Iterator[RenderableType]:
    """Tables of how two adapter files differ; no base model is needed.

    Raises
    ------
    EquisparseError
        If a file cannot be read, or the adapters cannot be compared.
    """
    return difference_tables((first, second), load_adapter(first), load_adapter(second))
