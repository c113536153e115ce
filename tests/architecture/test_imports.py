"""Rooms import in one direction only, and modules of a room in no circle; the contracts are in pyproject.toml."""

import graphlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

KNOWN = {("equisparse.magnetism.options", "equisparse.magnetism.layer")}
"""Imports that still close a circle. May only shrink."""


def test_import_contracts(root):
    command = shutil.which("lint-imports", path=Path(sys.executable).parent)
    if command is None:
        pytest.skip("the extra lint is not installed")
    words = [command, "--config", str(root / "pyproject.toml"), "--no-cache"]  # in this process it would mute our logs
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stdout


def test_no_circles():
    grimp = pytest.importorskip("grimp", reason="the extra lint is not installed")
    graph = grimp.build_graph("equisparse", exclude_type_checking_imports=True, cache_dir=None)
    for importer, imported in KNOWN:
        graph.remove_import(importer=importer, imported=imported)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
