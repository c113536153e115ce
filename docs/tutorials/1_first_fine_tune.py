# %% [markdown]
# # A first fine-tune
#
# You fine-tune a small model on eight frames of MgO that come with the package, use the result in ASE, and store it as
# an adapter. The base is a small model with random weights, so the errors are far above those of a real model. For your
# own work, write `base="7net-0"`.

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
train = ase.io.read(demo.train, ":8")
valid = ase.io.read(demo.valid, ":4")
test = ase.io.read(demo.test, ":4")

# %% [markdown]
# ## Fine-tune
#
# Three percent of the weights may change. The folder then contains `report.html`, the adapter and a merged checkpoint.

# %%
method = equisparse.Sparse(changed=0.03)
run = equisparse.finetune(
    train,
    valid=valid,
    test=test,
    base=base,
    method=method,
    epochs=20,
    batch_size=4,
    device="cpu",
    out=folder / "run",
)
print(*sorted(path.name for path in run.folder.iterdir()), sep="\n")

# %% [markdown]
# ## Compare the errors with those of the base
#
# `evaluate` gives mean absolute errors; forces are in meV/Å.

# %%
before = equisparse.evaluate(test, base, device="cpu")
after = equisparse.evaluate(test, base, run.adapter, device="cpu")
print(f"base        {before['force_mae_mev_per_ang']:6.0f} meV/Å")
print(f"fine-tuned  {after['force_mae_mev_per_ang']:6.0f} meV/Å")

# %% [markdown]
# ## Draw predicted against reference forces
#
# On the diagonal, prediction and reference agree.

# %%
models = {
    "base": equisparse.calculator(base, device="cpu"),
    "fine-tuned": run.calculator(device="cpu"),
}
figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
reference = np.concatenate([atoms.arrays["REF_forces"].ravel() for atoms in test])
for name, calculator in models.items():
    predicted = np.concatenate([calculator.get_forces(atoms).ravel() for atoms in test])
    axis.plot(reference, predicted, ".", alpha=0.6, label=name)
axis.axline((0, 0), slope=1, color="gray", linewidth=1)
axis.set(xlabel="reference force (eV/Å)", ylabel="predicted force (eV/Å)", aspect="equal")
axis.legend()
plt.show()

# %% [markdown]
# ## Use the model in ASE

# %%
atoms = test[0].copy()
atoms.calc = run.calculator(device="cpu")
print(f"{atoms.get_potential_energy():.3f} eV")

# %% [markdown]
# ## Summary
#
# The error of the forces fell, the adapter is a small file, and three percent of the weights changed.

# %%
size = (run.folder / "adapter.safetensors").stat().st_size
total = equisparse.load_backbone(base).layout().total_parameters
assert after["force_mae_mev_per_ang"] < before["force_mae_mev_per_ang"]
assert size < base.stat().st_size / 5
assert run.adapter.stored_values <= round(0.03 * total)
