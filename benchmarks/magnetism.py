"""Spins on a foundation model: errors with and without a spin layer, and what the layer costs.

    python benchmarks/magnetism.py errors fe --data ../shared/data --out work
    python benchmarks/magnetism.py cost --data ../shared/data

The sets are subsets that one run takes minutes for; which frames they hold depends on the seed alone. ``fe`` is
trained on frames of the groups `CCMC-bcc-hcp-elastic_Jun2020`, `BCC-HCP-transition` and `EOS_100`, and tested on others
of `BCC-HCP-transition`, which holds both orders, and on `EOS_001_Jun2020` and `MD-bcc_Te300K`, of which no frame is
trained on. ``nio`` is trained on input spins with their lengths, and on magnetic forces.
"""

import argparse
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import ase.io
import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray
from rows import add_row

import equisparse
from equisparse import ENERGY, MOMENTS

# what follows times one step of training, which users have as a part of a run only
from equisparse.backbones.base import Predictor
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.predict import predict
from equisparse.inputs.splits import small_pieces
from equisparse.magnetism.model import SpinModel, new_layer
from equisparse.training.loss import Loss

RESULTS = Path(__file__).parent / "results" / "magnetism.jsonl"
RUNS: dict[str, dict[str, Any]] = {
    "fe": {"epochs": 20, "batch_size": 8, "valid_fraction": 0.1, "force": True},
    "nio": {"epochs": 4, "batch_size": 2},
}


def subsets(name: str, data: Path, seed: int) -> tuple[list[Atoms], list[Atoms]]:
    """Training and test frames of one set."""
    random = Random(seed)  # noqa: S311  not for secrets
    if name == "nio":
        train, test = ([*ase.io.iread(data / "nio_spin" / f"{part}.xyz.gz")] for part in ("train", "test"))
        return random.sample(train, 40), test[:12]
    groups: dict[str, list[Atoms]] = {}
    for atoms in ase.io.read(data / "fe_spin" / "all.xyz.gz", ":"):
        groups.setdefault(atoms.info["config_type"], []).append(atoms)
    for frames in groups.values():
        random.shuffle(frames)
    both = groups["BCC-HCP-transition"]
    train = groups["CCMC-bcc-hcp-elastic_Jun2020"][:500] + both[:110] + groups["EOS_100"][:40]
    return train, both[110:] + groups["EOS_001_Jun2020"][:24] + groups["MD-bcc_Te300K"][:4]


def errors(options: argparse.Namespace) -> None:
    """Fine-tune without and with a spin layer; one line of results for each."""
    folder = options.out / options.set
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for part, frames in zip(("train", "test"), subsets(options.set, options.data, options.seed), strict=True):
        files.append(str(folder / f"{part}.xyz"))
        ase.io.write(files[-1], frames, format="extxyz")
    for spin in [kind == "spin" for kind in options.kinds]:
        config = equisparse.FinetuneConfig(
            train=files[:1],
            test=files[1:],
            out=str(folder / f"{'spin' if spin else 'spin-free'}-{options.seed}"),
            spin=spin,
            spin_lr=options.spin_lr,
            magnetic_force_weight=options.magnetic_force_weight,
            seed=options.seed,
            **RUNS[options.set],
        )
        run = equisparse.finetune_config(config)
        assert run.predictions
        names = ("final", "refit", "steps", "seconds", "seed", "spin_layer_values", "versions")
        kept = {name: getattr(run.metrics, name) for name in names}
        groups = by_group(run.predictions)
        add_row(RESULTS, {"set": options.set, "spin": spin, "spin_lr": options.spin_lr, "groups": groups} | kept)


def by_group(predictions: equisparse.SplitPredictions) -> dict[str, dict[str, float | int | None]]:
    """Errors of each group of test frames: energy (meV/atom), moments (muB)."""
    energy = 1e3 * np.abs(predictions.after[ENERGY] - predictions.labels[ENERGY]) / predictions.n_atoms
    moments = np.full(len(predictions.numbers), np.nan)
    if MOMENTS in predictions.labels:
        moments = np.linalg.norm(predictions.after[MOMENTS] - predictions.labels[MOMENTS], axis=1)
    of_frame = predictions.config_type
    of_atom = of_frame[predictions.frame_of_atom]
    return {
        str(group): {
            "frames": int((of_frame == group).sum()),
            "energy_mae_mev_per_atom": mean_of_known(energy[of_frame == group]),
            "moment_mae_mub": mean_of_known(moments[of_atom == group]),
        }
        for group in np.unique(of_frame)
    }


def mean_of_known(values: NDArray[np.float64]) -> float | None:
    """Mean of the values that are labelled, none if no value is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


def cost(options: argparse.Namespace) -> None:
    """Medians of the ratios of step times within rounds in which every variant takes one step."""
    for name in ("fe", "nio"):
        frames = subsets(name, options.data, 0)[0]
        chosen = sorted(frames, key=len)[: 8 if name == "fe" else 2]
        path = options.out / f"cost-{name}.xyz"
        path.parent.mkdir(parents=True, exist_ok=True)
        ase.io.write(path, chosen, format="extxyz")
        steps = {kind: make_step(path, kind) for kind in ("spin-free", "moments", "magnetic-forces")}
        seconds: dict[str, list[float]] = {kind: [] for kind in steps}
        for kind in itertools.chain.from_iterable(itertools.repeat(list(steps), options.rounds)):
            start = time.perf_counter()
            steps[kind]()
            seconds[kind].append(time.perf_counter() - start)
        free = np.array(seconds["spin-free"][2:])
        ratios = {kind: float(np.median(np.array(times[2:]) / free)) for kind, times in seconds.items()}
        add_row(RESULTS, {"set": name, "frames": len(chosen), "seconds": float(np.median(free)), "ratios": ratios})


def make_step(path: Path, kind: str) -> Callable[[], None]:
    """A function that does one training step of the method soft_threshold on one batch, on the base's faster form."""
    frames = equisparse.read_frames(path, equisparse.LabelKeys(magnetic=True))
    backbone = equisparse.load_backbone("7net-0")
    assert backbone.accelerate(small_pieces(frames, backbone.cutoff))
    method = equisparse.make_method("soft_threshold")
    attachment = equisparse.attach(backbone.model, method, equisparse.select(backbone.layout(), method.default_targets))
    trainable = [parameter for delta in attachment.deltas.values() for parameter in delta.parameters()]
    model: Predictor = backbone
    if kind != "spin-free":
        layer = new_layer(backbone, cutoff=backbone.cutoff)
        model = SpinModel(backbone, layer, magnetic_forces=kind == "magnetic-forces")
        trainable += list(layer.parameters())
    dataset, loss = FrameDataset(model, frames, {}), Loss.of(equisparse.TrainingOptions())
    optimizer = torch.optim.AdamW(trainable, lr=1e-6)

    def step() -> None:
        optimizer.zero_grad()
        loss(*predict(model, next(dataset.batches(len(frames))), training=True)).backward()
        optimizer.step()

    return step


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["errors", "cost"])
    parser.add_argument("set", nargs="?", choices=list(RUNS), default="fe")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("magnetism-work"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--spin-lr", type=float, default=2e-3)
    parser.add_argument("--magnetic-force-weight", type=float, default=10.0)
    parser.add_argument("--kinds", nargs="+", choices=["spin-free", "spin"], default=["spin-free", "spin"])
    parser.add_argument("--rounds", type=int, default=12)
    options = parser.parse_args()
    {"errors": errors, "cost": cost}[options.what](options)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
