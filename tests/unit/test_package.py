"""Files about the package agree with one another, and CONTRIBUTING.md with the source."""

import json
import re
import tomllib
from pathlib import Path
from pkgutil import resolve_name

import pytest
import yaml

import equisparse
from equisparse.backbones.e3nn.compiler import _COMPILERS

ROOT = Path(__file__).parents[2]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
ZENODO = json.loads((ROOT / ".zenodo.json").read_text())
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def words(column: str) -> list[str]:
    """Names between backticks."""
    return re.findall(r"`([^`\n]+)`", column)


def table(heading: str) -> list[str]:
    """Names in the first columns of the tables below a heading of the guide."""
    section = GUIDE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return [name for line in section.splitlines() if line.startswith("| `") for name in words(line.split("|")[1])]


def test_descriptions_agree() -> None:
    assert CITATION["title"] == ZENODO["title"]
    assert CITATION["title"].startswith(f"{PROJECT['name']}: ")
    assert CITATION["version"] == ZENODO["version"] == PROJECT["version"] == equisparse.__version__
    assert CITATION["license"] == ZENODO["license"] == PROJECT["license"]
    assert CITATION["authors"] == ZENODO["creators"] == PROJECT["authors"]
    assert CITATION["keywords"] == ZENODO["keywords"] == PROJECT["keywords"]


def test_rooms_of_the_guide_are_those_of_the_contract() -> None:
    (contract,) = SETTINGS["tool"]["importlinter"]["contracts"]
    assert table("Rooms") == re.findall(r"\w+", " ".join(contract["layers"]))


def test_sessions_of_the_guide_are_those_of_nox() -> None:
    sessions = re.findall(r"^@nox\.session.*\ndef (\w+)", (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    assert sorted(table("Checks")) == sorted(sessions)


@pytest.mark.parametrize("name", sorted({word for word in words(GUIDE) if re.fullmatch(r"(src|tests|docs)/\S+", word)}))
def test_files_of_the_guide_exist(name: str) -> None:
    assert (ROOT / name).exists()


@pytest.mark.parametrize("name", sorted({word for word in words(GUIDE) if re.fullmatch(r"equisparse\.[\w.]+", word)}))
def test_names_of_the_guide_exist(name: str) -> None:
    assert resolve_name(name)


def test_the_container_is_pinned_and_unprivileged() -> None:
    assert re.findall(r"^FROM (.*)$", DOCKERFILE, re.MULTILINE) == re.findall(r"python:\d+\.\d+\.\d+-\S+", DOCKERFILE)
    assert re.findall(r"^USER (\w+)$", DOCKERFILE, re.MULTILINE)[-1:] not in ([], ["root"], ["0"])
    installs = re.findall(r"^RUN .*pip install .*$", DOCKERFILE, re.MULTILINE)
    assert installs
    assert all("--no-cache-dir --constraint" in line for line in installs)
    extras = set(re.findall(r"EXTRA=(\w+)", DOCKERFILE))
    assert extras <= set(PROJECT["optional-dependencies"])
    assert all((ROOT / name).exists() for name in re.findall(r"CONSTRAINTS=(\S+)", DOCKERFILE))


def test_the_container_can_compile_convolutions() -> None:
    (packages,) = re.findall(r"apt-get install --no-install-recommends --yes (.*?) \\?$", DOCKERFILE, re.MULTILINE)
    assert any(package.partition("=")[0] in _COMPILERS for package in packages.split())
    assert all("=" in package for package in packages.split())
