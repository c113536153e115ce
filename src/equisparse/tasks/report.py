"""Rewrite the report of a finished run."""

from pathlib import Path

from equisparse.report.html import document
from equisparse.run.folder import RunLike, opened_run


def write_report(run: RunLike, out: str | Path | None = None) -> Path:
    """Write the report of a finished run as one HTML file, from the tables in its folder.

    Parameters
    ----------
    run : str, Path or Run
        A finished run, or its folder.
    out : str or Path, optional
        File to write; ``report.html`` in the folder of the run by default.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    InputError
        If the folder holds no finished run.
    """
    return document.write_report(opened_run(run), None if out is None else Path(out))
