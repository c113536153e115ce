"""Are metals changed in their p and d channels, and oxygen in s? The statement of arXiv 2606.18691, with a null.

    python benchmarks/physics.py RUN --metal Hf --name "HfO2, soft_threshold, seed 0"

From the functional signatures of a run: in every layer that has scalar and other outputs, the share of the relative
change that falls on l > 0, of the metal's atoms less that of oxygen's. Under the null both elements are alike, so that
the sign of each layer's difference is that of a coin. The second number is the share of the changed weights with an
element axis that belong to elements absent from the data.
"""

import argparse
import csv
import itertools
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers
from rows import add_row

import equisparse

RESULTS = Path(__file__).parent / "results" / "physics.jsonl"
OXYGEN = 8


def main() -> None:
    """Judge one run and add a line to the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--metal", required=True)
    parser.add_argument("--name", required=True, help="of the run, as it appears in the results")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    metal = atomic_numbers[arguments.metal]
    differences, shares = order_differences(rows(arguments.run, "functional"), metal)
    metrics = json.loads((arguments.run / "metrics.json").read_text())
    row = {
        "name": arguments.name,
        "metal": arguments.metal,
        "layers": len(differences),
        "share_beyond_s": {"metal": shares[0], "oxygen": shares[1]},
        "difference": float(np.mean(differences)),
        "p_value": sign_flip_p(differences),
        "change_on_absent_elements": absent_share(arguments.run),
        "force_mae_mev_per_ang": {
            stage: metrics[stage]["test"]["force_mae_mev_per_ang"] for stage in ("refit", "final")
        },
        "steps": metrics["steps"],
        "seed": metrics["seed"],
        "versions": metrics["versions"],
    }
    add_row(arguments.results, row)


def rows(run: Path, table: str) -> list[dict[str, str]]:
    """Rows of one table of a run."""
    with (run / "interpretation" / f"{table}.csv").open() as file:
        return list(csv.DictReader(file))


def order_differences(table: list[dict[str, str]], metal: int) -> tuple[list[float], tuple[float, float]]:
    """Per layer, the metal's share of change beyond l = 0 less oxygen's; and the mean shares of both."""
    changes: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
    for row in table:
        if row["element"] and row["relative_change"]:
            changes[row["tensor"], int(row["element"])][int(row["l"])] = float(row["relative_change"])
    pairs = []
    for tensor in dict.fromkeys(tensor for tensor, _ in changes):
        both = [changes[tensor, element] for element in (metal, OXYGEN)]
        if all(0 in orders and len(orders) > 1 for orders in both):
            pairs.append([1 - orders[0] / sum(orders.values()) for orders in both])
    means = np.mean(pairs, 0)
    return [first - second for first, second in pairs], (float(means[0]), float(means[1]))


def sign_flip_p(differences: list[float]) -> float:
    """One-sided p-value of the mean under all flips of signs."""
    values = np.array(differences)
    flips = np.array(list(itertools.product((1, -1), repeat=len(values))))
    return float(np.mean(flips @ values >= values.sum() - 1e-15))


def absent_share(run: Path) -> float | None:
    """Share of the changed weights that belong to elements absent from the data, where there is an element axis."""
    present = set(equisparse.load_adapter(run / "adapter.safetensors").elements)
    counts = {True: 0, False: 0}
    for row in rows(run, "signatures"):
        if row["element"]:
            counts[int(row["element"]) in present] += int(row["n_changed"])
    return counts[False] / sum(counts.values()) if any(counts.values()) else None


if __name__ == "__main__":
    main()
