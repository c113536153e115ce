"""Files are written whole or not at all: on a disk without room, in a folder that is none, and when killed."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from equisparse.errors import StateError, WriteError
from equisparse.files import locked, make_folder, replacing, write_text

WRITERS = """
import resource, sys
from pathlib import Path
import numpy as np, torch
from matplotlib.figure import Figure
from equisparse.adapters.adapter import Adapter
from equisparse.adapters.file import save_adapter
from equisparse.blocks import Layout, matrix_blocks
from equisparse.errors import StateError, WriteError
from equisparse.formats.dense import Dense
from equisparse.files import replacing, write_text
from equisparse.report.paper import figures
from equisparse.training.checkpoints import WholeCheckpoints
from equisparse.training.epochs import Epoch, write_curve

def arrays(path):
    with replacing(path) as file:
        np.savez_compressed(file, a=np.random.default_rng(0).random(50_000))

def adapter(path):
    layout = Layout(matrix_blocks("w", [("0e->0e", 0, 1, (200, 200))], "linear", 0), {"w": (40_000,)}, 40_000)
    base = dict.fromkeys(("backbone", "source", "sha256", "version"), "x")
    save_adapter(Adapter(Dense(), layout, {"w": {"change": torch.ones(40_000)}}, {}, base, "float32", (8,)), path)

def figure(path):
    image = Figure(figsize=(8, 8))
    image.subplots().imshow(np.random.default_rng(0).random((500, 500)))
    figures.save(image, path)

WRITERS = {
    "page.html": lambda path: write_text(path, "x" * 100_000),
    "curve.csv": lambda path: write_curve(path, [Epoch(1, 1, 0.5)] * 10_000),
    "predictions.npz": arrays,
    "adapter.safetensors": adapter,
    "figure.png": figure,
    "last.ckpt": lambda path: WholeCheckpoints().save_checkpoint({"a": torch.ones(100_000)}, path),
}
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
folder = Path(sys.argv[1])
for name, write in WRITERS.items():
    (folder / name).write_text("whole")
    try:
        write(folder / name)
    except WriteError as error:
        print(name, str(error).replace("\\n", " "))
    assert (folder / name).read_text() == "whole", name
assert sorted(path.name for path in folder.iterdir()) == sorted(WRITERS)
"""
"""Every way in which results are written, against a largest size of files: to a program the same as a full disk."""


def test_a_full_disk_leaves_old_files_whole(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITERS, str(tmp_path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert len(told) == 6
    assert all("cannot be written" in line and "File too large" in line and "--resume" in line for line in told)


def test_a_device_without_room_is_told() -> None:
    with pytest.raises(WriteError, match="cannot be written") as raised, replacing(Path("/dev/full/a")):
        pass
    assert "next step" in str(raised.value)


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "x")
    with pytest.raises(WriteError, match="Not a directory"):
        make_folder(tmp_path / "a" / "b")


def test_errors_of_the_writer_itself_come_through(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "a") as file:
        file.write(bytes(1 // 0))
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    """Two contents in turn, killed twelve times at random moments: the file always has one of the two."""
    code = (
        "import sys; from pathlib import Path; from equisparse.files import write_text\n"
        "while True:\n  for letter in 'ab': write_text(Path(sys.argv[1]), letter * 2_000_000)"
    )
    for moment in np.random.default_rng(5).uniform(0.2, 0.4, 12):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "file")])
        while not (tmp_path / "file").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(moment)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        contents = (tmp_path / "file").read_text()
        assert contents in ("a" * 2_000_000, "b" * 2_000_000)


def test_a_folder_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(StateError, match="Another process"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_where_folders_cannot_be_held_nothing_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(handle: int, kind: int) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr("fcntl.flock", refused)
    with locked(tmp_path), locked(tmp_path):
        pass
