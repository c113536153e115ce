"""Errors of the adapters that a run keeps on its way to fewer changed weights."""

from collections.abc import Mapping

from equisparse.adapters.adapter import count_changes
from equisparse.adapters.file import load_adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.deploy.calculator import spin_model
from equisparse.inference.dataset import FrameDataset
from equisparse.run.files import RunFolder
from equisparse.run.sparsity import SparsityRow, sparsity_rows
from equisparse.tasks.stages import evaluate_all


def evaluate_stages(
    files: RunFolder, backbone: AbstractBackbone, datasets: Mapping[str, FrameDataset]
) -> list[SparsityRow]:
    """Errors on all sets but the training frames of the adapters of the stages before the last one.

    Parameters
    ----------
    files : RunFolder
    backbone : AbstractBackbone
        The untouched base; untouched again afterwards.
    datasets : mapping of str to FrameDataset
        Sets with the shifts of the reference energies.
    """
    judged = {name: dataset for name, dataset in datasets.items() if name != "train"}
    rows: list[SparsityRow] = []
    for path in files.stage_adapters():
        adapter = load_adapter(path)
        changes = count_changes(adapter, backbone.model)
        with adapter.applied(backbone.model):
            errors = evaluate_all(spin_model(backbone, adapter) or backbone, judged).metrics
        name = str(path.relative_to(files.path))
        rows += sparsity_rows(changes.count, changes.of_model, path.stat().st_size, name, errors)
    return rows
