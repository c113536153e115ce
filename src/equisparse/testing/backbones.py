"""Laws of backbones, as checks on a loaded model and frames of the caller's choice.

Derivatives and symmetries are best checked in float64. Each check raises AssertionError if its law is violated. Laws of
the layout of a backbone are in `equisparse.testing.backbone_layout`.
"""

import copy
import pickle
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray
from torch import Tensor

from equisparse.adapters.attach import written
from equisparse.backbones.base import AbstractBackbone, Predictor
from equisparse.backbones.prediction import Prediction
from equisparse.inference.pinned import pinned
from equisparse.quantities import ENERGY, FORCES, STRESS
from equisparse.testing.tolerances import ENERGY_TOLERANCE, FINITE_DIFFERENCE, FORCE_TOLERANCE, STRESS_TOLERANCE

_STEP = 2e-4
"""Displacement (Angstrom) and strain of the central differences."""


def predict(backbone: Predictor, frames: Sequence[Atoms]) -> Prediction:
    """Predict some frames as one batch."""
    return backbone.predict(backbone.collate([backbone.graph(atoms) for atoms in frames]))


def rattled(atoms: Atoms, seed: int, width: float = 0.1) -> Atoms:
    """Copy without any symmetry: displaced atoms and, if there is a cell, a strained cell.

    Parameters
    ----------
    atoms : Atoms
        It is not modified.
    seed : int
        Seed of the displacements.
    width : float
        Standard deviation of the displacements, Angstrom.
    """
    random = np.random.default_rng(seed)
    moved: Atoms = atoms.copy()
    if moved.pbc.any():
        moved.set_cell(moved.cell[:] @ (np.eye(3) + 0.03 * random.normal(size=(3, 3))), scale_atoms=True)
    moved.positions += width * random.normal(size=moved.positions.shape)
    return moved


def check_copies(backbone: AbstractBackbone, frames: Sequence[Atoms]) -> None:
    """Check that copies by `copy`, by `pickle` and for training predict the same and leave the backbone as it is."""
    before = predict(backbone, frames)
    stored = pickle.dumps(backbone)
    for made in (copy.deepcopy(backbone), pickle.loads(stored), backbone.copied()):  # noqa: S301  our own bytes
        made.check_untouched()
        for quantity, values in predict(made, frames).items():
            assert torch.equal(values, before[quantity]), f"{quantity.name} of a copy"
        with torch.no_grad():
            next(made.model.parameters()).add_(1.0)
    backbone.check_untouched()


def check_calculator(backbone: AbstractBackbone, calculator: Calculator, frames: Sequence[Atoms]) -> None:
    """Check that energy, forces and, for periodic frames, stress are equal to those of an ASE calculator."""
    prediction = predict(backbone, frames)
    forces = _by_frame(prediction[FORCES], frames)
    for index, atoms in enumerate(frames):
        copy = atoms.copy()
        copy.calc = calculator
        _energy(backbone, "energy", prediction[ENERGY][index], copy.get_potential_energy())
        _forces(backbone, "forces", forces[index], copy.get_forces())
        if atoms.pbc.all():
            _stress(backbone, "stress", prediction[STRESS][index], copy.get_stress(voigt=False))


def check_batching(backbone: Predictor, frames: Sequence[Atoms]) -> None:
    """Check that predictions do not depend on the other frames of a batch, nor on the memory in which it lies.

    Graphs are collated more than once.
    """
    graphs = [backbone.graph(atoms) for atoms in frames]
    together = backbone.predict(backbone.collate(graphs))
    forces = _by_frame(together[FORCES], frames)
    for index, graph in enumerate(graphs):
        alone = backbone.predict(backbone.collate([graph]))
        _energy(backbone, "energy alone", alone[ENERGY][0], together[ENERGY][index])
        _forces(backbone, "forces alone", alone[FORCES], forces[index])
        if frames[index].pbc.all():
            _stress(backbone, "stress alone", alone[STRESS][0], together[STRESS][index])
    _check_pinned(backbone, graphs, together)


def _check_pinned(backbone: Predictor, graphs: Sequence[object], expected: Prediction) -> None:
    """Check that a batch can be copied to pinned memory; other memory stands for it, so no GPU is needed."""
    copies: list[Tensor] = []

    def copied(tensor: Tensor) -> Tensor:
        copies.append(tensor.clone())
        return copies[-1]

    with patch.object(Tensor, "pin_memory", copied):
        batch = pinned(backbone.collate(graphs), torch.device("cuda"))
    assert copies, "no tensor of the batch was copied to pinned memory"
    for quantity, values in backbone.predict(batch).items():
        assert torch.equal(values, expected[quantity]), f"{quantity.name} from pinned memory"


def check_permutation(backbone: Predictor, atoms: Atoms) -> None:
    """Check that reordering the atoms reorders the forces and changes nothing else."""
    order = np.random.default_rng(0).permutation(len(atoms))
    before, after = predict(backbone, [atoms]), predict(backbone, [atoms[order]])
    _energy(backbone, "energy", after[ENERGY], before[ENERGY])
    _forces(backbone, "forces", after[FORCES], before[FORCES][torch.as_tensor(order)])
    _stress(backbone, "stress", after[STRESS], before[STRESS])


def check_translation(backbone: Predictor, atoms: Atoms) -> None:
    """Check invariance under translation of all atoms, and of single atoms by lattice vectors; forces sum to zero."""
    moved = atoms.copy()
    moved.positions += [0.3, -1.7, 5.1]
    if atoms.pbc.all():
        moved.positions += np.random.default_rng(0).integers(-1, 2, size=(len(atoms), 3)) @ atoms.cell[:]
    before, after = predict(backbone, [atoms]), predict(backbone, [moved])
    _energy(backbone, "energy", after[ENERGY], before[ENERGY])
    _forces(backbone, "forces", after[FORCES], before[FORCES])
    _forces(backbone, "total force", before[FORCES].sum(0), torch.zeros(3))


def check_rotation(backbone: AbstractBackbone, atoms: Atoms, *, improper: bool = True) -> None:
    """Check that forces and stress are equivariant under a rotation, and under a rotation with inversion.

    Parameters
    ----------
    backbone : AbstractBackbone
    atoms : Atoms
        A structure, best without symmetry.
    improper : bool
        Whether the model is equivariant under inversion; models whose irreps have no parity are not.
    """
    matrix = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    rotation = matrix * np.linalg.det(matrix)
    for turn in (rotation, -rotation) if improper else (rotation,):
        turned = atoms.copy()
        turned.set_cell(atoms.cell[:] @ turn.T)
        turned.positions = atoms.positions @ turn.T
        before, after = predict(backbone, [atoms]), predict(backbone, [turned])
        q = torch.as_tensor(turn).to(before[FORCES])
        _energy(backbone, "energy", after[ENERGY], before[ENERGY])
        _forces(backbone, "forces", after[FORCES], before[FORCES] @ q.T)
        if atoms.pbc.all():
            _stress(backbone, "stress", after[STRESS][0], q @ before[STRESS][0] @ q.T)


def check_supercell(backbone: Predictor, atoms: Atoms) -> None:
    """Check that a supercell of two cells has twice the energy, and the same forces and stress."""
    before, after = predict(backbone, [atoms]), predict(backbone, [atoms.repeat((2, 1, 1))])
    _energy(backbone, "energy", after[ENERGY], 2 * before[ENERGY])
    _forces(backbone, "forces", after[FORCES], before[FORCES].repeat(2, 1))
    _stress(backbone, "stress", after[STRESS], before[STRESS])


def check_forces(backbone: Predictor, atoms: Atoms, directions: int = 3) -> None:
    """Check forces against finite differences of the energy along random directions; float64."""
    random = np.random.default_rng(0)
    moves = [random.normal(size=atoms.positions.shape) for _ in range(directions)]
    slopes = _slopes(backbone, [(_moved(atoms, _STEP * m), _moved(atoms, -_STEP * m)) for m in moves])
    forces = predict(backbone, [atoms])[FORCES]
    analytic = torch.stack([-(forces * torch.as_tensor(m).to(forces)).sum() for m in moves])
    FINITE_DIFFERENCE.check("forces against finite differences", analytic, slopes)


def check_stress(backbone: Predictor, atoms: Atoms) -> None:
    """Check stress times volume against finite differences of the energy by strain; float64."""
    strains = [np.zeros((3, 3)) for _ in range(6)]
    for strain, (i, j) in zip(strains, [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)], strict=True):
        strain[i, j] += 0.5
        strain[j, i] += 0.5
    slopes = _slopes(backbone, [(_strained(atoms, _STEP * s), _strained(atoms, -_STEP * s)) for s in strains])
    stress = predict(backbone, [atoms])[STRESS][0] * atoms.get_volume()
    analytic = torch.stack([(stress * torch.as_tensor(strain).to(stress)).sum() for strain in strains])
    FINITE_DIFFERENCE.check("stress against finite differences", analytic, slopes)


def check_isolated_atoms(backbone: AbstractBackbone, number: int) -> None:
    """Check that an isolated atom has a finite energy and no force, and two distant atoms the sum of their energies."""
    alone, apart = Atoms([number], [[0, 0, 0]]), Atoms([number] * 2, [[0, 0, 0], [50, 0, 0]])
    prediction = predict(backbone, [alone, apart])
    assert torch.isfinite(prediction[ENERGY]).all(), "the energy of an isolated atom is not finite"
    _energy(backbone, "two atoms apart", prediction[ENERGY][1], 2 * prediction[ENERGY][0])
    _forces(backbone, "forces", prediction[FORCES], torch.zeros(3, 3))


def check_cutoff(backbone: AbstractBackbone, symbols: str, cutoff: float) -> None:
    """Check that energy and force of a dimer go to zero smoothly at the cutoff, and are zero beyond it; float64.

    Parameters
    ----------
    backbone : AbstractBackbone
        Model in float64.
    symbols : str
        Symbols of the two atoms, such as ``"MgO"``.
    cutoff : float
        Cutoff of the model, Angstrom.
    """
    distances = [cutoff - 0.1, cutoff - 0.01, cutoff - 1e-6, cutoff + 1e-6, cutoff + 1.0]
    prediction = predict(backbone, [Atoms(symbols, [[0, 0, 0], [distance, 0, 0]]) for distance in distances])
    energies = (prediction[ENERGY] - prediction[ENERGY][-1]).abs()
    forces = prediction[FORCES].reshape(len(distances), -1).abs().amax(1)
    for what, values in (("energy", energies), ("force", forces)):
        near, nearer, inside, outside, _ = values.tolist()
        assert nearer <= 0.2 * near + 1e-10, f"{what} does not die out towards the cutoff: {near:.3g}, {nearer:.3g}"
        assert inside <= 1e-3 * near + 1e-12, f"{what} jumps by {inside:.3g} at the cutoff"
        assert outside < 1e-12, f"{what} is {outside:.3g} beyond the cutoff"


def check_native(backbone: AbstractBackbone, path: Path, frames: Sequence[Atoms], shifts: Mapping[int, float]) -> None:
    """Check that the upstream reads a native file of changed weights, and predicts what the model does, plus shifts.

    Parameters
    ----------
    backbone : AbstractBackbone
        Model in the precision of native files; it is restored.
    path : Path
        Target of the file, which is not removed.
    frames : sequence of Atoms
        Frames to compare on.
    shifts : mapping of int to float
        Atomic number -> shift of the reference energy, eV; equal for elements that share a reference energy.
    """
    with perturbed(backbone):
        before = predict(backbone, frames)
        backbone.save_native(path, shifts)
        after = predict(backbone, frames)
    assert torch.equal(after[ENERGY], before[ENERGY]), "writing shifted energies changed the model"
    calculator, forces = backbone.upstream_calculator(path), _by_frame(before[FORCES], frames)
    for index, atoms in enumerate(frames):
        copy = atoms.copy()
        copy.calc = calculator
        added = sum(shifts.get(int(z), 0.0) for z in atoms.numbers)
        _energy(backbone, "energy of the native file", before[ENERGY][index] + added, copy.get_potential_energy())
        _forces(backbone, "forces of the native file", forces[index], copy.get_forces())


def check_reload(backbone: AbstractBackbone, path: Path, frames: Sequence[Atoms]) -> None:
    """Check that a native file of `check_native` can be loaded as a base, and agrees with the upstream."""
    precision = str(backbone.dtype).removeprefix("torch.")
    again = type(backbone).load(str(path), dtype=precision, modality=backbone.modality)
    assert again.layout() == backbone.layout(), "the layout of the native file differs"
    assert again.identity.sha256 != backbone.identity.sha256, "changed weights have the fingerprint of the base"
    check_calculator(again, backbone.upstream_calculator(path), frames)


def perturbed(backbone: AbstractBackbone, width: float = 0.1) -> AbstractContextManager[None]:
    """Change every tensor of the layout at random within the block, and restore it afterwards.

    Parameters
    ----------
    backbone : AbstractBackbone
        Model without an attached method.
    width : float
        Standard deviation of the changes, relative to the root mean square of each tensor.
    """
    generator = torch.Generator().manual_seed(0)
    weights: dict[str, Tensor] = {}
    for name in backbone.layout().tensors:
        weight = backbone.model.get_parameter(name).detach()
        noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64).to(weight)
        weights[name] = weight + width * weight.square().mean().sqrt() * noise
    return written(backbone.model, weights)


def check_symmetry_of_changes(backbone: AbstractBackbone, atoms: Atoms, *, improper: bool = True) -> None:
    """Check that random changes of all tensors keep the symmetries; parameters as in `check_rotation`."""
    before = predict(backbone, [atoms])[ENERGY]
    with perturbed(backbone):
        assert not torch.equal(predict(backbone, [atoms])[ENERGY], before), "nothing changed: an empty check"
        check_rotation(backbone, atoms, improper=improper)
        check_translation(backbone, atoms)
    assert torch.equal(predict(backbone, [atoms])[ENERGY], before), "the base was not restored"


def _slopes(backbone: Predictor, pairs: Sequence[tuple[Atoms, Atoms]]) -> Tensor:
    """Central differences of the energy, one per pair of frames."""
    energies = predict(backbone, [atoms for pair in pairs for atoms in pair])[ENERGY]
    return (energies[0::2] - energies[1::2]) / (2 * _STEP)


def _moved(atoms: Atoms, displacement: NDArray[np.float64]) -> Atoms:
    """Copy with displaced atoms."""
    copy: Atoms = atoms.copy()
    copy.positions += displacement
    return copy


def _strained(atoms: Atoms, strain: NDArray[np.float64]) -> Atoms:
    """Copy with strained cell and positions."""
    copy: Atoms = atoms.copy()
    copy.set_cell(atoms.cell[:] @ (np.eye(3) + strain), scale_atoms=True)
    return copy


def _by_frame(forces: Tensor, frames: Sequence[Atoms]) -> tuple[Tensor, ...]:
    """Forces of each frame."""
    return torch.split(forces, [len(atoms) for atoms in frames])


def _energy(backbone: Predictor, what: str, actual: Tensor, expected: object) -> None:
    """Compare with the tolerance of energies."""
    ENERGY_TOLERANCE[backbone.dtype].check(what, actual, torch.as_tensor(expected, dtype=torch.float64))


def _forces(backbone: Predictor, what: str, actual: Tensor, expected: object) -> None:
    """Compare with the tolerance of forces, which grows with the largest force."""
    values = torch.as_tensor(expected, dtype=torch.float64)
    FORCE_TOLERANCE[backbone.dtype].check(what, actual, values.expand_as(actual) if values.ndim == 1 else values)


def _stress(backbone: Predictor, what: str, actual: Tensor, expected: object) -> None:
    """Compare with the tolerance of stresses."""
    STRESS_TOLERANCE[backbone.dtype].check(what, actual, torch.as_tensor(expected, dtype=torch.float64))
