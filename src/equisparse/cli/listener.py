"""Output of the command line while a task runs, and at its end."""

from collections.abc import Iterator, Sequence

from rich.rule import Rule

from equisparse.cli.progress import TerminalProgress
from equisparse.cli.terminal import Terminal
from equisparse.data.audit.finding import Finding, format_findings
from equisparse.report.tables import error_table
from equisparse.report.terminal.closing import closing_facts
from equisparse.report.terminal.facts import Fact
from equisparse.report.terminal.render import rich_table
from equisparse.run.folder import Run
from equisparse.tasks.listener import Listener, Plan
from equisparse.training.options import TrainingOptions
from equisparse.wording import counted


class TerminalListener(TerminalProgress, Listener):
    """Prints the plan, the findings, the progress and the results of a task.

    Parameters
    ----------
    terminal : Terminal
    """

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(terminal.progress)
        self._terminal = terminal

    def planned(self, plan: Plan) -> None:
        """Print base, frames, method and training."""
        self._terminal.note(self._terminal.facts(_plan_facts(plan)))

    def audited(self, findings: Sequence[Finding], *, stopped: bool) -> None:
        """Print the findings; a quiet command prints errors and warnings only."""
        shown = [finding for finding in findings if finding.level != "note" or not self._terminal.quiet]
        if shown:
            self._terminal.warn(format_findings(shown))

    def notice(self, topic: str, text: str) -> None:
        """Print a remark."""
        self._terminal.note(self._terminal.facts([(topic, text)]))

    def member_started(self, number: int, members: int, seed: int, *, finished_before: bool) -> None:
        """Print a rule with the number and the seed of the member."""
        state = ": finished before" if finished_before else ""
        self._terminal.show(Rule(f"member {number + 1} of {members}, seed {seed}{state}", align="left"))

    def finished(self, run: Run) -> None:
        """Print the errors, the size of the change, the paths of the results, and how to use them."""
        self._terminal.show(rich_table(error_table(run.metrics)), self._terminal.facts(closing_facts(run)))
        if usage := run.metrics.deployment:
            self._terminal.note(usage.replace("merged.", f"{run.folder}/merged."))


def _plan_facts(plan: Plan) -> Iterator[Fact]:
    """Base, frames, method and training."""
    backbone, options = plan.backbone, plan.training
    identity, dtype = backbone.identity, str(backbone.dtype).removeprefix("torch.")
    yield (
        "base",
        f"{plan.base} ({backbone.name} {identity.version}, sha256 {identity.sha256[:12]}) "
        f"on {backbone.device}, {dtype}",
    )
    yield "frames", ", ".join(f"{count} {name}" for name, count in plan.frames.items())
    chosen = ", ".join(f"{key}={value}" for key, value in plan.method.options().items() if value is not None)
    yield "method", plan.method.name + (f" ({chosen})" if chosen else "")
    yield (
        "training",
        f"{_length(options, options.steps_per_epoch(plan.frames['train']))}, batch size "
        f"{options.batch_size}, {options.optimizer}, learning rate {options.lr:g}, seed {options.seed}",
    )


def _length(options: TrainingOptions, per_epoch: int) -> str:
    """Length of the training: epochs and their steps, or rounds."""
    rounds = options.rounds(per_epoch)
    if options.round_name == "epoch":
        return f"epochs {rounds.count}, steps per epoch {rounds.steps}"
    epochs = rounds.total / per_epoch
    return f"{counted(rounds.total, 'step')} ({epochs:.3g} epochs), a validation every {counted(rounds.steps, 'step')}"
