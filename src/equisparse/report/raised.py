"""Errors that a fine-tune raised: by its training, or by the refit of the reference energies."""

from equisparse.quantities import ShownError, shown_errors
from equisparse.run.metrics import Errors


def raised_errors(before: Errors, after: Errors) -> str | None:
    """Advice about the errors that training raised on one split; None if there are none.

    Parameters
    ----------
    before, after : errors
        Errors of the base with refitted reference energies, and of the fine-tuned model.
    """
    raised = [_change(error, before, after) for error in _larger(before, after)]
    if not raised:
        return None
    return f"training raised errors: {', '.join(raised)}. Try half the learning rate (--lr)"


def worse_than_base(base: Errors, refit: Errors, final: Errors) -> str | None:
    """Advice about the errors on one split that are larger than those of the untouched base; None if there are none.

    Only errors that the refit of the reference energies raised are named: `raised_errors` names all others.

    Parameters
    ----------
    base, refit, final : errors
        Errors of the base with its own reference energies, with refitted ones, and of the fine-tuned model.
    """
    spoilt = _larger(base, refit)
    worse = [_change(error, base, final) for error in _larger(base, final) if error in spoilt]
    if not worse:
        return None
    return (
        f"the model is worse than the untouched base: {', '.join(worse)}, because of the refitted reference energies. "
        "Compare the energies of training and validation frames: keys, codes, settings, charges"
    )


def _larger(before: Errors, after: Errors) -> list[ShownError]:
    """Mean absolute errors that are larger after than before."""
    larger = []
    for error in shown_errors():
        old, new = before.get(error.name), after.get(error.name)
        if error.kind == "mae" and old is not None and new is not None and new > old:
            larger.append(error)
    return larger


def _change(error: ShownError, before: Errors, after: Errors) -> str:
    """Title of an error with its values before and after."""
    old, new = (error.format.format(errors[error.name]) for errors in (before, after))
    return f"{error.title} {old} -> {new} {error.unit}"
