"""Train a small MACE from scratch with MACE's own trainer, as a base for benchmarks where no model can be downloaded.

    python benchmarks/pretrain_mace.py --folders ../shared/data/rmd17/toluene ../shared/data/rmd17/ethanol \
        --out bases/mace-small.model

The folders hold ``train`` and ``valid`` as ``.xyz.gz``, with labels under MACE's usual names.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import ase.io


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folders", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--irreps", default="32x0e+32x1o")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def main() -> None:
    """Gather the frames, train, keep the model."""
    arguments = parse_arguments()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for split in ("train", "valid"):
            frames = [atoms for data in arguments.folders for atoms in ase.io.read(data / f"{split}.xyz.gz", ":")]
            ase.io.write(folder / f"{split}.extxyz", frames)
        options = {
            "name": "base",
            "work_dir": folder,
            "train_file": folder / "train.extxyz",
            "valid_file": folder / "valid.extxyz",
            "energy_key": "REF_energy",
            "forces_key": "REF_forces",
            "E0s": "average",
            "model": "ScaleShiftMACE",
            "hidden_irreps": arguments.irreps,
            "r_max": 4.5,
            "max_ell": 2,
            "correlation": 2,
            "batch_size": 10,
            "valid_batch_size": 25,
            "max_num_epochs": arguments.epochs,
            "eval_interval": 10,
            "default_dtype": "float32",
            "device": arguments.device,
            "seed": arguments.seed,
            "plot": False,
        }
        words = [f"--{key}={value}" for key, value in options.items()]
        subprocess.run([sys.executable, "-W", "ignore", "-m", "mace.cli.run_train", *words], check=True)
        shutil.copy(folder / "base.model", arguments.out)


if __name__ == "__main__":
    main()
