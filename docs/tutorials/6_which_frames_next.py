# %% [markdown]
# # Where does an ensemble not know, and which frames come next?
#
# An *ensemble* is several fine-tunes that differ in their seed. Where they disagree, none of them can be trusted. In
# this tutorial, molecular dynamics runs until an ensemble disagrees, and you choose the frames that are worth a DFT
# calculation. The base is a small model with random weights; for your own work, write `base="7net-0"`.

# %%
from pathlib import Path
from tempfile import mkdtemp

import ase.io
import numpy as np

import equisparse
from equisparse.data.demo import demo_files
from equisparse.testing.small_sevennet import write_small_sevennet

folder = Path(mkdtemp())
base = write_small_sevennet(folder / "base.pth")
demo = demo_files()
train = ase.io.read(demo.train, ":12")
valid = ase.io.read(demo.valid, ":6")

# %% [markdown]
# ## Train an ensemble
#
# Each member is trained on its own draw of the frames (`bootstrap`). Afterwards, the spread of the members is scaled so
# that it agrees with their errors on the validation frames.

# %%
ensemble = equisparse.ensemble(
    train,
    valid=valid,
    members=3,
    base=base,
    method=equisparse.Sparse(changed=0.03),
    epochs=20,
    batch_size=4,
    bootstrap=True,
    device="cpu",
    out=folder / "ensemble",
)
print(f"scale of the spread of the forces: {ensemble.ensemble.scales.forces:.2f}")

# %% [markdown]
# ## Where does it not know?
#
# The calculator of an ensemble gives a standard deviation for each component of the forces. Two frames: one of the
# training set, and the same crystal with one atom far from its place.

# %%
calculator = equisparse.calculator(base, ensemble.folder, device="cpu")
known = train[0].copy()
unknown = train[0].copy()
unknown.positions[0] += [0.5, 0.3, 0.0]
spreads = {}
for name, atoms in (("known", known), ("unknown", unknown)):
    atoms.calc = calculator
    deviation = calculator.get_property("forces_std", atoms)
    spreads[name] = np.sqrt((deviation**2).mean(axis=1)).max()
    print(f"{name}: {1000 * spreads[name]:.0f} meV/Å on the least certain atom")

# %% [markdown]
# ## Explore
#
# `explore` runs molecular dynamics with the mean forces, and stops where the spread crosses a limit: by default, twice
# the largest spread on the validation frames.

# %%
found = equisparse.explore(
    ensemble.folder,
    valid[:2],
    temperature=3000,
    steps=300,
    runs=2,
    every=5,
    out=folder / "explored.extxyz",
    trajectory=folder / "pool.extxyz",
    device="cpu",
)
print(f"limit: {found.limit_mev_per_ang:.0f} meV/Å")
for row in found.runs:
    print(row.formula, row.seed, row.stop or "all steps", f"{row.picoseconds:.3f} ps")

# %% [markdown]
# ## Which frames next?
#
# `select` takes the most uncertain frames of the pool, and from these such that differ from the training frames and
# from one another. The file is ready for DFT: it has no labels, and says why each frame was chosen.

# %%
chosen = equisparse.select_frames(
    [folder / "pool.extxyz", folder / "explored.extxyz"],
    ensemble.folder,
    n=5,
    out=folder / "next.extxyz",
    device="cpu",
)
for frame in chosen:
    print(frame.index, frame.reason)
