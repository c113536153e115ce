"""Tables of a run that its report is made from: predictions per frame, findings, and signatures of the change."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from equisparse.adapters.adapter import Adapter
from equisparse.backbones.base import AbstractBackbone
from equisparse.data.audit.finding import Finding
from equisparse.data.frames import Floats, LabelledFrame
from equisparse.data.split import FrameSplits
from equisparse.files import make_folder, replacing, write_rows, write_text
from equisparse.inference.dataset import join_labels, reference_energy
from equisparse.interpret.functional import functional_table
from equisparse.interpret.signatures import largest_entries, pooled_maps, signature_table
from equisparse.quantities import ENERGY, FORCES, STRESS, Quantity, all_quantities
from equisparse.run.folder import ENTRIES, FINDINGS, FUNCTIONAL, MAPS, PREDICTIONS, SIGNATURES
from equisparse.run.predictions import SplitPredictions, save_predictions

_FEW_FRAMES = 5
_ALWAYS = (ENERGY, FORCES, STRESS)
"""Quantities whose arrays are in every file of predictions."""


def write_findings(folder: Path, findings: Iterable[Finding]) -> None:
    """Write what the audit found as JSON."""
    write_text(folder / FINDINGS, json.dumps([asdict(finding) for finding in findings], indent=1) + "\n")


def write_predictions(
    folder: Path,
    splits: FrameSplits,
    before: Mapping[str, dict[Quantity, Floats]],
    after: Mapping[str, dict[Quantity, Floats]],
    adapter: Adapter,
) -> None:
    """Write labels and predictions of every split; both models get the adapter's reference energies."""
    make_folder(folder / PREDICTIONS)
    for name, frames in splits.items():
        found = _split_predictions(frames, before[name], after[name], dict(adapter.shifts))
        save_predictions(found, folder / PREDICTIONS / f"{name}.npz")


def write_signatures(folder: Path, adapter: Adapter, backbone: AbstractBackbone) -> None:
    """Write signatures, largest entries and maps of a change of the untouched base; nothing if no weights change."""
    if not adapter.mergeable:
        return
    make_folder((folder / SIGNATURES).parent)
    rows = signature_table(adapter, backbone.model, backbone.element_order)
    write_rows(folder / SIGNATURES, [asdict(row) for row in rows])
    entries = [asdict(row) for row in largest_entries(adapter, backbone.model)]
    if entries:
        write_rows(folder / ENTRIES, entries)
        grids: dict[str, Any] = {
            str(block): grid.numpy() for block, grid in pooled_maps(adapter, backbone.model).items()
        }
        with replacing(folder / MAPS) as file:
            np.savez_compressed(file, **grids)


def write_functional(folder: Path, adapter: Adapter, backbone: AbstractBackbone, frames: list[LabelledFrame]) -> None:
    """Write how far the outputs of the layers moved on a few frames, from the untouched base."""
    chosen = frames[:_FEW_FRAMES]
    graphs = [backbone.graph(frame.atoms) for frame in chosen]
    numbers = np.concatenate([frame.numbers for frame in chosen])
    rows = functional_table(adapter, backbone.model, numbers, lambda: backbone.predict(backbone.collate(graphs)))
    if rows:
        (folder / FUNCTIONAL).parent.mkdir(exist_ok=True)
        write_rows(folder / FUNCTIONAL, [asdict(row) for row in rows])


def _split_predictions(
    frames: list[LabelledFrame],
    before: Mapping[Quantity, Floats],
    after: Mapping[Quantity, Floats],
    shifts: Mapping[int, float],
) -> SplitPredictions:
    """Arrays of one split: of energy, forces and stress in any case, of other quantities where there are labels."""
    shift = np.array([reference_energy(frame.atoms, shifts) for frame in frames])
    labels = {quantity: np.full_like(after[quantity], np.nan) for quantity in _ALWAYS} | join_labels(frames)
    written = [q for q in all_quantities() if q in labels and q in before and q in after]
    return SplitPredictions(
        source=np.array([Path(frame.source).name for frame in frames]),
        config_type=np.array([str(frame.atoms.info.get("config_type", "")) for frame in frames]),
        index=np.array([frame.index for frame in frames]),
        n_atoms=np.array([frame.n_atoms for frame in frames]),
        numbers=np.concatenate([frame.numbers for frame in frames]),
        positions=np.concatenate([frame.positions for frame in frames]),
        cell=np.stack([frame.cell for frame in frames]),
        labels={quantity: labels[quantity] for quantity in written},
        before={quantity: before[quantity] for quantity in written} | {ENERGY: before[ENERGY] + shift},
        after={quantity: after[quantity] for quantity in written} | {ENERGY: after[ENERGY] + shift},
    )
