"""Text of a card in Markdown: what the adapter is, how accurate it is, how to use it, licences and citation."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols

from equisparse.interpret.attribution import Interval
from equisparse.interpret.bootstrap import resampled_interval
from equisparse.quantities import Quantity, shown_errors
from equisparse.report.card.header import check_card, final_errors, header
from equisparse.report.card.subject import CardSubject
from equisparse.report.html.sections.usage import BIBTEX
from equisparse.report.html.sections.verdict import error_ratios, judgement
from equisparse.report.statistics import frame_errors
from equisparse.report.table import Cell, Percent, Table
from equisparse.report.tables import metrics_table, probe_table, sparsity_table
from equisparse.robustness.verdict import drift_checks
from equisparse.run.folder import Run
from equisparse.run.predictions import Floats, SplitPredictions
from equisparse.wording import counted

_NOT_STATED = "not stated"
_USE = """\
```bash
pip install 'equisparse[{backbone},hub]'
equisparse evaluate frames.extxyz --base {base} --adapter {address}
equisparse merge {address} --base {base} --out merged
```

```python
import ase.io, equisparse

atoms = ase.io.read("structure.extxyz")
atoms.calc = equisparse.calculator("{base}", "{address}")
print(atoms.get_potential_energy(), atoms.get_forces())
```"""
_FINGERPRINT = (
    "The adapter changes this base only. equisparse compares the fingerprint of the weights and refuses any other base."
)


@dataclass(frozen=True)
class Section:
    """Part of a card.

    Parameters
    ----------
    title : str
    paragraphs : tuple of str
        Markdown; empty ones are left out.
    """

    title: str
    paragraphs: tuple[str, ...]

    def text(self) -> str:
        """Markdown of the section."""
        return "\n\n".join([f"## {self.title}", *filter(None, self.paragraphs)])


def card(subject: CardSubject) -> str:
    """Card of an adapter: YAML header and Markdown, checked with `huggingface_hub`.

    Raises
    ------
    InputError
        If the header is invalid.
    MissingPackageError
        If `huggingface_hub` is not installed.
    """
    sections = [
        _facts(subject),
        _errors(subject),
        _retention(subject),
        _sparsity(subject),
        _use(subject),
        _licences(subject),
        _citation(subject),
    ]
    body = "\n\n".join([f"# {subject.name}", _summary(subject), *(section.text() for section in sections if section)])
    text = f"---\n{header(subject).to_yaml()}\n---\n\n{body}\n"
    check_card(text)
    return text


def markdown(table: Table) -> str:
    r"""Table in Markdown, without its title; columns of numbers are aligned to the right.

    >>> print(markdown(Table(["a|b", "n"], [["x", 1]])))
    | a\|b | n |
    |---|--:|
    | x | 1 |
    """
    rule = "|".join("--:" if numeric else "---" for numeric in table.numeric())
    lines = [" | ".join(cell.replace("|", r"\|") for cell in row) for row in [table.header, *table.texts()]]
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])])


def error_intervals(split: SplitPredictions) -> Table:
    """Mean absolute errors before and after fine-tuning with 95 % bootstrap intervals over frames."""
    rows: list[list[Cell]] = []
    for quantity in split.labels:
        before, after = frame_errors(split, quantity)
        known = np.isfinite(before) & np.isfinite(after)
        if known.any() and not quantity.needs_spins:
            weights = _weights(split, quantity)[known]
            intervals = [_mean(errors[known], weights) for errors in (before, after)]
            rows.append([quantity.mae.title, quantity.mae.unit, *intervals, int(known.sum())])
    return Table(["error", "unit", "before", "fine-tuned", "frames"], rows)


def _summary(subject: CardSubject) -> str:
    """First paragraph: what the adapter is."""
    base = subject.adapter.base["source"]
    return (
        f"Adapter for the interatomic potential {base}, trained with equisparse on frames of "
        f"{', '.join(subject.elements) or 'unknown elements'}. It holds the change of the weights alone; the base "
        "model is loaded separately."
    )


def _facts(subject: CardSubject) -> Section:
    """Table of base, method, elements and sizes, and the origin of the data."""
    adapter, details = subject.adapter, subject.details
    rows: list[list[Cell]] = [
        ["base", adapter.base["source"] + (f", task {adapter.modality}" if adapter.modality else "")],
        ["fingerprint of the base (SHA-256)", f"`{adapter.base['sha256']}`"],
        ["upstream package", f"{adapter.base['backbone']} {adapter.base['version']}"],
        ["method", adapter.label],
        ["elements of the training data", " ".join(subject.elements) or "not known"],
        *_counts(subject),
        ["adapter file", f"{subject.adapter_bytes:,} bytes"],
        ["shifts of the reference energies (eV)", _shifts(subject)],
    ]
    data = f"Training data: {details.data or _NOT_STATED}."
    return Section("Model", (markdown(Table(["", ""], rows)), _FINGERPRINT, data.replace("..", "."), _frames(subject)))


def _counts(subject: CardSubject) -> Iterator[list[Cell]]:
    """Number of changed weights, where it is known."""
    metrics = subject.adapter.metrics if subject.run is None else subject.run.metrics.to_dict()
    count, fraction = metrics.get("changed_count"), metrics.get("changed_fraction_model")
    if isinstance(count, int) and isinstance(fraction, float):
        yield ["changed weights", f"{count:,} ({Percent(fraction)} of the model)"]


def _shifts(subject: CardSubject) -> str:
    """Shifts of the reference energies by element."""
    shifts = sorted(subject.adapter.shifts.items())
    return ", ".join(f"{chemical_symbols[z]} {shift:+.3f}" for z, shift in shifts) or "none"


def _frames(subject: CardSubject) -> str:
    """Sentence with the number of frames on which the adapter was judged."""
    split = None if subject.run is None else subject.run.predictions
    if subject.run is None or split is None:
        return ""
    frames, atoms = counted(split.n_frames, f"{subject.run.judged} frame"), counted(len(split.numbers), "atom")
    return f"Judged on {frames} with {atoms}."


def _errors(subject: CardSubject) -> Section | None:
    """Errors, with intervals where the run has predictions."""
    split, errors = final_errors(subject)
    if subject.run is not None and subject.run.predictions is not None:
        title = (
            f"Mean absolute errors on {split} frames with 95 % bootstrap intervals over frames. {_before(subject.run)}"
        )
        return Section("Errors", (judgement(error_ratios(subject.run))[1], title, _table_of(subject.run.predictions)))
    known = {error.name: errors.get(error.name) for error in shown_errors()}
    if not any(value is not None for value in known.values()):
        return None
    return Section("Errors", (f"Errors on {split} frames, without intervals.", markdown(metrics_table(known))))


def _before(run: Run) -> str:
    """Meaning of the column of errors before fine-tuning."""
    if run.metrics.start:
        return "Before: the adapter from which training started."
    return "Before: the base with reference energies fitted to the training frames."


def _table_of(split: SplitPredictions) -> str:
    """Errors with intervals as Markdown."""
    return markdown(error_intervals(split))


def _retention(subject: CardSubject) -> Section | None:
    """Drift from the base and the verdict of `equisparse probe`, where they were measured."""
    run = subject.run
    if run is None or (run.verdict is None and run.metrics.retention is None):
        return None
    title = "Other materials and stability"
    if run.verdict is not None:
        paragraph = f"Verdict of equisparse probe: **{run.verdict.level}**."
        return Section(title, (paragraph, markdown(probe_table(run.verdict.checks))))
    checks = drift_checks(run.metrics.retention) if run.metrics.retention else []
    paragraph = (
        "Drift from the base on packaged structures unlike the data. Short distances and molecular dynamics were not "
        "tested; equisparse probe tests them."
    )
    return Section(title, (paragraph, markdown(probe_table(checks))))


def _sparsity(subject: CardSubject) -> Section | None:
    """Errors against the number of changed weights."""
    if subject.run is None or not subject.run.sparsity:
        return None
    table = sparsity_table(subject.run)
    return Section("Errors against changed weights", (f"{table.title}.", markdown(table)))


def _use(subject: CardSubject) -> Section:
    """Commands and Python code."""
    base = subject.adapter.base
    names = {"backbone": base["backbone"], "base": base["source"], "address": subject.address or "adapter.safetensors"}
    limits = (
        f"The training data hold {', '.join(subject.elements)}. For other elements the model is not better than the "
        "base, and can be worse."
        if subject.elements
        else ""
    )
    return Section("Use", (_USE.format(**names), limits))


def _licences(subject: CardSubject) -> Section:
    """Licences of adapter, base and data."""
    details = subject.details
    rows: list[list[Cell]] = [
        ["adapter", details.license or _NOT_STATED],
        [f"base ({subject.adapter.base['source']})", details.base_license or f"{_NOT_STATED}; see its own page"],
        ["training data", details.data_license or _NOT_STATED],
    ]
    return Section("Licences", (markdown(Table(["part", "licence"], rows)),))


def _citation(subject: CardSubject) -> Section:
    """How to cite the adapter, the software and the method."""
    own = f"```\n{subject.details.citation}\n```" if subject.details.citation else ""
    return Section(
        "Citation",
        (own, "Cite equisparse, the base model, and the paper of the method:", f"```bibtex\n{BIBTEX}\n```"),
    )


def _weights(split: SplitPredictions, quantity: Quantity) -> Floats:
    """Weight of each frame in a mean: its number of atoms for values per atom, else 1."""
    return split.n_atoms.astype(float) if quantity.per == "atom" else np.ones(split.n_frames)


def _mean(errors: Floats, weights: Floats) -> Interval:
    """Weighted mean with its interval over resampled frames."""
    pairs = np.column_stack([errors * weights, weights])
    return Interval(*resampled_interval(pairs, lambda sums: sums[..., 0] / sums[..., 1]))
