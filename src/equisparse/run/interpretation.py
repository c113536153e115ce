"""Compute the tables that describe a change from an adapter and its base, and write them to the folder of a run."""

from collections.abc import Sequence

import numpy as np

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.data.frames import LabelledFrame
from equisparse.interpret.functional import functional_table
from equisparse.interpret.signatures import largest_entries, pooled_maps, signature_table
from equisparse.run.files import RunFolder

_FEW_FRAMES = 5


def write_interpretation(
    files: RunFolder, adapter: Adapter, backbone: AbstractBackbone, frames: Sequence[LabelledFrame]
) -> None:
    """Write signatures, largest entries, maps and functional changes of an adapter.

    Parameters
    ----------
    files : RunFolder
    adapter : Adapter
        If it cannot be merged into the weights, only functional changes are written.
    backbone : AbstractBackbone
        The untouched base; untouched again afterwards.
    frames : sequence of LabelledFrame
        Frames for the outputs of the layers; the first five are used.
    """
    if adapter.mergeable:
        _write_weights(files, adapter, backbone)
    chosen = frames[:_FEW_FRAMES]
    graphs = [backbone.graph(frame.atoms) for frame in chosen]
    numbers = np.concatenate([frame.numbers for frame in chosen])
    rows = functional_table(adapter, backbone.model, numbers, lambda: backbone.predict(backbone.collate(graphs)))
    if rows:
        files.functional.write(rows)


def _write_weights(files: RunFolder, adapter: Adapter, backbone: AbstractBackbone) -> None:
    """Write signatures, and entries and maps if any weight changed."""
    files.signatures.write(signature_table(adapter, backbone.model, backbone.element_order))
    entries = largest_entries(adapter, backbone.model)
    if entries:
        files.entries.write(entries)
        grids = pooled_maps(adapter, backbone.model)
        files.write_maps({block: grid.numpy() for block, grid in grids.items()})
