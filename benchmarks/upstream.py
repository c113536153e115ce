"""SevenNet's own fine-tuning as a peer: its command line, its preset, the same frames; accuracy, and time per epoch.

    python benchmarks/upstream.py --folder build/sets/ethanol --name ethanol --steps 300
    python benchmarks/upstream.py --folder build/sets/ethanol --name ethanol --rounds 5

Upstream does not refit reference energies, so the labels are shifted for it beforehand. Its preset is kept but for
paths, batch size, seed, the number of epochs and ``--lr``. Without ``--rounds`` the row goes where those of
`accuracy.py` go, with the method ``upstream``; options are those of that command. With it, four epochs of upstream and
four of ours run in turn, and the median ratio goes where those of `cost.py` go.
"""

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import ase.io
import torch
import yaml
from accuracy import RESULTS, cell_of, ensure
from accuracy import parse_arguments as accuracy_arguments
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress
from rows import add_row
from sets import digest_of

import equisparse

COST = RESULTS.with_name("cost.jsonl")
BASE = "7net-0"
SEVENN = (sys.executable, "-m", "sevenn.main.sevenn")
UPSTREAM = ("--method", "upstream", "--optimizer", "upstream")
"""Options of `accuracy.py` that name this peer's cells."""


def main() -> None:
    """Measure accuracy or time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=0, help="measure the time of an epoch instead")
    wishes, words = parser.parse_known_args()
    arguments = accuracy_arguments([*UPSTREAM, *words])
    if wishes.rounds:
        add_row(COST, time_row(arguments, wishes.rounds))
    else:
        ensure(arguments, run)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Errors of a whole run of upstream's fine-tuning."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        backbone, splits, shifts = prepared(arguments, folder)
        steps_per_epoch = math.ceil(len(splits["train"]) / arguments.batch_size)
        epochs = math.ceil(arguments.steps / steps_per_epoch)
        start = time.monotonic()
        stamps = run_upstream(arguments, folder, epochs)
        tuned = equisparse.load_backbone(str(folder / "checkpoint_best.pth"), device=arguments.device)
        others = {path.name.removesuffix(".xyz.gz").removeprefix("test_"): path for path in further_tests(arguments)}
        test = [shifted(frame, shifts) for frame in splits["test"]]
        return {
            "cell": cell_of(arguments),
            "data": digest_of(arguments.folder),
            "resolved": {"method": "upstream", "options": {}, "lr": preset(arguments)["train"]["optim_param"]["lr"]},
            "refit_test": equisparse.evaluate(test, backbone),
            "test": equisparse.evaluate(test, tuned),
            "other_tests": {
                name: equisparse.evaluate([shifted(frame, shifts) for frame in equisparse.read_frames(path)], tuned)
                for name, path in others.items()
            },
            "changed_fraction_model": changed_fraction(backbone.model, tuned.model),
            "stored_values": backbone.layout().total_parameters,
            "adapter_bytes": backbone.native_bytes,
            "steps": epochs * steps_per_epoch,
            "seconds": round(stamps[-1] - start, 1),
            "threads": torch.get_num_threads(),
            "versions": equisparse.versions(backbone),
        }


def time_row(arguments: argparse.Namespace, rounds: int) -> dict[str, Any]:
    """Time of an epoch, validation included: ours over upstream's, measured in turn."""
    ratios = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            backbone, splits, _ = prepared(arguments, folder)
            theirs = statistics.median(b - a for a, b in pairwise(run_upstream(arguments, folder, 4)))
            run = equisparse.finetune(
                splits["train"],
                valid=splits["valid"],
                base=backbone,
                method="soft_threshold",
                out=folder / "run",
                batch_size=arguments.batch_size,
                epochs=4,
                anchor=0.0,
                force=True,
                report=False,
            )
            seconds = [epoch.seconds for epoch in run.curve]
            ratios.append(statistics.median(b - a for a, b in pairwise(seconds)) / theirs)
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {
        "data": f"{arguments.name}, whole epochs against upstream's trainer",
        "base": Path(arguments.base).name,
        "batch_size": arguments.batch_size,
        "threads": torch.get_num_threads(),
        "rounds": rounds,
        "step_over_full": {"soft_threshold-fast": {"median": middle, "q25": low, "q75": high}},
        "versions": equisparse.versions(backbone),
    }


def prepared(
    arguments: argparse.Namespace, folder: Path
) -> tuple[equisparse.AbstractBackbone, dict[str, list[equisparse.LabelledFrame]], Mapping[int, float]]:
    """Base, frames and reference-energy shifts; writes the frames with shifted energies for upstream."""
    splits = {part: equisparse.read_frames(arguments.folder / f"{part}.xyz.gz") for part in ("train", "valid", "test")}
    del splits["train"][arguments.train_frames or len(splits["train"]) :]
    backbone = equisparse.load_backbone(arguments.base, device=arguments.device)
    shifts = equisparse.fit_references(splits["train"], backbone).shifts
    for part, frames in splits.items():
        ase.io.write(folder / f"{part}.extxyz", [shifted(frame, shifts) for frame in frames], format="extxyz")
    return backbone, splits, shifts


def further_tests(arguments: argparse.Namespace) -> list[Path]:
    """Files of the further tests of a folder."""
    return sorted(arguments.folder.glob("test_*.xyz.gz"))


def shifted(frame: equisparse.LabelledFrame, shifts: Mapping[int, float]) -> ase.Atoms:
    """The frame as upstream reads it, energy less the shifts; stress in ASE's order where there is one."""
    atoms = ase.Atoms(frame.numbers, positions=frame.positions, cell=frame.cell, pbc=frame.pbc)
    labels: dict[str, Any] = {"forces": frame.forces}
    if frame.energy is not None:
        labels["energy"] = frame.energy - sum(shifts[z] for z in frame.numbers.tolist())
    if frame.stress is not None:
        labels["stress"] = full_3x3_to_voigt_6_stress(frame.stress)
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def preset(arguments: argparse.Namespace) -> dict[str, Any]:
    """Upstream's preset for fine-tuning, with the seed and learning rate that are asked for."""
    from sevenn.util import load_checkpoint  # not at the top: other trainers run without SevenNet

    told = subprocess.run([*SEVENN, "preset", "fine_tune"], check=True, capture_output=True, text=True)
    values: dict[str, Any] = yaml.safe_load(told.stdout)
    values["train"]["random_seed"] = arguments.seed
    values["train"]["optim_param"]["lr"] = arguments.lr or values["train"]["optim_param"]["lr"]
    if arguments.base != BASE:  # the preset is written for that one
        own = load_checkpoint(arguments.base).config
        values["model"] |= {key: own[key] for key in values["model"].keys() & own.keys() if key != "chemical_species"}
        values["train"]["continue"]["checkpoint"] = arguments.base
    return values


def run_upstream(arguments: argparse.Namespace, folder: Path, epochs: int) -> list[float]:
    """Fine-tune with upstream's command line; the times at which its epochs ended, s."""
    values = preset(arguments)
    has_stress = "stress=" in (folder / "train.extxyz").read_text()
    values["train"] |= {"epoch": epochs, "per_epoch": epochs, "is_train_stress": has_stress}
    values["data"] = {
        "batch_size": arguments.batch_size,
        "data_format_args": {"index": ":"},
        "load_trainset_path": [str(folder / "train.extxyz")],
        "load_validset_path": [str(folder / "valid.extxyz")],
    }
    (folder / "input.yaml").write_text(yaml.safe_dump(values))
    command = [*SEVENN, "train", "-s", "-w", str(folder), str(folder / "input.yaml")]
    stamps = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        lines = []
        for line in process.stdout or ():
            lines.append(line)
            if "Epoch" in line:
                stamps.append(time.monotonic())
    if process.returncode or not stamps:
        sys.exit("".join(lines[-30:]))
    return stamps


def changed_fraction(base: torch.nn.Module, tuned: torch.nn.Module) -> float:
    """Parameters whose bits differ, over all."""
    before, after = dict(base.named_parameters()), dict(tuned.named_parameters())
    changed = sum(int((after[name] != weight).sum()) for name, weight in before.items())
    return changed / sum(weight.numel() for weight in before.values())


if __name__ == "__main__":
    main()
