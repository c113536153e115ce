"""Contents of the built archives: ``python tests/package/archives.py FOLDER``, in a clone of the repository.

The wheel holds all tracked files of the package and nothing else. The source archive holds all tracked files from which
the package and the site are built and tested.
"""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDED = {"py.typed", "__init__.pyi", "demo/mgo_train.xyz.gz", "report/html/templates/page.html.j2"}
"""Some files of the package that are no modules."""
SOURCES = ("src", "tests", "plugins", "docs", "scripts", "packaging", "mkdocs.yml", "noxfile.py", "pyproject.toml")
SOURCES += (
    "constraints.txt",
    "constraints-mace.txt",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "CITATION.cff",
    "LICENSE",
)


def tracked(*places: str) -> set[str]:
    """Tracked files below some places."""
    git = shutil.which("git")
    assert git is not None, "git is not installed"
    command = [git, "ls-files", "-z", *places]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return set(listed.rstrip("\0").split("\0"))


def check_wheel(path: Path) -> None:
    """Check that a wheel holds the package alone."""
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
    metadata = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    expected = {name.removeprefix("src/") for name in tracked("src")}
    assert names - metadata == expected, sorted((names - metadata) ^ expected)
    assert {f"equisparse/{name}" for name in NEEDED} <= names
    assert {name.split("/", 1)[1] for name in metadata} >= {"METADATA", "entry_points.txt", "licenses/LICENSE"}


def check_source(path: Path) -> None:
    """Check that a source archive holds all sources, and nothing that is not tracked."""
    with tarfile.open(path) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert tracked(*SOURCES) <= names, sorted(tracked(*SOURCES) - names)
    assert names <= tracked() | {"PKG-INFO"}, sorted(names - tracked())


def main(folder: Path) -> None:
    """Check the one wheel and the one source archive of a folder."""
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    check_wheel(wheel)
    check_source(source)
    print(f"{wheel.name} and {source.name} are complete")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
