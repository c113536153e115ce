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
import matplotlib.pyplot as plt

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
print(f"{'':24} {'base':>9} {'tuned':>9}  measured")
for row in result.rows:
    print(f"{row.title:24} {row.base:9.3f} {row.adapted:9.3f}  {row.reference or '':<8}", row.unit)

# %% [markdown]
# More frames and epochs bring all of them closer: see [Properties](../properties.md). `report.html` in the folder of
# the run now has a section with the equations of state and the phonon bands of both models.

# %% [markdown]
# ## Draw the phonon bands
#
# The tables are in the folder of the run; `bands.csv` holds the frequencies along the path of high symmetry.

# %%
figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
bands = run.files.properties.bands.read()
for model, color in (("base", "C1"), ("fine-tuned", "C0")):
    for branch in range(6):
        line = [point for point in bands if (point.model, point.branch) == (model, branch)]
        label = model if branch == 0 else None
        axis.plot([point.x for point in line], [point.frequency_thz for point in line], color=color, label=label)
corners = {point.x: point.label for point in bands if point.label}
axis.set_xticks(list(corners), list(corners.values()))
axis.set(ylim=(0, None), ylabel="frequency (THz)")
axis.legend()
plt.show()

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
