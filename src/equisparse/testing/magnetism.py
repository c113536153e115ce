"""Laws of models with spins, as checks on a model and frames with initial magnetic moments.

The checks work best in float64, with a layer to which `trained_at_random` has given random weights. Each check raises
AssertionError if its law is violated. The checks of batching, permutation, translation, supercells, and finite
differences of forces and stress in `equisparse.testing.backbones` also accept such a model.
"""

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from torch import Tensor

from equisparse.backbones.base import AbstractBackbone
from equisparse.backbones.prediction import Prediction
from equisparse.magnetism.layer import SpinLayer
from equisparse.magnetism.model import SpinModel, new_layer, spins_of
from equisparse.quantities import ENERGY, FORCES, MAGNETIC_FORCES, MOMENTS, STRESS, Quantity
from equisparse.testing.backbones import check_batching, check_forces, check_stress, predict
from equisparse.testing.periodicity import check_derivatives, check_equal_cells, structures
from equisparse.testing.tolerances import ENERGY_TOLERANCE, FINITE_DIFFERENCE, FORCE_TOLERANCE, STRESS_TOLERANCE

_STEP = 1e-4
"""Change of a spin in central differences, muB."""


@torch.no_grad()
def trained_at_random(layer: SpinLayer, seed: int = 0) -> SpinLayer:
    """Set random weights everywhere in a layer, as if it had been trained: energies of about 0.1 eV."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in layer.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        width = 0.1 if parameter.ndim == 1 else parameter.shape[-1] ** -0.5
        parameter.copy_(noise * (0.3 * width if "out" in name else width))
    return layer


def with_spins(atoms: Atoms, spins: NDArray[np.float64]) -> Atoms:
    """Copy with other input spins, shape (n_atoms,) or (n_atoms, 3), muB."""
    copy: Atoms = atoms.copy()
    copy.set_initial_magnetic_moments(None)  # ASE would keep the shape of the present moments
    copy.set_initial_magnetic_moments(spins)
    return copy


def random_spins(atoms: Atoms, seed: int, size: float = 2.0) -> Atoms:
    """Copy with random spins of lengths around `size` (muB); a fifth of the atoms, at least one, have none."""
    random = np.random.default_rng(seed)
    spins = size * random.normal(size=(len(atoms), 3))
    spins[random.permutation(len(atoms))[: max(1, len(atoms) // 5)]] = 0.0
    return with_spins(atoms, spins)


def check_laws(
    backbone: AbstractBackbone, frames: Sequence[Atoms], symbol: str, layers: int, *, spin_orbit: bool
) -> None:
    """Check all laws of this module, and those of backbones that a spin layer could break, with random weights.

    Parameters
    ----------
    backbone : AbstractBackbone
        Backbone in float64 that is equivariant under inversion.
    frames : sequence of Atoms
        Frames, which get random spins; the first must be periodic.
    symbol : str
        Element of the chains and dimers that the checks make.
    layers : int
        Number of interaction layers of the backbone.
    spin_orbit : bool
        Whether the layer has spin-orbit terms.
    """
    layer = new_layer(backbone, cutoff=4.0, channels=12, spin_orbit=spin_orbit)
    model = SpinModel(backbone, trained_at_random(layer))
    frames = [random_spins(atoms, seed) for seed, atoms in enumerate(frames)]
    check_no_spins(model, frames)
    for atoms in frames:
        check_time_reversal(model, atoms)
        check_rotation(model, atoms)
        check_permutation(model, atoms)
        check_magnetic_forces(model, atoms)
        check_forces(model, atoms, directions=2)
    check_stress(model, frames[0])
    check_periodicities(model, symbol)
    check_batching(model, frames)
    (check_spin_orbit if spin_orbit else check_spin_rotation)(model, frames[0])
    check_locality(model, symbol, layers)
    check_smooth(model, symbol)


def check_periodicities(model: SpinModel, symbol: str) -> None:
    """Check forces and stress of molecules, slabs, wires, crystals and isolated atoms with random spins; float64.

    Parameters
    ----------
    model : SpinModel
    symbol : str
        Element of all atoms.
    """
    frames = structures((symbol, symbol), vacuum=6 + 2.1 * model.backbone.cutoff)
    spinning = {name: random_spins(atoms, seed) for seed, (name, atoms) in enumerate(frames.items())}
    check_derivatives(model, spinning)
    check_equal_cells(model, spinning["slab"])


def check_time_reversal(model: SpinModel, atoms: Atoms) -> None:
    """Check that the reversal of all spins reverses moments and magnetic forces, and changes nothing else."""
    before, after = predict(model, [atoms]), predict(model, [with_spins(atoms, -spins_of(atoms))])
    _same(model, "under time reversal", after, before)
    _check_axial(model, "under time reversal", after, before, -torch.eye(3))


def check_spin_rotation(model: SpinModel, atoms: Atoms) -> None:
    """Check that, without spin-orbit terms, a rotation of spins rotates moments and magnetic forces, nothing else."""
    turn = _rotation(1)
    before, after = predict(model, [atoms]), predict(model, [with_spins(atoms, spins_of(atoms) @ turn.T)])
    _same(model, "under a rotation of the spins", after, before)
    _check_axial(model, "under a rotation of the spins", after, before, torch.as_tensor(turn))


def check_spin_orbit(model: SpinModel, atoms: Atoms) -> None:
    """Check that, with spin-orbit terms, a rotation of the spins alone changes the energy."""
    turned = with_spins(atoms, spins_of(atoms) @ _rotation(1).T)
    before, after = predict(model, [atoms])[ENERGY], predict(model, [turned])[ENERGY]
    assert float((after - before).abs()) > 1e-4, "no energy depends on the direction of the spins in the lattice"


def check_rotation(model: SpinModel, atoms: Atoms, *, improper: bool = True) -> None:
    """Check rotations of atoms and spins: spins, moments and magnetic forces are axial vectors, forces polar ones.

    Parameters
    ----------
    model : SpinModel
    atoms : Atoms
        A structure, best without symmetry.
    improper : bool
        Whether the backbone is equivariant under inversion.
    """
    rotation = _rotation(0)
    for turn in (rotation, -rotation) if improper else (rotation,):
        axial = np.linalg.det(turn) * turn
        turned = with_spins(atoms, spins_of(atoms) @ axial.T)
        turned.set_cell(atoms.cell[:] @ turn.T)
        turned.positions = atoms.positions @ turn.T
        before, after = predict(model, [atoms]), predict(model, [turned])
        q = torch.as_tensor(turn).to(before[FORCES])
        ENERGY_TOLERANCE[model.dtype].check("energy under rotation", after[ENERGY], before[ENERGY])
        FORCE_TOLERANCE[model.dtype].check("forces under rotation", after[FORCES], before[FORCES] @ q.T)
        if atoms.pbc.all():
            STRESS_TOLERANCE[model.dtype].check("stress under rotation", after[STRESS][0], q @ before[STRESS][0] @ q.T)
        _check_axial(model, "under rotation", after, before, torch.as_tensor(axial))


def check_no_spins(model: SpinModel, frames: Sequence[Atoms]) -> None:
    """Check that frames without spins have the backbone's predictions, bit for bit, also beside frames with spins."""
    bare = [with_spins(atoms, np.zeros(len(atoms))) for atoms in frames]
    expected, actual = predict(model.backbone, bare), predict(model, bare)
    for quantity, values in expected.items():
        assert torch.equal(actual[quantity], values), f"{quantity.name} is not that of the backbone"
    assert not actual[MOMENTS].any(), "moments without spins"
    mixed = [*bare, *frames]
    expected, actual = predict(model.backbone, mixed), predict(model, mixed)
    assert torch.equal(actual[ENERGY][: len(bare)], expected[ENERGY][: len(bare)]), "energy beside frames with spins"
    assert not torch.equal(actual[ENERGY][len(bare) :], expected[ENERGY][len(bare) :]), (
        "spins change nothing: empty check"
    )
    n_atoms = sum(map(len, bare))
    assert torch.equal(actual[FORCES][:n_atoms], expected[FORCES][:n_atoms]), "forces beside frames with spins"


def check_permutation(model: SpinModel, atoms: Atoms) -> None:
    """Check that reordering the atoms reorders moments and magnetic forces."""
    order = np.random.default_rng(0).permutation(len(atoms))
    before, after = predict(model, [atoms]), predict(model, [atoms[order]])
    ENERGY_TOLERANCE[model.dtype].check("energy of renumbered atoms", after[ENERGY], before[ENERGY])
    for quantity in _axial(before):
        what = f"{quantity.name} of renumbered atoms"
        FORCE_TOLERANCE[model.dtype].check(what, after[quantity], before[quantity][order])


def check_magnetic_forces(model: SpinModel, atoms: Atoms, directions: int = 3) -> None:
    """Check magnetic forces against finite differences of the energy by spins along random directions; float64."""
    random, spins = np.random.default_rng(0), spins_of(atoms)
    moves = [random.normal(size=spins.shape) * (spins.any(1, keepdims=True) | _free(model)) for _ in range(directions)]
    pairs = [with_spins(atoms, spins + sign * _STEP * move) for move in moves for sign in (1, -1)]
    energies = predict(model, pairs)[ENERGY]
    forces = predict(model, [atoms])[MAGNETIC_FORCES]
    analytic = torch.stack([-(forces * torch.as_tensor(move).to(forces)).sum() for move in moves])
    FINITE_DIFFERENCE.check("magnetic forces", analytic, (energies[0::2] - energies[1::2]) / (2 * _STEP))
    assert float(analytic.abs().max()) > 1e-4, "no magnetic forces: an empty check"


def check_locality(model: SpinModel, symbol: str, layers: int) -> None:
    """Check that the reversal of a spin changes moments and magnetic forces only within the reach of the spin layer.

    Atoms beyond the reach of all `layers` of the backbone have unchanged forces, too. The structure is a chain.
    """
    cutoff, n_atoms = model.layer.options.cutoff, 24
    spacing = 0.45 * cutoff
    chain = Atoms([symbol] * n_atoms, [[spacing * i, 0.3 * (i % 2), 0.0] for i in range(n_atoms)])
    spins = 2.0 * np.random.default_rng(0).normal(size=(n_atoms, 3))
    other = spins.copy()
    other[0] = -other[0]
    before, after = predict(model, [with_spins(chain, spins)]), predict(model, [with_spins(chain, other)])
    far = chain.get_distances(0, range(n_atoms)) > 2 * cutoff  # site energies depend on sums over neighbours
    for quantity in _axial(before):
        one, two, name = before[quantity], after[quantity], quantity.name
        assert torch.equal(one[far], two[far]), f"{name} of an atom out of reach changed"
        assert not torch.equal(one[1], two[1]), f"{name} of the neighbour did not change: an empty check"
    beyond = chain.get_distances(0, range(n_atoms)) > (layers + 2) * cutoff
    assert beyond.any(), "the chain is too short"
    FORCE_TOLERANCE[model.dtype].check("force out of reach", after[FORCES][beyond], before[FORCES][beyond])


def check_smooth(model: SpinModel, symbol: str) -> None:
    """Check that the exchange energy of a dimer goes to zero smoothly at the cutoff of the layer; float64."""
    cutoff = model.layer.options.cutoff
    energies = []
    for distance in (cutoff - 0.1, cutoff - 0.01, cutoff - 1e-6, cutoff + 1e-6):
        pair = Atoms([symbol] * 2, [[0, 0, 0], [distance, 0, 0]])
        both = [with_spins(pair, np.array([2.0, sign * 2.0])) for sign in (1, -1)]
        energy = predict(model, both)[ENERGY]
        energies.append(float((energy[0] - energy[1]).abs()))
    near, nearer, inside, outside = energies
    assert near > 1e-9, "no exchange near the cutoff: an empty check"
    assert nearer <= 0.1 * near + 1e-12, f"exchange does not die out: {near:.3g}, {nearer:.3g}"
    assert inside <= 1e-6 * near + 1e-12, f"exchange jumps by {inside:.3g} at the cutoff"
    assert outside < 1e-12, f"exchange of {outside:.3g} beyond the cutoff"


def _free(model: SpinModel) -> bool:
    """Return whether spins have free lengths, so that an atom without a spin can get a small one."""
    return model.layer.options.input == "given"


def _rotation(seed: int) -> NDArray[np.float64]:
    """Random proper rotation, shape (3, 3)."""
    matrix = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return np.asarray(matrix * np.linalg.det(matrix))


def _axial(prediction: Prediction) -> list[Quantity]:
    """Quantities of a prediction that are one axial vector per atom."""
    return [quantity for quantity in (MOMENTS, MAGNETIC_FORCES) if quantity in prediction]


def _same(model: SpinModel, where: str, after: Prediction, before: Prediction) -> None:
    """Check that energy, forces and stress are equal."""
    ENERGY_TOLERANCE[model.dtype].check(f"energy {where}", after[ENERGY], before[ENERGY])
    FORCE_TOLERANCE[model.dtype].check(f"forces {where}", after[FORCES], before[FORCES])
    STRESS_TOLERANCE[model.dtype].check(f"stress {where}", after[STRESS], before[STRESS])


def _check_axial(model: SpinModel, where: str, after: Prediction, before: Prediction, turn: Tensor) -> None:
    """Check that moments and magnetic forces are rotated, and are not zero."""
    for quantity in _axial(before):
        vectors = before[quantity]
        assert float(vectors.abs().max()) > 1e-6, f"{quantity.name} are zero: an empty check"
        FORCE_TOLERANCE[model.dtype].check(f"{quantity.name} {where}", after[quantity], vectors @ turn.to(vectors).T)
