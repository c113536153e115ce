"""Facts of a card that only the user knows."""

from dataclasses import dataclass
from typing import Annotated

from equisparse.options import DATA, MODEL, OUTPUT, Option


@dataclass(frozen=True, kw_only=True)
class CardDetails:
    """Facts of a card that no file of a run states; the card says "not stated" where one is missing.

    Parameters
    ----------
    license : str or None
        Licence of the adapter, as the hub abbreviates it, such as ``mit`` or ``cc-by-4.0``.
    base_license, data_license : str or None
        Licences of the base model and of the training data.
    data : str or None
        Origin of the training data and level of theory, one or two sentences.
    citation : str or None
        BibTeX or text by which users cite the adapter.
    """

    license: Annotated[
        str | None, Option("Licence of the adapter, such as mit or cc-by-4.0", OUTPUT, "LICENCE", shown_default="other")
    ] = None
    base_license: Annotated[str | None, Option("Licence of the base model", MODEL, "LICENCE")] = None
    data: Annotated[str | None, Option("Origin of the training data and level of theory", DATA, "TEXT")] = None
    data_license: Annotated[str | None, Option("Licence of the training data", DATA, "LICENCE")] = None
    citation: Annotated[str | None, Option("How to cite the adapter: BibTeX or text", OUTPUT, "TEXT")] = None
