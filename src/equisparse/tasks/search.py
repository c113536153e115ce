"""Find adapters on the Hugging Face Hub by the tags of their cards."""

from collections.abc import Sequence
from pathlib import Path

from ase.data import atomic_numbers

from equisparse.errors import InputError
from equisparse.hub import HUB, find_cards
from equisparse.options import check_counts
from equisparse.report.card.header import TOPIC, base_tag, element_tag
from equisparse.report.card.read import SharedAdapter, shared_adapter


def search(
    words: str = "", *, base: str | Path | None = None, elements: Sequence[str] = (), limit: int = 20
) -> list[SharedAdapter]:
    """Find adapters on the Hugging Face Hub by the tags that `equisparse.push` writes into their cards.

    Parameters
    ----------
    words : str
        Part of the name of a repository; all adapters if it is empty.
    base : str or Path, optional
        Name or file of a base; only adapters of a base with this name are found.
    elements : sequence of str
        Symbols of elements that all have to be in the training data.
    limit : int
        Largest number of adapters, those that changed last first.

    Returns
    -------
    list of SharedAdapter
        Statements of the authors. The fingerprint of the base is compared when an adapter is loaded.

    Raises
    ------
    InputError
        If there is no such element, or the hub cannot be reached.
    MissingPackageError
        If `huggingface_hub` is not installed.
    """
    check_counts(limit=limit)
    unknown = [symbol for symbol in elements if symbol not in atomic_numbers]
    if unknown:
        raise InputError("There is no such element.", given=", ".join(unknown), expected="symbols such as Mg and O")
    tags = [TOPIC, *map(element_tag, elements)]
    if base is not None:
        tags.append(base_tag(Path(base).name))
    return [shared_adapter(f"{HUB}{name}", card) for name, card in find_cards(tags, words.strip(), limit)]
