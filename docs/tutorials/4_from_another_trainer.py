# %% [markdown]
# # From another trainer's checkpoint to a small adapter
#
# A model that was fine-tuned elsewhere is a whole checkpoint. You turn it into an adapter, and then into a sparse one,
# which is a small file. Here the other trainer is SevenNet's own: its training loop with Adam, a few epochs on eight
# frames of MgO. The base is a small model with random weights, so the errors are far above those of a real model.

# %%
from pathlib import Path
from tempfile import mkdtemp

import ase.io
import matplotlib.pyplot as plt
import torch
from sevenn.train.atoms_dataset import SevenNetAtomsDataset
from sevenn.train.loss import ForceLoss, PerAtomEnergyLoss
from sevenn.train.trainer import Trainer
from sevenn.util import load_checkpoint
from torch_geometric.loader import DataLoader

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
# ## Fine-tune with SevenNet
#
# This part does not use equisparse. SevenNet changes all weights and writes a checkpoint, as `sevenn train` does.

# %%
torch.manual_seed(1)
checkpoint = load_checkpoint(base)
frames = SevenNetAtomsDataset(
    checkpoint.config["cutoff"],
    str(demo.train),
    index=":8",
    energy_key="REF_energy",
    force_key="REF_forces",
)
huber = torch.nn.HuberLoss(delta=0.01)
losses = [(PerAtomEnergyLoss(criterion=huber), 1.0), (ForceLoss(criterion=huber), 1.0)]
trainer = Trainer(checkpoint.build_model(), losses, torch.optim.Adam, {"lr": 0.01}, device="cpu")
for _ in range(40):
    trainer.run_one_epoch(DataLoader(frames, batch_size=4, shuffle=True), is_train=True)
tuned = folder / "tuned.pth"
trainer.write_checkpoint(str(tuned), config=checkpoint.config, epoch=40)

# %% [markdown]
# ## Extract the change
#
# `extract` needs the base and the checkpoint. It stores their difference, and compares base plus adapter with the
# checkpoint in SevenNet's own calculator.

# %%
dense = folder / "dense.safetensors"
extraction = equisparse.extract(base, tuned, out=dense, device="cpu")
print(extraction.check)
print(f"{extraction.changed.of_model:.1%} of the weights differ")

# %% [markdown]
# ## Make it sparse
#
# `sparsify` removes most of the change, and trains what remains. It starts from the adapter, and needs frames: best
# those of the first training.

# %%
run = equisparse.sparsify(
    dense,
    train,
    valid=valid,
    test=test,
    base=base,
    changed=0.05,
    epochs=20,
    batch_size=4,
    device="cpu",
    out=folder / "run",
    report=False,
)
sparse = run.folder / "adapter.safetensors"

# %% [markdown]
# ## Sizes and errors
#
# The checkpoint also holds the state of the optimizer; the file of the base shows the size without it.

# %%
force = "force_mae_mev_per_ang"
errors = {
    base: equisparse.evaluate(test, base, device="cpu")[force],
    tuned: equisparse.evaluate(test, tuned, device="cpu")[force],
    dense: equisparse.evaluate(test, base, dense, device="cpu")[force],
    sparse: equisparse.evaluate(test, base, sparse, device="cpu")[force],
}
for path, error in errors.items():
    print(f"{path.name:20} {path.stat().st_size:8d} bytes {error:6.0f} meV/Å")

# %%
figure, axis = plt.subplots(figsize=(5, 3.4), layout="constrained")
for path, error in errors.items():
    axis.plot(path.stat().st_size / 1000, error, "o", label=path.name)
axis.set(xscale="log", ylim=(0, None), xlabel="file (KB)", ylabel="force error (meV/Å)")
axis.legend()
plt.show()

# %% [markdown]
# Sparsity has a price here: the error rises. `curve=True` shows it for several fractions, as in
# [How few weights does it take?](3_how_few_weights.md)

# %% [markdown]
# ## Summary
#
# The extracted adapter gives the errors of the checkpoint. The sparse adapter changes 5 % of the weights and is less
# than a tenth of the size of the base. Most of what the other trainer gained is kept.

# %%
assert abs(errors[dense] - errors[tuned]) < 1e-3 * errors[tuned]
assert errors[base] - errors[sparse] > 0.5 * (errors[base] - errors[tuned])
assert sparse.stat().st_size < base.stat().st_size / 10
assert abs(run.metrics.changed_fraction_model - 0.05) < 0.001
