# %% [markdown]
# # Elastic constants and phonons, before and after
#
# Small errors on test frames are not what you want a potential for. In this tutorial you fine-tune 7net-0 on twelve
# frames of MgO, and compare its lattice constant, bulk modulus, elastic constants and phonons with those of the base
# and with an experiment. Phonons need phonopy: `pip install 'equisparse[properties]'`.

# %%
from pathlib import Path
from tempfile import mkdtemp

import ase.io

import equisparse
from equisparse.data.demo import demo_files

folder = Path(mkdtemp())
demo = demo_files()
train = ase.io.read(demo.train, ":12")
valid = ase.io.read(demo.valid, ":4")

# %% [markdown]
# ## Fine-tune
#
# The frames have eight atoms; they are compressed, strained and displaced. Their energies and forces were computed with
# r2SCAN. 7net-0 was trained on PBE data, and its MgO is too large and too soft.

# %%
run = equisparse.finetune(
    train,
    valid=valid,
    base="7net-0",
    method="soft_threshold",
    epochs=8,
    batch_size=4,
    device="cpu",
    out=folder / "run",
    report=False,
)

# %% [markdown]
# ## Compare properties
#
# Without a file of structures, `properties` takes the frame of lowest energy of each composition among the frames of
# the run. Each model relaxes it: the disturbed cell of eight atoms becomes the primitive cell of rock salt.
#
# The reference values are those of an experiment at room temperature (elastic constants: Sinogeikin and Bass, Phys.
# Earth Planet. Inter. 120, 43, 2000); you can also give those of your own DFT.

# %%
measured = {"a_ang": 4.212, "bulk_modulus_gpa": 163.2, "c11_gpa": 297.9, "c12_gpa": 95.8, "c44_gpa": 154.4}
result = equisparse.properties(run, reference={"MgO": measured}, supercell=8.0, device="cpu")
for row in result.structures:
    print(row.structure, row.model, row.symmetry, row.notes)
for row in result.rows:
    print(f"{row.title:24} {row.base:9.3f} {row.adapted:9.3f}", row.reference or "", row.unit)

# %% [markdown]
# With the versions of `constraints.txt`, this is printed (base, fine-tuned, experiment):
#
# ```text
# MgO base Fm-3m (225)
# MgO fine-tuned Fm-3m (225)
# energy                      -8.160    -8.176  eV/atom
# volume                       9.627     9.524  Angstrom^3/atom
# a                            4.255     4.239 4.212 Angstrom
# bulk modulus               134.613   146.538 163.2 GPa
# C11                        222.014   249.965 297.9 GPa
# C12                         83.480    90.317 95.8 GPa
# C44                        102.735   120.310 154.4 GPa
# shear modulus               87.721   102.067  GPa
# highest phonon              16.988    17.782  THz
# lowest phonon                0.000     0.000  THz
# zero point energy           64.875    67.616  meV/atom
# heat capacity at 300 K      19.665    19.305  J/K/mol atoms
# ```
#
# More frames and epochs bring all of them closer: see [Properties](../properties.md). `report.html` in the folder of
# the run now has a section with the equations of state and the phonon bands of both models.

# %% [markdown]
# ## Summary
#
# Every measured property came closer to the experiment, and the crystal stayed stable: no phonon is imaginary.

# %%
rows = {row.name: row for row in result.rows}
for name, value in measured.items():
    assert abs(rows[name].adapted - value) < abs(rows[name].base - value), name
assert rows["lowest_phonon_thz"].adapted > -0.1
assert (run.folder / "report.html").is_file()
