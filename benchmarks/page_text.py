"""Text of docs/benchmarks.md around its tables."""

HEAD = """# Benchmarks

This page is for users who want to compare the accuracy and cost of the methods, and for developers who want
to repeat a measurement. [Choosing a method](choosing.md) draws the conclusions. `python benchmarks/render.py`
writes this page from `benchmarks/results/*.jsonl`; each line of these files names the options of its command,
the seed, the versions and the machine.

How to read the tables:

* Errors are mean absolute errors on all test frames of the set, unless stated otherwise.
* "19.0 ± 0.2" is the mean and standard deviation over seeds. A number without ± is from one seed.
* A number in bold is not beaten by any method with at least as many seeds. Two methods are compared over the
  seeds that both have.
* Energies of molecules are per atom. Multiply by the number of atoms for the total energy: 9 (ethanol), 21
  (aspirin), 15 (toluene, acetylacetone).
* All methods of a row were trained for the same number of steps. `sparse` has its default rates; the other methods
  have the best rate that was found for them.
* "Changed" and "stored values" are counted relative to all parameters of the base (7net-0: 842,623).
* The base is 7net-0 where no other is named. MACE_SPICE_0316.model is the MACE of 15 elements, trained on SPICE,
  among the test files of ACEsuit/mace. nequip-toluene.ckpt (CCSD(T), stfc/janus-core) and nequip-al2o3.ckpt (amorphous
  Al2O3, materialyzeai/matcalc) are published models of NequIP 0.5 and 0.6, moved to nequip 0.19 with equal energies
  and forces. The frames of Al2O3 are corundum with displaced atoms.

Names in the tables:

| name | meaning |
|---|---|
| sparse | method `sparse` without a target: the fewest weights that cost nothing |
| sparse 3 % | method `sparse` with `--changed 0.03` |
| soft_threshold, soft_threshold H | method `soft_threshold` in regime L (default) and in regime H |
| lowrank 170 KB | `--method lowrank --budget 170KB` |
| elora, elora 16 | method `elora` of rank 64 (default) and of rank 16 |
| upstream | fine-tuning with SevenNet's own trainer and its preset (`benchmarks/upstream.py`) |
| zero-shot | the base without fine-tuning, with refitted reference energies |
| E, F | errors of energies and forces |
"""
TABLE = """
## {title}

{text}

Command: `python benchmarks/tables.py {table} --sets build/sets`. With `--list` it names the missing cells and
runs nothing.

"""
MOLECULE_ERRORS = "Entries are force error (meV/Å) / energy error (meV/atom)."
TABLES = {
    "molecules": (
        "Molecules",
        "mae",
        "Setup: rMD17, 100 training frames unless named, 50 for validation, 1000 for the test; 300 steps of batch\n"
        f"size 10, no anchor. {MOLECULE_ERRORS}",
    ),
    "acac": (
        "Acetylacetone",
        "rmse",
        "Setup: trained on frames at 300 K, 300 steps of batch size 10, no anchor. The rows are the tests: 300 K,\n"
        f"600 K, a dihedral scan and a proton transfer (h_transfer). {MOLECULE_ERRORS}\n"
        "They are root mean square errors, as in the publication of the set.",
    ),
    "long": (
        "Ethanol, 1000 steps",
        "mae",
        f"Setup: as for the molecules above, but 1000 steps. {MOLECULE_ERRORS}",
    ),
    "organic": (
        "Molecules on an organic MACE",
        "mae",
        "Setup: as for the molecules above, but 600 steps on MACE_SPICE_0316.model (150,800 parameters).\n"
        f"{MOLECULE_ERRORS} Add `--bases FOLDER` with the folder of that file to the command.",
    ),
    "crystals": (
        "Crystals",
        "mae",
        "Setup: no anchor. Entries are force error (meV/Å) / energy error (meV/atom) / stress error (GPa).\n\n"
        "| frames | steps | batch size |\n"
        "|---|---|---|\n"
        "| 20, 50 or 100 of Mo | 300 | 2 |\n"
        "| 20 or 50 of HfO2 and Cu | 100 | 2 |\n"
        "| all (Mo 174, HfO2 732, Cu 214) | 500 | 8 |\n\n"
        "Learning rates are the defaults, except 0.03 for `lowrank` and `elora 16`. `sparse`, `soft_threshold` and\n"
        "`elora` train the radial networks as well (`--targets all`), as `full` does. The other methods change their\n"
        "default tensors.",
    ),
    "others": (
        "Other sets",
        "mae",
        "Setup: sets on which nothing was tuned; 300 steps of batch size 10, all defaults, no anchor. Entries are\n"
        "force error (meV/Å) / energy error (meV/atom) / stress error (GPa), if there are stresses.",
    ),
    "ablation": (
        "Ablation",
        None,
        "Which part of the default method matters? Setup: method `soft_threshold` on ethanol, no anchor. Each row\n"
        f"changes the named options. {MOLECULE_ERRORS}\n"
        "One threshold per path instead of one per tensor, an option that was removed, gave 19.1 / 0.53.",
    ),
    "sizes": (
        "Error against file size",
        None,
        f"![Force error against size](figures/sizes.png)\n\nThe figure also has the cells of 1000\n"
        f"steps above. Setup of the table: ethanol, 300 steps, no anchor. {MOLECULE_ERRORS}",
    ),
}
"""Table of `tables.py` -> title, kind of errors or None for one line per cell, setup."""
ACCURACY = """
## All cells

Every run behind the tables of molecules, acetylacetone, crystals, ablation and file size. Setup unless named:
rMD17 with 100 training, 50 validation and 1000 test frames, batch size 10, defaults of the method.

Command: `python benchmarks/accuracy.py --folder FOLDER --name NAME ...`

| set | base | method | steps | seed | rate | changed | stored values | adapter bytes | F (meV/Å) | E (meV/atom) |
|---|---|---|---|---|---|---|---|---|---|---|
"""
COST = """
## Cost

How long does a training step take, and how much memory does it need, relative to a step of the unmodified
base with all parameters trained (`full`)? Times are medians (quartiles) of ratios within interleaved rounds.
Memory is the peak of a separate process for each variant; on a GPU it is the peak of the allocator.

| variant | meaning |
|---|---|
| name of a method | that method on the unmodified base |
| sparse | method `sparse`, with `--changed 0.03` |
| two-pass | `soft_threshold` as two passes through each Linear, one with W and one with dW |
| -fast | with the faster form of the base, which `finetune` uses |
| -compiled | with the faster form and `--compile on` |
| full-cueq, full-flash, full-oeq | all parameters, with SevenNet's accelerators |
| cueq, flash, oeq | cuEquivariance, FlashTP, OpenEquivariance |
| merged inference / base inference | time of a prediction with the merged checkpoint, relative to the base |

Command: `python benchmarks/cost.py --frames FILE --name NAME`

A run is more than its steps: `python benchmarks/run_profile.py finetune demo --epochs 10 --batch-size 5 --out demo-run`
prints the seconds and the share of every phase of a command. On a busy machine
(one thread, six other programs on two cores), this run of 200 steps with compiled convolutions takes about 140 s of the
processor, by the profiles of two runs, of 10 and of 2 epochs: 102 s for the steps; 16 s for ten validations and the
predictions of all frames before and after; 6 to 9 s for imports; 9 s to build the base three times (training,
self-check, merged file) and to check its forms; 4 s for the drift, figures, tables and the report.

| set | base | batch | machine | precision | variant | step / full step | peak memory / full |
|---|---|---|---|---|---|---|---|
"""
BANK = """
## Several adapters on one base

How long does it take to switch between adapters, and to evaluate an ensemble? Values are medians over
interleaved rounds on a CPU, with quartiles for ratios. A switch goes from one adapter of a bank to another;
`applied` is the same change without a bank. The ensemble is the ASE calculator of all members, with the
spread, on one frame. The single model is that of one merged adapter.

Command: `python benchmarks/ensemble.py --frames FILE --name NAME`

| set | base | changed | threads | switch (ms) | switch / applied | members | one model (ms) | ensemble / one model |
|---|---|---|---|---|---|---|---|---|
"""
TIME_TO_ACCURACY = """
## Time to the accuracy of upstream's trainers

When is the force error on 50 test frames as low as that of upstream's own fine-tune at its end? Every program
starts in a process of its own, and everything counts: imports, audit, self-checks, validation. Learning rates
fall over a whole run, so ours was run with several lengths, as fractions of upstream's steps, and the shortest time
counts. With `sparse 3 %`, at most 3 % of the weights have changed at that time. A cell is empty if none of these runs
reached the error; no longer ones were tried. They were run before natural gradient. The clock is that of the wall, or
that of the processor on machines that other programs used at the same time; these rows were measured trainer by
trainer.

| upstream's | trainer |
|---|---|
| preset | SevenNet's preset for fine-tuning |
| naive | MACE's trainer with all parameters and the new frames alone |
| lora | MACE's trainer with LoRA of rank 16 |

Command: `python benchmarks/time_to_accuracy.py --folder build/sets/ethanol --name ethanol`

| set | base | upstream's | epochs | F (meV/Å) | clock | its seconds | ours | lengths | our seconds | ratio |
|---|---|---|---|---|---|---|---|---|---|---|
"""
PHYSICS = """
## Which degrees l change

Which part of the change of the layer outputs is in features with l > 0? The columns "l > 0" give this share
for the metal's atoms and for oxygen's. p is the one-sided p-value of their difference against flipped signs.
The last column is the share of the changed weights with an element axis that belong to elements absent from
the data. [Reading a run](report.md) discusses the result.

Command: `python benchmarks/physics.py RUN --metal M --name NAME`

| run | steps | F before, after (meV/Å) | l > 0, metal | l > 0, O | difference | p | on absent elements |
|---|---|---|---|---|---|---|---|
"""
SUPPORTS = """
## Do two runs change the same weights?

Setup: two seeds on the same frames, and one seed on each half of the frames, which have no frame in common. The run
ends at 1 % and passes 10 and 3 %. The runs were made before natural gradient.
[Reading a run](report.md#numbers-of-the-report) defines the numbers.

| name | meaning |
|---|---|
| same | Jaccard index of the sets of changed weights: 1 if both runs change the same weights |
| by chance | the value for as many random weights in each block |
| by channels | the value for random weights with as many in each input and output channel of a block |
| blocks | Spearman correlation of the blocks' shares of the change; its 97.5 % quantile with shuffled blocks |

Command: `python benchmarks/supports.py --sets build/sets --runs build/supports`

| set | base | method | changed | runs | same | by chance | by channels | blocks | blocks, shuffled |
|---|---|---|---|---|---|---|---|---|---|
"""
ELEMENTS = """
## Which elements and degrees a sparse run changes

Setup: the runs of the table above whose base has weights with an element axis. Entries are the smallest and the largest
value over four runs, in percent. Elements that are not in the data have no changed weight in any of them.
[Reading a run](report.md#example-which-elements-and-degrees-change-in-ethanol) discusses the result.

| name | meaning |
|---|---|
| weights | share of the element in the number of changed weights with an element axis; 33 if elements were alike |
| change | its share in the sum of their squared changes |
| l = 0 to 3 | shares of the degrees in the latter, in the first self-connection; 25 if degrees were alike |

Command: `python benchmarks/elements.py --name ethanol --base MACE.model --runs build/supports`

| set | base | method | changed | runs | element | weights | change | l = 0 | l = 1 | l = 2 | l = 3 |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""
NEXT_FRAMES = """
## Do selected frames help?

Is a model better if the next 50 frames are chosen by `equisparse select`? Setup: 30 frames for training and 10 for
validation at the start, an ensemble of three members trained on them, and 50 frames from a pool; then `sparse 3 %`
on the 80 frames, 256 steps of batch size 5, no anchor. Ratios are selected / random of one seed, mean and (single
seeds). A seed has frames, ensemble and random choice of its own.

| name | meaning |
|---|---|
| ethanol | 860 frames of the pool and 250 test frames, drawn from the same rMD17 trajectory as the first frames |
| MAE | mean absolute error of the force components |
| RMSE | root mean square error |
| p95, max | 95th percentile, and largest, of the mean absolute errors of single frames |

The runs were made with an earlier version of `sparse`. [Which frames next](select.md#does-it-help) discusses the
result.

Command: `python benchmarks/next_frames.py --folder build/sets/ethanol --name ethanol --base MACE.model`

| set | base | test | choice | MAE random (meV/Å) | MAE (meV/Å) | ratio of MAE | of RMSE | of p95 | of max |
|---|---|---|---|---|---|---|---|---|---|
"""
ROBUSTNESS = """
## Robustness

What does a fine-tuned model forget, and is it stable? [Robustness](robustness.md) explains the tests. Setup:
`sparse` and `soft_threshold` are trained with the default anchor of `finetune`; the other methods have none. The
frames of Cu and HfO2 were drawn by an earlier version of `sets.py`.

| name | meaning |
|---|---|
| over-trained | all parameters at twenty times their learning rate |
| fast | settings of an earlier version: rank 128, learning rate 0.05 |
| F | force error on 100 test frames |
| drift | median (90th percentile) over the probe structures |
| dimers, compression | scans with a hole, in which the model falls deeper than its base / all scans |
| MD | runs that reached their end / all runs |

Command: `python benchmarks/robustness.py --sets build/sets`

| set | method | rate | steps | F (meV/Å) | E drift (meV/atom) | F drift (meV/Å) | dimers | compression | MD | verdict |
|---|---|---|---|---|---|---|---|---|---|---|
"""
SPIN_ORDERS = """
## Magnetic orders

How accurate are moments and energies of magnetic orders? Setup: TM-O-Spin (`demo-spin`), held-out geometries,
means over seeds. [Magnetism](magnetism.md) describes the set and the results.

| name | meaning |
|---|---|
| loss | loss on the validation frames, by which the epoch was chosen |
| lengths | error of the lengths of the moments |
| gap | error of the energy of the antiferromagnet minus that of the ferromagnet of one geometry |
| ranked | part of the pairs whose lower order is predicted correctly |
| lr x 0.5 | half the default learning rate |
| CHGNet | as published; it predicts lengths of moments only (`benchmarks/chgnet_moments.py`) |

Command: `python benchmarks/spin_orders.py run`

![Predicted moments and order energies](figures/spin_orders.png)

| method | seeds | changed | loss | E (meV/atom) | F (meV/Å) | moments (μB) | lengths (μB) | gap (meV/atom) | ranked |
|---|---|---|---|---|---|---|---|---|---|
"""
SEARCH = """
## Searches

Which learning rates and options are best on validation frames? Each row is one study with Optuna: its best
trial, and the smallest loss at the default learning rate. Studies with fewer than three finished trials are
left out.

The tables above use these learning rates:

| table | `soft_threshold` | `elora` | `elora 16` | `lowrank` | `full` |
|---|---|---|---|---|---|
| molecules | 0.05, between the two best trials | 0.05, between the two best trials | 0.05 | 0.05 | default |
| crystals | default | default | 0.03; the best trial on molybdenum is at 0.04 | 0.03 | default |

Command: `python benchmarks/search.py --folder FOLDER --name NAME --method METHOD ...`

| study (set, base, method, steps) | trials | loss at the default rate | smallest loss | its rate | its options |
|---|---|---|---|---|---|
"""
