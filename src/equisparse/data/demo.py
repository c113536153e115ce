"""The small data sets that come with the package: MgO under pressure, and TM-O-Spin with magnetic orders."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from equisparse.errors import DataError

DEMOS = {"demo": "mgo", "demo-spin": "tm_o_spin"}
"""Name in place of a file -> beginning of the packaged files' names."""
PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class DemoFiles:
    """Paths of the packaged extxyz files.

    Their keys are ``REF_energy`` (eV) and ``REF_forces`` (eV/Angstrom); with spins ``initial_magmoms`` and
    ``REF_magmoms`` (muB), too.
    """

    train: Path
    valid: Path
    test: Path


def demo_files(name: str = "demo") -> DemoFiles:
    """Find a packaged data set.

    Parameters
    ----------
    name : str
        One of `DEMOS`.

    Raises
    ------
    DataError
        If the installation lacks a file.
    """
    return DemoFiles(*(_packaged(f"{DEMOS[name]}_{part}.xyz.gz") for part in PARTS))


def is_demo(name: str) -> bool:
    """Whether a name stands for a packaged set or, as in ``demo:test``, for a part of one; files come first."""
    demo, _, part = name.partition(":")
    return demo in DEMOS and part in ("", *PARTS) and not Path(name).is_file()


def demo_paths(name: str) -> list[str]:
    """Files of a name that `is_demo` knows."""
    demo, _, part = name.partition(":")
    files = demo_files(demo)
    return [str(getattr(files, each)) for each in PARTS if part in ("", each)]


def _packaged(name: str) -> Path:
    path = Path(str(resources.files("equisparse").joinpath("demo", name)))
    if not path.is_file():
        raise DataError(
            f"the packaged demo file {name} is missing",
            given=str(path),
            cause="the package was installed without its data files, or is run from a zip archive",
            next_step="install it again: pip install --force-reinstall --no-deps equisparse",
        )
    return path
