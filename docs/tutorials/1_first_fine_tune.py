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
print(sorted(path.name for path in run.folder.iterdir()))

# %% [markdown]
# ## Compare the errors with those of the base
#
# `evaluate` gives mean absolute errors; forces are in meV/Å.

# %%
before = equisparse.evaluate(test, base, device="cpu")
after = equisparse.evaluate(test, base, run.adapter, device="cpu")
print(before["force_mae_mev_per_ang"], after["force_mae_mev_per_ang"])

# %% [markdown]
# ## Use the model in ASE

# %%
atoms = test[0].copy()
atoms.calc = run.calculator(device="cpu")
print(atoms.get_potential_energy())

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
