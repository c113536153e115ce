"""Adapter files of earlier releases give the same tensors and the same weights, bit for bit."""

import json
from pathlib import Path

import pytest

from equisparse.adapters.file import FORMAT_VERSION, load_adapter, save_adapter
from equisparse.testing.stored_files import describe, digest

FOLDER = Path(__file__).parent / "adapters"
FILES = sorted(path for path in FOLDER.glob("*/*.safetensors") if not path.parent.name.endswith("real"))
REAL = sorted(FOLDER.glob("*-real/*.safetensors"))
GATES_TOLERANCE = 1e-5
"""Of sums of some tens of float32 outputs of order 1, which go through an exponential."""


def recorded(path: Path) -> dict:
    return json.loads((path.parent / "expected.json").read_text())[path.stem]


def check(path: Path, expected: dict) -> None:
    found = describe(load_adapter(path))
    if "outputs" in expected:
        assert found.pop("outputs") == pytest.approx(expected.pop("outputs"), abs=GATES_TOLERANCE)
    assert found == expected


def test_the_files_are_there() -> None:
    recorded_files = {
        folder.parent.name: set(json.loads(folder.read_text())) for folder in FOLDER.glob("*/expected.json")
    }
    assert recorded_files == {
        name: {path.stem for path in [*FILES, *REAL] if path.parent.name == name} for name in recorded_files
    }
    assert f"version-{FORMAT_VERSION}" in recorded_files, "run tests/regression/write_adapters.py"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_file_gives_what_it_gave(path: Path) -> None:
    check(path, recorded(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_file_written_again_gives_the_same(path: Path, tmp_path: Path) -> None:
    save_adapter(load_adapter(path), tmp_path / path.name)
    check(tmp_path / path.name, recorded(path))


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_a_file_of_a_published_base_gives_what_it_gave(path: Path) -> None:
    pytest.importorskip("sevenn")
    from equisparse.backbones.registry import load_backbone

    adapter, expected = load_adapter(path), recorded(path)
    stored = {f"{name}/{part}": digest(v) for name, parts in adapter.stored.items() for part, v in parts.items()}
    assert stored == expected["stored"]
    assert {str(z): shift for z, shift in adapter.shifts.items()} == expected["shifts"]
    base = load_backbone(str(adapter.base["source"]))
    adapter.check_base(vars(base.identity))
    assert {name: digest(weight) for name, weight in adapter.weights(base.model).items()} == expected["weights"]
