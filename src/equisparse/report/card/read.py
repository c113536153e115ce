"""Cards of other people's adapters, read as untrusted input: what is not as expected is left out."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ase.data import atomic_numbers

from equisparse.quantities import shown_errors
from equisparse.report.card.header import metric_title
from equisparse.report.table import Cell, Number, Table

_LONGEST = 80
"""Longest text that is taken from a card."""
_SHOWN_DIGITS = 12
"""Digits of a fingerprint in the table."""


@dataclass(frozen=True)
class SharedAdapter:
    """Adapter on the hub, as its card describes it; nothing of it is verified before the adapter is loaded.

    Parameters
    ----------
    address : str
        ``hf:USER/NAME``, which stands wherever an adapter is taken.
    base : str
        Name of the base; empty if the card does not state it, as all texts.
    base_sha256 : str
        Fingerprint of the weights of the base.
    method : str
        Method that trained the adapter.
    elements : tuple of str
        Elements of the training data.
    adapter_bytes : int or None
        Size of the file.
    errors : mapping of str to float
        Name of an error, such as ``force_mae_mev_per_ang`` -> its value on the author's own frames.
    """

    address: str
    base: str
    base_sha256: str
    method: str
    elements: tuple[str, ...]
    adapter_bytes: int | None
    errors: Mapping[str, float]


def shared_adapter(address: str, header: Mapping[str, object]) -> SharedAdapter:
    """Read the header of a card.

    Parameters
    ----------
    address : str
        Where the adapter is.
    header : mapping
        YAML header of the card; values of any type.
    """
    facts = header.get("equisparse")
    known = facts if isinstance(facts, Mapping) else {}
    size, elements = known.get("adapter_bytes"), known.get("elements")
    symbols = elements if isinstance(elements, Sequence) and not isinstance(elements, str) else ()
    return SharedAdapter(
        address,
        _text(known.get("base")),
        _text(known.get("base_sha256")),
        _text(known.get("method")),
        tuple(symbol for symbol in symbols if isinstance(symbol, str) and symbol in atomic_numbers),
        size if type(size) is int and size > 0 else None,
        _errors(header),
    )


def shared_table(adapters: Sequence[SharedAdapter]) -> Table:
    """Adapters with base, fingerprint, elements, size, and those errors that any of their cards states."""
    stated = [error for error in shown_errors() if any(error.name in adapter.errors for adapter in adapters)]
    rows: list[list[Cell]] = []
    for adapter in adapters:
        size = None if adapter.adapter_bytes is None else adapter.adapter_bytes / 1000
        facts: list[Cell] = [adapter.address, adapter.base, adapter.base_sha256[:_SHOWN_DIGITS]]
        facts += [" ".join(adapter.elements), adapter.method, Number(size, "{:,.1f}")]
        rows.append([*facts, *(Number(adapter.errors.get(error.name), error.format) for error in stated)])
    header = ["adapter", "base", "fingerprint", "elements", "method", "size (kB)"]
    titles = [metric_title(error) for error in stated]
    return Table([*header, *titles], rows, "Adapters; errors on the frames of their authors")


def _errors(header: Mapping[str, object]) -> dict[str, float]:
    """Errors that a card states, by name."""
    values = {metric.get("name"): metric.get("value") for metric in _metrics(header)}
    stated = {error.name: values.get(metric_title(error)) for error in shown_errors()}
    return {name: float(value) for name, value in stated.items() if isinstance(value, int | float) and _finite(value)}


def _metrics(header: Mapping[str, object]) -> Iterable[Mapping[str, object]]:
    """Entries ``metrics`` of all results in a header."""
    for model in _mappings(header.get("model-index")):
        for result in _mappings(model.get("results")):
            yield from (metric for metric in _mappings(result.get("metrics")) if isinstance(metric.get("name"), str))


def _mappings(values: object) -> Iterable[Mapping[str, object]]:
    """Mappings of a list; none if it is no list."""
    return [value for value in values if isinstance(value, Mapping)] if isinstance(values, list) else []


def _finite(value: float) -> bool:
    """Tell whether a number is finite, and no bool."""
    return not isinstance(value, bool) and math.isfinite(value)


def _text(value: object) -> str:
    """Text without control characters, cut to a length; empty for any other type."""
    shown = value if isinstance(value, str) else ""
    return "".join(character for character in shown if character.isprintable())[:_LONGEST]
