"""Fill a table of docs/benchmarks.md, cell by cell; what is in the results already is skipped.

    python benchmarks/sets.py --data ../shared/data --out build/sets
    python benchmarks/tables.py molecules --sets build/sets
    python benchmarks/tables.py crystals --sets build/sets --seeds 0 1 2 --device cuda
    python benchmarks/tables.py molecules --list

Every cell is one run of `accuracy.py`, at the learning rate that `search.py` chose for its method and family (the
default of the method unless `CHOSEN` names another). The longest table first: cut it off whenever you like.
"""

import argparse
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from accuracy import RESULTS, cell_of, ensure, parse_arguments, rows_of

METHODS = {
    "sparse": "--method sparse",
    "sparse H": "--method sparse --regime H",
    "sparse 3 %": "--method sparse --changed 0.03",
    "scale": "--method scale",
    "elora": "--method elora",
    "mmea": "--method mmea",
    "full": "--method full",
    "readout": "--method readout",
    "scratch": "--method scratch",
}
"""Name in the tables -> options of `accuracy.py`."""
MAIN = ("sparse", "sparse 3 %", "elora", "full", "scale", "mmea")
REST = ("sparse H", "readout", "scratch")

CHOSEN: dict[tuple[str, str], str] = {}
"""(family, method) -> learning rate and options, where the search found other values than the defaults."""

SIZES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


def molecules() -> Iterator[str]:
    """rMD17 with 100 and with 50 training frames."""
    for name in ("ethanol", "aspirin", "toluene"):
        for method in MAIN + (REST if name == "ethanol" else ()):
            yield cell("molecules", name, method, "--steps 600")
    for method in MAIN:
        yield cell("molecules", "ethanol", method, "--steps 600 --train-frames 50")


def acac() -> Iterator[str]:
    """Acetylacetone trained at 300 K, tested at 300 K, at 600 K, on a proton transfer and a dihedral scan."""
    for method in MAIN:
        yield cell("molecules", "acac", method, "--steps 600")


def crystals() -> Iterator[str]:
    """Metals and an oxide with stress, few frames."""
    for frames in (20, 50, 100):
        for name in ("mo", "hfo2", "cu"):
            for method in MAIN:
                yield cell("crystals", name, method, f"--steps 150 --batch-size 2 --train-frames {frames}")


def ablation() -> Iterator[str]:
    """Which tensors change, one threshold per tensor or per path, and the decay of tau."""
    for options in (
        "--targets linear self_connection readout",
        "--targets embedding",
        "--targets all",
        """--options '{"tau_per": "path"}'""",
        """--options '{"tau_lr": 0.1}'""",
        "--regime H",
        "--regime H --optimizer schedulefree",
        "--optimizer schedulefree",
    ):
        yield f"{cell('molecules', 'ethanol', 'sparse', '--steps 600')} {options}"


def sizes() -> Iterator[str]:
    """Error against the changed fraction."""
    for fraction in SIZES:
        yield cell("molecules", "ethanol", "sparse 3 %", "--steps 600").replace("0.03", str(fraction))


TABLES = {"molecules": molecules, "acac": acac, "crystals": crystals, "ablation": ablation, "sizes": sizes}


def cell(family: str, name: str, method: str, options: str) -> str:
    """Options of `accuracy.py` for one cell."""
    return f"--name {name} {METHODS[method]} {CHOSEN.get((family, method), '')} {options}"


def main() -> None:
    """Run the cells that are missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--sets", type=Path, default=Path("build/sets"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", default=[], help="words that a cell's options must all hold")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--keep", type=Path, help="folder that gets the adapters")
    parser.add_argument("--list", action="store_true", help="say which cells are missing, run nothing")
    wishes = parser.parse_args()
    for seed in wishes.seeds:
        for options in TABLES[wishes.table]():
            if not all(word in options for word in wishes.only):
                continue
            arguments = parse_arguments(["--folder", "", "--seed", str(seed), *shlex.split(options)])
            arguments.folder = wishes.sets / arguments.name
            arguments.device, arguments.results, arguments.keep = wishes.device, wishes.results, wishes.keep
            found = cell_of(arguments) in [row["cell"] for row in rows_of(arguments.results)]
            print(time.strftime("%H:%M:%S"), "done   " if found else "missing", f"seed {seed}", options, flush=True)
            if not found and not wishes.list:
                row = ensure(arguments)
                print({name: row["test"][name] for name in row["test"] if "mae" in name}, flush=True)


if __name__ == "__main__":
    main()
