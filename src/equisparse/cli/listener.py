"""What a user of the command line sees while a task runs, and at its end."""

import math
from collections.abc import Iterator, Sequence

from rich.console import Console

from equisparse.cli.progress import TerminalProgress
from equisparse.data.audit.finding import Finding, format_findings
from equisparse.deploy.merge import MergeCheck
from equisparse.report.terminal.tables import error_table, worse_line
from equisparse.robustness.drift import drift_line
from equisparse.run.folder import Run
from equisparse.tasks.ensemble import FITTED_ON, RELIABILITY, EnsembleRun, shown_unit
from equisparse.tasks.listener import Listener, Plan

_DIVERGED = (
    "caution  Training diverged: the loss was NaN. The best epoch before is kept. Try half the learning rate (--lr)"
)
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
        self.console.print(error_table({stage: run.metrics[stage] for stage in ("base", "refit", "final")}))
        self._print("\n".join(_closing_lines(run)))

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
        f"training {options.epochs} epochs of {options.steps_per_epoch(plan.frames['train'])} steps, batch "
        f"{options.batch_size}, {options.optimizer}, learning rate {options.lr:g}, seed {options.seed}"
    )


def _closing_lines(run: Run) -> Iterator[str]:
    """Cautions, size and price of the change, what is kept of the base, and the files."""
    metrics = run.metrics
    if run.curve and not math.isfinite(float(run.curve[-1]["valid_loss"])):
        yield _DIVERGED
    if caution := worse_line(metrics["refit"]["valid"], metrics["final"]["valid"]):
        yield caution
    yield (
        f"changed  {metrics['changed_count']:,} weights: {metrics['changed_fraction_model']:.3%} of the whole model, "
        f"{metrics['changed_fraction_selected']:.3%} of the selected tensors"
    )
    spins = f", and {metrics['spin_layer_values']:,} of the spin layer" if metrics["spin_layer_values"] else ""
    yield (
        f"adapter  {metrics['adapter_bytes']:,} bytes, {metrics['stored_values']:,} stored values "
        f"(base checkpoint {metrics['base_bytes']:,} bytes){spins}"
    )
    yield f"training {metrics['steps']} steps in {metrics['seconds']:.0f} s"
    yield f"kept     {drift_line(metrics['retention'])}"
    check = metrics.get("merged_check")
    yield f"merged   {MergeCheck(**check)}" if check else f"merged   no: {metrics['not_merged']}"
    yield f"results  {run.folder}"
    yield f"report   {run.folder / 'report.html'}"
    if check:
        yield str(metrics["deployment"])


def ensemble_lines(run: EnsembleRun) -> Iterator[str]:
    """Result of the calibration of an ensemble, as lines of text."""
    ensemble = run.ensemble
    yield f"spread of the ensemble, scaled on the {FITTED_ON} frames"
    for split, quantities in ensemble.numbers["splits"].items():
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
