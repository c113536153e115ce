# %% [markdown]
# # Where does an ensemble not know, and which frames come next?
#
# An *ensemble* is several fine-tunes that differ in their seed. Where they disagree, none of them can be trusted. In
# this tutorial, molecular dynamics of MgO runs until an ensemble disagrees, and you choose the frames that are worth a
# DFT calculation. The base is a small model with random weights, which has learnt nothing; so each member begins from
# random weights of its own (method `scratch`). For your own work, write `base="7net-0"` and leave the method out.

# %%
from pathlib import Path
from tempfile import mkdtemp

import ase.io
import matplotlib.pyplot as plt
import numpy as np

import equisparse
from equisparse.data.demo import demo_files
from equisparse.testing.small_sevennet import write_small_sevennet

folder = Path(mkdtemp())
base = write_small_sevennet(folder / "base.pth")
demo = demo_files()
train = ase.io.read(demo.train, ":24")
valid = ase.io.read(demo.valid, ":8")

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
    method="scratch",
    epochs=40,
    batch_size=4,
    bootstrap=True,
    device="cpu",
    out=folder / "ensemble",
)
print(f"scale of the spread of the forces: {ensemble.ensemble.scales.forces:.2f}")

# %% [markdown]
# ## Where does it not know?
#
# The calculator of an ensemble gives a standard deviation for each component of the forces. The spread of a frame is
# the root mean square over the components of its least certain atom. Compare a training frame with the same frame
# after one atom was moved far from its place.

# %%
calculator = equisparse.calculator(base, ensemble.folder, device="cpu")
known, unknown = train[1].copy(), train[1].copy()
unknown.positions[0] += [0.8, 0.5, 0.0]
spreads = []
for atoms in (known, unknown):
    deviation = calculator.get_property("forces_std", atoms)
    spreads.append(1000 * np.sqrt((deviation**2).mean(axis=1)).max())
print(f"known: {spreads[0]:.0f} meV/Å, unknown: {spreads[1]:.0f} meV/Å")

# %% [markdown]
# ## Explore
#
# `explore` runs molecular dynamics with the mean forces, and stops where the spread crosses a limit: by default, three
# times the median over the validation frames. Close to the melting point, a crystal soon leaves what the members know.

# %%
found = equisparse.explore(
    ensemble.folder,
    valid[:6],
    temperature=3000,
    steps=100,
    every=5,
    out=folder / "explored.extxyz",
    trajectory=folder / "pool.extxyz",
    device="cpu",
)
print(f"limit: {found.limit_mev_per_ang:.0f} meV/Å")
for row in found.runs:
    print(row.stop or "all steps", f"{row.picoseconds:.3f} ps, {row.largest_force_std_mev_per_ang:.0f} meV/Å")

# %% [markdown]
# Each point is a frame of one of the runs. The frames at which a run stopped are crosses. A run that stops at once
# starts from a strongly compressed cell, which the ensemble does not know.

# %%
figure, axis = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
for frames, marker, label in ((found.recorded, ".", "recorded"), (found.frames, "x", "stopped here")):
    times = [1000 * atoms.info["picoseconds"] for atoms in frames]
    axis.plot(times, [1000 * atoms.info["force_std"] for atoms in frames], marker, label=label)
axis.axhline(found.limit_mev_per_ang, color="gray", linestyle="--", label="limit")
axis.set(yscale="log", xlabel="time (fs)", ylabel="spread of the forces (meV/Å)")
axis.legend()
plt.show()

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

# %% [markdown]
# ## Summary
#
# The spread is larger where the ensemble has seen nothing like it; dynamics stopped where it crossed the limit; and the
# chosen frames are uncertain, and no two of them are alike.

# %%
assert spreads[1] > 2 * spreads[0]
stopped = [row for row in found.runs if row.stop == "uncertain"]
assert stopped
assert all(row.largest_force_std_mev_per_ang > found.limit_mev_per_ang for row in stopped)
assert max(frame.rank for frame in chosen) <= 25  # five per frame to choose
assert min(frame.distance_ang for frame in chosen) > 0.02
assert "reason" in ase.io.read(folder / "next.extxyz", 0).info
