"""Commands on finished runs: probe, properties, attribute, report, compare, export and pick."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from equisparse.cli.command import JSON, Command
from equisparse.cli.commands.shared import DEVICE, RunCommand
from equisparse.cli.terminal import Terminal
from equisparse.options import DATA, OUTPUT, TESTS, Option
from equisparse.training.options import ProcessOptions
from equisparse.wording import counted

_FAILED = 3
"""Exit code of the verdict fail."""


@dataclass(frozen=True, kw_only=True)
class Probe(RunCommand, ProcessOptions):
    """Test a run for drift from its base, short-range errors and unstable dynamics; exit code 3 for fail."""

    temperature: Annotated[float, Option("Temperature of molecular dynamics, in K", TESTS, "K", above=0)] = 300.0
    steps: Annotated[int, Option("Steps of each molecular dynamics run", TESTS, least=1)] = 500
    timestep: Annotated[
        float | None,
        Option("Time step, in fs", TESTS, "FS", above=0, shown_default="0.5 with hydrogen, 1 without"),
    ] = None
    starts: Annotated[int, Option("Number of structures from which molecular dynamics starts", TESTS, least=1)] = 2
    compressed: Annotated[int, Option("Number of training structures to compress", TESTS, least=1)] = 3
    seed: Annotated[int, Option("Seed that selects structures and velocities", TESTS, least=0)] = 0
    device: Annotated[str, DEVICE] = "auto"
    json: Annotated[bool, JSON] = False

    def run(self, terminal: Terminal) -> int:
        """Print the verdict."""
        from equisparse.cli.listener import TerminalListener
        from equisparse.report.tables import probe_table
        from equisparse.report.terminal.render import rich_table
        from equisparse.run.files import RunFolder
        from equisparse.tasks.probe import probe
        from equisparse.training.processes import process_rank

        result = probe(
            self.folder,
            temperature=self.temperature,
            steps=self.steps,
            timestep=self.timestep,
            starts=self.starts,
            compressed=self.compressed,
            seed=self.seed,
            device=self.device,
            listener=TerminalListener(terminal),
            devices=self.devices,
            num_nodes=self.num_nodes,
        )
        if process_rank(self) != 0:
            return 0  # the first process has the verdict
        terminal.show(rich_table(probe_table(result.checks)), terminal.facts([("verdict", result.level)]))
        report = RunFolder(Path(self.folder)).report
        terminal.note(terminal.facts([("results", str(result.folder)), ("report", str(report))]))
        terminal.show_json({"level": result.level, "checks": [asdict(check) for check in result.checks]})
        return _FAILED if result.level == "fail" else 0


@dataclass(frozen=True, kw_only=True)
class Properties(RunCommand):
    """Compare properties with those of the base: equation of state, elastic constants, phonons, vibrations."""

    structures: Annotated[
        list[str] | None,
        Option(
            "Files or globs of structures",
            DATA,
            "FILES",
            shown_default="one per composition of the run",
        ),
    ] = None
    reference: Annotated[
        str | None, Option("JSON or CSV file of reference values: structure, property, value", DATA, "FILE")
    ] = None
    count: Annotated[int, Option("Largest number of compositions, without --structures", DATA, least=1)] = 5
    only: Annotated[
        list[str] | None,
        Option(
            "Properties to compute: eos, elastic, phonons, vibrations, vacancy, rdf",
            TESTS,
            "NAME",
            shown_default="the first four",
        ),
    ] = None
    force: Annotated[float, Option("Largest force of relaxed structures, in eV/Angstrom", TESTS, "X", above=0)] = 0.005
    steps: Annotated[int, Option("Largest number of steps of a relaxation", TESTS, least=1)] = 500
    supercell: Annotated[
        float,
        Option("Smallest thickness of supercells of phonons, vacancy and rdf, in Angstrom", TESTS, "LENGTH", above=0),
    ] = 10.0
    most_atoms: Annotated[
        int, Option("Largest primitive cell for elastic constants, phonons and vacancies", TESTS, least=1)
    ] = 40
    temperature: Annotated[float, Option("Temperature of the dynamics of rdf, in K", TESTS, "K", above=0)] = 300.0
    dynamics_steps: Annotated[int, Option("Steps of the dynamics of rdf", TESTS, least=10)] = 1000
    device: Annotated[str, DEVICE] = "auto"
    json: Annotated[bool, JSON] = False

    def run(self, terminal: Terminal) -> int:
        """Print the table of properties."""
        from equisparse.cli.listener import TerminalListener
        from equisparse.observables.measure import DEFAULT_PARTS
        from equisparse.report.property_tables import property_table, shown_properties, structure_notes
        from equisparse.report.terminal.render import rich_table
        from equisparse.run.files import RunFolder
        from equisparse.tasks.properties import properties

        result = properties(
            self.folder,
            self.structures,
            reference=self.reference,
            only=self.only or DEFAULT_PARTS,
            count=self.count,
            force=self.force,
            steps=self.steps,
            supercell=self.supercell,
            most_atoms=self.most_atoms,
            temperature=self.temperature,
            dynamics_steps=self.dynamics_steps,
            device=self.device,
            listener=TerminalListener(terminal),
        )
        terminal.show(rich_table(structure_notes(result.structures)))
        if result.rows:
            names = ", ".join(dict.fromkeys(row.structure for row in result.rows))
            terminal.show(rich_table(property_table(shown_properties(result.rows), f"Properties of {names}")))
        report = RunFolder(Path(self.folder)).report
        terminal.note(terminal.facts([("results", str(result.folder)), ("report", str(report))]))
        rows, structures = ([asdict(row) for row in part] for part in (result.rows, result.structures))
        terminal.show_json({"properties": rows, "structures": structures})
        return 0


@dataclass(frozen=True, kw_only=True)
class Attribute(RunCommand):
    """Measure the effect of each part of a change on the errors of a run."""

    by: Annotated[str, Option("Grouping of the change: layer, l, role, path, block or element", DATA, "PART")] = "layer"
    frames: Annotated[int, Option("Largest number of validation frames to use", DATA, least=1)] = 50
    device: Annotated[str, DEVICE] = "auto"
    json: Annotated[bool, JSON] = False

    def run(self, terminal: Terminal) -> int:
        """Write the table and rewrite the report."""
        from equisparse.run.files import RunFolder
        from equisparse.tasks.attribute import attribute

        rows = attribute(self.folder, self.by, frames=self.frames, device=self.device)
        path = RunFolder(Path(self.folder)).attribution(self.by).path
        terminal.show(f"{counted(len(rows), 'group')}, at most {counted(self.frames, 'validation frame')}")
        terminal.note(f"written: {path}")
        terminal.show_json([asdict(row) for row in rows])
        return 0


@dataclass(frozen=True, kw_only=True)
class Report(RunCommand):
    """Rewrite the HTML report of a finished run."""

    out: Annotated[
        str | None, Option("HTML file", OUTPUT, "FILE", shown_default="report.html in the folder of the run")
    ] = None

    def run(self, terminal: Terminal) -> int:
        """Write the report."""
        from equisparse.tasks.report import write_report

        terminal.note(f"written: {write_report(self.folder, self.out)}")
        return 0


@dataclass(frozen=True, kw_only=True)
class Compare(Command):
    """Write one HTML page that compares several finished runs."""

    values: ClassVar[str] = "RUN RUN..."

    runs: Annotated[list[str], Option("Folders of finished runs", DATA, "RUN", positional=True)]
    out: Annotated[str, Option("HTML file", OUTPUT, "FILE")] = "compare.html"

    def run(self, terminal: Terminal) -> int:
        """Write the page."""
        from equisparse.tasks.compare import compare

        terminal.note(f"written: {compare(self.runs, self.out)}")
        return 0


@dataclass(frozen=True, kw_only=True)
class Export(RunCommand):
    """Write the figures of a run as PNG and SVG, and its tables as CSV and LaTeX."""

    out: Annotated[str, Option("Folder to which the files are written", OUTPUT, "FOLDER")]

    def run(self, terminal: Terminal) -> int:
        """Write the files."""
        from equisparse.tasks.export import export

        terminal.note(f"{counted(len(export(self.folder, self.out)), 'file')} written: {self.out}")
        return 0


@dataclass(frozen=True, kw_only=True)
class Pick(RunCommand):
    """Copy the adapter of a run that changes a fraction of the weights; the run was made with --curve."""

    changed: Annotated[float, Option("Fraction of the model's weights, such as 0.01", DATA, "FRACTION", above=0)]
    out: Annotated[str, Option("File of the adapter", OUTPUT, "FILE")]

    def run(self, terminal: Terminal) -> int:
        """Copy the file."""
        from equisparse.tasks.pick import pick

        picked = pick(self.folder, self.changed, self.out)
        share = f"{counted(picked.changed_count, 'weight')} ({picked.changed_fraction_model:.2%} of the model)"
        terminal.note(f"written: {self.out}, {picked.adapter_bytes:,} bytes, {share}")
        return 0
