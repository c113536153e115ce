# %% [markdown]
# # How few weights does it take?
#
# One fine-tune gives a *curve*: the error against the number of changed weights. You choose a point of it. If you do
# not want to choose, the default fine-tune searches the fewest weights that cost nothing. The base is a small model
# with random weights, so the errors are far above those of a real model. For your own work, write `base="7net-0"`.

# %%
from pathlib import Path
from tempfile import mkdtemp

import ase.io
import matplotlib.pyplot as plt

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
# ## Train once, keep several adapters
#
# With `curve=True`, the run keeps an adapter with all weights, and then one at 10, 3, 1 and 0.5 % of them.
# `report=False` leaves out the report and the merged checkpoint.

# %%
run = equisparse.finetune(
    train,
    valid=valid,
    test=test,
    base=base,
    curve=True,
    epochs=40,
    batch_size=4,
    device="cpu",
    out=folder / "curve",
    report=False,
)

# %% [markdown]
# ## Read the curve
#
# `run.sparsity` has a row for each adapter, split and error. These are the mean absolute errors of the forces on the
# test frames.

# %%
force = "force_mae_mev_per_ang"
points = [row for row in run.sparsity if (row.split, row.error) == ("test", force)]
points.sort(key=lambda row: row.changed_count)
for row in points:
    print(f"{row.changed_fraction_model:6.1%} {row.adapter_bytes:6d} bytes {row.value:6.0f} meV/Å  {row.file}")
print(f"the base:            {run.metrics.base['test'][force]:6.0f} meV/Å")

# %%
figure, axis = plt.subplots(figsize=(5, 3.4), layout="constrained")
percent = [100 * row.changed_fraction_model for row in points]
axis.plot(percent, [row.value for row in points], "o-", label="fine-tuned")
axis.axhline(run.metrics.base["test"][force], color="gray", linestyle="--", label="base")
axis.set(xscale="log", ylim=(0, None), xlabel="changed weights (%)", ylabel="force error (meV/Å)")
axis.set_xticks(percent, [f"{value:.2g}" for value in percent])
axis.legend()
plt.show()

# %% [markdown]
# Here all points are alike: what eight frames teach a random model fits into few weights. For pretrained models, the
# error rises below some number of weights: see [Benchmarks](../benchmarks.md). The adapter of the run itself also holds
# its metrics, so it is a little larger than that of the stage before.

# %% [markdown]
# ## Choose a point
#
# `pick` copies the adapter with the wanted fraction out of the folder of the run.

# %%
chosen = folder / "three-percent.safetensors"
picked = equisparse.pick(run, 0.03, chosen)
print(picked.changed_count, "weights,", picked.adapter_bytes, "bytes")

# %% [markdown]
# ## Let the run choose
#
# Without `changed`, `budget` and `curve`, the run removes weights as long as the validation loss stays within 2 % of
# that with all weights. A trial takes at least 50 steps, so such a run needs some hundred steps. `run.metrics.trials`
# says what it tried.

# %%
searched = equisparse.finetune(
    train,
    valid=valid,
    test=test,
    base=base,
    epochs=250,
    batch_size=4,
    device="cpu",
    out=folder / "searched",
    report=False,
)
dense, *removals = searched.metrics.trials
total = equisparse.load_backbone(base).layout().total_parameters
for trial in removals:
    verdict = "go on" if trial.accepted else "too few"
    print(f"{trial.entries / total:6.1%} loss {trial.valid_loss / dense.valid_loss:.3f} of that with all: {verdict}")
print(f"kept: {searched.metrics.changed_fraction_model:.1%}")

# %% [markdown]
# The run stops to try smaller fractions when too few steps are left.

# %% [markdown]
# ## Summary
#
# Every point of the curve is better than the base, the file with the fewest weights is a fifth of that with all or
# less, and the picked file gives the error of its row. The search kept the fewest weights that were good enough.

# %%
row = next(row for row in points if row.file == picked.file)
again = equisparse.evaluate(test, base, chosen, device="cpu")
assert abs(again[force] - row.value) < 1e-3 * row.value
assert all(row.value < run.metrics.base["test"][force] for row in points)
assert points[0].adapter_bytes < points[-1].adapter_bytes / 5
accepted = [trial for trial in removals if trial.accepted]
assert all(trial.valid_loss <= 1.02 * dense.valid_loss for trial in accepted)
kept = min(trial.entries for trial in accepted) if accepted else round(0.3 * total)
assert abs(searched.metrics.changed_count - kept) <= 0.01 * kept
