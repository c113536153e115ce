"""Cost of the change: values, bytes and time."""

from markupsafe import Markup

from equisparse.report.html import elements
from equisparse.report.table import percent
from equisparse.run.folder import Run
from equisparse.wording import counted


def cost(run: Run) -> Markup:
    """Counts, sizes, training time and machine."""
    metrics = run.metrics
    values = {
        "changed weights": f"{metrics.changed_count:,}: {percent(metrics.changed_fraction_model)} of the "
        f"model, {percent(metrics.changed_fraction_selected)} of the selected tensors",
        "stored values": f"{metrics.stored_values:,}",
        "adapter file": f"{metrics.adapter_bytes:,} bytes",
        "base checkpoint": f"{metrics.base_bytes:,} bytes",
        "training": f"{counted(metrics.steps, 'step')} in {metrics.seconds:,.0f} s",
        "machine": metrics.versions["machine"],
        "at run time": "the calculator of equisparse evaluates the change in addition to the layers of the base"
        if metrics.not_merged
        else "no extra cost: the merged checkpoint has the size and speed of the base",
    }
    return elements.definitions(values)
