"""Search for the fewest changed weights that cost nothing, in words."""

from equisparse.run.metrics import Metrics


def search_line(metrics: Metrics) -> str:
    """Describe the numbers of changed weights that were tried, and what was taken.

    Losses are those on the validation frames, divided by that of the first trial, in which all weights may change.
    """
    total = metrics.changed_count / metrics.changed_fraction_model if metrics.changed_count else 1.0
    first, *others = metrics.trials
    parts = [
        f"{trial.entries / total:.2%} of the weights: {trial.valid_loss / first.valid_loss:.3f}, "
        f"{'low enough' if trial.accepted else 'too high'}"
        for trial in others
    ]
    tried = "; ".join(parts) or "too few steps to try"
    return f"validation loss, that of {first.entries / total:.1%} being 1: {tried}"
