"""Lengths of moments by the published CHGNet, as it is, on frames with moments; one line of results for a file.

    pip install torch==2.13.0 chgnet      # in an environment of its own
    python benchmarks/chgnet_moments.py src/equisparse/demo/tm_o_spin_test.xyz.gz --name demo-spin

CHGNet (Deng et al., Nat. Mach. Intell. 5, 1031 (2023)) gives one length for an atom, whatever the magnetic order. Its
training moments are VASP's, of one order of each structure, mostly the ferromagnetic one; so errors are also given for
every group of frames by itself. Needs nothing of equisparse.
"""

import argparse
import itertools
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path

import ase.io
import numpy as np
import torch
from chgnet.model import CHGNet
from pymatgen.io.ase import AseAtomsAdaptor
from rows import add_row

RESULTS = Path(__file__).parent / "results" / "chgnet_moments.jsonl"


def errors_of(path: Path, key: str) -> dict[str, list[float]]:
    """Errors of the lengths of all atoms' moments, muB, by ``config_type``."""
    model = CHGNet.load(use_device="cpu", verbose=False)
    errors: dict[str, list[float]] = defaultdict(list)
    for atoms in ase.io.read(path, ":"):
        predicted = model.predict_structure(AseAtomsAdaptor.get_structure(atoms), task="em")["m"]
        moments = atoms.arrays[key].reshape(len(atoms), -1)
        group = str(atoms.info.get("config_type", ""))
        errors[group] += np.abs(np.abs(predicted) - np.linalg.norm(moments, axis=1)).tolist()
    return errors


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path)
    parser.add_argument("--name", required=True, help="data set, as it appears in the results")
    parser.add_argument("--moments-key", default="REF_magmoms")
    options = parser.parse_args()
    torch.set_num_threads(1)
    errors = errors_of(options.frames, options.moments_key)
    row = {
        "set": options.name,
        "magnitude_mae_mub": float(np.mean([*itertools.chain(*errors.values())])),
        "by_group": {group: float(np.mean(found)) for group, found in sorted(errors.items())},
        "atoms": sum(map(len, errors.values())),
        "versions": {name: version(name) for name in ("chgnet", "torch", "ase", "pymatgen", "numpy")},
    }
    add_row(RESULTS, row)


if __name__ == "__main__":
    main()
