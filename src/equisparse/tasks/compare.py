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
from equisparse.run.folder import Row, read_run
from equisparse.tasks.results import ADAPTER


def compare_runs(folders: Sequence[str], out: Path) -> Path:
    """Write a page about several runs; how far they change the same weights is on it where that can be said.

    Raises
    ------
    InputError
        If there are fewer than two runs, a folder holds none, or two have the same name.
    """
    if len(folders) < 2:
        raise InputError("There is nothing to compare.", given=", ".join(folders), expected="two or more run folders")
    adapters = {name: load_adapter(run.folder / ADAPTER) for name, run in named(map(read_run, folders)).items()}
    rows: list[Row] = []
    with suppress(InputError):  # other bases or other tensors
        rows = [asdict(row) for row in stability_table(adapters)]
    return write_comparison(folders, out, rows)
