"""A quantity registered from outside is read, trained on, judged and reported without a change of the package."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from torch import Tensor, nn

from equisparse import quantities
from equisparse.adapters.attach import attach
from equisparse.backbones.base import BaseId
from equisparse.backbones.prediction import Prediction
from equisparse.blocks import Layout, matrix_blocks
from equisparse.cli.progress import _columns
from equisparse.data.frames import LabelledFrame
from equisparse.data.labels import LabelKeys
from equisparse.data.read import label_frames, read_frames
from equisparse.deploy.ensemble_calculator import EnsembleCalculator
from equisparse.errors import DataError, InputError
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.errors import errors_of
from equisparse.inference.predict import evaluate
from equisparse.methods.full import Full
from equisparse.quantities import ENERGY, FORCES, MAGNETIC_FORCES, STRESS, Quantity, ShownError, register_quantity
from equisparse.report.curves import curve_panels
from equisparse.report.paper import figures
from equisparse.report.parity import parity_points
from equisparse.report.statistics import frame_errors
from equisparse.report.tables import metrics_table
from equisparse.run.predictions import load_predictions, save_predictions, split_predictions
from equisparse.testing.quantities import QUANTITY_LAWS, QuantityLaw
from equisparse.training.epochs import read_curve
from equisparse.training.fit import fit
from equisparse.training.options import TrainingOptions

DIPOLE = Quantity(
    name="dipole",
    per="frame",
    shape=(3,),
    unit="e Angstrom",
    errors=(ShownError("dipole_mae_me_ang", "dipole MAE", "1e-3 e Angstrom", "{:.1f}", 1e3),),
    measured_by="length",
)
SPREAD = Quantity(name="spread", per="atom", unit="Angstrom^2")
"""A scalar of each atom, with the default names."""
CHARGES = {1: 0.4, 8: -0.8}
LAYOUT = Layout(matrix_blocks("charge.weight", [("0e->0e", 0, 1, (1, 2))], "linear", 0), {"charge.weight": (2,)}, 2)


class Water(nn.Module):
    """One charge per element: that of oxygen, and that of hydrogen."""

    def __init__(self) -> None:
        super().__init__()
        self.charge = nn.Module()
        self.charge.register_parameter("weight", nn.Parameter(torch.zeros(2)))


class Dipoles:
    """A predictor of dipoles, with energies and forces of zero."""

    identity = BaseId("toy", "toy", "0" * 64, "1")
    elements = frozenset({1, 8})
    dtype, device, sign_ambiguous = torch.float32, torch.device("cpu"), False

    def __init__(self) -> None:
        self.model = Water()

    def graph(self, atoms: Atoms) -> tuple[Tensor, Tensor]:
        return torch.tensor(atoms.numbers == 1, dtype=torch.int64), torch.tensor(atoms.positions, dtype=self.dtype)

    def collate(self, graphs: Sequence[tuple[Tensor, Tensor]]) -> Sequence[tuple[Tensor, Tensor]]:
        return list(graphs)

    def predict(self, batch: Sequence[tuple[Tensor, Tensor]], *, training: bool = False) -> Prediction:
        charges = self.model.charge.weight
        dipoles = torch.stack([(charges[kinds].unsqueeze(1) * positions).sum(0) for kinds, positions in batch])
        n_atoms = sum(len(kinds) for kinds, _ in batch)
        return {
            ENERGY: torch.zeros(len(batch)),
            FORCES: torch.zeros(n_atoms, 3),
            STRESS: torch.zeros(len(batch), 3, 3),
            DIPOLE: dipoles if training else dipoles.detach(),
        }


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dipole is registered during a test alone."""
    monkeypatch.setattr(quantities, "_REGISTERED", dict(quantities._REGISTERED))
    register_quantity(DIPOLE)


def molecule(seed: int, *, labelled: bool = True) -> Atoms:
    """A distorted molecule of water with its dipole."""
    atoms = Atoms("OH2", np.random.default_rng(seed).normal(size=(3, 3)))
    if labelled:
        charges = np.array([CHARGES[z] for z in atoms.numbers.tolist()])
        atoms.info["REF_dipole"] = charges @ atoms.positions
    return atoms


@pytest.fixture
def frames() -> list[LabelledFrame]:
    """Sixteen molecules, one of them without a label."""
    return label_frames([molecule(seed, labelled=seed != 5) for seed in range(16)])


def test_it_is_read_from_files_and_taken_off_the_structure(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "a.xyz", [molecule(0), molecule(1, labelled=False)], format="extxyz")
    first, second = read_frames(tmp_path / "a.xyz")
    np.testing.assert_allclose(first.labels[DIPOLE], molecule(0).info["REF_dipole"], rtol=1e-6)
    assert DIPOLE not in second.labels
    assert "REF_dipole" not in first.atoms.info
    mine = molecule(0)
    mine.info["mine"] = mine.info.pop("REF_dipole")
    (frame,) = label_frames([mine], LabelKeys(others={"dipole": "mine"}))
    assert DIPOLE in frame.labels
    mine.info["mine"] = [1.0, 2.0]
    with pytest.raises(DataError, match="dipole label 'mine' has the wrong shape"):
        label_frames([mine], LabelKeys(others={"dipole": "mine"}))


def test_it_is_trained_on_and_reported(frames: list[LabelledFrame], tmp_path: Path) -> None:
    backbone = Dipoles()
    attachment = attach(backbone.model, Full(), LAYOUT)
    train, valid = FrameDataset(backbone, frames[:12], {}), FrameDataset(backbone, frames[12:], {})
    before = evaluate(backbone, valid)
    options = TrainingOptions(epochs=60, batch_size=4, optimizer="adamw", loss_weights={"dipole": 5.0})
    fitted = fit(backbone, attachment, train, valid, options.resolved(12, 0.05), tmp_path)
    after = evaluate(backbone, valid)
    assert backbone.model.charge.weight.tolist() == pytest.approx([CHARGES[8], CHARGES[1]], abs=0.02)

    curve = read_curve(tmp_path / "metrics.csv")
    first, last = (epoch.error("valid", "dipole_mae_me_ang") for epoch in (curve[0], curve[-1]))
    assert last < 0.1 * first
    assert "dipole valid" in [column.title for column in _columns(fitted.curve[-1])]
    assert any(axis.get_ylabel() == "dipole MAE (1e-3 e Angstrom)" for axis in figures.learning_curve(curve).axes)
    assert "dipole MAE (1e-3 e Angstrom)" in [panel.title for panel in curve_panels({"run": curve})]

    metrics = errors_of(after, valid)
    lengths = np.linalg.norm(after[DIPOLE] - valid.labels()[DIPOLE], axis=1)
    assert metrics["dipole_mae_me_ang"] == pytest.approx(1e3 * lengths.mean(), rel=1e-6)
    rows = [row[0] for row in metrics_table(metrics).rows]
    assert rows == ["dipole MAE"]

    save_predictions(split_predictions(frames[12:], before, after, {}), tmp_path / "valid.npz")
    with np.load(tmp_path / "valid.npz") as arrays:
        assert {"dipole", "dipole_before", "dipole_after"} <= set(arrays)
    (points,) = parity_points(split := load_predictions(tmp_path / "valid.npz"))
    errors = frame_errors(split, DIPOLE)
    assert errors[1].mean() < 0.1 * errors[0].mean()
    assert (points.quantity, points.axis) == (DIPOLE, "dipole component (e Angstrom)")
    figures.save(figures.parity(points, label="valid"), tmp_path / "parity.png")


def test_a_checkpoint_of_automatic_optimisation_keeps_its_steps(frames: list[LabelledFrame], tmp_path: Path) -> None:
    backbone = Dipoles()
    options = TrainingOptions(epochs=2, batch_size=4, optimizer="adamw").resolved(12, 0.05)
    train, valid = FrameDataset(backbone, frames[:12], {}), FrameDataset(backbone, frames[12:], {})
    attachment = attach(backbone.model, Full(), LAYOUT)
    fitted = fit(backbone, attachment, train, valid, options, tmp_path)
    path = tmp_path / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    progress = checkpoint["loops"]["fit_loop"]
    manual = progress["epoch_loop.manual_optimization.optim_step_progress"]
    progress["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"] = manual
    progress["epoch_loop.manual_optimization.optim_step_progress"] = {
        key: {"ready": 0, "completed": 0} for key in manual
    }
    torch.save(checkpoint, path)
    assert fit(backbone, attachment, train, valid, options, tmp_path, resume=True).steps == fitted.steps == 6


def test_the_loss_weight_has_a_default_and_can_be_given() -> None:
    assert TrainingOptions().loss_weight(DIPOLE) == DIPOLE.loss_weight == 1.0
    assert TrainingOptions(loss_weights={"dipole": 3.0}).loss_weight(DIPOLE) == 3.0
    for wrong in ({"dipole": -1.0}, {"forces": 1.0}, {"charge": 1.0}):
        with pytest.raises(InputError):
            TrainingOptions(loss_weights=wrong)


@pytest.mark.parametrize(
    "changed", [{"name": "forces"}, {"name": "n_atoms"}, {"errors": ENERGY.errors}, {"name": "My dipole"}]
)
def test_names_that_are_in_use_are_refused(changed: dict[str, object]) -> None:
    with pytest.raises(InputError):
        register_quantity(Quantity(**{"name": "other", "per": "frame", "unit": "e"} | changed))  # type: ignore[arg-type]


def test_registering_again_changes_nothing() -> None:
    assert register_quantity(DIPOLE) is DIPOLE
    with pytest.raises(InputError, match="exists already"):
        register_quantity(Quantity(name="dipole", per="frame", unit="Debye"))


@pytest.mark.parametrize("law", QUANTITY_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("quantity", [DIPOLE, SPREAD, ENERGY, FORCES, MAGNETIC_FORCES], ids=lambda one: one.name)
def test_laws(quantity: Quantity, law: QuantityLaw) -> None:
    register_quantity(quantity)
    law(quantity)


class Bank:
    """Two members, whose charges differ."""

    in_use = None

    def __init__(self) -> None:
        self.backbone, self.shifts = Dipoles(), {}

    @contextmanager
    def using(self, name: str | None) -> Iterator[None]:
        yield

    def use(self, name: str) -> None:
        self.backbone.model.charge.weight.data.fill_(float(name))


def test_an_ensemble_gives_its_mean_and_its_spread() -> None:
    atoms = molecule(0)
    atoms.calc = EnsembleCalculator(Bank(), ("1", "3"))
    atoms.get_potential_energy()
    total = atoms.positions.sum(0)
    np.testing.assert_allclose(atoms.calc.results["dipole"], 2 * total, rtol=1e-5)
    np.testing.assert_allclose(atoms.calc.results["dipole_std"], np.sqrt(2) * np.abs(total), rtol=1e-5)
