"""Exceptions: each message says what was given, what was expected, the likely cause and the next step."""


class EquisparseError(Exception):
    """Base of every error that this package raises on purpose.

    Parameters
    ----------
    problem : str
        One sentence: what is wrong.
    given, expected, cause, next_step : str
        The four answers a user needs; empty ones are left out of the message.
    """

    def __init__(
        self, problem: str, *, given: str = "", expected: str = "", cause: str = "", next_step: str = ""
    ) -> None:
        answers = {"given": given, "expected": expected, "likely cause": cause, "next step": next_step}
        lines = [problem, *(f"  {name}: {text}" for name, text in answers.items() if text)]
        super().__init__("\n".join(lines))


class InputError(EquisparseError, ValueError):
    """A value that a user gave cannot be used."""


class DataError(InputError):
    """A data file, its frames or its labels cannot be used."""


class SelectionError(InputError):
    """A choice of tensors, methods or names matches nothing."""


class BackboneError(InputError):
    """A base model cannot be loaded, read or written."""


class AdapterError(InputError):
    """An adapter file is damaged, too new, or not an adapter."""


class AdapterMismatchError(AdapterError):
    """An adapter belongs to another base model."""


class StateError(EquisparseError, RuntimeError):
    """An operation does not fit the present state, such as attaching twice."""


class WriteError(EquisparseError, RuntimeError):
    """A result cannot be written; what was there before is whole."""


class MissingPackageError(EquisparseError, ImportError):
    """An optional package is not installed."""
