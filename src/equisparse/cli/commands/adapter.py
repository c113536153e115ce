"""Commands on adapter files: inspect, diff, combine and merge."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from equisparse.cli.command import JSON, Command
from equisparse.cli.commands.shared import ADAPTER_FILE, BaseCommand, NamedBase
from equisparse.cli.terminal import Terminal
from equisparse.options import DATA, MODEL, OUTPUT, Option


@dataclass(frozen=True, kw_only=True)
class Inspect(Command):
    """Print what an adapter changes; the base model is not needed."""

    adapter: Annotated[str, Option(ADAPTER_FILE, DATA, "ADAPTER", positional=True)]
    json: Annotated[bool, JSON] = False

    def run(self, terminal: Terminal) -> int:
        """Print the tables."""
        from equisparse.adapters.file import load_adapter
        from equisparse.inputs.adapters import adapter_file
        from equisparse.interpret.changes import change_table
        from equisparse.report.terminal.inspect import inspect_tables

        path = adapter_file(self.adapter)
        adapter, size = load_adapter(path), path.stat().st_size
        terminal.show(*inspect_tables(adapter, size))
        if self.json:
            trained = adapter.trained_by
            header = {
                "format": adapter.format.name,
                "method": None if trained is None else trained.method,
                "options": {} if trained is None else trained.options,
                "base": adapter.base,
            }
            counts = {"bytes": size, "stored_values": adapter.stored_values}
            blocks = [asdict(row) for row in change_table(adapter)] if adapter.mergeable else []
            terminal.show_json({**header, **counts, "metrics": dict(adapter.metrics), "blocks": blocks})
        return 0


@dataclass(frozen=True, kw_only=True)
class Diff(Command):
    """Print how two adapters of one base differ; the base model is not needed."""

    values: ClassVar[str] = "FIRST SECOND"

    first: Annotated[str, Option("Adapter file", DATA, "FIRST", positional=True)]
    second: Annotated[str, Option("Adapter file to compare it with", DATA, "SECOND", positional=True)]
    json: Annotated[bool, JSON] = False

    def run(self, terminal: Terminal) -> int:
        """Print the tables."""
        from equisparse.inputs.adapters import loaded_adapter
        from equisparse.interpret.difference import difference_table
        from equisparse.report.terminal.differences import difference_tables

        first, second = loaded_adapter(self.first), loaded_adapter(self.second)
        terminal.show(*difference_tables((self.first, self.second), first, second))
        if self.json:
            terminal.show_json([asdict(row) for row in difference_table(first, second)])
        return 0


@dataclass(frozen=True, kw_only=True)
class Combine(BaseCommand):
    """Add, subtract and scale adapters into a new one."""

    values: ClassVar[str] = "ADAPTER..."

    adapters: Annotated[list[str], Option("Adapter files", DATA, "ADAPTER", positional=True)]
    weights: Annotated[list[float], Option("Factors, one per adapter, such as 1 -1 to subtract", DATA, "W")]
    out: Annotated[str, Option("File of the new adapter", OUTPUT, "FILE")]
    base: Annotated[str | None, Option("Base model; only needed for adapters of the method scale", MODEL, "MODEL")] = (
        None
    )

    def run(self, terminal: Terminal) -> int:
        """Write the new adapter."""
        from equisparse.adapters.arithmetic import describe_combination
        from equisparse.tasks.combine import combine

        combined = combine(self.adapters, self.weights, base=self.base, out=self.out, **self.load_options)
        values = f"{combined.stored_values:,} stored values ({combined.format.name})"
        size = f"{Path(self.out).stat().st_size:,} bytes, {values}"
        terminal.note(f"written: {self.out} = {describe_combination(combined)}\n{size}")
        return 0


@dataclass(frozen=True, kw_only=True)
class Merge(NamedBase):
    """Merge an adapter into a native checkpoint of its base, and check the result."""

    adapter: Annotated[str, Option(ADAPTER_FILE, DATA, "ADAPTER", positional=True)]
    out: Annotated[str, Option("Native checkpoint to write", OUTPUT, "FILE")]
    frames: Annotated[
        str | None,
        Option(
            "Frames on which the checkpoint is compared with the adapter",
            DATA,
            "FILE",
            shown_default="the packaged set demo",
        ),
    ] = None
    shifts: Annotated[
        bool, Option("With --no-shifts, the checkpoint keeps the reference energies of the base", OUTPUT)
    ] = True

    def run(self, terminal: Terminal) -> int:
        """Write the checkpoint."""
        from equisparse.tasks.merge import merge

        frames = self.frames or "demo:valid"
        merged = merge(self.base, self.adapter, self.out, frames=frames, shifts=self.shifts, **self.load_options)
        left = f"left out: {merged.left_out}\n" if merged.left_out else ""
        terminal.show(str(merged.check))
        terminal.note(f"written: {merged.path}\n{left}{merged.notes}")
        return 0


@dataclass(frozen=True, kw_only=True)
class Extract(BaseCommand):
    """Make an adapter out of a fine-tuned native checkpoint and its base, and check it."""

    base: Annotated[
        str, Option("Base model, a name or a file, that the fine-tune started from", MODEL, "BASE", positional=True)
    ]
    finetuned: Annotated[str, Option("Fine-tuned checkpoint, a file", MODEL, "FINETUNED", positional=True)]
    out: Annotated[str, Option("Adapter file to write", OUTPUT, "FILE")]
    frames: Annotated[
        str | None,
        Option("Frames to compare on", DATA, "FILE", shown_default="the packaged set demo, or molecules"),
    ] = None
    json: Annotated[bool, JSON] = False

    def run(self, terminal: Terminal) -> int:
        """Write the adapter."""
        from ase.data import chemical_symbols

        from equisparse.report.terminal.extraction import extraction_tables
        from equisparse.tasks.extract import extract

        found = extract(self.base, self.finetuned, out=self.out, frames=self.frames, **self.load_options)
        size = Path(self.out).stat().st_size
        terminal.show(*extraction_tables(found.changed, found.rounding, found.per_role, found.per_degree))
        terminal.show(str(found.check))
        left = f"\nleft out: {found.left_out}" if found.left_out else ""
        if found.kept_elements:
            names = " ".join(chemical_symbols[z] for z in found.kept_elements)
            left += f"\nnot in the checkpoint, with the weights of the base: {names}"
        terminal.note(f"written: {self.out}, {size:,} bytes ({found.adapter.format.name}){left}")
        if self.json:
            values = asdict(found)
            del values["adapter"]
            made = {"metrics": dict(found.adapter.metrics), "shifts": dict(found.adapter.shifts)}
            terminal.show_json(values | made | {"path": self.out, "bytes": size, "format": found.adapter.format.name})
        return 0
