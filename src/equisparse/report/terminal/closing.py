"""Summary at the end of a fine-tune: size and cost of the change, retention, merge check, and paths of the results."""

import math
from collections.abc import Iterator

from equisparse.report.raised import raised_errors, worse_than_base
from equisparse.report.search import search_line
from equisparse.report.terminal.facts import Fact
from equisparse.robustness.drift import drift_line
from equisparse.run.folder import Run
from equisparse.run.metrics import Metrics
from equisparse.wording import counted

_DIVERGED = "training diverged: the loss is NaN. The best earlier epoch is kept. Try half the learning rate (--lr)"


def closing_facts(run: Run) -> Iterator[Fact]:
    """Summarise a finished run, warnings first."""
    metrics = run.metrics
    if run.curve and not math.isfinite(run.curve[-1].valid_loss or 0.0):
        yield "caution", _DIVERGED
    for warning in filter(None, _raised(metrics)):
        yield "caution", warning
    if searched := search_line(run):
        yield "search", searched
    yield (
        "changed",
        f"{counted(metrics.changed_count, 'weight')}: {metrics.changed_fraction_model:.3%} of the whole model, "
        f"{metrics.changed_fraction_selected:.3%} of the selected tensors",
    )
    spins = (
        f", and {counted(metrics.spin_layer_values, 'value')} of the spin layer" if metrics.spin_layer_values else ""
    )
    yield (
        "adapter",
        f"{metrics.adapter_bytes:,} bytes, {counted(metrics.stored_values, 'stored value')}{spins} "
        f"(base checkpoint {metrics.base_bytes:,} bytes)",
    )
    if metrics.value_rounding:
        yield "rounding", f"{metrics.value_rounding:.2%} of the change; all errors are those of the stored values"
    yield "training", f"{counted(metrics.steps, 'step')} in {metrics.seconds:.0f} s"
    if metrics.retention is not None:
        yield "retention", drift_line(metrics.retention)
    if metrics.precision is not None:
        yield "precision", str(metrics.precision)
    yield "merged", str(metrics.merged_check or f"no: {metrics.not_merged}")
    yield "results", str(run.folder)
    yield "report", str(run.files.report)


def _raised(metrics: Metrics) -> Iterator[str | None]:
    """Warnings of errors that the fine-tune raised, on the validation frames.

    A run that started from an adapter is compared with the base: fewer weights than before may cost something.
    """
    base, refit, final = (errors["valid"] for errors in metrics.stages.values())
    if metrics.start:
        yield raised_errors(base, final)
        return
    yield raised_errors(refit, final)
    yield worse_than_base(base, refit, final)
