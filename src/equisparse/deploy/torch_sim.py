"""Model of TorchSim, which runs molecular dynamics and relaxations of many systems in one batch."""

from collections.abc import Iterator, Mapping

import torch
import torch_sim
from ase import Atoms
from torch import Tensor
from torch_sim.models.interface import ModelInterface

from equisparse.backbones.base import Predictor
from equisparse.data.frames import has_stress
from equisparse.inference.dataset import reference_energy
from equisparse.inference.structures import check_structures, warn_of_unfitted
from equisparse.quantities import ENERGY, FORCES, STRESS


class AdaptedModel(ModelInterface):  # type: ignore[misc]  # untyped where TorchSim is not installed
    """Energies, forces and stresses of all systems of a state, in one call of the model.

    Units are eV, eV/Angstrom and eV/Angstrom^3 with the sign of ASE, which are those of TorchSim. The neighbour graphs
    are built by the upstream of the base, system by system. The stress of a system without a volume is NaN.

    Parameters
    ----------
    backbone : Predictor
        Model; every call uses its present weights.
    shifts : mapping of int to float, optional
        Atomic number -> eV, added to the energy.
    """

    def __init__(self, backbone: Predictor, shifts: Mapping[int, float] | None = None) -> None:
        super().__init__()
        self._backbone, self._shifts = backbone, dict(shifts or {})
        self._device, self._dtype = backbone.device, backbone.dtype
        self._compute_stress = self._compute_forces = True

    def forward(self, state: torch_sim.SimState | dict[str, Tensor], **kwargs: object) -> dict[str, Tensor]:
        """Compute the results of a state; called by TorchSim.

        Parameters
        ----------
        state : torch_sim.SimState, or dict
            Systems; a dictionary holds the arguments of a state other than the masses.
        **kwargs
            Ignored.

        Returns
        -------
        dict
            ``energy``, shape (n_systems,), ``forces``, shape (n_atoms, 3), and ``stress``, shape (n_systems, 3, 3), in
            the precision of the state.

        Raises
        ------
        BackboneError
            If the base does not know an element.
        DataError
            If positions or cell vectors are not finite.
        """
        if isinstance(state, dict):
            state = torch_sim.SimState(masses=torch.ones_like(state["positions"][:, 0]), **state)
        frames = list(frames_of(state))
        check_structures(self._backbone, frames)
        warn_of_unfitted(self._shifts, frames)
        predicted = self._backbone.predict(self._backbone.collate([self._backbone.graph(frame) for frame in frames]))
        energy, stress = predicted[ENERGY].detach().double(), predicted[STRESS].detach().clone()
        energy += energy.new_tensor([reference_energy(frame, self._shifts) for frame in frames])
        stress[[not has_stress(frame) for frame in frames]] = torch.nan
        values = {"energy": energy, "forces": predicted[FORCES].detach(), "stress": stress}
        return {name: value.to(state.positions) for name, value in values.items()}


def frames_of(state: torch_sim.SimState) -> Iterator[Atoms]:
    """Systems of a state of TorchSim, in order.

    Parameters
    ----------
    state : torch_sim.SimState
        Periodicity is one value, one per direction, or one per system and direction.
    """
    positions, numbers, systems = (
        values.detach().cpu().numpy() for values in (state.positions, state.atomic_numbers, state.system_idx)
    )
    cells = state.row_vector_cell.detach().cpu().numpy()
    periodic = torch.as_tensor(state.pbc).cpu().expand(len(cells), 3).numpy()
    for index, (cell, pbc) in enumerate(zip(cells, periodic, strict=True)):
        chosen = systems == index
        yield Atoms(numbers[chosen], positions=positions[chosen], cell=cell, pbc=pbc)
