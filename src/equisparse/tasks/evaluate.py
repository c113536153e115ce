"""Errors of a base model, or of a base model with an adapter, on frames."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone, Predictor
from equisparse.data.frames import LabelledFrame
from equisparse.data.kept import structures_of
from equisparse.data.labels import LabelKeys, LabelUnits
from equisparse.data.summary import describe_labels, require_usable_labels
from equisparse.deploy.calculator import check_adapter, spin_model
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.errors import errors_of
from equisparse.inference.graphs import Budget
from equisparse.inference.structures import check_structures, warn_of_not_finite, warn_of_unfitted
from equisparse.inputs.adapters import AdapterLike, loaded_adapter
from equisparse.inputs.base import Base, LoadOptions, loaded_base
from equisparse.inputs.frames import Frames, demo_test_part, stream_loaded
from equisparse.inputs.spins import labelled_for
from equisparse.magnetism.model import SpinModel
from equisparse.tasks.listener import Listener
from equisparse.tasks.shared_work import evaluate_shared
from equisparse.training.group import process_group
from equisparse.training.options import ProcessOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack

Errors: TypeAlias = dict[str, float | None]
"""Name of an error (`equisparse.quantities.shown_errors`) -> its value; None where no frame has the label."""


def evaluate(
    frames: Frames,
    base: Base = "7net-0",
    adapter: AdapterLike | None = None,
    *,
    keys: LabelKeys | None = None,
    units: LabelUnits | None = None,
    listener: Listener | None = None,
    devices: int = 1,
    num_nodes: int = 1,
    **load_options: "Unpack[LoadOptions]",
) -> Errors:
    """Errors of a model on frames.

    Parameters
    ----------
    frames : files, globs, a packaged set, Atoms or labelled frames
        The name of a packaged set means its test part, because a model may have been trained on the other parts.
    base : str, Path or AbstractBackbone
        Base model; untouched afterwards.
    adapter : str, Path or Adapter, optional
        Adapter to apply, with its reference energies; without it, the errors are those of the base.
    keys, units
        Names and units of the labels.
    listener : Listener, optional
        Receives the counts and names of the labels; nothing is shown by default.
    devices, num_nodes : int
        Processes per node and number of nodes. The processes share the frames; the errors are those of one process, in
        every process.
    **load_options
        How a base given by name is loaded; see `equisparse.inputs.base.LoadOptions`.

    Returns
    -------
    dict of str to float or None
        Name of the error, such as ``force_mae_mev_per_ang``, and its value; None where no frame has the label.

    Raises
    ------
    EquisparseError
        If a file cannot be read, no frame has a label, a label, a position or a cell is not finite, or an element or
        the adapter does not fit the base.

    Warns
    -----
    EquisparseWarning
        If the adapter has no fitted reference energy for an element of the frames, or a prediction is not finite; the
        errors are then those of the other frames.
    """
    names = keys or LabelKeys()
    with process_group(ProcessOptions(devices=devices, num_nodes=num_nodes)) as group:
        shown = listener if listener and group.is_first else Listener()
        model = _Model.loaded(base, adapter, load_options)
        group.check_devices(model.backbone.device)
        dataset = _dataset(model, stream_loaded(demo_test_part(frames), model.keys(names), units), shown)
        with model.changed():
            predicted = evaluate_shared(model.predictor, dataset, group)
    if group.is_first:
        structures = structures_of(dataset.frames)
        warn_of_unfitted(model.shifts, structures)
        warn_of_not_finite(predicted, structures)
    return errors_of(predicted, dataset)


@dataclass(frozen=True)
class _Model:
    """A base with the adapter, if there is one, that is applied within `changed`."""

    backbone: AbstractBackbone
    adapter: Adapter | None
    spins: SpinModel | None

    @classmethod
    def loaded(cls, base: Base, adapter: AdapterLike | None, options: LoadOptions) -> "_Model":
        """Load base and adapter, and check that they belong together."""
        change = None if adapter is None else loaded_adapter(adapter)
        backbone = loaded_base(base, options)
        if change is None:
            return cls(backbone, None, None)
        check_adapter(backbone, change)
        return cls(backbone, change, spin_model(backbone, change))

    @property
    def predictor(self) -> Predictor:
        """What predicts: the base, or the base with its spin layer."""
        return self.spins or self.backbone

    @property
    def shifts(self) -> dict[int, float]:
        """Shifts of the reference energies, eV."""
        return dict(self.adapter.shifts) if self.adapter else {}

    def keys(self, keys: LabelKeys) -> LabelKeys:
        """Names of the labels that the model can be compared with."""
        return replace(keys, magnetic=self.spins is not None)

    def changed(self) -> AbstractContextManager[object]:
        """Apply the adapter within a block."""
        return self.adapter.applied(self.backbone.model) if self.adapter else nullcontext()


def _dataset(model: _Model, labelled: Sequence[LabelledFrame], listener: Listener) -> FrameDataset:
    """Frames that have labels and fit the model."""
    listener.notice("labels", describe_labels(labelled))
    require_usable_labels(labelled)
    check_structures(model.backbone, structures_of(labelled))
    if model.spins is not None:
        labelled = labelled_for(model.spins.layer.options, labelled)
    return FrameDataset(model.predictor, labelled, model.shifts, Budget(0.0))  # every graph is used once
