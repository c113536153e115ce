"""Sections of a report in their order; a new section needs one line here."""

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from equisparse.report.html.sections.accuracy import accuracy
from equisparse.report.html.sections.attribution import attribution
from equisparse.report.html.sections.changes import changes
from equisparse.report.html.sections.configuration import configuration
from equisparse.report.html.sections.cost import cost
from equisparse.report.html.sections.data import data
from equisparse.report.html.sections.functional import functional
from equisparse.report.html.sections.learning import learning
from equisparse.report.html.sections.properties import properties
from equisparse.report.html.sections.robustness import robustness
from equisparse.report.html.sections.sparsity import sparsity
from equisparse.report.html.sections.structures import structures
from equisparse.report.html.sections.usage import usage
from equisparse.report.html.sections.verdict import verdict
from equisparse.run.folder import Run


@dataclass(frozen=True)
class Section:
    """One section of a page.

    Parameters
    ----------
    key : str
        Anchor in the page.
    title : str
    make : callable
        Function from a run to HTML; None if the run has no data for the section.
    """

    key: str
    title: str
    make: Callable[[Run], Markup | None]


SECTIONS = (
    Section("verdict", "Verdict", verdict),
    Section("accuracy", "Accuracy", accuracy),
    Section("sparsity", "Errors against changed weights", sparsity),
    Section("structures", "Frames with the largest errors", structures),
    Section("data", "Data and audit", data),
    Section("learning", "Learning curves", learning),
    Section("changes", "What changed", changes),
    Section("functional", "Outputs of the layers", functional),
    Section("attribution", "Effect of each part of the change", attribution),
    Section("robustness", "Robustness", robustness),
    Section("properties", "Properties before and after", properties),
    Section("cost", "Cost", cost),
    Section("usage", "Use and citation", usage),
    Section("configuration", "Configuration", configuration),
)
"""Sections of a report, in order."""
