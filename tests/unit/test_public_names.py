"""``import equisparse`` is lazy, typed and complete."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import equisparse

STUB = Path(equisparse.__file__).with_suffix(".pyi")
BACKBONES = ("sevenn", "mace", "nequip", "e3nn", "torch_geometric")
ROOMS = {path.stem for path in STUB.parent.iterdir()} - {"__init__"}


def in_a_new_process(code: str) -> str:
    """What a new interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = "import sys, equisparse; dir(equisparse); print([n for n in ('torch', 'ase', 'numpy') if n in sys.modules])"
    assert in_a_new_process(code) == "[]"


def test_the_stub_file_is_read_when_a_name_is_asked_for() -> None:
    code = "import sys; before = set(sys.modules); import equisparse; print('ast' in set(sys.modules) - before)"
    assert in_a_new_process(code) == "False"
    assert in_a_new_process("from equisparse import *; print(finetune.__module__)") == "equisparse.tasks.finetune"


def test_reading_frames_needs_no_torch() -> None:
    code = "import sys, equisparse; equisparse.read_frames('demo:test'); print('torch' in sys.modules)"
    assert in_a_new_process(code) == "False"


def test_importing_all_names_needs_no_backbone() -> None:
    blocked = "; ".join(
        f"sys.modules[{name!r}] = None" for name in BACKBONES
    )  # importing one fails, if installed or not
    every = "import equisparse; [getattr(equisparse, name) for name in equisparse.__all__]"
    assert in_a_new_process(f"import sys; {blocked}; {every}") == ""


def test_import_is_fast() -> None:
    code = "import time; t = time.perf_counter(); import equisparse; print(time.perf_counter() - t)"
    assert min(float(in_a_new_process(code)) for _ in range(3)) < 0.3


@pytest.mark.parametrize("name", equisparse.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    value = getattr(equisparse, name)
    assert name in dir(equisparse)
    assert name == "__version__" or value.__doc__


def test_no_public_name_hides_a_room() -> None:
    assert not ROOMS & set(equisparse.__all__)


def test_every_name_comes_from_the_module_that_the_stub_names() -> None:
    for node in ast.parse(STUB.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.asname == alias.name, "a stub exports only names that are imported as themselves"
                assert getattr(equisparse, alias.name).__module__ == node.module


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="finetun"):
        equisparse.finetun  # noqa: B018
