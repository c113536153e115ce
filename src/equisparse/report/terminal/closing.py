"""Last lines of a fine-tune: size and cost of the change, retention, merge check, and where the results are."""

import math
from collections.abc import Iterator

from equisparse.quantities import shown_errors
from equisparse.robustness.drift import drift_line
from equisparse.run.folder import Run
from equisparse.run.metrics import Errors

_DIVERGED = (
    "caution    training diverged: the loss is NaN. The best epoch before is kept. Try half the learning rate (--lr)"
)


def closing_lines(run: Run) -> Iterator[str]:
    """Summarise a finished run, one line per fact."""
    metrics = run.metrics
    if run.curve and not math.isfinite(run.curve[-1].valid_loss or 0.0):
        yield _DIVERGED
    if caution := worse_line(metrics.refit["valid"], metrics.final["valid"]):
        yield caution
    yield (
        f"changed    {metrics.changed_count:,} weights: {metrics.changed_fraction_model:.3%} of the whole model, "
        f"{metrics.changed_fraction_selected:.3%} of the selected tensors"
    )
    spins = f", and {metrics.spin_layer_values:,} of the spin layer" if metrics.spin_layer_values else ""
    yield (
        f"adapter    {metrics.adapter_bytes:,} bytes, {metrics.stored_values:,} stored values "
        f"(base checkpoint {metrics.base_bytes:,} bytes){spins}"
    )
    yield f"training   {metrics.steps} steps in {metrics.seconds:.0f} s"
    if metrics.retention is not None:
        yield f"retention  {drift_line(metrics.retention)}"
    yield f"merged     {metrics.merged_check or f'no: {metrics.not_merged}'}"
    yield f"results    {run.folder}"
    yield f"report     {run.files.report}"
    if metrics.deployment:
        yield metrics.deployment.replace("merged.", f"{run.folder}/merged.")


def worse_line(before: Errors, after: Errors) -> str | None:
    """Advice about the errors that training raised on one split; None if there are none.

    Parameters
    ----------
    before, after : errors
        Of the base with refitted reference energies and of the result.
    """
    raised = []
    for error in shown_errors():
        old, new = before.get(error.name), after.get(error.name)
        if error.kind == "mae" and old is not None and new is not None and new > old:
            raised.append(f"{error.title} {error.format.format(old)} -> {error.format.format(new)} {error.unit}")
    if not raised:
        return None
    return f"caution    training raised errors: {', '.join(raised)}. Try half the learning rate (--lr)"
