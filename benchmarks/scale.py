"""Memory and time against the number of frames: audit, fine-tune, and the share of time that waits for data.

    python benchmarks/scale.py                                  # 1,000 and 10,000 frames, in minutes
    python benchmarks/scale.py --audit 100000 --finetune --loader --processes  # the audit alone, of more frames
    python benchmarks/scale.py --audit --finetune 100000 --loader --processes

The frames are molecules of up to 14 atoms with labels of a pair potential, in aselmdb files of 10,000 frames each.
Every measurement runs in a process of its own. Its memory is the largest private memory (RssAnon of Linux), sampled
20 times per second: pages of files that the system maps and can drop at any time are not counted. Fine-tunes for memory
take a small untrained SevenNet; the share of waiting is measured on 7net-0, without any graphs kept in memory.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import ase.db
import numpy as np
import torch
from ase import Atoms
from ase.collections import g2
from rows import add_row

import equisparse
from equisparse.testing.small_sevennet import write_small_sevennet

RESULTS = Path(__file__).parent / "results" / "scale.jsonl"
PER_FILE = 10_000
BATCH = 50
WHOLE, STEPS = 10_000, 100
"""Most frames of a fine-tune of one epoch, and steps of one of more frames."""
ELEMENTS = {1: -13.0, 6: -1030.0, 7: -1480.0, 8: -2040.0}
"""Atomic number -> energy, eV."""


def main() -> None:
    """Run the measurements that the arguments ask for, or, in a child process, one of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audit", type=int, nargs="*", default=[1000, 10_000], help="numbers of frames")
    parser.add_argument("--finetune", type=int, nargs="*", default=[1000, 10_000], help="numbers of frames")
    parser.add_argument("--loader", type=int, nargs="*", default=[0, 1], help="numbers of loader processes")
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2], help="numbers of training processes")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--child", nargs=3, metavar=("WHAT", "NUMBER", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        what, number, folder = arguments.child
        row = MEASURED[what](int(number), Path(folder))
        if os.environ.get("LOCAL_RANK", "0") == "0":
            add_row(arguments.results, {"what": what} | row)
        return
    wanted = [("audit", arguments.audit), ("finetune", arguments.finetune), ("loader", arguments.loader)]
    wanted.append(("processes", arguments.processes))
    for what, number in [(what, number) for what, numbers in wanted for number in numbers]:
        with tempfile.TemporaryDirectory() as folder:
            write_frames(Path(folder), number if what in ("audit", "finetune") else 200)
            words = ["--child", what, str(number), folder, "--results", str(arguments.results)]
            subprocess.run([sys.executable, __file__, *words], check=True)


def audit(frames: int, folder: Path) -> dict[str, Any]:
    """Audit without a base."""
    with Memory() as memory:
        start = time.perf_counter()
        equisparse.audit(str(folder / "*.aselmdb"))
        seconds = time.perf_counter() - start
    return {"frames": frames, "seconds": round(seconds, 1), "cpu_seconds": round(time.process_time(), 1)} | memory.row()


def finetune(frames: int, folder: Path) -> dict[str, Any]:
    """Fine-tune of a small untrained SevenNet with a small cache of graphs and one loader process.

    It is one epoch, or `STEPS` steps of more than `WHOLE` frames; all frames are audited and predicted in any case.
    """
    with Memory() as memory:
        start = time.perf_counter()
        run = equisparse.finetune(
            str(folder / "*.aselmdb"),
            base=write_small_sevennet(folder / "small.pth", sorted(ELEMENTS), shift=0.0, scale=1.0, seed=0),
            device="cpu",
            method="lowrank",
            out=folder / "run",
            report=False,
            force=True,  # an untrained base has none of the labels
            epochs=1 if frames <= WHOLE else None,
            max_steps=None if frames <= WHOLE else STEPS,
            batch_size=BATCH,
            anchor=0,
            cache=0.02,
            workers=1,
        )
        seconds = time.perf_counter() - start
    return {"frames": frames, "steps": run.metrics.steps, "seconds": round(seconds, 1)} | memory.row()


def loader(workers: int, folder: Path) -> dict[str, Any]:
    """Share of the training time on 7net-0 in which the training waits for its loader."""
    waited = 0.0
    iterator = torch.utils.data.dataloader._BaseDataLoaderIter
    given = iterator.__next__

    def timed(self: Any) -> Any:
        nonlocal waited
        start = time.perf_counter()
        try:
            return given(self)
        finally:
            waited += time.perf_counter() - start

    iterator.__next__ = timed  # type: ignore[method-assign]
    out, files = folder / "run", str(folder / "*.aselmdb")
    run = equisparse.finetune(
        files,
        base="7net-0",
        device="cpu",
        method="lowrank",
        out=out,
        report=False,
        force=True,
        epochs=2,
        anchor=0,
        cache=0.0,
        workers=workers,
    )
    return {
        "workers": workers,
        "waiting": round(waited / run.metrics.seconds, 4),
        "step_seconds": step(run),
        "versions": run.metrics.versions,
    }


def processes(count: int, folder: Path) -> dict[str, Any]:
    """Speed of the steps on 7net-0 on several processes with one thread each and ten frames per process and step."""
    texts: dict[str, str] = {}

    class Notices(equisparse.Listener):
        def notice(self, topic: str, text: str) -> None:
            texts[topic] = text

    run = equisparse.finetune(
        str(folder / "*.aselmdb"),
        base="7net-0",
        device="cpu",
        method="lowrank",
        out=folder / "run",
        report=False,
        force=True,
        max_steps=20,
        anchor=0,
        devices=count,
        listener=Notices(),
    )
    first = os.environ.get("LOCAL_RANK", "0") == "0"
    return {
        "processes": count,
        "frames_per_second": float(texts["throughput"].split()[0]) if first else 0.0,
        "throughput": texts.get("throughput", ""),
        "load": round(os.getloadavg()[0], 1),
        "versions": run.metrics.versions if first else {},
    }


MEASURED = {"audit": audit, "finetune": finetune, "loader": loader, "processes": processes}


def step(run: equisparse.Run) -> float:
    """Mean time of a step, s, with the validation after each epoch."""
    return round(run.metrics.seconds / run.metrics.steps, 4)


class Memory:
    """Largest private memory of this process within a block, and that at its beginning."""

    def __enter__(self) -> "Memory":
        self._first = self._largest = private_bytes()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def row(self) -> dict[str, Any]:
        """Values of a row of results, MB, with the versions."""
        return {
            "megabytes": round(self._largest / 1e6),
            "megabytes_before": round(self._first / 1e6),
            "threads": torch.get_num_threads(),
            "versions": equisparse.versions(equisparse.load_backbone("7net-0", device="cpu")),
        }

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            self._largest = max(self._largest, private_bytes())


def private_bytes() -> int:
    """Private memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def write_frames(folder: Path, count: int) -> None:
    """Write aselmdb files of displaced molecules."""
    names = [name for name in g2.names if 6 <= len(g2[name]) <= 14 and ELEMENTS.keys() >= set(g2[name].numbers)]
    generator = np.random.default_rng(0)
    for first in range(0, count, PER_FILE):
        with ase.db.connect(folder / f"{first // PER_FILE:04d}.aselmdb") as database:
            for index in range(first, min(first + PER_FILE, count)):
                molecule = g2[names[index % len(names)]]
                atoms, energy, forces = displaced(molecule, generator)
                database.write(atoms, REF_energy=energy, data={"REF_forces": forces})


def displaced(molecule: Atoms, generator: np.random.Generator) -> tuple[Atoms, float, np.ndarray]:
    """A molecule with displaced atoms, its energy (eV) and forces (eV/Angstrom): springs between all atoms."""
    rest = np.linalg.norm(molecule.positions[:, None] - molecule.positions, axis=-1)
    atoms = Atoms(molecule.numbers, positions=molecule.positions + generator.normal(0, 0.08, (len(molecule), 3)))
    vectors = atoms.positions[:, None] - atoms.positions
    lengths = np.linalg.norm(vectors, axis=-1) + np.eye(len(atoms))
    stiffness = 2 * np.exp(-rest) * (1 - np.eye(len(atoms)))
    energy = 0.5 * (stiffness * (lengths - rest) ** 2).sum() + sum(ELEMENTS[z] for z in atoms.numbers)
    forces = -2 * (stiffness * (lengths - rest) / lengths)[..., None] * vectors
    return atoms, float(energy), forces.sum(axis=1)


if __name__ == "__main__":
    main()
