"""Finished runs that a user gives as folders or as objects."""

from pathlib import Path
from typing import TypeAlias

from equisparse.run.folder import Run, read_run

RunLike: TypeAlias = str | Path | Run
"""A finished run, or its folder."""


def opened_run(run: RunLike) -> Run:
    """The run itself, or that of its folder.

    Raises
    ------
    InputError
        If the folder holds no finished run.
    """
    return run if isinstance(run, Run) else read_run(run)
