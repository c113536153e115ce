"""The Python lines of docs/elsewhere.md run as they stand, on a small base; each where its package is installed."""

import importlib
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import equisparse

pytestmark = pytest.mark.filterwarnings(
    "ignore:No tensor product accelerator", "ignore::DeprecationWarning", "ignore::FutureWarning"
)
PAGE = (Path(__file__).parents[2] / "docs" / "elsewhere.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
PACKAGES = ("phonopy", "pymatgen", "torch_sim")


def needed(block: str) -> str:
    """Package of the other program that a block imports; equisparse where it is only ASE."""
    return next((package for package in PACKAGES if f" {package}" in block), "equisparse")


def test_all_programs_of_the_page_are_run() -> None:
    assert [needed(block) for block in BLOCKS] == ["equisparse", "equisparse", *PACKAGES]


@pytest.mark.parametrize("block", BLOCKS, ids=[needed(block) for block in BLOCKS])
def test_python_lines(block: str, small_base: str, small_run: equisparse.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    if not importlib.util.find_spec(needed(block)):
        pytest.skip(f"{needed(block)} is not installed; nox -s elsewhere installs it")
    if "plugins" in block and not entry_points(group="ase.plugins", name="equisparse"):
        pytest.skip("an installation of an earlier state of the package has no entry point for ASE")
    monkeypatch.chdir(small_run.folder.parent)
    exec(compile(block.replace('"7net-0"', repr(small_base)), "docs/elsewhere.md", "exec"), {})  # noqa: S102 - our own
