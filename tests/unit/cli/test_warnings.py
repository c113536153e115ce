"""Warnings of the package on the command line."""

import warnings

import pytest

from equisparse.cli.warnings import shown_warnings
from equisparse.errors import EquisparseWarning


def test_a_warning_is_printed_once_in_plain_words(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_warnings():
        for text in ("no reference for Ca", "no reference for Ca", "not finite"):
            warnings.warn(text, EquisparseWarning, stacklevel=1)
    assert capsys.readouterr().err == "warning: no reference for Ca\nwarning: not finite\n"


def test_other_warnings_keep_their_way() -> None:
    with pytest.raises(UserWarning, match="other"), shown_warnings():
        warnings.warn("other", stacklevel=1)
    with pytest.raises(EquisparseWarning):  # as everywhere in these tests: a warning is an error
        warnings.warn("outside", EquisparseWarning, stacklevel=1)
