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
from equisparse.data.frames import LabelledFrame
from equisparse.data.split import FrameSplits
from equisparse.files import make_folder, replacing, write_rows, write_text
from equisparse.interpret.functional import functional_table
from equisparse.interpret.signatures import largest_entries, pooled_maps, signature_table
from equisparse.run.folder import ENTRIES, FINDINGS, FUNCTIONAL, MAPS, PREDICTIONS, SIGNATURES
from equisparse.run.predictions import Floats, SplitPredictions, save_predictions
from equisparse.training.dataset import reference_energy
from equisparse.training.predict import Evaluation

_FEW_FRAMES = 5


def write_findings(folder: Path, findings: Iterable[Finding]) -> None:
    """Write what the audit found as JSON."""
    write_text(folder / FINDINGS, json.dumps([asdict(finding) for finding in findings], indent=1) + "\n")


def write_predictions(
    folder: Path,
    splits: FrameSplits,
    before: Mapping[str, Evaluation],
    after: Mapping[str, Evaluation],
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
    frames: list[LabelledFrame], before: Evaluation, after: Evaluation, shifts: dict[int, float]
) -> SplitPredictions:
    """Arrays of one split."""
    shift = np.array([reference_energy(frame.atoms, shifts) for frame in frames])
    return SplitPredictions(
        source=np.array([Path(frame.source).name for frame in frames]),
        config_type=np.array([str(frame.atoms.info.get("config_type", "")) for frame in frames]),
        index=np.array([frame.index for frame in frames]),
        n_atoms=np.array([frame.n_atoms for frame in frames]),
        numbers=np.concatenate([frame.numbers for frame in frames]),
        positions=np.concatenate([frame.positions for frame in frames]),
        cell=np.stack([frame.cell for frame in frames]),
        energy=np.array([np.nan if frame.energy is None else frame.energy for frame in frames]),
        energy_before=before.energy + shift,
        energy_after=after.energy + shift,
        forces=np.concatenate([_or_nan(frame.forces, (frame.n_atoms, 3)) for frame in frames]),
        forces_before=np.concatenate(before.forces),
        forces_after=np.concatenate(after.forces),
        stress=np.stack([_or_nan(frame.stress, (3, 3)) for frame in frames]),
        stress_before=before.stress,
        stress_after=after.stress,
        **_split_moments(frames, before, after),
    )


def _split_moments(frames: list[LabelledFrame], before: Evaluation, after: Evaluation) -> dict[str, Floats]:
    """Moments of one split; nothing for models without spins, or without labels."""
    if before.moments is None or after.moments is None or all(frame.moments is None for frame in frames):
        return {}
    moments = np.concatenate([_or_nan(frame.moments, (frame.n_atoms, 3)) for frame in frames])
    predicted = {"moments_before": before, "moments_after": after}
    return {"moments": moments} | {name: found.moments_near(moments) for name, found in predicted.items()}


def _or_nan(label: Floats | None, shape: tuple[int, ...]) -> Floats:
    """A label, or NaN of its shape."""
    return np.full(shape, np.nan) if label is None else np.asarray(label, dtype=np.float64)
