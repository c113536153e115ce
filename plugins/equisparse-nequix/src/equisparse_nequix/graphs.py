"""Neighbour graphs and batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from ase import Atoms
from ase.geometry import complete_cell
from matscipy.neighbours import neighbour_list
from torch import Tensor


@dataclass(frozen=True)
class Graph:
    """Atoms and edges of one frame, or of several.

    Parameters
    ----------
    species, numbers : Tensor, shape (n_atoms,), int64
        Indices of the elements in the model, and atomic numbers.
    frames : Tensor, shape (n_atoms,), int64
        Index of the frame of each atom.
    edges : Tensor, shape (2, n_edges), int64
        Receivers and senders; each edge is listed in both directions.
    vectors : Tensor, shape (n_edges, 3), Angstrom
        From the receiver of an edge to its sender.
    volumes : Tensor, shape (n_frames,), Angstrom^3
        Volumes of the cells; 1 for a frame without one.
    """

    species: Tensor
    numbers: Tensor
    frames: Tensor
    edges: Tensor
    vectors: Tensor
    volumes: Tensor

    def to(self, device: torch.device) -> "Graph":
        """The same graph on a device."""
        return Graph(**{field.name: getattr(self, field.name).to(device, non_blocking=True) for field in fields(self)})


def graph_of(atoms: Atoms, cutoff: float, species: Mapping[int, int], dtype: torch.dtype) -> Graph:
    """Graph of one frame; distances are computed in float64.

    Parameters
    ----------
    atoms : Atoms
    cutoff : float
        Angstrom.
    species : mapping of int to int
        Atomic number -> index in the model.
    dtype : torch.dtype
        Type of vectors and volumes.
    """
    receivers, senders, vectors = neighbour_list(
        "ijD", positions=atoms.positions, cell=complete_cell(atoms.cell), pbc=atoms.pbc, cutoff=cutoff
    )
    numbers, volume = atoms.numbers.tolist(), abs(float(atoms.cell.volume))
    return Graph(
        species=torch.tensor([species[z] for z in numbers]),
        numbers=torch.tensor(numbers),
        frames=torch.zeros(len(atoms), dtype=torch.int64),
        edges=torch.from_numpy(np.stack([receivers, senders]).astype(np.int64)),
        vectors=torch.from_numpy(vectors).reshape(-1, 3).to(dtype),
        volumes=torch.tensor([volume or 1.0], dtype=dtype),
    )


def joined(graphs: Sequence[Graph]) -> Graph:
    """Batch of graphs."""
    sizes = [len(graph.species) for graph in graphs]
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    return Graph(
        species=torch.cat([graph.species for graph in graphs]),
        numbers=torch.cat([graph.numbers for graph in graphs]),
        frames=torch.repeat_interleave(torch.tensor(sizes)),
        edges=torch.cat([graph.edges + start for graph, start in zip(graphs, starts, strict=True)], 1),
        vectors=torch.cat([graph.vectors for graph in graphs]),
        volumes=torch.cat([graph.volumes for graph in graphs]),
    )
