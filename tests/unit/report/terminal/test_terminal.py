"""Tables and lines on the terminal show the numbers that they were given."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from equisparse.adapters.adapter import Adapter
from equisparse.quantities import shown_errors
from equisparse.report.raised import raised_errors, worse_than_base
from equisparse.report.table import Number, Table
from equisparse.report.tables import error_table, metrics_table, probe_table
from equisparse.report.terminal.closing import closing_facts
from equisparse.report.terminal.facts import format_facts
from equisparse.report.terminal.inspect import inspect_tables
from equisparse.report.terminal.render import rich_table
from equisparse.robustness.verdict import Check
from equisparse.run.folder import read_run
from equisparse.run.metrics import write_metrics


def text_of(*renderables: object) -> str:
    """What a log file would hold."""
    console = Console(width=110, record=True, file=io.StringIO())
    for renderable in renderables:
        console.print(renderable)
    return console.export_text()


def errors(value: float) -> dict[str, float | None]:
    """All errors of one size, without stress."""
    return {error.name: value for error in shown_errors()} | {"stress_mae_gpa": None}


def test_error_table_has_all_stages_and_the_ratio(made_metrics) -> None:
    stages = {"base": errors(800.0), "refit": errors(40.0), "final": errors(10.0)}
    metrics = replace(made_metrics("test"), **{name: {"train": value, "test": value} for name, value in stages.items()})
    text = text_of(rich_table(error_table(metrics)))
    for shown in ("800.00", "40.00", "10.00", "0.25", "train", "test"):
        assert shown in text
    assert "GPa" not in text
    assert "meV/Angstrom" in text_of(rich_table(metrics_table(errors(1.0))))


def test_errors_that_training_raised_are_named() -> None:
    assert raised_errors(errors(40.0), errors(10.0)) is None
    line = raised_errors(errors(40.0), errors(10.0) | {"energy_mae_mev_per_atom": 200.8})
    assert line is not None
    assert "energy MAE 40.00 -> 200.80 meV/atom" in line
    assert "force" not in line
    assert "--lr" in line


def test_errors_that_the_refit_raised_above_those_of_the_base_are_named() -> None:
    name = "energy_mae_mev_per_atom"
    base, refit = errors(17.0), errors(17.0) | {name: 357.0}
    line = worse_than_base(base, refit, errors(10.0) | {name: 300.0})
    assert line is not None
    assert "energy MAE 17.00 -> 300.00 meV/atom" in line
    assert "force" not in line
    assert "--lr" not in line
    assert worse_than_base(base, refit, errors(10.0)) is None
    assert worse_than_base(errors(500.0), errors(40.0), errors(45.0)) is None
    assert worse_than_base(base, base, errors(20.0)) is None  # training raised them


def test_inspect_names_what_changed(planted: Adapter) -> None:
    text = text_of(*inspect_tables(planted, 12_345))
    for shown in ("12,345 bytes", "7net-0", "Mg -2.5000", "3 weights", "readout", "1o->1o"):
        assert shown in text


def test_text_in_brackets_is_no_markup() -> None:
    check = Check("test", "[red]found[/red]", "warn", "limits")
    assert "[red]found[/red]" in text_of(rich_table(probe_table([check])))


def test_last_lines_of_a_fine_tune(make_run) -> None:
    run = read_run(make_run(judged="valid"))
    text = format_facts(closing_facts(run))
    for shown in ("3 weights", "1,234 bytes", "9 steps", "merged     equal", str(run.files.report)):
        assert shown in text
    assert "caution" not in text


@pytest.mark.parametrize(("loss", "diverged"), [("nan", True), ("0.5", False)])
def test_a_training_that_diverged_is_reported(make_run, loss: str, diverged: bool) -> None:
    folder = make_run(judged="valid")
    run = read_run(folder)
    run.files.curve.write_text(f"epoch,step,valid_loss,changed_fraction_model\n1.0,5.0,{loss},0.1\n")
    assert ("the loss is NaN" in format_facts(closing_facts(run))) == diverged


def test_a_run_without_merged_checkpoint_says_why(make_run, made_metrics) -> None:
    run = read_run(make_run(judged="valid"))
    write_metrics(run.files.metrics, replace(made_metrics("valid"), merged_check=None, not_merged="the reason"))
    assert "merged     no: the reason" in format_facts(closing_facts(run))


def test_long_facts_continue_below_their_beginning() -> None:
    path = "folder/" * 12
    text = format_facts([("merged", "equal in energies and forces on all frames"), ("results", path)], width=40)
    first, second, *rest = text.splitlines()
    assert first == "merged     equal in energies and forces"
    assert second == " " * 11 + "on all frames"
    assert path in "".join(rest)


def test_headers_of_numbers_are_as_narrow_as_their_columns() -> None:
    table = Table(["frame", "force MAE before (meV/Angstrom)"], [["a", Number(1.0)]])
    assert max(map(len, text_of(rich_table(table)).splitlines())) < 30
