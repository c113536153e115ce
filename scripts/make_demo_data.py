"""Compute the demo data: MgO under lower-mantle conditions, r2SCAN energies and forces with GPAW.

Needs GPAW >= 22.8 with its PAW setups (Debian: ``apt-get install gpaw gpaw-data``) and nothing of equisparse.
Resumable: every converged frame is one file under ``--work``; frames that are there are skipped, so the
command can be killed and started again, and several workers can share one folder::

    python scripts/make_demo_data.py compute --work demo-work --worker 0/2 &
    python scripts/make_demo_data.py compute --work demo-work --worker 1/2
    python scripts/make_demo_data.py collect --work demo-work --out src/equisparse/demo

Each frame depends on its number and the seed alone. A frame that does not converge is recorded as failed and left out.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import ase
import ase.io
import numpy as np
from ase.build import bulk

SEED = 20260618
LATTICE_CONSTANT = 4.21  # Angstrom, rock salt MgO at ambient conditions
SPLITS = {"train": 100, "valid": 20, "test": 60}
SETTINGS = {
    "code": "GPAW, plane waves",
    "functional": "r2SCAN (MGGA_X_R2SCAN+MGGA_C_R2SCAN on PBE setups)",
    "cutoff_ev": 700,
    "kpoints": "2x2x2 Monkhorst-Pack",
    "occupations": "Fermi-Dirac 0.05 eV, energies extrapolated to zero width",
    "convergence": "energy 1e-5 eV per electron, forces 1e-3 eV/Angstrom",
}


def split_of(number):
    """Name of the split that frame `number` belongs to, by fixed ranges."""
    first = 0
    for name, size in SPLITS.items():
        if number < first + size:
            return name
        first += size
    raise ValueError(f"frame {number} is outside of 0..{first - 1}")


def make_frame(number):
    """Strained, compressed and rattled rock salt MgO, 8 atoms.

    Linear compression is uniform in 0.87..1.03 (about -10 to 150 GPa), strain normal with 2 % standard deviation,
    displacements normal with 0.03..0.18 Angstrom standard deviation, the width itself uniform.
    """
    rng = np.random.default_rng([SEED, number])
    compression = rng.uniform(0.87, 1.03)
    atoms = bulk("MgO", "rocksalt", a=LATTICE_CONSTANT * compression, cubic=True)
    strain = rng.normal(0.0, 0.02, (3, 3))
    atoms.set_cell(atoms.cell @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
    width = rng.uniform(0.03, 0.18) * compression
    atoms.positions += rng.normal(0.0, width, atoms.positions.shape)
    atoms.info["config_type"] = "compressed" if compression < 0.97 else "ambient"
    atoms.info["linear_compression"] = round(float(compression), 4)
    return atoms


def compute(atoms, log):
    """Energy (eV, extrapolated) and forces (eV/Angstrom) of `atoms` with the settings above."""
    from gpaw import GPAW, PW, FermiDirac

    atoms.calc = GPAW(
        mode=PW(SETTINGS["cutoff_ev"]),
        xc="MGGA_X_R2SCAN+MGGA_C_R2SCAN",
        kpts={"size": (2, 2, 2), "gamma": False},
        occupations=FermiDirac(0.05),
        convergence={"energy": 1e-5, "forces": 1e-3},
        symmetry={"point_group": False},
        txt=str(log),
    )
    return atoms.get_potential_energy(), atoms.get_forces()


def run(work, worker, workers):
    """Compute every frame of this worker that has no file yet."""
    work.mkdir(parents=True, exist_ok=True)
    for number in range(worker, sum(SPLITS.values()), workers):
        target, failed = work / f"{number:03d}.xyz", work / f"{number:03d}.failed"
        if target.exists() or failed.exists():
            continue
        atoms, start = make_frame(number), time.time()
        try:
            energy, forces = compute(atoms, work / f"{number:03d}.txt")
        except Exception as error:  # noqa: BLE001  GPAW raises its own types; the run goes on with the next frame
            failed.write_text(f"{type(error).__name__}: {error}\n")
            print(f"frame {number}: failed: {error}", flush=True)
            continue
        atoms.calc = None
        atoms.info["REF_energy"], atoms.arrays["REF_forces"] = float(energy), np.array(forces)
        part = target.with_suffix(".part")
        ase.io.write(part, atoms, format="extxyz")
        os.replace(part, target)
        print(f"frame {number}: {energy:.4f} eV, {time.time() - start:.0f} s", flush=True)


def collect(work, out):
    """Write train, valid and test as .xyz.gz with a provenance file beside them."""
    out.mkdir(parents=True, exist_ok=True)
    counts, code_version = {}, _gpaw_version(work)
    for name in SPLITS:
        numbers = [n for n in range(sum(SPLITS.values())) if split_of(n) == name]
        frames = [ase.io.read(work / f"{n:03d}.xyz") for n in numbers if (work / f"{n:03d}.xyz").exists()]
        for frame in frames:
            frame.positions = frame.positions.round(6)
        ase.io.write(out / f"mgo_{name}.xyz.gz", frames, format="extxyz")
        counts[name] = len(frames)
    provenance = {
        "system": "MgO, rock salt, 8 atoms, strained, compressed to lower-mantle densities and rattled",
        "labels": {"REF_energy": "eV, total", "REF_forces": "eV/Angstrom"},
        "settings": SETTINGS,
        "gpaw_version": code_version,
        "seed": SEED,
        "frames": counts,
        "failed": sorted(p.stem for p in work.glob("*.failed")),
        "script": "scripts/make_demo_data.py",
        "licence": "MIT, as this package",
    }
    (out / "provenance.json").write_text(json.dumps(provenance, indent=2) + "\n")
    print(json.dumps(counts))


def _gpaw_version(work):
    """Version of the code that made the frames, from the head of a log."""
    for log in sorted(work.glob("*.txt")):
        for line in log.read_text().splitlines()[:12]:
            word = line.replace("|", " ").split()
            if word and word[-1][:1].isdigit() and "." in word[-1]:
                return word[-1]
    return "unknown"


def main(argv=None):
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["compute", "collect"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--worker", default="0/1", help="K/N: this is worker K of N")
    parser.add_argument("--out", type=Path, default=Path("src/equisparse/demo"))
    options = parser.parse_args(argv)
    if options.action == "collect":
        collect(options.work, options.out)
    else:
        worker, workers = (int(part) for part in options.worker.split("/"))
        run(options.work, worker, workers)


if __name__ == "__main__":
    sys.exit(main())
