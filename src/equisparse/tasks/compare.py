"""Compare finished runs on one HTML page."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from equisparse.errors import InputError
from equisparse.interpret.stability import StabilityRow, stability_table
from equisparse.report.html.comparison import named
from equisparse.report.html.document import write_comparison
from equisparse.run.folder import RunLike, opened_run


def compare(runs: Sequence[RunLike], out: str | Path = "compare.html") -> Path:
    """Write one HTML page that compares finished runs, with the overlap of their changes if they have one base.

    Parameters
    ----------
    runs : sequence of str, Path or Run
        Finished runs, or their folders; two or more, with different names.
    out : str or Path
        File to write.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    InputError
        If there are fewer than two runs, a folder holds none, or two have the same name.
    """
    opened = [opened_run(run) for run in runs]
    if len(opened) < 2:
        given = ", ".join(str(run.folder) for run in opened)
        raise InputError(
            "Too few runs to compare.",
            given=given,
            expected="two or more run folders",
            next_step="name a second run folder",
        )
    by_name = named(opened)
    rows: list[StabilityRow] = []
    with suppress(InputError):  # raised if the runs have different bases or tensors
        rows = stability_table({name: run.adapter for name, run in by_name.items()})
    return write_comparison(by_name, Path(out), rows)
