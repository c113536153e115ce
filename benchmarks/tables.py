"""Fill a table of docs/benchmarks.md, cell by cell; what is in the results already is skipped.

    python benchmarks/sets.py --data ../shared/data --out build/sets
    python benchmarks/tables.py molecules --sets build/sets
    python benchmarks/tables.py crystals --sets build/sets --seeds 0 1 2 --device cuda --workers 4
    python benchmarks/tables.py organic --sets build/sets --bases ../shared/data/models
    python benchmarks/tables.py others --sets build/my-sets
    python benchmarks/tables.py molecules --list

Every cell is one run of `accuracy.py`, at the default learning rate of its method, unless `CHOSEN` names another
for its set or family; or one of `upstream.py`, with upstream's preset. The table ``others`` has every folder of
``--sets`` that `sets.py` does not make, so that frames on which nothing was tuned can be run. The longest table first:
cut it off whenever you like.
"""

import argparse
import itertools
import shlex
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import upstream
from accuracy import RESULTS, cell_of, ensure, parse_arguments, row_of
from accuracy import run as run_ours
from rows import rows_of
from sets import RECIPES

METHODS = {
    "soft_threshold": "--method soft_threshold",
    "soft_threshold, no radial": "--method soft_threshold",
    "soft_threshold H": "--method soft_threshold --regime H",
    "sparse": "--method sparse",
    "sparse 10 %": "--method sparse --changed 0.1",
    "sparse 3 %": "--method sparse --changed 0.03",
    "sparse 1 %": "--method sparse --changed 0.01",
    "sparse 0.5 %": "--method sparse --changed 0.005",
    "lowrank 170 KB": "--method lowrank --budget 170KB",
    "scale": "--method scale",
    "elora": "--method elora",
    "elora 16": """--method elora --options '{"rank": 16}'""",
    "mmea": "--method mmea",
    "full": "--method full",
    "readout": "--method readout",
    "scratch": "--method scratch",
    "upstream": " ".join(upstream.UPSTREAM),
}
"""Name in the tables -> options of `accuracy.py`."""
SPARSE = ("sparse", "sparse 10 %", "sparse 3 %", "sparse 1 %", "sparse 0.5 %")
PEERS = ("full", "soft_threshold", "elora", "elora 16", "lowrank 170 KB", "upstream", "mmea", "scale")
MAIN = (*SPARSE, *PEERS)
REST = ("soft_threshold H", "readout", "scratch")

CHOSEN = {
    ("molecules", "soft_threshold"): "--lr 0.05",
    ("molecules", "soft_threshold H"): "--lr 0.05",
    ("molecules", "lowrank 170 KB"): "--lr 0.05",
    ("molecules", "elora"): "--lr 0.05",
    ("molecules", "elora 16"): "--lr 0.05",
    ("organic", "soft_threshold"): "--lr 0.05",
    ("organic", "elora"): "--lr 0.05",
    ("organic", "elora 16"): "--lr 0.05",
    ("crystals", "soft_threshold"): "--targets all",
    ("crystals", "elora"): "--targets all",
    **{("crystals", label): "--targets all" for label in SPARSE},
    ("crystals", "lowrank 170 KB"): "--lr 0.03",
    ("crystals", "elora 16"): "--lr 0.03",
}
"""(family or set, method) -> learning rate and options, where others than the defaults were better: one molecule bears
higher rates than crystals of many shapes, and in 300 steps they pay; crystals gain by trained radial networks, and few
ranks by a higher rate."""

STEPS = "--steps 300"
LONG = "--steps 1000"
ORGANIC_BASE = "MACE_SPICE_0316.model"
ORGANIC_STEPS = "--steps 600"
"""A step of this small model takes a tenth of the time of one of 7net-0."""
CRYSTAL_STEPS = {"mo": 300, "hfo2": 100, "cu": 100}
"""Fewer for the larger cells: on one core a step of two frames takes two to three seconds there."""
WHOLE_SET = "--steps 500 --batch-size 8"
"""All training frames of a crystal: for a GPU."""
FRACTIONS = (0.005, 0.01, 0.03, 0.1, 0.3)
SIZES = ("28KB", "40KB", "80KB", "170KB", "500KB")
ENTRIES = '{"rank": null}'
PUBLISHED = '{"rank": null, "start_width": 0.01, "start_threshold": 0.001}'


Run = Callable[[argparse.Namespace], dict[str, Any]]
"""What does a cell, and returns its row."""


class Cell(NamedTuple):
    """One cell: data set with its training frames, label in the table, options of `accuracy.py`."""

    data: str
    label: str
    options: str


def molecules() -> Iterator[Cell]:
    """rMD17 with 100 and with 50 training frames."""
    for method in MAIN + REST:
        for name in ("ethanol", "aspirin", "toluene"):
            yield cell("molecules", name, method, STEPS)
    for method in MAIN:
        yield cell("molecules", "ethanol", method, f"{STEPS} --train-frames 50")


def acac() -> Iterator[Cell]:
    """Acetylacetone trained at 300 K, tested at 300 K, at 600 K, on a proton transfer and a dihedral scan."""
    for method in MAIN:
        yield cell("molecules", "acac", method, STEPS)


def long() -> Iterator[Cell]:
    """Ethanol at 1000 steps: what few weights cost when training is long enough."""
    for method in (*SPARSE, "full", "soft_threshold", "elora", "elora 16", "lowrank 170 KB"):
        yield cell("molecules", "ethanol", method, LONG)


def organic() -> Iterator[Cell]:
    """rMD17 on a MACE that was trained on organic molecules."""
    for method in (*SPARSE, "full", "soft_threshold", "elora", "elora 16"):
        for name in ("ethanol", "aspirin", "toluene"):
            yield cell("organic", name, method, f"{ORGANIC_STEPS} --base {ORGANIC_BASE}")


def others(sets: Path | None = None) -> Iterator[Cell]:
    """Folders that `sets.py` does not make, with all defaults; those of the results if no folder of sets is given."""
    made = {Path(source).name for source in RECIPES}
    found = {str(row["cell"]["name"]) for row in rows_of(RESULTS)}
    if sets is not None:
        found = {path.name for path in sets.iterdir() if path.is_dir()}
    for name in sorted(found - made):
        for method in (*SPARSE, "full", "soft_threshold", "elora", "upstream"):
            yield cell("others", name, method, STEPS)


def crystals() -> Iterator[Cell]:
    """Metals and an oxide with stress, few frames; with the radial networks and without."""
    for frames in (50, 20, 100):
        for method in (*MAIN, "soft_threshold, no radial"):
            for name, steps in CRYSTAL_STEPS.items():
                yield cell("crystals", name, method, f"--steps {steps} --batch-size 2 --train-frames {frames}")
    for method in MAIN:
        for name in CRYSTAL_STEPS:
            yield cell("crystals", name, method, WHOLE_SET)


def ablation() -> Iterator[Cell]:
    """Which tensors change, the decay of tau, the optimiser."""
    for label, options in {
        "default": "",
        "channel mixing alone": "--targets linear self_connection readout",
        "embedding alone": "--targets embedding",
        "all tensors": "--targets all",
        "ten times the lr of tau": """--options '{"tau_lr": 0.1}'""",
        "regime H": "--regime H",
        "AdamW": "--optimizer adamw --lr 0.01",
        "entry by entry": f"--options '{ENTRIES}'",
        "entry by entry, lr 0.02": f"--options '{ENTRIES}' --lr 0.02",
        "entry by entry, AdamW": f"--options '{ENTRIES}' --optimizer adamw --lr 0.01",
        "as published": f"--options '{PUBLISHED}' --optimizer schedulefree --lr 0.01",
        "as published, regime H": f"--regime H --options '{PUBLISHED}' --optimizer schedulefree --lr 0.01",
    }.items():
        _, _, words = cell("molecules", "ethanol", "soft_threshold", STEPS)
        yield Cell("ethanol", label, f"{words} {options}")


def sizes() -> Iterator[Cell]:
    """Error against the changed fraction and the size of the adapter."""
    for method in MAIN:
        if method not in SPARSE and method != "lowrank 170 KB":
            yield cell("molecules", "ethanol", method, STEPS)
    for size in SIZES:
        yield other(cell("molecules", "ethanol", "lowrank 170 KB", STEPS), f"lowrank {size}", "170KB", size)
    for fraction in FRACTIONS:
        label = f"sparse {100 * fraction:g} %"
        yield other(cell("molecules", "ethanol", "sparse 3 %", STEPS), label, "0.03", str(fraction))


TABLES: dict[str, Callable[[], Iterator[Cell]]] = {
    "molecules": molecules,
    "acac": acac,
    "long": long,
    "organic": organic,
    "crystals": crystals,
    "others": others,
    "ablation": ablation,
    "sizes": sizes,
}


def cell(family: str, name: str, method: str, options: str) -> Cell:
    """The cell of a method of `METHODS` on a set."""
    chosen = CHOSEN.get((name, method)) or CHOSEN.get((family, method), "")
    words = f"--name {name} {METHODS[method]} {chosen} {options}"
    frames = "all" if WHOLE_SET in options else options.partition("--train-frames ")[2]
    return Cell(f"{name}, {frames} frames" if frames else name, method, words)


def other(cell: Cell, label: str, old: str, new: str) -> Cell:
    """The same cell with another label, and another word among its options."""
    return cell._replace(label=label, options=cell.options.replace(old, new))


def arguments_of(cell: Cell, seed: int) -> argparse.Namespace:
    """Arguments of `accuracy.py` for a cell."""
    return parse_arguments(["--folder", "", "--seed", str(seed), *shlex.split(cell.options)])


def main() -> None:
    """Run the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--sets", type=Path, default=Path("build/sets"))
    parser.add_argument("--bases", type=Path, default=Path(), help="folder with the bases that are files")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", default=[], help="words that a cell's options must all hold")
    parser.add_argument("--labels", nargs="+", help="cells with these labels alone, such as 'sparse 3 %%'")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=1, help="cells at once, each in a process of its own")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--keep", type=Path, help="folder that gets the adapters")
    parser.add_argument("--list", action="store_true", help="say which cells are missing, run nothing")
    wishes = parser.parse_args()
    missing = []
    cells = others(wishes.sets) if wishes.table == "others" else TABLES[wishes.table]()
    for seed, cell in itertools.product(wishes.seeds, cells):
        if not set(wishes.only) <= set(cell.options.split()) or cell.label not in (wishes.labels or [cell.label]):
            continue
        arguments = arguments_of(cell, seed)
        arguments.folder = wishes.sets / arguments.name
        arguments.device, arguments.results, arguments.keep = wishes.device, wishes.results, wishes.keep
        if arguments.base == ORGANIC_BASE:
            arguments.base = str(wishes.bases / ORGANIC_BASE)
        found = row_of(arguments) is not None
        print("done   " if found else "missing", seed, cell.options, flush=True)
        if not found:
            missing.append((arguments, upstream.run if cell.label == "upstream" else run_ours))
    if not wishes.list:
        fill(missing, wishes.workers)


def fill(missing: Iterable[tuple[argparse.Namespace, Run]], workers: int) -> None:
    """Run cells, as many at once as there are workers; one that fails is left missing, and the others go on."""
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(ensure, *one): cell_of(one[0]) for one in missing}
        try:
            for future in as_completed(futures):
                error = future.exception()
                print(time.strftime("%H:%M:%S"), f"failed: {error!r}" if error else "done", futures[future], flush=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


if __name__ == "__main__":
    main()
