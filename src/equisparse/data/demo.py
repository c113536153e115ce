"""The small MgO data set that comes with the package."""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from equisparse.errors import DataError


@dataclass(frozen=True)
class DemoFiles:
    """Paths of the packaged extxyz files; keys ``REF_energy`` (eV) and ``REF_forces`` (eV/Angstrom)."""

    train: Path
    valid: Path
    test: Path


def demo_files() -> DemoFiles:
    """Find the packaged data set.

    Raises
    ------
    DataError
        If the installation lacks a file.
    """
    return DemoFiles(*(_packaged(f"mgo_{part}.xyz.gz") for part in ("train", "valid", "test")))


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
