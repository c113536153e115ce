"""Make the benchmark folders from labelled frames: ``train``, ``valid``, ``test`` and further tests as ``.xyz.gz``.

    python benchmarks/sets.py --data ../shared/data --out build/sets

Frames without a split of their own are drawn in turn from every ``config_type``, and those of a type from cold to hot
in equal parts, by a fixed seed, so that the first 20 training frames have some of every type (where there are more
types than that, as in HfO2, one frame each of the first ones); ``accuracy.py --train-frames N`` uses the first N. A
folder of the same form made by hand is as good.
"""

import argparse
import gzip
import hashlib
import shutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from scipy.stats import qmc

SPLITS = ("train", "valid", "test")
SUFFIX = ".xyz.gz"
SEED = 0


@dataclass(frozen=True)
class Recipe:
    """How a set is made from the files of a folder.

    Parameters
    ----------
    frames : str
        File that training and validation frames are drawn from, and test frames, if there is no file of them.
    valid, test : int
        Number of frames drawn; all others are for training.
    tests : mapping of str to str
        File name in the set -> file of test frames, used whole.
    leave_out : str
        Flag in ``info``; frames that have it set are not used.
    """

    frames: str
    valid: int
    test: int = 0
    tests: Mapping[str, str] = field(default_factory=dict)
    leave_out: str = ""


ACAC_TESTS = {
    "test": "test_MD_300K",
    "test_600K": "test_MD_600K",
    "test_h_transfer": "test_H_transfer",
    "test_dihedral": "test_dihedral",
}
RECIPES: dict[str, Recipe | None] = {
    "rmd17/ethanol": None,
    "rmd17/aspirin": None,
    "rmd17/toluene": None,
    "acac": Recipe("train_300K", valid=50, tests=ACAC_TESTS),
    "cu": Recipe("train", valid=20, tests={"test": "test"}, leave_out="energy_degenerate_with_test"),
    "mo": Recipe("train", valid=20, tests={"test": "test"}),
    "hfo2": Recipe("all", valid=20, test=60),
}
"""Folder of the source -> recipe; None where the source has the three splits already."""


def main() -> None:
    """Write every set whose source is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    for source, recipe in RECIPES.items():
        folder, target = arguments.data / source, arguments.out / Path(source).name
        if not folder.is_dir():
            print(f"{source}: no such folder, left out")
            continue
        target.mkdir(parents=True, exist_ok=True)
        if recipe is None:
            for name in SPLITS:
                shutil.copyfile(folder / f"{name}{SUFFIX}", target / f"{name}{SUFFIX}")
        else:
            follow(recipe, folder, target)
        print(f"{target}: " + ", ".join(sorted(path.name.removesuffix(SUFFIX) for path in target.iterdir())))


def follow(recipe: Recipe, folder: Path, target: Path) -> None:
    """Write the files of one set."""
    frames = [frame for frame in read(folder / f"{recipe.frames}{SUFFIX}") if not frame.info.get(recipe.leave_out)]
    frames = drawn_in_turn(frames, SEED)
    bounds = np.cumsum([recipe.test, recipe.valid])
    drawn = {"test": frames[: bounds[0]], "valid": frames[bounds[0] : bounds[1]], "train": frames[bounds[1] :]}
    drawn |= {name: read(folder / f"{source}{SUFFIX}") for name, source in recipe.tests.items()}
    for name, part in drawn.items():
        ase.io.write(target / f"{name}{SUFFIX}", part, format="extxyz")


def digest_of(folder: Path) -> str:
    """Short name of the frames of a set, by which results of other frames are told apart; empty without a folder."""
    files = [folder / f"{name}{SUFFIX}" for name in SPLITS]
    if not all(file.is_file() for file in files):
        return ""
    return hashlib.sha256(b"".join(gzip.decompress(file.read_bytes()) for file in files)).hexdigest()[:12]


def read(path: Path) -> list[Atoms]:
    """All frames of a file."""
    found = ase.io.read(path, ":")
    return found if isinstance(found, list) else [found]


def drawn_in_turn(frames: list[Atoms], seed: int) -> list[Atoms]:
    """All frames in random order, one of every ``config_type`` after the other."""
    rng = np.random.default_rng(seed)
    groups = defaultdict(list)
    for number in rng.permutation(len(frames)):
        groups[frames[number].info.get("config_type")].append(frames[number])
    rounds = [(turn, frame) for group in groups.values() for turn, frame in enumerate(spread(group, rng))]
    return [frame for _, frame in sorted(rounds, key=lambda pair: pair[0])]


def spread(frames: list[Atoms], rng: np.random.Generator) -> list[Atoms]:
    """All frames in an order of which every beginning covers small to large forces evenly.

    The quantiles follow a scrambled Halton sequence; each is one of the frames that are left.
    """
    left = sorted(frames, key=mean_square_force)
    quantiles = qmc.Halton(1, rng=rng).random(len(frames))[:, 0]
    return [left.pop(int(quantile * len(left))) for quantile in quantiles]


def mean_square_force(frame: Atoms) -> float:
    """Mean square force on an atom, (eV/A)^2: a measure of temperature and strain."""
    forces = frame.arrays["REF_forces"] if "REF_forces" in frame.arrays else frame.get_forces()
    return float((forces**2).sum(axis=1).mean())


if __name__ == "__main__":
    main()
