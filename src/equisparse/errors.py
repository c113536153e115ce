"""Exceptions, whose messages say what was given, what was expected, the likely cause and the next step."""


class EquisparseError(Exception):
    """Base class of all errors that this package raises on purpose.

    Parameters
    ----------
    problem : str
        One sentence that states the problem.
    given, expected, cause, next_step : str
        What was given, what was expected, the likely cause, and the next step; the message omits empty ones.
    """

    def __init__(
        self, problem: str, *, given: str = "", expected: str = "", cause: str = "", next_step: str = ""
    ) -> None:
        answers = {"given": given, "expected": expected, "likely cause": cause, "next step": next_step}
        lines = [problem, *(f"  {name}: {text}" for name, text in answers.items() if text)]
        super().__init__("\n".join(lines))


class InputError(EquisparseError, ValueError):
    """A value that a user gave is invalid."""


class DataError(InputError):
    """A data file, its frames or its labels are invalid."""


class SelectionError(InputError):
    """A selection of tensors, methods or names matches nothing."""


class BackboneError(InputError):
    """A base model cannot be loaded, read or written."""


class AdapterError(InputError):
    """An adapter file is damaged, of a newer version, or not an adapter."""


class AdapterMismatchError(AdapterError):
    """An adapter belongs to another base model."""


class StateError(EquisparseError, RuntimeError):
    """An operation is not allowed in the present state, such as attaching a method twice."""


class WriteError(EquisparseError, RuntimeError):
    """A result cannot be written; an earlier file of that name is unchanged."""


class PrecisionError(StateError):
    """A file cannot hold values as precisely as they are needed."""


class EquisparseWarning(UserWarning):
    """Something that a user should know before a result is used, such as energies on two scales."""


class MissingPackageError(EquisparseError, ImportError):
    """An optional package is not installed."""
