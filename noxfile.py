"""Checks of this repository: ``pip install nox && nox``. Versions are those of constraints.txt and its kin for MACE."""

import nox

nox.needs_version = ">=2024.4"
nox.options.sessions = ["lint", "core", "sevennet", "mace"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True

CONSTRAINTS = ("-c", "constraints.txt")
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
PYTEST = ("pytest", "-n", "2", "--dist", "loadfile")
"""On two cores; the tests of a file share what they set up."""


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format, types and import direction."""
    session.install(*CONSTRAINTS, "-e", ".[lint,test]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def core(session: nox.Session) -> None:
    """Tests and doctests that need no backbone, in an environment without one."""
    session.install(*CONSTRAINTS, "-e", ".[test]")
    targets = session.posargs or ("src", "tests/unit", "tests/laws")
    session.run(*PYTEST, *targets, env=ONE_THREAD)


@nox.session
def sevennet(session: nox.Session) -> None:
    """Tests with SevenNet, NequIP and Allegro, against the package as it is built for users."""
    session.install(*CONSTRAINTS, ".[sevennet,nequip,test,lint]", "nequip-allegro")
    targets = session.posargs or ("tests/architecture", "tests/backbones", "tests/integration")
    session.run(*PYTEST, *targets, env=ONE_THREAD)


@nox.session
def mace(session: nox.Session) -> None:
    """Tests with MACE, which cannot share an environment with the others."""
    session.install("-c", "constraints-mace.txt", ".[mace,test]", "cuequivariance-torch")
    session.run(*PYTEST, *(session.posargs or ("tests/backbones/mace",)), env=ONE_THREAD)


@nox.session(default=False)
def slow(session: nox.Session) -> None:
    """Tests that take minutes: whole fine-tunes and their physics."""
    session.install(*CONSTRAINTS, ".[sevennet,nequip,test]")
    session.run("pytest", "-m", "slow or physics", *(session.posargs or ("tests",)), env=ONE_THREAD)


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """A hundred thousand wrong adapter files: each is refused or harmless."""
    session.install(*CONSTRAINTS, "-e", ".[test]")
    session.run("python", "tests/fuzz/adapter_files.py", *(session.posargs or ("100000",)), env=ONE_THREAD)


@nox.session(default=False)
def benchmarks(session: nox.Session) -> None:
    """Measurements: ``nox -s benchmarks -- benchmarks/cost.py --frames FILE --name NAME``."""
    session.install(*CONSTRAINTS, ".[sevennet,benchmarks]")
    session.run("python", *(session.posargs or ("benchmarks/cost.py", "--help")))
