"""Commands that train: finetune, sparsify and ensemble."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, ClassVar, Self

from equisparse.cli.command import JSON, Command
from equisparse.cli.terminal import Terminal
from equisparse.config.finetune import EnsembleConfig, FinetuneConfig
from equisparse.config.read import make_config, read_values
from equisparse.config.shared import BASE
from equisparse.errors import InputError
from equisparse.options import DATA, MODEL, OUTPUT, Option

_OF_ADAPTER = "that of the adapter"
"""Default in place of the name of a base."""
_OWN = ("config", "json", "quiet", "verbose")
"""Options of the commands that are not part of a configuration."""


@dataclass(frozen=True, kw_only=True)
class _Training(Command):
    """Options of both commands that are not part of the configuration."""

    values: ClassVar[str] = "FRAMES..."
    interrupted: ClassVar[str] = "continue from the last epoch with --resume and the same --out"

    config: Annotated[
        str | None,
        Option("YAML file of options, such as the config.yaml of a run; options given here override it", DATA, "FILE"),
    ] = None
    json: Annotated[bool, JSON] = False

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Self:
        """Make the command from its configuration file and the options that were given, which override it."""
        own = {name: value for name, value in given.items() if name in _OWN}
        file = own.get("config")
        read = read_values(str(file)) if file is not None else {}
        stated = {name: value for name, value in given.items() if name not in own}
        kind = EnsembleConfig if issubclass(cls, EnsembleConfig) else FinetuneConfig
        config = make_config(kind, read | stated)
        return cls(**_values(kind, config), **own)  # type: ignore[arg-type]  # checked by the configuration


@dataclass(frozen=True, kw_only=True)
class Finetune(FinetuneConfig, _Training):
    """Fine-tune a base model on labelled frames."""

    def run(self, terminal: Terminal) -> int:
        """Fine-tune, showing progress and the errors before and after."""
        _finetune(FinetuneConfig(**_values(FinetuneConfig, self)), terminal)  # type: ignore[arg-type]
        return 0


@dataclass(frozen=True, kw_only=True)
class Sparsify(FinetuneConfig, _Training):
    """Make an adapter sparse: keep few of its changed weights, and train them on labelled frames."""

    values: ClassVar[str] = "ADAPTER FRAMES..."

    start: Annotated[
        str | None,
        Option(
            "Adapter that changes weights, of any method or from extract; it stays as it is",
            MODEL,
            "ADAPTER",
            positional=True,
        ),
    ] = None
    base: Annotated[str, Option(BASE, MODEL, "MODEL")] = _OF_ADAPTER
    out: Annotated[str, Option("Folder of the results", OUTPUT, "FOLDER")] = "equisparse-sparse"

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Self:
        """Make the command from the options that were given."""
        if given.get("start") is None:
            raise InputError(
                "There is no adapter to make sparse.",
                expected="equisparse sparsify ADAPTER FRAMES... --changed 0.01",
                next_step="give the file of an adapter, such as run/adapter.safetensors",
            )
        return super().of({"base": cls.base, "out": cls.out} | dict(given))

    def run(self, terminal: Terminal) -> int:
        """Make the adapter sparse, showing progress and the errors before and after."""
        from equisparse.tasks.sparsify import base_of

        values = _values(FinetuneConfig, self)
        if self.base == _OF_ADAPTER:
            values["base"] = base_of(str(self.start))
        _finetune(FinetuneConfig(**values), terminal)  # type: ignore[arg-type]
        return 0


@dataclass(frozen=True, kw_only=True)
class Ensemble(EnsembleConfig, _Training):
    """Fine-tune an ensemble whose spread is a calibrated uncertainty."""

    def run(self, terminal: Terminal) -> int:
        """Fine-tune all members and calibrate their spread."""
        from equisparse.cli.listener import TerminalListener
        from equisparse.report.calibration import calibration_table, weak_spreads
        from equisparse.report.terminal.render import rich_table
        from equisparse.run.files import EnsembleFolder
        from equisparse.tasks.ensemble import ensemble_config
        from equisparse.training.processes import process_rank

        config = EnsembleConfig(**_values(EnsembleConfig, self))  # type: ignore[arg-type]
        run = ensemble_config(config, listener=TerminalListener(terminal))
        if process_rank(config) != 0:
            return 0
        terminal.show(rich_table(calibration_table(run.ensemble)))
        for warning in weak_spreads(run.ensemble):
            terminal.warn(terminal.facts([("caution", warning)]))
        plot = EnsembleFolder(run.folder).reliability
        terminal.show(terminal.facts([("results", str(run.folder)), ("plot", str(plot))]))
        terminal.note(terminal.facts([("use", f"equisparse.calculator(base, '{run.folder}'); results['forces_std']")]))
        terminal.show_json(run.ensemble.numbers)
        return 0


def _finetune(config: FinetuneConfig, terminal: Terminal) -> None:
    """Fine-tune, and print the metrics if JSON is asked for."""
    from equisparse.cli.listener import TerminalListener
    from equisparse.tasks.finetune import finetune_config
    from equisparse.training.processes import process_rank

    run = finetune_config(config, listener=TerminalListener(terminal))
    if process_rank(config) == 0:  # the others end while the first one still writes
        terminal.show_json(run.metrics.to_dict())


def _values(kind: type[FinetuneConfig], config: FinetuneConfig) -> dict[str, object]:
    """Fields of a configuration."""
    return {field.name: getattr(config, field.name) for field in fields(kind)}
