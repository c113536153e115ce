"""A fine-tune with spins through the command line: iron in two magnetic orders, with a known difference of energies."""

import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

import equisparse
from equisparse.adapters.adapter import SPINS_STAY
from equisparse.adapters.file import load_adapter
from equisparse.backbones.registry import load_backbone
from equisparse.cli import main
from equisparse.deploy.calculator import AdaptedCalculator, SpinCalculator
from equisparse.errors import InputError
from equisparse.magnetism.orders import relax_spins, scan_orders
from equisparse.quantities import MOMENTS
from equisparse.run.predictions import load_predictions
from equisparse.testing.magnetism import with_spins

pytestmark = pytest.mark.filterwarnings("ignore:No tensor product accelerator")

GAP = 0.2
"""Energy of the antiferromagnetic order above the ferromagnetic one, eV per cell of two atoms."""
LENGTHS = {1: 2.2, -1: 1.6}
"""Moments in the two orders, muB."""


def labelled(seed: int, sign: int, calculator: AdaptedCalculator) -> Atoms:
    """Rattled iron, two atoms, in one of the two orders."""
    random = np.random.default_rng(seed)
    atoms = bulk("Fe", a=2.86 * random.uniform(0.97, 1.03), cubic=True)
    atoms.positions += random.normal(0, 0.05, (2, 3))
    atoms.calc = calculator
    atoms.info["REF_energy"] = atoms.get_potential_energy() + GAP * (sign < 0)
    atoms.arrays["REF_forces"] = atoms.get_forces()
    atoms.calc = None
    moments = LENGTHS[sign] * np.array([1.0, sign])
    atoms.arrays["REF_magmoms"] = -moments if seed % 2 else moments  # a calculation may end in either
    atoms.set_initial_magnetic_moments([3.0, 3.0 * sign])
    return atoms


@pytest.fixture(scope="module")
def files(small_base: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of labelled frames; both orders of every geometry."""
    folder = tmp_path_factory.mktemp("spins")
    calculator = AdaptedCalculator(load_backbone(small_base))
    found = {}
    for name, seeds in (("train", range(16)), ("valid", range(16, 20)), ("test", range(20, 26))):
        frames = [labelled(seed, sign, calculator) for seed in seeds for sign in LENGTHS]
        found[name] = folder / f"{name}.xyz"
        ase.io.write(found[name], frames, format="extxyz")
    return found


@pytest.fixture(scope="module")
def run(files: dict[str, Path], small_base: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run with spins."""
    out = tmp_path_factory.mktemp("runs") / "run"
    splits = [str(files["train"]), "--valid", str(files["valid"]), "--test", str(files["test"])]
    options = ["--spin", "--epochs", "25", "--batch-size", "8", "--spin-channels", "32", "--spin-lr", "0.01"]
    options += ["--method", "soft_threshold"]  # 100 steps are too few for the stages of sparse
    assert main(["finetune", *splits, "--base", small_base, "--out", str(out), "--device", "cpu", *options]) == 0
    return out


def test_orders_are_told_apart(run: Path, small_base: str, files: dict[str, Path]) -> None:
    frames = ase.io.read(files["test"], ":")
    calculator = equisparse.calculator(small_base, run / "adapter.safetensors", device="cpu")
    energies = []
    for atoms in frames:
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy())
    gaps = np.array(energies[1::2]) - np.array(energies[0::2])
    assert gaps == pytest.approx(GAP, abs=0.25 * GAP)
    final, base = (json.loads((run / "metrics.json").read_text())[stage]["test"] for stage in ("final", "refit"))
    assert final["energy_mae_mev_per_atom"] < 0.3 * base["energy_mae_mev_per_atom"]
    assert final["moment_mae_mub"] < 0.15  # turned round in every other frame
    assert final["magnetic_force_mae_ev_per_mub"] is None


def test_calculator(run: Path, small_base: str, files: dict[str, Path]) -> None:
    atoms = ase.io.read(files["test"], 1)
    atoms.calc = equisparse.calculator(small_base, run / "adapter.safetensors", device="cpu")
    assert isinstance(atoms.calc, SpinCalculator)
    moments = atoms.get_magnetic_moments()
    assert moments == pytest.approx([1.6, -1.6], abs=0.3)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    turned = with_spins(atoms, [[0, 3.0, 0], [0, -3.0, 0]])
    turned.calc = atoms.calc
    assert turned.get_potential_energy() == pytest.approx(energy, abs=1e-4)
    assert turned.get_forces() == pytest.approx(forces, abs=1e-4)
    assert turned.get_magnetic_moments()[:, 1] == pytest.approx(moments, abs=1e-4)
    atoms.set_initial_magnetic_moments([3.0, 3.0])
    assert atoms.get_potential_energy() < energy - 0.5 * GAP  # a new order is a new state, and not the old result
    assert atoms.get_stress().shape == (6,)


def test_what_the_run_leaves(run: Path) -> None:
    adapter = load_adapter(run / "adapter.safetensors")
    metrics = json.loads((run / "metrics.json").read_text())
    assert adapter.spins is not None
    assert metrics["spin_layer_values"] == adapter.spins.n_values
    assert metrics["not_merged"] == SPINS_STAY
    assert not (run / "merged.pth").exists()
    assert "valid_moment_mae_mub" in (run / "metrics.csv").read_text().splitlines()[0]
    assert "moment MAE" in (run / "report.html").read_text()
    predictions = load_predictions(run / "predictions" / "test.npz")
    assert np.abs(predictions.after[MOMENTS] - predictions.labels[MOMENTS]).max() < 0.5  # turned round frame by frame
    assert (run / "figures" / "parity_moments.png").exists()


def test_evaluate_agrees_with_the_run(
    run: Path, small_base: str, files: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--base", small_base, "--adapter", str(run / "adapter.safetensors"), "--device", "cpu"]
    capsys.readouterr()
    assert main(["evaluate", str(files["test"]), *words, "--json"]) == 0
    found, told = json.loads(capsys.readouterr().out), json.loads((run / "metrics.json").read_text())
    expected = {name: value for name, value in told["final"]["test"].items() if value is not None}
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-3)


def test_merge_covers_the_backbone_and_says_so(
    run: Path, small_base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["merge", str(run / "adapter.safetensors"), "--base", small_base, "--device", "cpu"]
    assert main([*words, "--out", str(tmp_path / "m.pth")]) == 0
    shown = capsys.readouterr().out
    assert "equal: native file" in shown
    assert f"left out: {SPINS_STAY}" in shown
    assert (tmp_path / "m.pth").exists()


def test_attribution_is_refused_in_words(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attribute", str(run), "--device", "cpu"]) == 2
    assert "has a spin layer" in capsys.readouterr().err


def test_a_run_with_spins_becomes_sparse(run: Path, files: dict[str, Path], tmp_path: Path) -> None:
    words = ["sparsify", str(run / "adapter.safetensors"), "--frames", str(files["train"])]
    splits = ["--valid", str(files["valid"]), "--test", str(files["test"]), "--out", str(tmp_path / "sparse")]
    options = ["--changed", "0.02", "--epochs", "6", "--batch-size", "8", "--spin-lr", "0.01", "--device", "cpu"]
    assert main([*words, *splits, *options]) == 0
    dense, sparse = equisparse.read_run(run), equisparse.read_run(tmp_path / "sparse")
    for error, value in sparse.metrics.refit["test"].items():  # training starts from both parts of the adapter
        assert value == (value and pytest.approx(dense.metrics.final["test"][error], rel=1e-3))
    assert sparse.config.spin
    assert sparse.metrics.changed_fraction_model == pytest.approx(0.02, rel=0.01)
    assert sparse.adapter.spins is not None
    assert dense.adapter.spins is not None
    assert sparse.adapter.spins.options == dense.adapter.spins.options
    assert sparse.metrics.final["test"]["moment_mae_mub"] < 0.15


def test_orders_from_the_command_line(
    run: Path, small_base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ase.io.write(tmp_path / "fe.xyz", bulk("Fe", a=2.86, cubic=True))
    words = ["--base", small_base, "--adapter", str(run / "adapter.safetensors"), "--device", "cpu"]
    out = tmp_path / "orders.xyz"
    command = ["orders", str(tmp_path / "fe.xyz"), *words, "--supercell", "2", "1", "1", "--out", str(out)]
    assert main(command) == 0
    assert "Magnetic orders, all" in capsys.readouterr().out
    frames = ase.io.read(out, ":")
    assert frames[0].info["signs"] == "++++"  # iron is a ferromagnet here by construction
    assert sum(frame.info["count"] for frame in frames) == 2**4
    above = [frame.info["above_lowest_mev_per_atom"] for frame in frames]
    assert above == sorted(above)
    assert above[0] == 0
    two_sublattices = next(frame for frame in frames if frame.info["signs"] == "+-+-")
    assert two_sublattices.info["above_lowest_mev_per_atom"] == pytest.approx(500 * GAP, rel=0.3)


def test_spins_relax_to_the_lowest_order(run: Path, small_base: str) -> None:
    calculator = equisparse.calculator(small_base, run / "adapter.safetensors", device="cpu", dtype="float64")
    atoms = bulk("Fe", a=2.86, cubic=True)
    start = with_spins(atoms, np.array([[0, 0, 3.0], [2.5, 0.2, 1.5]]))
    relaxed = relax_spins(calculator.backbone, start)
    one, other = relaxed.spins
    assert relaxed.converged
    assert relaxed.gained > 0.01 * GAP
    assert np.dot(one, other) / np.linalg.norm(one) / np.linalg.norm(other) == pytest.approx(1.0, abs=1e-3)
    assert np.linalg.norm(relaxed.spins, axis=1) == pytest.approx(
        np.linalg.norm(start.arrays["initial_magmoms"], axis=1)
    )
    with pytest.raises(InputError, match="lengths of spins"):
        relax_spins(calculator.backbone, start, fixed_lengths=False)
    with pytest.raises(InputError, match="no spins to relax"):
        relax_spins(calculator.backbone, with_spins(atoms, np.zeros(2)))
    with pytest.raises(InputError, match="No atom of the structure"):
        scan_orders(calculator.backbone, bulk("MgO", "rocksalt", a=4.2))
    with pytest.raises(InputError, match="too many"):
        scan_orders(calculator.backbone, atoms, (3, 3, 3))


def test_frames_without_spins_are_refused(files: dict[str, Path], small_base: str, tmp_path: Path, capsys) -> None:
    frames = ase.io.read(files["train"], ":")
    for atoms in frames:
        del atoms.arrays["initial_magmoms"], atoms.arrays["REF_magmoms"]
    ase.io.write(tmp_path / "bare.xyz", frames[::2], format="extxyz")
    words = ["finetune", str(tmp_path / "bare.xyz"), "--base", small_base, "--device", "cpu", "--spin"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 2
    assert "No training frame has spins" in capsys.readouterr().err
