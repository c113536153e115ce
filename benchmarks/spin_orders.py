"""Magnetic orders of held-out geometries on TM-O-Spin: every method with a spin layer, against none; one line a run.

    python benchmarks/spin_orders.py run --runs build/spin-orders
    python benchmarks/spin_orders.py run --runs build/spin-orders --labels soft_threshold full --seeds 0 1 2
    python benchmarks/spin_orders.py draw --runs build/spin-orders --out docs/figures/spin_orders.png
    python benchmarks/spin_orders.py scan --runs build/spin-orders --label soft_threshold
    python benchmarks/spin_orders.py scan --adapter run/adapter.safetensors --oxides NiO

Every geometry of the set (``demo-spin``) is there in ferro- and in antiferromagnetic order. The difference of the two
energies is what a model without spins cannot know. Geometries of which one order lost its moments are not counted:
there is no order left. Runs that are in the results are skipped; finished run folders are not trained again. Rows named
``lr x 0.5`` have that part of the default learning rate; which rate a method is shown at is for its loss on the
validation frames to say. ``scan`` ranks all collinear orders of perfect oxides in eight primitive cells with the
adapter of a run, this command's or another.
"""

import argparse
import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.build import bulk
from matplotlib.figure import Figure
from rows import add_row, rows_of

import equisparse
from equisparse import ENERGY, MOMENTS

RESULTS = Path(__file__).parent / "results" / "spin_orders.jsonl"
METHODS: dict[str, dict[str, Any]] = {
    "soft_threshold": {"method": "soft_threshold"},
    "soft_threshold H": {"method": "soft_threshold", "regime": "H"},
    "sparse": {"method": "sparse"},
    "sparse 3 %": {"changed": 0.03},
    "elora": {"method": "elora"},
    "full": {"method": "full"},
    "scratch": {"method": "scratch"},
    "soft_threshold, all tensors": {"method": "soft_threshold", "targets": ["all"]},
    "soft_threshold, spin-free": {"method": "soft_threshold", "spin": False},
    "full, spin-free": {"method": "full", "spin": False},
}
"""Label -> options of the fine-tune."""
for label in ("soft_threshold", "elora", "full"):
    for factor in (0.5, 2):
        method: str = METHODS[label]["method"]
        METHODS[f"{label}, lr x {factor}"] = {
            "method": method,
            "lr": factor * equisparse.make_method(method).learning_rate,
        }
EPOCHS, BATCH = 40, 8
SCANS = RESULTS.with_name("spin_scans.jsonl")
OXIDES = {"NiO": 4.18, "MnO": 4.44}
"""Rock salts -> lattice constant, Angstrom."""
SMALLEST = 0.1
"""Moment that still makes an order, muB."""


@dataclass(frozen=True)
class Gap:
    """Difference of the energies of the two orders of one geometry, antiferromagnet minus ferromagnet, meV/atom."""

    system: str
    label: float
    predicted: float


def gaps(predictions: equisparse.SplitPredictions) -> list[Gap]:
    """Of all geometries of the test frames of which both orders have kept moments."""
    orders: dict[tuple[str, int], dict[str, int]] = {}
    frames = equisparse.read_frames("demo-spin:test", equisparse.LabelKeys(magnetic=True))
    for number, frame in enumerate(frames):
        system, order = str(frame.atoms.info["config_type"]).split("-")
        if frame.moments is not None and np.abs(frame.moments).max() > SMALLEST:
            orders.setdefault((system, int(frame.atoms.info["geometry"])), {})[order] = number
    energies = 1e3 * np.stack([predictions.labels[ENERGY], predictions.after[ENERGY]], 1) / predictions.n_atoms[:, None]
    return [
        Gap(system, *(energies[pair["antiferromagnetic"]] - energies[pair["ferromagnetic"]]).tolist())
        for (system, _), pair in orders.items()
        if len(pair) == 2
    ]


def trained(label: str, seed: int, runs: Path, device: str) -> Path:
    """Folder of a finished run."""
    folder = runs / f"{label}-{seed}"
    if not (folder / "metrics.json").exists():
        options = {"spin": True, **METHODS[label]}
        equisparse.finetune_config(
            equisparse.FinetuneConfig(
                train=["demo-spin"],
                **options,
                epochs=EPOCHS,
                batch_size=BATCH,
                seed=seed,
                device=device,
                out=str(folder),
            )
        )
    return folder


def predictions_of(folder: Path) -> equisparse.SplitPredictions:
    """Labels and predictions of the test frames of a run."""
    predictions = equisparse.read_run(folder).predictions
    if predictions is None:
        raise SystemExit(f"{folder} has no predictions")
    return predictions


def judged(folder: Path, changed: float = 1.0) -> dict[str, Any]:
    """Errors of a run, and those of its order energies."""
    metrics = json.loads((folder / "metrics.json").read_text())
    predictions = predictions_of(folder)
    found = gaps(predictions)
    off = np.array([gap.predicted - gap.label for gap in found])
    right = [gap.predicted * gap.label > 0 for gap in found]
    kept = ("refit", "final", "steps", "seconds", "changed_fraction_model", "spin_layer_values", "versions")
    return {name: metrics.get(name) for name in kept} | {
        "valid_loss": least_loss(folder, changed),
        "magnitude_mae_mub": magnitude_error(predictions),
        "order_energies": {
            "geometries": len(found),
            "mae_mev_per_atom": float(np.abs(off).mean()),
            "ranked_right": float(np.mean(right)),
            "by_system": {
                system: float(np.mean([abs(gap.predicted - gap.label) for gap in found if gap.system == system]))
                for system in sorted({gap.system for gap in found})
            },
        },
    }


def least_loss(folder: Path, changed: float) -> float:
    """Least loss on the validation frames of the epochs that have at most that fraction changed."""
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    most = 1.001 * changed  # a count is rounded
    return min(float(row["valid_loss"]) for row in rows if float(row["changed_fraction_model"]) <= most)


def magnitude_error(predictions: equisparse.SplitPredictions) -> float | None:
    """Mean error of the lengths of moments over all atoms, muB: what models without signs predict as well."""
    if MOMENTS not in predictions.labels:
        return None
    lengths = (np.linalg.norm(moments, axis=1) for moments in (predictions.labels[MOMENTS], predictions.after[MOMENTS]))
    return float(np.abs(np.subtract(*lengths)).mean())


def draw(folder: Path, out: Path) -> None:
    """Moments, and order energies, predicted against computed."""
    predictions = predictions_of(folder)
    if MOMENTS not in predictions.labels:
        raise SystemExit("a run without a spin layer has no moments to draw")
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(predictions.labels[MOMENTS][:, 2], predictions.after[MOMENTS][:, 2], ".", ms=4)
    left.set(xlabel="computed moment (muB)", ylabel="predicted moment (muB)", title="Moments of atoms")
    found = gaps(predictions)
    for system in sorted({gap.system for gap in found}):
        rows = [(gap.label, gap.predicted) for gap in found if gap.system == system]
        right.plot(*zip(*rows, strict=True), "o", ms=5, label=system)
    right.set(xlabel="computed (meV/atom)", ylabel="predicted (meV/atom)", title="E(antiferro) - E(ferro)")
    right.legend(frameon=False, fontsize="small")
    for axis in (left, right):
        low, high = min(axis.get_xlim()[0], axis.get_ylim()[0]), max(axis.get_xlim()[1], axis.get_ylim()[1])
        axis.plot([low, high], [low, high], color="grey", lw=0.8, zorder=0)
        axis.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=160)


def scan(adapter: Path, oxide: str, device: str) -> list[dict[str, Any]]:
    """Orders of the 2x2x2 primitive cells of an oxide, the lowest first, with signs of the metal atoms' spins."""
    crystal = bulk(oxide, "rocksalt", a=OXIDES[oxide])
    ranked = equisparse.orders(crystal, "7net-0", adapter, supercell=(2, 2, 2), device=device)
    return [{"mev_per_atom": round(1e3 * one.energy, 2), "signs": one.signs, "count": one.count} for one in ranked]


def main() -> None:
    """Run what is missing, draw one run, or scan orders with its adapter."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "draw", "scan"])
    parser.add_argument("--runs", type=Path, default=Path("build/spin-orders"))
    parser.add_argument("--labels", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--label", default="soft_threshold", choices=METHODS, help="whose run is drawn or scans")
    parser.add_argument("--adapter", type=Path, help="that scans, in place of a run")
    parser.add_argument("--oxides", nargs="+", default=list(OXIDES), choices=OXIDES)
    parser.add_argument("--out", type=Path, default=Path("docs/figures/spin_orders.png"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.what == "draw":
        draw(trained(options.label, options.seeds[0], options.runs, options.device), options.out)
        return
    if options.what == "scan":
        adapter = options.adapter
        if adapter is None:
            adapter = trained(options.label, options.seeds[0], options.runs, options.device) / "adapter.safetensors"
        for oxide in options.oxides:
            found = scan(adapter, oxide, options.device)
            add_row(SCANS, {"run": adapter.parent.name, "oxide": oxide, "a": OXIDES[oxide], "orders": found})
        return
    for seed in options.seeds:
        for label in options.labels:
            cell = {"label": label, "seed": seed, "epochs": EPOCHS, "batch_size": BATCH}
            if any(row["cell"] == cell for row in rows_of(options.results)):
                continue
            row = {"cell": cell} | judged(
                trained(label, seed, options.runs, options.device), METHODS[label].get("changed", 1.0)
            )
            add_row(options.results, row)


if __name__ == "__main__":
    main()
