"""Seconds until the test error that upstream's own fine-tune has at its end: upstream's trainers and ours, in one run.

    python benchmarks/time_to_accuracy.py --folder build/sets/ethanol --name ethanol
    python benchmarks/time_to_accuracy.py --folder build/sets/ethanol --name ethanol --base MACE_SPICE_0316.model

SevenNet's trainer runs with its preset for fine-tuning, MACE's without its old data (``naive``) and with LoRA. They get
labels with shifted reference energies, since they do not refit them. Every program starts in a process of its own, and
the clock runs from there: imports, reading, audit, self-checks and compilation are counted (compilers find no earlier
cache). Upstream's time is that of its whole run. Ours is that of the first epoch at which the model has as low a force
error, and as few changed weights as were asked for; as learning rates fall over a whole run, ours is run with several
fractions of upstream's steps, and the shortest time counts. The errors are those of as many test frames as there are
validation frames. One JSON line is appended.

On a machine that other programs use at the same time, ``--clock cpu`` counts the seconds of the processor, of all
threads together, instead of those of the wall.
"""

import argparse
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ase
import ase.io
import torch
import upstream
from accuracy import parse_arguments
from rows import add_row

import equisparse

RESULTS = Path(__file__).parent / "results" / "time_to_accuracy.jsonl"
ERROR = "force_mae_mev_per_ang"
OURS: dict[str, dict[str, Any]] = {
    "default": {},
    "soft_threshold": {"method": "soft_threshold"},
    "sparse 3 %": {"changed": 0.03},
    "full": {"method": "full"},
}
"""Name -> options of `equisparse.finetune`."""
MARGIN = 1.05
"""An epoch counts if it changes at most this multiple of the weights that were asked for."""
MACE_OPTIONS = {"naive": (), "lora": ("--lora=True", "--lora_rank=16", "--lora_alpha=16")}
TRAINERS = ("preset", *MACE_OPTIONS)


def main() -> None:
    """Run all trainers in turn and append one row."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--trainers", nargs="+", choices=TRAINERS, help="of the base's own package; all by default")
    parser.add_argument("--ours", nargs="+", choices=OURS, default=list(OURS))
    parser.add_argument("--shares", nargs="+", type=float, default=[0.25, 0.5, 1.0], help="of the steps of upstream")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="seconds that are counted")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--epochs", type=int, help=argparse.SUPPRESS)
    wishes, words = parser.parse_known_args()
    arguments = parse_arguments(["--results", str(RESULTS), *upstream.UPSTREAM, *words])
    if wishes.child:
        train_ours(arguments, wishes.child, wishes.epochs)
    else:
        add_row(arguments.results, row(arguments, wishes, words))


def row(arguments: argparse.Namespace, wishes: argparse.Namespace, words: list[str]) -> dict[str, Any]:
    """Times and errors of all trainers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        backbone, splits, shifts = upstream.prepared(arguments, folder)
        splits["test"] = judges(splits)
        epochs = math.ceil(arguments.steps / math.ceil(len(splits["train"]) / arguments.batch_size))
        kinds = wishes.trainers or (["preset"] if backbone.name == "sevennet" else list(MACE_OPTIONS))
        theirs = {}
        for kind in kinds:
            seconds, model = run_theirs(kind, arguments, folder, splits, shifts, epochs, wishes.clock)
            test = [upstream.shifted(frame, shifts) for frame in splits["test"]]
            tuned = equisparse.load_backbone(str(model), device=arguments.device)
            theirs[kind] = {"seconds": seconds, "test": equisparse.evaluate(test, tuned)[ERROR]}
        ours = {
            option: [run_ours(option, share, epochs, words, folder, wishes.clock) for share in wishes.shares]
            for option in wishes.ours
        }
    return {
        "data": arguments.name,
        "base": Path(arguments.base).name,
        "batch_size": arguments.batch_size,
        "train_frames": len(splits["train"]),
        "test_frames": len(splits["test"]),
        "epochs": epochs,
        "threads": torch.get_num_threads(),
        "clock": wishes.clock,
        "upstream": theirs,
        "ours": {option: summary(option, runs, theirs) for option, runs in ours.items()},
        "versions": equisparse.versions(backbone),
    }


def judges(splits: dict[str, list[equisparse.LabelledFrame]]) -> list[equisparse.LabelledFrame]:
    """Test frames, evenly drawn, as many as there are validation frames."""
    stride = max(1, len(splits["test"]) // len(splits["valid"]))
    return splits["test"][::stride][: len(splits["valid"])]


def run_theirs(
    kind: str,
    arguments: argparse.Namespace,
    folder: Path,
    splits: dict[str, list[equisparse.LabelledFrame]],
    shifts: Any,
    epochs: int,
    clock: str,
) -> tuple[float, Path]:
    """Seconds of a whole run of one of upstream's trainers, and the file of its model."""
    if kind == "preset":
        start = seconds_of(clock)
        upstream.run_upstream(arguments, folder, epochs)
        return round(seconds_of(clock) - start, 1), folder / "checkpoint_best.pth"
    command = mace_command(kind, arguments, folder, splits, shifts, epochs)
    start = seconds_of(clock)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit((done.stdout + done.stderr)[-3000:])
    return round(seconds_of(clock) - start, 1), folder / kind / f"{kind}.model"


def seconds_of(clock: str) -> float:
    """Seconds of a clock: of the wall, or of the processor in all child processes that have ended."""
    if clock == "wall":
        return time.monotonic()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def mace_command(
    kind: str,
    arguments: argparse.Namespace,
    folder: Path,
    splits: dict[str, list[equisparse.LabelledFrame]],
    shifts: Any,
    epochs: int,
) -> list[str]:
    """Command of MACE's trainer, after its files of frames and of the base are written."""
    for part in ("train", "valid"):
        ase.io.write(folder / f"mace_{part}.extxyz", [mace_atoms(frame, shifts) for frame in splits[part]])
    model = torch.load(arguments.base, map_location="cpu", weights_only=False)
    model.use_reduced_cg = has_reduced_contraction(model)  # upstream builds the model anew, and trusts this attribute
    torch.save(model, folder / "base.model")
    options = {
        "name": kind,
        "work_dir": folder / kind,
        "model_dir": folder / kind,
        "foundation_model": folder / "base.model",
        "multiheads_finetuning": False,
        "E0s": "foundation",
        "train_file": folder / "mace_train.extxyz",
        "valid_file": folder / "mace_valid.extxyz",
        "energy_key": "REF_energy",
        "forces_key": "REF_forces",
        "energy_weight": 1,
        "forces_weight": 100,
        "batch_size": arguments.batch_size,
        "valid_batch_size": arguments.batch_size,
        "max_num_epochs": epochs,
        "lr": arguments.lr or 0.005,
        "ema_decay": 0.99,
        "default_dtype": "float32",
        "device": "cuda" if torch.cuda.is_available() and arguments.device != "cpu" else "cpu",
        "seed": arguments.seed,
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "mace.cli.run_train", *words, "--ema", *MACE_OPTIONS[kind]]


def has_reduced_contraction(model: Any) -> bool:
    """Tell whether the contraction of a MACE model has the smaller basis of present versions."""
    contraction = model.products[0].symmetric_contractions
    first = contraction.contractions[0]
    present = type(contraction)(
        contraction.irreps_in,
        contraction.irreps_out,
        first.correlation,
        num_elements=len(first.weights_max),
        use_reduced_cg=True,
    )
    same: bool = present.contractions[0].weights_max.shape == first.weights_max.shape
    return same


def mace_atoms(frame: equisparse.LabelledFrame, shifts: Any) -> ase.Atoms:
    """Frame with the labels that MACE reads, energy less the shifts."""
    atoms = ase.Atoms(frame.numbers, positions=frame.positions, cell=frame.cell, pbc=frame.pbc)
    if frame.forces is not None:
        atoms.arrays["REF_forces"] = frame.forces
    if frame.energy is not None:
        atoms.info["REF_energy"] = frame.energy - sum(shifts[z] for z in frame.numbers.tolist())
    return atoms


def run_ours(option: str, share: float, epochs: int, words: list[str], folder: Path, clock: str) -> dict[str, Any]:
    """Curve of one of our runs in a process of its own: seconds from its start, error and changed weights."""
    shortened = max(1, round(share * epochs))
    command = [sys.executable, __file__, *words, "--child", option, "--epochs", str(shortened)]
    cache = {name: str(folder / f"cache-{option}-{share}") for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")}
    start = seconds_of(clock)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | cache) as process:
        curve = list(stamped(process, clock))
    if process.returncode:
        sys.exit(f"the run with {option} failed")
    return {"share": share, "seconds": round(seconds_of(clock) - start, 1), "curve": curve}


def stamped(process: subprocess.Popen[str], clock: str) -> Iterator[dict[str, float]]:
    """Epochs that a child tells, each with the seconds since its start."""
    start = time.monotonic()
    for line in process.stdout or ():
        if line.startswith("epoch "):
            error, changed, used = map(float, line.split()[1:])
            seconds = used if clock == "cpu" else time.monotonic() - start
            yield {"seconds": round(seconds, 1), "test": error, "changed": changed}


def train_ours(arguments: argparse.Namespace, option: str, epochs: int) -> None:
    """Fine-tune as a user does, with the test frames in the place of the validation frames, and tell every epoch."""
    splits = {part: equisparse.read_frames(arguments.folder / f"{part}.xyz.gz") for part in ("train", "valid", "test")}
    del splits["train"][arguments.train_frames or len(splits["train"]) :]

    class Told(equisparse.Listener):
        def epoch_done(self, progress: Any) -> None:
            last = progress.curve[-1]
            print("epoch", last.error("valid", ERROR), last.changed_fraction_model, time.process_time(), flush=True)

    with tempfile.TemporaryDirectory() as name:
        equisparse.finetune(
            splits["train"],
            valid=judges(splits),
            base=arguments.base,
            out=Path(name, "run"),
            epochs=epochs,
            batch_size=arguments.batch_size,
            seed=arguments.seed,
            device=arguments.device,
            force=True,
            report=False,
            listener=Told(),
            **OURS[option],
        )


def summary(option: str, runs: list[dict[str, Any]], theirs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Seconds until each error of upstream's, the smallest of all runs, and what every run had at its end."""
    most = MARGIN * OURS[option].get("changed", 1.0)
    reached = {}
    for kind, result in theirs.items():
        times = [first_time(run["curve"], result["test"], most) for run in runs]
        found = [seconds for seconds in times if seconds is not None]
        reached[kind] = min(found, default=None)
    ends = [{key: run[key] for key in ("share", "seconds")} | run["curve"][-1] for run in runs]
    return {"seconds_to": reached, "ends": ends}


def first_time(curve: list[dict[str, float]], error: float, most: float) -> float | None:
    """Seconds at the first epoch with at most this error and this fraction of changed weights; None without one."""
    return next((point["seconds"] for point in curve if point["test"] <= error and point["changed"] <= most), None)


if __name__ == "__main__":
    main()
