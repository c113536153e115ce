"""Verdict in words: whether and where the fine-tuned model is better than its base, and the checks."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from markupsafe import Markup

from equisparse.quantities import FORCES
from equisparse.report.html import elements
from equisparse.report.raised import worse_than_base
from equisparse.report.statistics import (
    GroupErrors,
    RatioInterval,
    errors_by_element,
    errors_by_type,
    frame_errors,
    ratio_interval,
)
from equisparse.report.table import number, percent
from equisparse.run.folder import Run
from equisparse.wording import counted

Mark = Literal["good", "caution", "bad", "open"]
"""Result of a check: passed, caution, failed or not tested."""

_WORDS: dict[Mark, str] = {"good": "passed", "caution": "caution", "bad": "failed", "open": "not tested"}
_OVERFIT = 2.0
"""Ratio of the errors on unseen frames and on training frames above which overfitting is reported."""
_MOST = 0.75
"""Fraction of frames whose error should decrease."""
_NAMED = 5
"""Largest number of groups that are named."""
_SEEN = "The errors are on validation frames, which selected the best epoch. Give test frames for an unbiased error."
_UNRESOLVED = (
    "The training frames do not determine the reference energies of {} separately. Compare energies only between "
    "compositions that occur in the training frames."
)
_UNCHECKED = (
    "Other materials: the accuracy of the base on them may be lost. Test it with equisparse probe.",
    "Molecular dynamics, short distances and large strains: test them before production with equisparse probe.",
)


def verdict(run: Run) -> Markup:
    """Headline, errors relative to the base, and the list of checks."""
    ratios = error_ratios(run)
    mark, headline = judgement(ratios)
    parts = [
        Markup('<p class="headline {}">{}</p>').format(mark, headline),
        elements.listing(_sentence(name, ratio, run.judged) for name, ratio in ratios.items()),
    ]
    if (split := run.predictions) and (where := _where([*errors_by_element(split), *errors_by_type(split)])):
        parts.append(elements.paragraph(where))
    rows = [
        Markup('<li class="check {0}"><strong>{1}:</strong> {2}</li>').format(state, _WORDS[state], text)
        for state, text in checks(run, ratios)
    ]
    parts.append(Markup('<h3>Checks before use</h3><ul class="checks">{}</ul>').format(Markup("").join(rows)))
    return Markup("").join(parts)


def error_ratios(run: Run) -> dict[str, RatioInterval]:
    """Ratio of errors after and before by quantity, on the judged split; both with refitted reference energies."""
    if (split := run.predictions) is None:
        return {}
    compared = [
        quantity for quantity in split.labels if not quantity.needs_spins
    ]  # the base predicts no magnetic quantities
    ratios = {}
    for quantity in sorted(compared, key=lambda quantity: quantity != FORCES):
        weights = split.n_atoms if quantity.per == "atom" else np.ones_like(split.n_atoms)
        ratios[quantity.title] = ratio_interval(*frame_errors(split, quantity), weights)
    return {name: ratio for name, ratio in ratios.items() if ratio is not None}


def judgement(ratios: dict[str, RatioInterval]) -> tuple[Mark, str]:
    """Overall result and its sentence, from the intervals."""
    better = [name for name, ratio in ratios.items() if ratio.high < 1]
    worse = [name for name, ratio in ratios.items() if ratio.low > 1]
    if not ratios:
        return "open", "The run holds no predictions, so this report cannot say whether the fine-tuned model is better."
    if worse and better:
        return (
            "caution",
            f"The fine-tuned model is better than its base in {_joined(better)}, and worse in {_joined(worse)}.",
        )
    if worse:
        return "bad", f"The fine-tuned model is worse than its base in {_joined(worse)}: do not use it."
    if not better:
        return (
            "caution",
            "The fine-tuned model is not clearly better than its base: the difference is within its uncertainty.",
        )
    if len(better) < len(ratios):
        unclear = [name for name in ratios if name not in better]
        return (
            "good",
            f"The fine-tuned model is better than its base in {_joined(better)}; "
            f"no clear difference in {_joined(unclear)}.",
        )
    return "good", f"The fine-tuned model is better than its base in {_joined(better)}."


def checks(run: Run, ratios: dict[str, RatioInterval]) -> Iterator[tuple[Mark, str]]:
    """Result of every check."""
    seen = run.judged != "test"
    yield ("caution", _SEEN) if seen else ("good", "The errors are on test frames, which were not used in training.")
    if merged := run.metrics.merged_check:
        state: Mark = "good" if merged.equal else "bad"
        difference = number(1e3 * merged.forces, 2)
        yield (
            state,
            f"The merged checkpoint predicts the same as the adapter (forces within {difference} meV/Angstrom).",
        )
    if price := run.metrics.precision:
        yield "caution", f"Precision: {price}."
    if reason := run.metrics.not_merged:
        yield "caution", f"There is no merged checkpoint, and the upstream's own tools cannot run this model: {reason}."
    yield from _audit_check(run)
    yield from _overfit_check(run)
    base, refit, final = (errors.get(run.judged, {}) for errors in run.metrics.stages.values())
    if not run.metrics.start and (worse := worse_than_base(base, refit, final)):
        yield "bad", f"{worse[0].upper()}{worse[1:]}."
    for name, ratio in ratios.items():
        state = "good" if ratio.better > _MOST else "caution"
        yield state, f"{percent(ratio.better)} of the frames have a smaller {name} error than before."
    if unresolved := run.metrics.reference_unresolved:
        yield "caution", _UNRESOLVED.format(_joined(list(unresolved)))
    yield from _probe_checks(run)


def _probe_checks(run: Run) -> Iterator[tuple[Mark, str]]:
    """Checks of `equisparse probe`, or a note that it was not run."""
    states: dict[str, Mark] = {"pass": "good", "warn": "caution", "fail": "bad"}
    if run.verdict is None:
        for text in _UNCHECKED:
            yield "open", text
        return
    for check in run.verdict.checks:
        test = check.test.replace(": ", ", ")
        yield states[check.level], f"{test[0].upper()}{test[1:]}: {check.finding}."


def _audit_check(run: Run) -> Iterator[tuple[Mark, str]]:
    """Findings of the audit of the data."""
    if run.findings is None:
        yield "open", "The data were not audited."
        return
    levels = [finding.level for finding in run.findings]
    state: Mark = "bad" if "error" in levels else "caution" if "warning" in levels else "good"
    counts = (counted(levels.count(level), level) for level in ("error", "warning", "note"))
    yield state, f"Audit of the data: {', '.join(counts)}."


def _overfit_check(run: Run) -> Iterator[tuple[Mark, str]]:
    """Error on unseen frames against the error on training frames."""
    train, judged = (run.metrics.final.get(name, {}).get("force_mae_mev_per_ang") for name in ("train", run.judged))
    if train and judged:
        state: Mark = "good" if judged < _OVERFIT * train else "caution"
        yield state, f"The force error on {run.judged} frames is {judged / train:.2f} times that on training frames."


def _sentence(name: str, ratio: RatioInterval, split: str) -> str:
    """Sentence about one quantity."""
    direction = "decreases" if ratio.ratio < 1 else "increases"
    return (
        f"The {name} error {direction} to {percent(ratio.ratio)} of the base's "
        f"(95 % confidence interval {percent(ratio.low)} to {percent(ratio.high)}, "
        f"{counted(ratio.n_frames, f'{split} frame')})."
    )


def _where(groups: list[GroupErrors]) -> str:
    """Groups whose force error decreased most and least, and groups whose force error increased."""
    ratios = {g.name: g.force_after / g.force_before for g in groups if g.force_after is not None and g.force_before}
    if not ratios:
        return ""
    best, last = min(ratios, key=ratios.__getitem__), max(ratios, key=ratios.__getitem__)
    lost = [name for name, ratio in ratios.items() if ratio > 1]
    if len(lost) == len(ratios):
        return "The force error increases for every element and configuration type."
    named = _joined(lost[:_NAMED]) + (f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else "") if lost else ""
    return (
        f"The force error decreases most for {best} (to {percent(ratios[best])} of the base's) and least for {last} "
        f"({percent(ratios[last])}). "
    ) + (f"It increases for {named}." if lost else "It does not increase for any element or configuration type.")


def _joined(names: list[str]) -> str:
    """Enumeration such as ``a, b and c``."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
