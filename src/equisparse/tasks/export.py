"""Export figures and tables of a finished run."""

from collections.abc import Sequence
from pathlib import Path

from equisparse.report.paper.export import write_figures, write_tables
from equisparse.run.folder import RunLike, opened_run


def export(run: RunLike, out: str | Path, *, formats: Sequence[str] = ("png", "svg")) -> list[Path]:
    """Write figures, and tables as CSV and LaTeX, of a finished run.

    Parameters
    ----------
    run : str, Path or Run
        A finished run, or its folder.
    out : str or Path
        Folder to which the files are written.
    formats : sequence of str
        Endings of the figure files that Matplotlib can write.

    Returns
    -------
    list of Path
        Files that were written.

    Raises
    ------
    InputError
        If the folder holds no finished run.
    """
    opened, folder = opened_run(run), Path(out)
    return [*write_figures(opened, folder, tuple(formats)), *write_tables(opened, folder)]
