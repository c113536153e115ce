"""Adapter that a card describes, its run if there is one, and what only the user knows."""

from dataclasses import dataclass

from ase.data import chemical_symbols

from equisparse.adapters.adapter import Adapter
from equisparse.config.card import CardDetails
from equisparse.run.folder import Run


@dataclass(frozen=True)
class CardSubject:
    """Adapter that a card describes.

    Parameters
    ----------
    name : str
        Title of the card.
    adapter : Adapter
    adapter_bytes : int
        Size of its file.
    details : CardDetails
    run : Run or None
        Run that trained the adapter; None for an adapter file alone.
    address : str or None
        Where the adapter will be, such as ``hf:USER/NAME``; it stands in the examples of use.
    """

    name: str
    adapter: Adapter
    adapter_bytes: int
    details: CardDetails
    run: Run | None = None
    address: str | None = None

    @property
    def elements(self) -> list[str]:
        """Symbols of the elements of the training data."""
        return [chemical_symbols[z] for z in self.adapter.elements]
