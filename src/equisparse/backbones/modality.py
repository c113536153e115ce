"""Choice of one task of a multi-task model."""

from collections.abc import Collection

from equisparse.errors import BackboneError


def checked_modality(modalities: Collection[str], modality: str | None, source: str) -> str | None:
    """The chosen task of a multi-task model; None for a model with one task, which has no names for it.

    Parameters
    ----------
    modalities : collection of str
        Names of the tasks; empty for a model with one task.
    modality : str or None
        Choice of the user.
    source : str
        Name of the model, for messages.

    Raises
    ------
    BackboneError
        If a choice is needed and missing or unknown, or given where there is none.
    """
    if not modalities:
        if modality is not None:
            raise BackboneError(f"{source} has no modalities.", given=modality, next_step="omit --modality")
        return None
    if modality not in modalities:
        raise BackboneError(
            f"{source} has several modalities and one has to be chosen.",
            given=modality or "none",
            expected=" or ".join(modalities),
            next_step="add --modality NAME: the level of theory closest to that of your data",
        )
    return modality
