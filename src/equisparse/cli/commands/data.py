"""Commands on frames: audit, evaluate, explore and select."""

from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar

from equisparse.cli.command import JSON, Command
from equisparse.cli.commands.shared import ADAPTER_FILE, DEVICE, BaseCommand, NamedBase
from equisparse.cli.terminal import Terminal
from equisparse.config.shared import LabelOptions
from equisparse.errors import InputError
from equisparse.options import DATA, MODEL, OUTPUT, TESTS, Option
from equisparse.training.options import ProcessOptions
from equisparse.wording import counted


@dataclass(frozen=True, kw_only=True)
class Audit(LabelOptions, BaseCommand):
    """Check frames and labels before any training; exit code 2 if there are errors."""

    values: ClassVar[str] = "FRAMES..."

    frames: Annotated[
        list[str],
        Option("Files or globs that ASE reads, or a packaged set such as demo", DATA, "FRAMES", positional=True),
    ]
    base: Annotated[
        str | None,
        Option("Base model whose predictions are compared with the labels: a name or a file", MODEL, "MODEL"),
    ] = None
    valid: Annotated[list[str] | None, Option("Validation frames, which are checked too", DATA, "FRAMES")] = None
    test: Annotated[list[str] | None, Option("Test frames, which are checked too", DATA, "FRAMES")] = None
    json: Annotated[bool, JSON] = False

    def run(self, terminal: Terminal) -> int:
        """Print the findings."""
        from equisparse.data.audit.finding import format_findings, has_errors
        from equisparse.data.summary import count_frame_labels, describe_labels, names_not_read
        from equisparse.inputs.frames import load_frames
        from equisparse.tasks.audit import audit

        keys = self.label_keys(magnetic=True)
        frames = load_frames(self.frames, keys, self.units)
        findings = audit(
            frames, self.base, valid=self.valid, test=self.test, keys=keys, units=self.units, **self.load_options
        )
        terminal.note(terminal.facts([("labels", describe_labels(frames))]))
        terminal.show(format_findings(findings) if findings else "no findings")
        terminal.show_json(
            {
                "frames": len(frames),
                "labels": [asdict(count) for count in count_frame_labels(frames)],
                "names_not_read": names_not_read(frames),
                "findings": [asdict(finding) for finding in findings],
            }
        )
        return 2 if has_errors(findings) else 0


@dataclass(frozen=True, kw_only=True)
class Evaluate(LabelOptions, NamedBase, ProcessOptions):
    """Print the errors of a base model, or of a base model with an adapter."""

    values: ClassVar[str] = "FRAMES..."

    frames: Annotated[
        list[str],
        Option(
            "Labelled frames: files or globs that ASE reads, or demo for its test part", DATA, "FRAMES", positional=True
        ),
    ]
    adapter: Annotated[str | None, Option(ADAPTER_FILE, MODEL, "FILE")] = None
    json: Annotated[bool, JSON] = False

    def run(self, terminal: Terminal) -> int:
        """Print the table of errors."""
        if self.json and (file := next((name for name in self.frames if name.endswith(".json")), None)):
            raise InputError(
                "--json takes no file.",
                given=f"--json {file}",
                next_step=f"leave the file out and redirect the output: equisparse evaluate ... --json > {file}",
            )
        from equisparse.cli.listener import TerminalListener
        from equisparse.report.tables import metrics_table
        from equisparse.report.terminal.render import rich_table
        from equisparse.tasks.evaluate import evaluate
        from equisparse.training.processes import process_rank

        errors = evaluate(
            self.frames,
            self.base,
            self.adapter,
            keys=self.label_keys(magnetic=False),
            units=self.units,
            listener=TerminalListener(terminal),
            devices=self.devices,
            num_nodes=self.num_nodes,
            **self.load_options,
        )
        if process_rank(self) != 0:
            return 0
        terminal.show(rich_table(metrics_table(errors)))
        terminal.show_json(errors)
        return 0


@dataclass(frozen=True, kw_only=True)
class Explore(Command):
    """Run molecular dynamics with an ensemble until its spread crosses a limit, and write the frames for DFT."""

    folder: Annotated[str, Option("Folder of an ensemble", DATA, "ENSEMBLE", positional=True)]
    structure: Annotated[list[str], Option("Files or globs of the initial structures", DATA, "FILES")]
    limit: Annotated[
        float | None,
        Option(
            "Limit of the force spread of one atom, in meV/Angstrom",
            TESTS,
            "X",
            above=0,
            shown_default="three times the median of validation frames",
        ),
    ] = None
    temperature: Annotated[float, Option("Temperature, in K", TESTS, "K", above=0)] = 300.0
    steps: Annotated[int, Option("Largest number of steps of each run", TESTS, least=10)] = 2000
    timestep: Annotated[
        float | None,
        Option("Time step, in fs", TESTS, "FS", above=0, shown_default="0.5 with hydrogen, 1 without"),
    ] = None
    runs: Annotated[int, Option("Number of runs from each structure, with different velocities", TESTS, least=1)] = 1
    every: Annotated[int, Option("Steps from one recorded frame to the next", TESTS, least=1)] = 10
    seed: Annotated[int, Option("Seed of the velocities of the first run", TESTS, least=0)] = 0
    out: Annotated[str, Option("Extended XYZ file of the frames at which runs stopped", OUTPUT, "FILE")] = (
        "explored.extxyz"
    )
    trajectory: Annotated[
        str | None, Option("Extended XYZ file of all recorded frames, a pool for select", OUTPUT, "FILE")
    ] = None
    device: Annotated[str, DEVICE] = "auto"
    json: Annotated[bool, JSON] = False

    def run(self, terminal: Terminal) -> int:
        """Write the frames and print the runs."""
        from equisparse.cli.listener import TerminalListener
        from equisparse.report.tables import explored_table
        from equisparse.report.terminal.render import rich_table
        from equisparse.tasks.explore import explore

        found = explore(
            self.folder,
            self.structure,
            limit=self.limit,
            temperature=self.temperature,
            steps=self.steps,
            timestep=self.timestep,
            runs=self.runs,
            every=self.every,
            seed=self.seed,
            out=self.out,
            trajectory=self.trajectory,
            device=self.device,
            listener=TerminalListener(terminal),
        )
        rows = [asdict(row) for row in found.runs]
        terminal.show(rich_table(explored_table([tuple(row.values()) for row in rows], found.limit_mev_per_ang)))
        if found.frames:
            terminal.note(f"written: {self.out}, {counted(len(found.frames), 'frame')}")
        else:
            terminal.warn("no frames: no run crossed the limit; raise --temperature or --steps, or lower --limit")
        if self.trajectory:
            terminal.note(f"written: {self.trajectory}, {counted(len(found.recorded), 'frame')}")
        terminal.show_json({"limit_mev_per_ang": found.limit_mev_per_ang, "runs": rows})
        return 0


@dataclass(frozen=True, kw_only=True)
class Select(Command):
    """Choose the frames of a pool that should be computed with DFT next: uncertain, and unlike the training frames."""

    values: ClassVar[str] = "POOL..."

    pool: Annotated[
        list[str],
        Option("Files or globs of the frames to choose from; labels are not read", DATA, "POOL", positional=True),
    ]
    run_: Annotated[str, Option("Folder of an ensemble, or of a run, which has no uncertainty", DATA, "FOLDER")]
    n: Annotated[int, Option("Number of frames to choose", DATA, least=1)] = 20
    shortlist: Annotated[
        int, Option("With an ensemble: uncertain frames that are kept, per frame to choose", DATA, least=1)
    ] = 5
    out: Annotated[str, Option("Extended XYZ file of the chosen frames, without labels", OUTPUT, "FILE")] = (
        "selected.extxyz"
    )
    device: Annotated[str, DEVICE] = "auto"
    json: Annotated[bool, JSON] = False

    def run(self, terminal: Terminal) -> int:
        """Write the frames and print the reasons."""
        from equisparse.report.tables import selected_table
        from equisparse.report.terminal.render import rich_table
        from equisparse.tasks.select import select_frames

        rows = select_frames(self.pool, self.run_, n=self.n, out=self.out, shortlist=self.shortlist, device=self.device)
        terminal.show(rich_table(selected_table([(row.index, row.formula, row.reason) for row in rows])))
        if len(rows) < self.n:
            terminal.warn(
                f"{len(rows)} of {counted(self.n, 'frame')}: all others nearly equal a training or chosen frame"
            )
        terminal.note(f"written: {self.out}")
        terminal.show_json([asdict(row) for row in rows])
        return 0
