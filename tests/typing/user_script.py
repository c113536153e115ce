# mypy: disallow-any-expr
"""A script as a user writes it; ``mypy`` of the lint session sees that a strict type checker knows every expression."""

from pathlib import Path

import equisparse


def report_errors(errors: dict[str, float | None]) -> None:
    """Print the errors that have a value."""
    for name, value in errors.items():
        if value is not None:
            print(name, value)


class Epochs(equisparse.Listener):
    """Prints one number per epoch."""

    def epoch_done(self, progress: equisparse.FitProgress) -> None:
        """Print the validation error of the forces."""
        print(progress.step, progress.curve[-1].error("valid", "force_mae_mev_per_ang"))


frames = equisparse.read_frames("frames.extxyz", equisparse.LabelKeys(energy="energy"))
backbone = equisparse.load_backbone("7net-0", device="cpu")

for finding in equisparse.audit(frames, base=backbone):
    print(finding.level, finding.message)

run = equisparse.finetune(
    frames,
    base=backbone,
    method=equisparse.LowRank(rank=4),
    out="run",
    epochs=20,
    lr=1e-3,
    targets=["l=2"],
    listener=Epochs(),
)
folder: Path = run.folder
adapter = run.adapter
report_errors(equisparse.evaluate(frames, backbone, adapter))

atoms = frames[0].atoms
calculator = run.calculator(device="cpu")
merged = equisparse.merge("7net-0", adapter, "merged.pth")
print(merged.path, merged.check.equal)

verdict = equisparse.probe(run, steps=200)
for check in verdict.checks:
    print(check.test, check.level)
for row in equisparse.attribute(run, "layer"):
    print(row.group, row.without_force)
half = equisparse.combine([adapter, "other.safetensors"], [0.5, 0.5], out="half.safetensors")
for block in equisparse.inspect(half):
    print(block.layer, block.n_changed)
members = equisparse.ensemble("demo", members=2, changed=0.03)
bank = equisparse.bank("7net-0", {"half": half})
with bank.using("half"):
    print(equisparse.export(run, "figures"), equisparse.write_report(run))
