"""Compare finished runs on one page."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from equisparse.adapters.file import load_adapter
from equisparse.errors import InputError
from equisparse.interpret.stability import stability_table
from equisparse.report.html.comparison import named
from equisparse.report.html.document import write_comparison
from equisparse.run.folder import Row
from equisparse.tasks.results import ADAPTER
from equisparse.tasks.runs import RunLike, opened_run


def compare(runs: Sequence[RunLike], out: str | Path = "compare.html") -> Path:
    """Write one page about several finished runs, with the overlap of their changes where it can be computed.

    Parameters
    ----------
    runs : sequence of str, Path or Run
        Finished runs, or their folders; two or more, with different names.
    out : str or Path
        Target.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    InputError
        If there are fewer than two runs, a folder holds none, or two have the same name.
    """
    opened = [opened_run(run) for run in runs]
    if len(opened) < 2:
        given = ", ".join(str(run.folder) for run in opened)
        raise InputError("There is nothing to compare.", given=given, expected="two or more run folders")
    adapters = {name: load_adapter(run.folder / ADAPTER) for name, run in named(opened).items()}
    rows: list[Row] = []
    with suppress(InputError):  # other bases or other tensors
        rows = [asdict(row) for row in stability_table(adapters)]
    return write_comparison([run.folder for run in opened], Path(out), rows)
