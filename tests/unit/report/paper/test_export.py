"""Figures and tables of a run as files: complete, readable by their programs, with the numbers of the run."""

import csv
from pathlib import Path

import pytest

from equisparse.cli import main
from equisparse.report.paper.tables import latex_text
from equisparse.report.table import Table


def test_one_command_writes_all_figures_and_tables(make_run, tmp_path: Path) -> None:
    out = tmp_path / "paper"
    assert main(["export", str(make_run()), "--out", str(out)]) == 0
    figures = {"learning_curve", "changes", "parity_energy", "parity_forces", "errors_by_element"}
    tables = {"errors", "errors_by_element", "errors_by_type", "changes"}
    for ending, names in (("png", figures), ("svg", figures), ("csv", tables), ("tex", tables)):
        assert {path.stem for path in out.glob(f"*.{ending}")} == names
    assert all((out / f"{name}.svg").read_text().lstrip().startswith("<?xml") for name in figures)
    with (out / "changes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["changed"] for row in rows if row["path"] == "1o->1o"] == ["1"]
    assert sum(int(row["changed"]) for row in rows) == 3


def test_latex_prints_what_it_is_given() -> None:
    text = latex_text(Table(["path", "share"], [["1o->1o", "3.5 %"], ["a_b", "x & y"]]))
    assert text.splitlines()[4:6] == [r"1o-\textgreater{}1o & 3.5 \% \\", r"a\_b & x \& y \\"]
    assert text.splitlines()[0] == r"\begin{tabular}{ll}"


def test_export_of_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "not contain a finished run" in capsys.readouterr().err
