"""Compute TM-O-Spin: 3d metals and monoxides, the same geometries in ferro- and antiferromagnetic order, with GPAW.

Spin-polarised PBE, with the U of the Materials Project on the oxides (Mn 3.9, Fe 5.3, Co 3.32, Ni 6.2 eV). Needs GPAW
>= 22.8 with its PAW setups and nothing of equisparse. Resumable: every converged frame is one file under ``--work``;
frames that are there are skipped, so the command can be killed and started again, and several workers can share one
folder::

    python scripts/make_tm_o_spin.py compute --work spin-work --worker 0/2 &
    python scripts/make_tm_o_spin.py compute --work spin-work --worker 1/2
    python scripts/make_tm_o_spin.py collect --work spin-work --out src/equisparse/demo

Each frame depends on its number and the seed alone; numbers 2 n and 2 n + 1 are the two orders of geometry n. A frame
that does not converge is recorded as failed and left out: gentler mixing brings FeO to other orbital states, half an eV
above. The cutoff is too low for stresses, which are not written.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.build import bulk

SEED = 20260619
GEOMETRIES = 9
"""Of each system, the first without strain and displacements."""
RUNGS = {"metal": 8, "oxide": 4}
"""Further geometries at even steps of volume: moments come and go with it, and a few at random leave gaps."""
WIDEST = 0.045
"""Strain of the first rung (compressed) and the last (stretched)."""
PARTS = {"train": (*range(6), 9, 10, *range(12, 17)), "valid": (6, 11), "test": (7, 8)}
"""Which of a system's geometries a split holds, rungs from 9 on: both orders of a geometry are together."""
OXIDES = {"Mn": (4.44, 3.9, 5.0), "Fe": (4.33, 5.3, 4.0), "Co": (4.26, 3.32, 3.0), "Ni": (4.18, 6.2, 2.0)}
"""Lattice constant (Angstrom), U (eV) and starting moment (muB)."""
METALS = {"Fe": ("bcc", 2.84, 2.5), "Cr": ("bcc", 2.87, 2.0), "Co": ("hcp", 2.49, 1.8), "Ni": ("fcc", 3.52, 0.8)}
"""Lattice, lattice constant (Angstrom) and starting moment (muB)."""
SYSTEMS = (*(f"{metal}O" for metal in OXIDES), *METALS)
RUNGS_OF = {system: RUNGS["metal" if system in METALS else "oxide"] for system in SYSTEMS}
COPIES = [(system, copy) for system in SYSTEMS for copy in range(GEOMETRIES)] + [
    (system, GEOMETRIES + rung) for rung in range(max(RUNGS.values())) for system in SYSTEMS if rung < RUNGS_OF[system]
]
"""System, and which of its copies, of every geometry."""
ORDERS = ("ferromagnetic", "antiferromagnetic")
SETTINGS = {
    "code": "GPAW, plane waves",
    "functional": "PBE, on oxides PBE+U (d shells, eV): " + ", ".join(f"{m} {row[1]}" for m, row in OXIDES.items()),
    "cutoff_ev": 400,
    "kpoints": "oxides 2x2x2, metals 5x5x5, Monkhorst-Pack",
    "occupations": "Fermi-Dirac 0.1 eV, energies extrapolated to zero width",
    "convergence": "energy 1e-5 eV per electron, density 5e-4, forces 1e-2 eV/Angstrom",
    "orders": "oxides: alternating (111) planes (AF-II); bcc: corner and centre; hcp and fcc: alternating planes",
}
SMALLEST = 0.1
"""Moment of a metal atom, muB, that still makes an order."""
MIXING = (0.1, 5, 50.0)
"""Weight of the new density, number of old ones, and damping of long waves."""


def make_frame(number):
    """Strained and rattled cell of one system in one order: two metal atoms, in oxides with two of oxygen."""
    geometry, order = divmod(number, len(ORDERS))
    system, copy = COPIES[geometry]
    atoms, moment = perfect_cell(system)
    if copy:
        rng = np.random.default_rng([SEED, geometry])
        strain = rng.normal(0.0, 0.015, (3, 3))
        if copy < GEOMETRIES:
            strain += rng.uniform(-0.04, 0.04) * np.eye(3)
        else:
            ladder = np.linspace(-WIDEST, WIDEST, RUNGS_OF[system])
            strain += (ladder[copy - GEOMETRIES] - strain.trace() / 3) * np.eye(3)
        atoms.set_cell(atoms.cell @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
        atoms.positions += rng.normal(0.0, rng.uniform(0.02, 0.08), atoms.positions.shape)
    signs = (1, 1) if ORDERS[order] == "ferromagnetic" else (1, -1)
    moments = np.zeros(len(atoms))
    moments[np.flatnonzero(atoms.numbers != 8)] = moment * np.array(signs)
    atoms.set_initial_magnetic_moments(moments)
    atoms.info |= {"config_type": f"{system}-{ORDERS[order]}", "system": system, "geometry": geometry}
    return atoms


def perfect_cell(system):
    """Cell with two metal atoms that alternate in the antiferromagnetic order, and their starting moment."""
    if system in METALS:
        lattice, a, moment = METALS[system]
        if lattice == "fcc":  # body-centred tetragonal cell with alternating (001) planes
            cell = np.diag([a / np.sqrt(2), a / np.sqrt(2), a])
            return Atoms([system] * 2, scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=cell, pbc=True), moment
        return bulk(system, lattice, a=a, **({"cubic": True} if lattice == "bcc" else {})), moment
    metal = system.removesuffix("O")
    a, _, moment = OXIDES[metal]
    cell = a * (0.5 * np.ones((3, 3)) + 0.5 * np.eye(3))
    places = np.array([0.0, 0.5, 0.25, 0.75])[:, None] * np.ones(3)
    return Atoms([metal] * 2 + ["O"] * 2, scaled_positions=places, cell=cell, pbc=True), moment


def compute(atoms, log):
    """Energy (eV, extrapolated), forces (eV/Angstrom) and moments (muB) with the settings above."""
    from gpaw import GPAW, PW, FermiDirac, MixerDif

    metal = str(atoms.symbols[0])
    oxide = 8 in atoms.numbers
    atoms.calc = GPAW(
        mode=PW(SETTINGS["cutoff_ev"]),
        xc="PBE",
        kpts={"size": (2, 2, 2) if oxide else (5, 5, 5), "gamma": False},
        setups={metal: f":d,{OXIDES[metal][1]}"} if oxide else {},
        occupations=FermiDirac(0.1),
        mixer=MixerDif(*MIXING),
        convergence={"energy": 1e-5, "density": 5e-4, "forces": 1e-2},
        maxiter=400,
        symmetry={"point_group": False},
        txt=str(log),
    )
    return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_magnetic_moments()


def total():
    """Number of frames."""
    return len(COPIES) * len(ORDERS)


def in_turn():
    """Numbers of all frames, one geometry of every system after the other: a run that is cut off holds all systems."""
    return sorted(range(total()), key=lambda number: (COPIES[number // len(ORDERS)][1], number))


def run(work, worker, workers):
    """Compute every frame of this worker that has no file yet."""
    from gpaw import KohnShamConvergenceError

    work.mkdir(parents=True, exist_ok=True)
    for number in in_turn()[worker::workers]:
        target, failed = work / f"{number:03d}.xyz", work / f"{number:03d}.failed"
        if target.exists() or failed.exists():
            continue
        start, atoms = time.time(), make_frame(number)
        try:
            energy, forces, moments = compute(atoms, work / f"{number:03d}.txt")
        except KohnShamConvergenceError as error:
            failed.write_text(f"{type(error).__name__}: {error}\n")
            outcome = "failed"
        else:
            write_frame(target, atoms, energy, forces, moments)
            outcome = f"{energy:.4f} eV"
        print(f"frame {number}: {atoms.info['config_type']} {outcome}, {time.time() - start:.0f} s", flush=True)


def write_frame(target, atoms, energy, forces, moments):
    """Write one converged frame at once."""
    atoms.calc = None
    atoms.info["REF_energy"] = float(energy)
    atoms.arrays["REF_forces"], atoms.arrays["REF_magmoms"] = np.array(forces), np.array(moments)
    part = target.with_suffix(".part")
    ase.io.write(part, atoms, format="extxyz")
    os.replace(part, target)


def state_of(frame):
    """What became of the order: kept (up to a flip of all), vanished (no moments are left), or another."""
    start = frame.get_initial_magnetic_moments()
    along = (np.sign(start) * frame.arrays["REF_magmoms"])[start != 0]
    if np.abs(along).max() < SMALLEST:
        return "vanished"
    return "kept" if along.min() > SMALLEST or along.max() < -SMALLEST else "another"


def collect(work, out):
    """Write all converged frames that did not go to another order, split by geometry, and where they come from."""
    import gpaw

    out.mkdir(parents=True, exist_ok=True)
    found = [ase.io.read(path) for path in sorted(work.glob("[0-9]*.xyz"))]
    states = [state_of(frame) for frame in found]
    frames = [frame for frame, state in zip(found, states, strict=True) if state != "another"]
    for frame in frames:
        frame.positions = frame.positions.round(6)
    for part, copies in PARTS.items():
        chosen = [frame for frame in frames if COPIES[frame.info["geometry"]][1] in copies]
        ase.io.write(out / f"tm_o_spin_{part}.xyz.gz", chosen, format="extxyz")
    geometries = [frame.info["geometry"] for frame in frames]
    provenance = {
        "system": "MnO, FeO, CoO, NiO, Fe, Cr, Co, Ni; strained and rattled; each geometry in two magnetic orders",
        "labels": {
            "initial_magmoms": "muB, input",
            "REF_energy": "eV, total",
            "REF_forces": "eV/Angstrom",
            "REF_magmoms": "muB, within the augmentation spheres, signed",
        },
        "settings": SETTINGS,
        "gpaw_version": gpaw.__version__,
        "seed": SEED,
        "frames": len(frames),
        "geometries_in_both_orders": sum(geometries.count(number) == 2 for number in set(geometries)),
        "moments_vanished": states.count("vanished"),
        "left_out_in_another_order": states.count("another"),
        "failed": sorted(path.stem for path in work.glob("*.failed")),
        "script": "scripts/make_tm_o_spin.py",
        "licence": "MIT, as this package",
    }
    (out / "tm_o_spin_provenance.json").write_text(json.dumps(provenance, indent=2) + "\n")
    print(json.dumps(provenance, indent=2))


def main(argv=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["compute", "collect"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--worker", default="0/1", help="K/N: this is worker K of N")
    parser.add_argument("--out", type=Path, default=Path("tm-o-spin"))
    options = parser.parse_args(argv)
    if options.action == "collect":
        collect(options.work, options.out)
    else:
        worker, workers = (int(part) for part in options.worker.split("/"))
        run(options.work, worker, workers)


if __name__ == "__main__":
    sys.exit(main())
