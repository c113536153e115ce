"""ASE knows the calculator by name."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from ase.build import molecule
from ase.calculators.calculator import get_calculator_class

from equisparse.backbones import registry
from equisparse.backbones.registry import register_backbone
from equisparse.deploy.calculator import AdaptedCalculator
from equisparse.tasks.ase_plugin import EquisparseCalculator
from equisparse.testing.toy import ToyBackbone

ROOT = Path(__file__).parents[3]
SCRIPT = """
import sys
from ase._4.plugins import plugins
[plugin] = [plugin for plugin in plugins.by_package["equisparse"]]
assert "torch" not in sys.modules, "ASE lists its plugins without torch"
from ase.calculators.calculator import get_calculator_class
assert plugin() is get_calculator_class("equisparse")
print(plugin.name, plugin.version)
"""


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """Environment in which the package is installed with the entry points of pyproject.toml."""
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["ase.plugins"]
    folder = tmp_path / "equisparse-9.9.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: equisparse\nVersion: 9.9\nSummary: Fine-tuning\n")
    lines = "\n".join(f"{name} = {value}" for name, value in points.items())
    (folder / "entry_points.txt").write_text(f"[ase.plugins]\n{lines}\n")
    return {"PYTHONPATH": f"{tmp_path}:{ROOT / 'src'}", "PATH": ""}


def output(words: list[str], environment: dict[str, str]) -> str:
    """All that a Python program writes, which is expected to succeed."""
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ase_lists_the_plugin(installed: dict[str, str]) -> None:
    listed = output(["-m", "ase", "info", "--plugins"], installed)
    assert "equisparse 9.9 — Fine-tuning" in listed
    assert "CalculatorPlugin\n----------------\nequisparse" in listed


def test_ase_finds_the_class_by_the_entry_point(installed: dict[str, str]) -> None:
    assert output(["-c", SCRIPT], installed) == "equisparse 9.9\n"


def test_class_makes_the_calculator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_BACKBONES", dict(registry._BACKBONES))
    register_backbone("toy", ToyBackbone, suffixes=(".toy",))
    atoms = molecule("H2O")
    atoms.calc = get_calculator_class("equisparse")(base="any.toy", device="cpu")
    assert isinstance(atoms.calc, AdaptedCalculator)
    assert not isinstance(atoms.calc, EquisparseCalculator)
    assert atoms.get_forces().shape == (3, 3)
