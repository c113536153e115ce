"""Data sets that are packaged with equisparse: MgO under pressure, and TM-O-Spin with magnetic orders."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from equisparse.errors import DataError

DEMOS = {"demo": "mgo", "demo-spin": "tm_o_spin"}
"""Name of a packaged set -> prefix of the names of its files."""
PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class DemoFiles:
    """Paths of the extxyz files of a packaged set.

    Their keys are ``REF_energy`` (eV) and ``REF_forces`` (eV/Angstrom), and in a set with spins ``initial_magmoms`` and
    ``REF_magmoms`` (muB).
    """

    train: Path
    valid: Path
    test: Path


def demo_files(name: str = "demo") -> DemoFiles:
    """Paths of a packaged data set.

    Parameters
    ----------
    name : str
        One of `DEMOS`.

    Raises
    ------
    DataError
        If a file is not installed.
    """
    return DemoFiles(*(_packaged(f"{DEMOS[name]}_{part}.xyz.gz") for part in PARTS))


def is_demo(name: str) -> bool:
    """Return whether a name is that of a packaged set, or of a part such as ``demo:test``, and of no existing file."""
    demo, _, part = name.partition(":")
    return demo in DEMOS and part in ("", *PARTS) and not Path(name).is_file()


def demo_paths(name: str) -> list[str]:
    """Files of a packaged set, or of the part after a colon; the name is one for which `is_demo` is true."""
    demo, _, chosen = name.partition(":")
    files = demo_files(demo)
    return [str(getattr(files, part)) for part in PARTS if chosen in ("", part)]


def _packaged(name: str) -> Path:
    """Path of a packaged file."""
    path = Path(str(resources.files("equisparse").joinpath("demo", name)))
    if not path.is_file():
        raise DataError(
            f"The packaged demo file {name} is missing.",
            given=str(path),
            cause="the package was installed without its data files, or runs from a zip archive",
            next_step="install it again: pip install --force-reinstall --no-deps equisparse",
        )
    return path
