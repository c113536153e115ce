"""Errors of a run against the number of its changed weights."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from equisparse.run.metrics import Errors


@dataclass(frozen=True)
class SparsityRow:
    """One error of one adapter of a run.

    Parameters
    ----------
    changed_count : int
        Number of changed weights.
    changed_fraction_model : float
        Changed weights over all weights of the model.
    adapter_bytes : int
        Size of the adapter file.
    file : str
        Adapter file, relative to the folder of the run.
    split : str
    error : str
        Name of the error; see `equisparse.quantities.shown_errors`.
    value : float
    """

    changed_count: int
    changed_fraction_model: float
    adapter_bytes: int
    file: str
    split: str
    error: str
    value: float


def sparsity_rows(
    count: int, fraction: float, adapter_bytes: int, file: str, errors: Mapping[str, Errors]
) -> list[SparsityRow]:
    """Rows of one adapter, one per split and error that is known."""
    return [
        SparsityRow(count, fraction, adapter_bytes, file, split, error, value)
        for split, of_split in errors.items()
        for error, value in of_split.items()
        if value is not None
    ]


def sparsity_points(rows: Iterable[SparsityRow], split: str, error: str) -> list[SparsityRow]:
    """Rows of one error on one split, fewest changed weights first."""
    return sorted((row for row in rows if (row.split, row.error) == (split, error)), key=lambda row: row.changed_count)
