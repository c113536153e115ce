"""Rooms import in one direction only, modules in no circle, and other packages where they belong.

The order of the rooms is a contract in pyproject.toml.
"""

import graphlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

grimp = pytest.importorskip("grimp", reason="the extra lint is not installed")

UPSTREAMS = ("e3nn", "mace", "nequip", "sevenn", "torch_geometric")
"""Packages that only backbones reach, themselves or through what they import."""
BUILDERS = {"equisparse.testing.small_sevennet"}
"""Modules for tests that build a model of an upstream. Nothing else in the package imports them."""
IMPORTED = {"lightning": {"training"}, "pytorch_lightning": set()}
"""Package -> rooms that may import it themselves; what imports these rooms is free."""
TORCHLESS = ("report", "run.folder")
"""Modules that do not import torch themselves: reports are made from tables."""


@pytest.fixture(scope="module")
def graph():
    """Imports of the package, those of other packages included."""
    return grimp.build_graph(
        "equisparse", include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )


def room(module):
    """Room of a module: the part of its name after the package's."""
    return module.split(".")[1]


def test_order_of_rooms(root):
    command = shutil.which("lint-imports", path=Path(sys.executable).parent)
    words = [command, "--config", str(root / "pyproject.toml"), "--no-cache"]  # in this process it would mute our logs
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stdout


def test_no_circles(graph):
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("package", UPSTREAMS)
def test_upstreams_stay_behind_backbones(graph, package):
    modules = {module for module in graph.modules if module.startswith("equisparse.")} - BUILDERS
    reaching = {module for module in modules if package in graph.find_upstream_modules(module)}
    assert {room(module) for module in reaching} == {"backbones"}


def test_builders_of_upstream_models_are_for_tests(graph):
    assert not [module for builder in BUILDERS for module in graph.find_modules_that_directly_import(builder)]


@pytest.mark.parametrize("package", IMPORTED)
def test_trainer_stays_in_its_room(graph, package):
    importers = graph.find_modules_that_directly_import(package) if package in graph.modules else set()
    assert {room(module) for module in importers} <= IMPORTED[package]


def test_reports_need_no_torch(graph):
    importers = graph.find_modules_that_directly_import("torch")
    assert not [module for module in importers if module.startswith(tuple(f"equisparse.{one}" for one in TORCHLESS))]
