"""Search for the fewest changed weights that cost nothing, in words."""

from equisparse.methods.fewest import FALLBACK
from equisparse.methods.sparse import Sparse
from equisparse.run.folder import Run


def search_line(run: Run) -> str | None:
    """Describe the numbers of changed weights that were tried; None for a run that was given its number or size.

    Losses are those on the validation frames, divided by that of the first trial, in which all weights may change.
    """
    metrics = run.metrics
    if not metrics.trials:
        few = f"{metrics.steps} steps are too few for a search; {metrics.changed_fraction_model:.0%} were changed"
        return few if _had_no_target(run) else None
    total = metrics.changed_count / metrics.changed_fraction_model if metrics.changed_count else 1.0
    first, *others = metrics.trials
    parts = [
        f"{trial.entries / total:.2%} of the weights: {trial.valid_loss / first.valid_loss:.3f}, "
        f"{'low enough' if trial.accepted else 'too high'}"
        for trial in others
    ]
    tried = "; ".join(parts) or "too few steps to try"
    return f"validation loss, that of {first.entries / total:.1%} being 1: {tried}"


def _had_no_target(run: Run) -> bool:
    """Return whether a run is one of `Sparse` without a number or a size; in earlier versions those changed more."""
    config, metrics = run.config, run.metrics
    options = config.method_options or {}
    targets = (config.changed, config.budget, options.get("changed"), options.get("value_bytes"))
    is_free = all(target is None for target in targets) and not config.curve
    return is_free and metrics.method == Sparse.name and metrics.changed_fraction_model <= 1.001 * FALLBACK
