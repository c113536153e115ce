"""Output of the command line while a task runs, and at its end."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from rich.console import Console

from equisparse.cli.progress import TerminalProgress
from equisparse.data.audit.finding import Finding, format_findings
from equisparse.report.tables import error_table
from equisparse.report.terminal.closing import closing_lines
from equisparse.report.terminal.render import rich_table
from equisparse.run.folder import Run
from equisparse.tasks.ensemble import FITTED_ON, RELIABILITY, EnsembleRun, shown_unit
from equisparse.tasks.listener import Listener, Plan

_WEAK = 0.2
"""Rank correlation below which spreads say little about single errors."""


class TerminalListener(TerminalProgress, Listener):
    """Prints what a task tells.

    Parameters
    ----------
    console : Console
    """

    def __init__(self, console: Console) -> None:
        super().__init__(console)

    def planned(self, plan: Plan) -> None:
        """Print what is about to happen, in four lines."""
        self._print("\n".join(_plan_lines(plan)))

    def audited(self, findings: Sequence[Finding], *, stopped: bool) -> None:
        """Print the findings."""
        self._print(format_findings(findings))

    def notice(self, topic: str, text: str) -> None:
        """Print a line that begins with the topic."""
        self._print(f"{topic:8} {text}")

    def member_started(self, number: int, members: int, seed: int, *, finished_before: bool) -> None:
        """Print the member's number and seed."""
        title = f"member {number + 1} of {members}, seed {seed}"
        if finished_before:
            self._print(f"{title}: finished before")
        else:
            self.console.rule(title, align="left")

    def finished(self, run: Run) -> None:
        """Print the errors, the size of the change, and where the results are."""
        self.console.print(rich_table(error_table(run.metrics)))
        self._print("\n".join(closing_lines(run)))

    def _print(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


def _plan_lines(plan: Plan) -> Iterator[str]:
    """Base, frames, method and training."""
    backbone, options = plan.backbone, plan.training
    identity, dtype = backbone.identity, str(backbone.dtype).removeprefix("torch.")
    yield (
        f"base     {plan.base} ({backbone.name} {identity.version}, sha256 {identity.sha256[:12]}) "
        f"on {backbone.device}, {dtype}"
    )
    yield "frames   " + ", ".join(f"{count} {name}" for name, count in plan.frames.items())
    chosen = ", ".join(f"{key}={value}" for key, value in plan.method.options().items() if value is not None)
    yield f"method   {plan.method.name}" + (f" ({chosen})" if chosen else "")
    yield (
        f"training epochs {options.epochs}, steps per epoch {options.steps_per_epoch(plan.frames['train'])}, batch "
        f"{options.batch_size}, {options.optimizer}, learning rate {options.lr:g}, seed {options.seed}"
    )


def ensemble_lines(run: EnsembleRun) -> Iterator[str]:
    """Result of the calibration of an ensemble, as lines of text."""
    ensemble = run.ensemble
    splits = cast(Mapping[str, Mapping[str, Mapping[str, float]]], ensemble.numbers["splits"])
    yield f"spread of the ensemble, scaled on the {FITTED_ON} frames"
    for split, quantities in splits.items():
        for quantity, row in quantities.items():
            unit, factor = shown_unit(quantity)
            yield (
                f"{split:6} {unit}: RMSE {factor * row['rmse']:.3g}, spread {factor * row['spread']:.3g} "
                f"(scale {getattr(ensemble.scales, quantity):.2f}), Spearman {row['spearman']:.2f}, within one spread "
                f"{row['within_one']:.0%}, two {row['within_two']:.0%}, miscalibration {row['miscalibration']:.3f}"
            )
            if row["spearman"] < _WEAK:
                yield f"       {quantity}: the spread hardly tells small errors from large ones; do not rank by it"
    yield f"ensemble {run.folder}: equisparse.calculator(base, '{run.folder}') gives results['forces_std']"
    yield f"plot     {run.folder / RELIABILITY}"
