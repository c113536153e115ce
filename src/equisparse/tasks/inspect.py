"""Inspect what an adapter changes."""

from equisparse.inputs.adapters import AdapterLike, loaded_adapter
from equisparse.interpret.changes import ChangeRow, change_table


def inspect(adapter: AdapterLike) -> list[ChangeRow]:
    """List what an adapter changes, one row per block; no base model is needed.

    `equisparse.interpret.changes.aggregate` adds the rows up per layer, degree, role or path.

    Parameters
    ----------
    adapter : str, Path or Adapter

    Raises
    ------
    AdapterError
        If the file is damaged, too new, or no adapter.
    """
    return change_table(loaded_adapter(adapter))
