"""Adapter files: exact round trip, and refusal of everything that is not one."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save

from equisparse.adapters.adapter import Adapter, SpinPart, TrainedBy
from equisparse.adapters.file import FORMAT_VERSION, load_adapter, save_adapter
from equisparse.blocks import Layout, matrix_blocks
from equisparse.cli import main
from equisparse.errors import AdapterError, AdapterMismatchError, StateError
from equisparse.formats.compression import expand
from equisparse.formats.entries import Entries, pack
from equisparse.magnetism.layer import SpinLayer
from equisparse.magnetism.options import SpinOptions
from equisparse.testing.methods import PathNetwork

BASE = {"backbone": "sevennet", "source": "7net-0", "sha256": "ab" * 32, "version": "0.13.0"}

REAL = Path(__file__).parents[2] / "regression" / "adapters" / "version-1-real" / "7net-0.safetensors"


def make_adapter() -> Adapter:
    """A sparse adapter with one small and one large tensor."""
    blocks = matrix_blocks("a.weight", [("0e->0e", 0, 1, (4, 5)), ("1o->1o", 1, -1, (3, 2))], "linear", 0)
    blocks += matrix_blocks("b.weight", [("0e->0e", 0, 1, (300, 300))], "readout", -2)
    layout = Layout(blocks, {"a.weight": (26,), "b.weight": (300, 300)}, 100_000)
    generator = torch.Generator().manual_seed(1)
    change = torch.randn(300, 300, generator=generator) * (torch.rand(300, 300, generator=generator) < 0.01)
    stored = {"a.weight": pack(torch.tensor([0.0] * 25 + [0.5])), "b.weight": pack(change)}
    trained = TrainedBy("mine", {"regime": "L", "changed": None})
    shifts = {8: -1.25, 12: 3.5}
    return Adapter(Entries(), layout, stored, shifts, BASE, "float32", (8, 12), None, {"x": 1}, trained_by=trained)


def test_round_trip_is_exact(tmp_path: Path) -> None:
    adapter = make_adapter()
    size = save_adapter(adapter, tmp_path / "a.safetensors")
    loaded = load_adapter(tmp_path / "a.safetensors")
    assert size == (tmp_path / "a.safetensors").stat().st_size
    assert loaded.layout == adapter.layout
    assert (loaded.format, loaded.trained_by, loaded.shifts, loaded.base) == (
        Entries(),
        adapter.trained_by,
        adapter.shifts,
        BASE,
    )
    assert (loaded.dtype, loaded.elements, loaded.modality, loaded.metrics) == ("float32", (8, 12), None, {"x": 1})
    for name, parts in adapter.stored.items():
        assert all(torch.equal(parts[part], loaded.stored[name][part]) for part in ("index", "value"))
    assert loaded.stored["a.weight"]["index"].dtype == torch.uint16
    assert loaded.stored["b.weight"]["index"].dtype == torch.int32
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_another_base_is_refused() -> None:
    with pytest.raises(AdapterMismatchError, match="another base model"):
        make_adapter().check_base(BASE | {"sha256": "cd" * 32})


def with_header(path: Path, change: dict[str, object]) -> None:
    """Rewrite the JSON header of a file, which is no longer compressed then."""
    with safe_open(str(path), framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
    header = json.loads(expand(tensors.pop("header").numpy().tobytes(), 2**24)) | change
    path.write_bytes(save(tensors, metadata={"equisparse": json.dumps(header)}))


def of_version_3(path: Path, index: torch.Tensor, value: torch.Tensor) -> None:
    """Rewrite a file as version 3, with the given parts of one tensor."""
    with_header(path, {"version": 3})
    with safe_open(str(path), framework="pt") as file:
        metadata = file.metadata()
    path.write_bytes(save({"a.weight/index": index, "a.weight/value": value}, metadata=metadata))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": FORMAT_VERSION + 1}, "newer equisparse"),
        ({"version": "1"}, "newer equisparse"),
        ({"format": "nonsense"}, "unknown"),
        ({"version": 2, "method": "nonsense", "options": {}}, "unknown"),
        ({"layout": {"total_parameters": 5, "tensors": {}}}, "not in the layout"),
        ({"layout": 3}, "damaged"),
        ({"elements": ["Mg"]}, "damaged"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "a.safetensors"
    save_adapter(make_adapter(), path)
    with_header(path, change)
    with pytest.raises(AdapterError, match=message):
        load_adapter(path)


@pytest.mark.parametrize(
    "index",
    [torch.tensor([5, 3]), torch.tensor([0, 26]), torch.tensor([-1, 3]), torch.tensor([1, 2, 3])],
    ids=["unsorted", "too-large", "negative", "wrong-length"],
)
def test_indices_that_do_not_fit_are_refused(tmp_path: Path, index: torch.Tensor) -> None:
    save_adapter(make_adapter(), tmp_path / "a.safetensors")
    of_version_3(tmp_path / "a.safetensors", index.to(torch.int32), torch.ones(2))
    with pytest.raises(AdapterError, match="damaged"):
        load_adapter(tmp_path / "a.safetensors")


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    adapter = make_adapter()
    adapter.stored["a.weight"]["value"].fill_(float("nan"))
    save_adapter(adapter, tmp_path / "a.safetensors")
    with pytest.raises(AdapterError, match="not finite"):
        load_adapter(tmp_path / "a.safetensors")


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="no such adapter"):
        load_adapter(tmp_path / "none.safetensors")
    (tmp_path / "foreign.safetensors").write_bytes(b"PK\x03\x04 this is a zip")
    with pytest.raises(AdapterError, match="damaged"):
        load_adapter(tmp_path / "foreign.safetensors")


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 10_000), flip=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_damage_is_refused_or_harmless(tmp_path: Path, cut: int, flip: int, bit: int) -> None:
    """A cut file is always refused; a flipped bit either is refused or leaves a well-formed adapter."""
    path = tmp_path / "a.safetensors"
    save_adapter(make_adapter(), path)
    contents = bytearray(path.read_bytes())
    path.write_bytes(contents[: cut % len(contents)])
    with pytest.raises(AdapterError):
        load_adapter(path)
    contents[flip % len(contents)] ^= 1 << bit
    path.write_bytes(contents)
    try:
        adapter = load_adapter(path)
    except AdapterError:
        return
    assert set(adapter.stored) <= set(adapter.layout.tensors)


def test_reading_needs_no_backbone_and_no_trainer(tmp_path: Path) -> None:
    save_adapter(make_adapter(), tmp_path / "a.safetensors")
    code = (
        "import sys; blocked = ('e3nn', 'sevenn', 'mace', 'nequip', 'lightning')\n"
        "for name in blocked: sys.modules[name] = None\n"
        "from equisparse.cli import main\n"
        f"sys.exit(main(['inspect', {str(tmp_path / 'a.safetensors')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "b.weight" in done.stdout or "readout" in done.stdout


def test_wrong_files_by_the_thousand_are_refused_or_harmless() -> None:
    """In a process of its own, with a limit on its memory; ``nox -s fuzz`` does the same with 100,000 files."""
    script = Path(__file__).parents[2] / "fuzz" / "adapter_files.py"
    done = subprocess.run([sys.executable, str(script), "2000"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("2000 inputs")


def claims(path: Path, **tensor: object) -> None:
    """Let the header of a file claim something else about a tensor."""
    save_adapter(make_adapter(), path)
    layout = make_adapter().layout.to_dict()
    layout["tensors"]["a.weight"] |= tensor
    with_header(path, {"layout": layout})


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        ({"shape": [2**40], "blocks": [["0e->0e", [2**20, 2**20]]]}, "larger than the model"),
        ({"shape": [27]}, "do not tile"),
        ({"blocks": [["0e->0e", [26, 1]], ["0e->0e", [1, 1]]]}, "do not tile"),
        ({"blocks": [["0e->0e", [13, 1]], ["0e->0e", [13, 1], 0, [1, 1]]]}, "do not tile"),
        ({"blocks": [["0e->0e", [26, 1], 1, [1, 1]]]}, "do not tile"),
        ({"blocks": [["0e->0e", [26.0, 1]]]}, "invalid shape, stride or size"),
        ({"role": "nonsense"}, "do not tile"),
    ],
    ids=["larger-than-memory", "hole", "too-many", "overlap", "outside", "float", "role"],
)
def test_a_layout_that_no_model_has_is_refused(tmp_path: Path, tensor: dict[str, object], message: str) -> None:
    claims(tmp_path / "a.safetensors", **tensor)
    with pytest.raises(AdapterError, match=message):
        load_adapter(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "change",
    [
        {"version": True},
        {"version": 0},
        {"elements": [8, 119]},
        {"dtype": "float8"},
        {"modality": "\x1b[2J"},
        {"base": BASE | {"source": 7}},
        {"format_options": {"regime": 1}},
        {"format": "scales"},
        {"trained_by": {"method": "\x1b[2J", "options": {}}},
        {"trained_by": {"method": "mine", "options": {"a": ["\x1b[2J"]}}},
        {"trained_by": {"method": "mine", "options": [1]}},
        {"trained_by": "mine"},
    ],
    ids=[
        "true",
        "version-0",
        "element-119",
        "dtype",
        "terminal-code",
        "number-as-name",
        "option",
        "other-format",
        "method-code",
        "option-code",
        "option-list",
        "method-text",
    ],
)
def test_values_without_meaning_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    save_adapter(make_adapter(), tmp_path / "a.safetensors")
    with_header(tmp_path / "a.safetensors", change)
    with pytest.raises(AdapterError):
        load_adapter(tmp_path / "a.safetensors")


def test_names_in_brackets_are_shown_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    adapter = replace(make_adapter(), base=BASE | {"source": "[/base].pth"})
    save_adapter(adapter, tmp_path / "a.safetensors")
    assert main(["inspect", str(tmp_path / "a.safetensors")]) == 0
    assert "[/base].pth" in capsys.readouterr().out


def test_an_adapter_of_another_model_is_not_merged() -> None:
    adapter = make_adapter()
    smaller = Layout(matrix_blocks("a.weight", [("0e->0e", 0, 1, (4, 5))], "linear", 0), {"a.weight": (20,)}, 20)
    with pytest.raises(AdapterMismatchError, match="does not fit this model"):
        adapter.merge_into(PathNetwork(smaller, torch.float32, seed=0))


def with_spins() -> Adapter:
    """An adapter that carries a small spin layer."""
    layer = SpinLayer(SpinOptions(6, 5.0, 8, "order", {26: 2.2}), seed=3)
    return replace(make_adapter(), spins=SpinPart(layer.options.to_dict(), layer.stored()))


def test_a_spin_layer_is_kept(tmp_path: Path) -> None:
    path, adapter = tmp_path / "a.safetensors", with_spins()
    save_adapter(adapter, path)
    loaded = load_adapter(path)
    assert loaded.spins is not None
    assert adapter.spins is not None
    assert loaded.spins.options == adapter.spins.options
    layer = SpinLayer.restored(loaded.spins.options, loaded.spins.tensors)
    assert all(torch.equal(value, adapter.spins.tensors[name]) for name, value in layer.stored().items())
    assert loaded.stored_values == make_adapter().stored_values


def test_files_are_written_in_the_newest_version(tmp_path: Path) -> None:
    save_adapter(make_adapter(), tmp_path / "a.safetensors")
    assert b'\\"version\\":4' in (tmp_path / "a.safetensors").read_bytes()


def test_a_spin_layer_claimed_by_version_1_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_adapter(with_spins(), path)
    with_header(path, {"version": 1, "method": "sparse", "options": {}})
    with pytest.raises(AdapterError, match="damaged"):
        load_adapter(path)


@pytest.mark.parametrize(
    "tensor", [torch.tensor([float("nan")]), torch.tensor([1]), torch.ones(1, dtype=torch.float16)]
)
def test_wrong_numbers_of_a_spin_layer_are_refused(tmp_path: Path, tensor: torch.Tensor) -> None:
    adapter = with_spins()
    assert adapter.spins is not None
    wrong = replace(adapter.spins, tensors={**adapter.spins.tensors, "node_in.bias": tensor})
    save_adapter(replace(adapter, spins=wrong), tmp_path / "a.safetensors")
    with pytest.raises(AdapterError, match="damaged"):
        load_adapter(tmp_path / "a.safetensors")


def test_what_cannot_use_a_spin_layer_says_so() -> None:
    with pytest.raises(StateError, match="has a spin layer"):
        with_spins().check_spin_free("attributing errors to")
    make_adapter().check_spin_free("attributing errors to")


def test_inspect_shows_a_spin_layer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_adapter(with_spins(), tmp_path / "a.safetensors")
    assert main(["inspect", str(tmp_path / "a.safetensors")]) == 0
    assert "spin layer" in capsys.readouterr().out


@pytest.mark.parametrize(("count", "most"), [(25_279, 90_000), (4_212, 16_000)])
@pytest.mark.parametrize("clustered", [False, True])
def test_sparse_changes_of_a_published_base_are_small(tmp_path: Path, count: int, most: int, clustered: bool) -> None:
    """3 % and 0.5 % of the weights of 7net-0, anywhere or mostly in some columns."""
    real = load_adapter(REAL)
    generator = torch.Generator().manual_seed(0)
    score = torch.rand(real.layout.numel, generator=generator)
    if clustered:
        score *= torch.rand(128, generator=generator).square().repeat(-(-len(score) // 128))[: len(score)]
    change = torch.zeros_like(score)
    change[score.argsort()[:count]] = 0.01 * torch.randn(count, generator=generator)
    parts = change.split([real.layout.size_of(name) for name in real.layout.tensors])
    stored = {name: pack(part, torch.float16) for name, part in zip(real.layout.tensors, parts, strict=True)}
    adapter = replace(real, stored={name: parts for name, parts in stored.items() if len(parts["index"])})
    assert save_adapter(adapter, tmp_path / "a.safetensors") <= most
    loaded = load_adapter(tmp_path / "a.safetensors")
    for name, parts in adapter.stored.items():
        assert all(torch.equal(loaded.stored[name][part], values) for part, values in parts.items())
