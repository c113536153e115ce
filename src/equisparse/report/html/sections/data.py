"""Data, and findings of the audit."""

from ase.data import chemical_symbols
from markupsafe import Markup

from equisparse.data.audit.finding import format_frames
from equisparse.report.html import elements
from equisparse.report.table import Cell, Level, Table
from equisparse.run.folder import Run
from equisparse.wording import counted


def data(run: Run) -> Markup | None:
    """Files, reference energies, and findings."""
    shifts = run.metrics.reference_shifts_ev
    files = {"training": run.config.train, "validation": run.config.valid, "test": run.config.test}
    facts = {f"{title} files": ", ".join(names) for title, names in files.items() if names}
    facts["elements"] = " ".join(chemical_symbols[z] for z in shifts)
    if split := run.predictions:
        facts[f"{run.judged} frames"] = f"{split.n_frames:,} with {counted(len(split.numbers), 'atom')}"
    facts["shifts of the reference energies"] = ", ".join(
        f"{chemical_symbols[z]} {shift:+.3f} eV" for z, shift in shifts.items()
    )
    return Markup("").join([elements.definitions(facts), _findings(run)])


def _findings(run: Run) -> Markup:
    """Findings as a table."""
    if run.findings is None:
        return Markup("")
    if not run.findings:
        return elements.paragraph("The audit has no findings.")
    rows: list[list[Cell]] = []
    for finding in run.findings:
        where = f"{finding.dataset} {format_frames(finding.frames)}" if finding.frames else finding.dataset
        rows.append([Level(finding.level), finding.code, finding.message, where, finding.next_step])
    return elements.table(Table(["level", "finding", "observation", "where", "advice"], rows, "Findings of the audit"))
