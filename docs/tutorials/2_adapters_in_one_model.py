# %% [markdown]
# # Many adapters in one model
#
# A *bank* holds one base model and several adapters. You switch between them in the middle of a simulation. The base
# is a small model with random weights, and the adapters are fine-tunes of it on different frames of MgO.

# %%
from pathlib import Path
from tempfile import mkdtemp

import ase.io
import matplotlib.pyplot as plt
import numpy as np
from ase import units
from ase.md.verlet import VelocityVerlet

import equisparse
from equisparse.data.demo import demo_files
from equisparse.testing.small_sevennet import write_small_sevennet

folder = Path(mkdtemp())
base = write_small_sevennet(folder / "base.pth")
frames = ase.io.read(demo_files().train, ":16")

# %% [markdown]
# ## Train two adapters

# %%
adapters = {}
for name, part in (("first", frames[:8]), ("second", frames[8:])):
    run = equisparse.finetune(
        part,
        base=base,
        method=equisparse.Sparse(changed=0.03),
        epochs=4,
        device="cpu",
        out=folder / name,
    )
    adapters[name] = run.folder / "adapter.safetensors"

# %% [markdown]
# ## Switch in one molecular dynamics run
#
# Both calculators share the same model in memory.

# %%
bank = equisparse.bank(base, adapters, device="cpu")
calculators = {name: equisparse.calculator(bank, name) for name in adapters}
atoms = frames[0].copy()
energies = {}
for name, calculator in calculators.items():
    atoms.calc = calculator
    dynamics = VelocityVerlet(atoms, timestep=0.2 * units.fs)
    energies[name] = [atoms.get_potential_energy() for _ in dynamics.irun(5)]
    print(f"{name:6}  {energies[name][-1]:.3f} eV after {dynamics.nsteps} steps")

# %% [markdown]
# The potential energy jumps where the model changes: the two adapters were trained on different frames.

# %%
figure, axis = plt.subplots(figsize=(5, 3.2), layout="constrained")
for start, (name, values) in zip((0, 5), energies.items(), strict=True):
    axis.plot([0.2 * (start + step) for step in range(6)], values, "o-", label=f"adapter {name}")
axis.set(xlabel="time (fs)", ylabel="potential energy (eV)")
axis.legend()
plt.show()

# %% [markdown]
# ## Summary
#
# The two adapters give different forces. Each gives the same forces in the bank as in a model of its own, also after a
# switch.

# %%
structure = frames[1].copy()
forces = {}
for name, calculator in calculators.items():
    structure.calc = calculator
    forces[name] = structure.get_forces()
    alone = frames[1].copy()
    alone.calc = equisparse.calculator(base, adapters[name], device="cpu")
    assert np.allclose(forces[name], alone.get_forces(), atol=1e-4)
assert not np.allclose(forces["first"], forces["second"], atol=1e-3)
