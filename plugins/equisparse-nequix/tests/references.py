"""Write references.json, where nequix is installed: ``python references.py FOLDER``, that of the published models.

Energies (eV), forces (eV/Angstrom) and stresses (eV/Angstrom^3, ASE's order) are those of nequix's own model in
float64, so that they can be compared more closely than its calculator, which uses float32, allows.
"""

import json
import sys
from pathlib import Path

import equinox
import jax
import jax.numpy as jnp
import jraph
import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from ase.stress import full_3x3_to_voigt_6_stress
from matscipy.neighbours import neighbour_list
from nequix.data import atomic_numbers_to_indices, dict_to_graphstuple
from nequix.model import Nequix, load_model

MODELS = ("nequix-mp-1", "nequix-oam-1")


def structures() -> list[Atoms]:
    """A crystal, a molecule and a metal, without symmetry and with few digits."""
    frames = [bulk("MgO", "rocksalt", a=4.2), molecule("CH3CH2OH"), bulk("Cu", "fcc", a=3.6)]
    frames[0].rattle(0.1, seed=0)
    frames[1].rattle(0.1, seed=1)
    for atoms in frames:
        if atoms.pbc.all():
            atoms.set_cell(atoms.cell[:] @ [[1.01, 0.01, 0], [0, 0.98, 0.02], [0, 0, 1]], scale_atoms=True)
            atoms.set_cell(np.round(atoms.cell[:], 3))
        atoms.positions = np.round(atoms.positions, 3)
    return frames


def predicted(model: Nequix, numbers: list[int], cutoff: float, atoms: Atoms) -> dict[str, object]:
    """Results of the model for one structure."""
    cell = atoms.cell[:] if atoms.pbc.all() else 100 * np.eye(3)
    first, second, shifts = neighbour_list("ijS", positions=atoms.positions, cell=cell, pbc=atoms.pbc, cutoff=cutoff)
    indices = atomic_numbers_to_indices(numbers)
    graph = dict_to_graphstuple(
        {
            "n_node": np.array([len(atoms)]),
            "n_edge": np.array([len(first)]),
            "senders": second,
            "receivers": first,
            "species": np.array([indices[z] for z in atoms.numbers.tolist()]),
            "positions": jnp.array(atoms.positions),
            "shifts": jnp.array(shifts, dtype=float),
            "cell": jnp.array(cell),
        }
    )
    padded = jraph.pad_with_graphs(graph, len(atoms) + 1, len(first), 2)  # the last graph is taken for padding
    energy, forces, stress = equinox.filter_jit(model)(padded)
    found = {"energy": float(energy[0]), "forces": np.round(forces[: len(atoms)], 10).tolist()}
    if atoms.pbc.all():
        found["stress"] = np.round(full_3x3_to_voigt_6_stress(np.array(stress[0])), 12).tolist()
    return found


def main(folder: Path) -> None:
    """Write the file next to this one."""
    frames, results = structures(), {}
    models = {name: load_model(folder / f"{name}.nqx") for name in MODELS}
    jax.config.update("jax_enable_x64", True)  # not before: files are read in the default precision
    for name, (model, config) in models.items():
        arrays, rest = equinox.partition(model, equinox.is_inexact_array)
        model = equinox.combine(jax.tree.map(lambda array: array.astype(jnp.float64), arrays), rest)
        results[name] = [predicted(model, config["atomic_numbers"], config["cutoff"], atoms) for atoms in frames]
    written = [
        {
            "symbols": str(atoms.symbols),
            "positions": atoms.positions.tolist(),
            "cell": atoms.cell.array.tolist(),
            "pbc": bool(atoms.pbc.all()),
        }
        for atoms in frames
    ]
    lines = {"structures": written, "models": results}
    Path(__file__).with_name("references.json").write_text(json.dumps(lines, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
