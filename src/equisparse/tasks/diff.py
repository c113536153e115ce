"""Compare two adapters of one base."""

from equisparse.inputs.adapters import AdapterLike, loaded_adapter
from equisparse.interpret.difference import DifferenceRow, difference_table


def diff(first: AdapterLike, second: AdapterLike) -> list[DifferenceRow]:
    """How two adapters of one base differ, one row per block; no base model is needed.

    `equisparse.interpret.difference.differences` adds the rows up per layer, role or path.

    Parameters
    ----------
    first, second : str, Path or Adapter

    Raises
    ------
    EquisparseError
        If a file cannot be read, or the adapters cannot be compared.
    """
    return difference_table(loaded_adapter(first), loaded_adapter(second))
