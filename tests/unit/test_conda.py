"""The conda recipe has the version, the dependencies and the program of pyproject.toml."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
"""Name on PyPI -> name on conda-forge, where they differ."""


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """Tables of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    """Recipe without its expressions."""
    text = (ROOT / "packaging" / "conda" / "recipe.yaml").read_text()
    context = yaml.safe_load(text)["context"]
    for name, value in context.items():
        text = text.replace(f"${{{{ {name} }}}}", value)
    parsed: dict[str, Any] = yaml.safe_load(text)
    return parsed


def conda_name(requirement: str) -> str:
    """Requirement of pip as conda writes it."""
    name, limit, version = requirement.partition(">=")
    return f"{NAMES.get(name, name)} {limit}{version}".strip()


def test_dependencies_are_those_of_the_project(project: dict[str, Any], recipe: dict[str, Any]) -> None:
    assert "{{" not in str(recipe)
    needed = [f"python {project['project']['requires-python']}", *map(conda_name, project["project"]["dependencies"])]
    assert recipe["requirements"]["run"] == needed
    (backend,) = project["build-system"]["requires"]
    assert conda_name(backend) in recipe["requirements"]["host"]


def test_version_licence_and_program_are_those_of_the_project(project: dict[str, Any], recipe: dict[str, Any]) -> None:
    facts, about = project["project"], recipe["about"]
    assert str(recipe["package"]["version"]) == facts["version"]
    assert (about["license"], about["summary"]) == (facts["license"], facts["description"])
    programs = [f"{name} = {place}" for name, place in facts["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == programs
    assert (ROOT / "packaging" / "conda" / recipe["source"]["path"] / about["license_file"]).is_file()
