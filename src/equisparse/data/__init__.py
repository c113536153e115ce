"""Read, audit and split labelled structures, and fit their reference energies; knows no model and no torch."""

from equisparse.data.audit import BasePrediction, Finding, audit, format_findings, has_errors
from equisparse.data.demo import DemoFiles, demo_files
from equisparse.data.frames import LabelledFrame
from equisparse.data.labels import LabelKeys, LabelUnits
from equisparse.data.read import read_frames
from equisparse.data.references import ReferenceFit, composition_matrix, fit_reference_shifts
from equisparse.data.split import Split, near_groups, split_frames, split_off

__all__ = [
    "BasePrediction",
    "DemoFiles",
    "Finding",
    "LabelKeys",
    "LabelUnits",
    "LabelledFrame",
    "ReferenceFit",
    "Split",
    "audit",
    "composition_matrix",
    "demo_files",
    "fit_reference_shifts",
    "format_findings",
    "has_errors",
    "near_groups",
    "read_frames",
    "split_frames",
    "split_off",
]
