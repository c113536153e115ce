"""Containment of upstream packages: their exceptions, warnings, environment variables and default precision."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from equisparse.errors import BackboneError


@contextmanager
def translate_errors(problem: str, *, given: str, expected: str = "", next_step: str = "") -> Iterator[None]:
    """Turn any exception of an upstream within the block into a BackboneError; a BackboneError passes unchanged.

    Parameters
    ----------
    problem, given, expected, next_step : str
        As in `equisparse.errors.EquisparseError`; the likely cause is the first line of the exception.
    """
    try:
        yield
    except BackboneError:
        raise
    except Exception as error:  # loaders raise whatever pickle, requests, the file system or their own code raise
        first_line = next(iter(str(error).splitlines()), "no message")
        cause = f"{type(error).__name__}: {first_line}"
        raise BackboneError(problem, given=given, expected=expected, cause=cause, next_step=next_step) from error


@contextmanager
def environment_restored() -> Iterator[None]:
    """Restore all environment variables after the block."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def quiet_import() -> Iterator[None]:
    """Contain the import of an upstream: restore the environment variables after the block, and show no warnings."""
    with environment_restored(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Make `dtype` the type of new tensors within the block, and restore the previous one."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
