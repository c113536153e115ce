"""Commands around a fine-tune: audit files, evaluate on files, merge into a native checkpoint."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from equisparse.adapters.file import load_adapter
from equisparse.backbones.base import AbstractBackbone, Predictor, check_elements
from equisparse.data.audit.finding import BasePrediction, format_findings, has_errors
from equisparse.data.audit.registry import audit
from equisparse.data.demo import DEMOS, is_demo
from equisparse.data.labels import LabelKeys, LabelUnits
from equisparse.data.read import read_frames
from equisparse.deploy.calculator import check_adapter, spin_model
from equisparse.deploy.merge import MergeCheck, merge
from equisparse.files import make_folder
from equisparse.inputs.spins import labelled_for
from equisparse.training.dataset import FrameDataset
from equisparse.training.predict import evaluate

_COMPARED_FRAMES = 5


def audit_files(
    files: Sequence[str], keys: LabelKeys, units: LabelUnits, backbone: AbstractBackbone | None
) -> tuple[str, bool]:
    """Findings about files as text, and whether they are free of errors.

    With a backbone the labels are compared with its predictions, where it knows all elements.
    """
    frames = read_frames(list(files), replace(keys, magnetic=True), units)
    elements = None if backbone is None else set(backbone.elements)
    prediction = None
    if backbone is not None and all(set(frame.atoms.numbers.tolist()) <= backbone.elements for frame in frames):
        base = evaluate(backbone, FrameDataset(backbone, frames, {}))
        prediction = BasePrediction(base.energy, base.forces, base.stress)
    findings = audit(frames, elements=elements, base=prediction)
    text = format_findings(findings) if findings else "nothing found"
    return f"{len(frames)} frames read\n{text}", not has_errors(findings)


def evaluate_files(
    files: Sequence[str], keys: LabelKeys, units: LabelUnits, backbone: AbstractBackbone, adapter_file: str | None
) -> dict[str, float | None]:
    """Errors on all frames of files; with an adapter, of the adapted model with its reference energies.

    The name of a packaged set stands for its test part: a model may have been trained on the others.

    Raises
    ------
    EquisparseError
        If a file, an element or the adapter cannot be used with this base.
    """
    adapter = None if adapter_file is None else load_adapter(adapter_file)
    if adapter is not None:
        check_adapter(backbone, adapter)
    model = None if adapter is None else spin_model(backbone, adapter)
    names = [f"{name}:test" if name in DEMOS and is_demo(name) else name for name in files]
    frames = read_frames(names, replace(keys, magnetic=model is not None), units)
    check_elements(backbone, [frame.atoms for frame in frames])
    if model is not None:
        frames = labelled_for(model.layer.options, frames)
    predictor: Predictor = model or backbone
    dataset = FrameDataset(predictor, frames, dict(adapter.shifts) if adapter else {})
    with adapter.applied(backbone.model) if adapter else nullcontext():
        return evaluate(predictor, dataset).metrics(dataset)


def merge_files(backbone: AbstractBackbone, adapter_file: str, out: Path, frames_file: str | None) -> MergeCheck:
    """Native checkpoint of a base with an adapter file, compared on frames of a file or of the demo data.

    A spin layer stays behind: `equisparse.adapters.adapter.SPINS_STAY` says so to the user.
    """
    adapter = load_adapter(adapter_file)
    adapter.check_mergeable()
    frames = read_frames(frames_file or "demo:valid")
    check_elements(backbone, [frame.atoms for frame in frames])
    make_folder(out.parent)
    return merge(backbone, adapter, out, [frame.atoms for frame in frames[:_COMPARED_FRAMES]])
