"""Messages of the exception family, and the builtins they stand for."""

import pytest

from equisparse import errors


def test_message_has_the_four_answers_in_order():
    error = errors.EquisparseError("It broke.", given="1", expected="2", cause="a typo", next_step="type 2")
    assert str(error) == "It broke.\n  given: 1\n  expected: 2\n  likely cause: a typo\n  next step: type 2"


def test_empty_answers_are_left_out():
    assert str(errors.EquisparseError("It broke.", expected="2")) == "It broke.\n  expected: 2"


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.InputError, ValueError),
        (errors.DataError, ValueError),
        (errors.SelectionError, ValueError),
        (errors.BackboneError, ValueError),
        (errors.AdapterError, ValueError),
        (errors.AdapterMismatchError, errors.AdapterError),
        (errors.StateError, RuntimeError),
        (errors.MissingPackageError, ImportError),
    ],
)
def test_every_error_is_of_the_family_and_of_a_builtin_kind(kind, builtin):
    assert issubclass(kind, errors.EquisparseError)
    with pytest.raises(builtin, match=r"It broke"):
        raise kind("It broke.", given="1")
