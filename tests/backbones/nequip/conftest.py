"""Small models of NequIP, written by upstream's own code.

Upstream is imported where it is used: these fixtures are read where it is missing too.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from lightning.pytorch import Trainer

from equisparse.data.demo import demo_files

TYPES = ["Al", "Mg", "O"]
PLAIN = "nequip.train.NequIPLightningModule"
MODELS: dict[str, tuple[str, dict]] = {
    "plain": (PLAIN, {}),
    "moving-average": ("nequip.train.EMALightningModule", {"per_type_energy_shifts_trainable": True}),
    "schedule-free": ("nequip.train.ScheduleFreeLightningModule", {"parity": False}),
    "one-reference": (PLAIN, {"per_type_energy_shifts": -4.0, "bessel_trainable": True, "radial_mlp_depth": 2}),
    "deep-linear-readout": (
        PLAIN,
        {
            "readout_mlp_hidden_layers_depth": 1,
            "readout_mlp_nonlinearity": None,
            "pair_potential": {"_target_": "nequip.nn.pair_potential.ZBL", "units": "metal", "chemical_species": TYPES},
        },
    ),
}
"""Name -> class that trains, and what differs from the default model."""


def data_config(types: list[str]) -> dict:
    """The demo data, as upstream reads it."""
    transforms = "nequip.data.transforms"
    return {
        "_target_": "nequip.data.datamodule.ASEDataModule",
        "seed": 1,
        "train_file_path": str(demo_files().train),
        "val_file_path": str(demo_files().valid),
        "key_mapping": {"REF_energy": "total_energy", "REF_forces": "forces"},
        "transforms": [
            {"_target_": f"{transforms}.ChemicalSpeciesToAtomTypeMapper", "model_type_names": types},
            {"_target_": f"{transforms}.NeighborListTransform", "r_max": 4.0},
        ],
        "train_dataloader": {"_target_": "torch.utils.data.DataLoader", "batch_size": 5, "shuffle": True},
        "val_dataloader": {"_target_": "torch.utils.data.DataLoader", "batch_size": 5},
    }


@pytest.fixture(scope="session")
def model_config() -> Callable[..., dict]:
    """Function that gives a small model, as a user would configure it."""

    def configured(**changes: object) -> dict:
        return {
            "_target_": "nequip.model.NequIPGNNModel",
            "seed": 0,
            "model_dtype": "float64",
            "r_max": 4.0,
            "type_names": TYPES,
            "num_layers": 3,
            "l_max": 2,
            "num_features": [8, 4, 4],
            "type_embed_num_features": 4,
            "radial_mlp_width": 8,
            "avg_num_neighbors": 10.0,
            "per_type_energy_shifts": {"Al": -3.0, "Mg": -1.5, "O": -4.5},
            "per_type_energy_scales": {"Al": 1.5, "Mg": 1.6, "O": 1.7},
            **changes,
        }

    return configured


@pytest.fixture(scope="session")
def write_checkpoint() -> Callable[[Path, dict], None]:
    """Function that writes the checkpoint of a model that was never trained, by upstream's training module."""
    from nequip.train import NequIPLightningModule
    from nequip.utils.versions import get_current_code_versions

    from equisparse.backbones.nequip.global_state import nequip_state

    def write(path: Path, model: dict) -> None:
        info = {
            "versions": get_current_code_versions(verbose=False),
            "data": data_config(TYPES),
            "trainer": {},
            "training_module": {"_target_": PLAIN},
            "runs": ["train"],
        }
        with nequip_state():
            module = NequIPLightningModule(model, {"train": 1, "val": 0, "test": 0, "predict": 0}, info_dict=info)
            trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", enable_model_summary=False)
            trainer.strategy.connect(module)
            trainer.save_checkpoint(path)

    return write


@pytest.fixture(scope="session")
def train(run_program: Callable[..., str]) -> Callable[..., None]:
    """Function that writes the checkpoint of a model that ``nequip-train`` trained on the demo data."""

    def write(path: Path, trained_by: str, model: dict, **limits: int) -> None:
        callback = {"_target_": "lightning.pytorch.callbacks.ModelCheckpoint", "save_last": True}
        optimizer = "schedulefree.AdamWScheduleFree" if "ScheduleFree" in trained_by else "torch.optim.Adam"
        config = {
            "run": ["train"],
            "data": data_config(model.get("type_names", TYPES)),
            "trainer": {
                "_target_": "lightning.Trainer",
                "accelerator": "cpu",
                "logger": False,
                "enable_progress_bar": False,
                "callbacks": [callback | {"dirpath": str(path.parent / path.stem), "filename": "best"}],
                **limits,
            },
            "training_module": {
                "_target_": trained_by,
                "loss": {"_target_": "nequip.train.EnergyForceLoss", "coeffs": {"total_energy": 1.0, "forces": 1.0}},
                "val_metrics": {"_target_": "nequip.train.EnergyForceMetrics"},
                "optimizer": {"_target_": optimizer, "lr": 0.01},
                "model": model,
            },
        }
        path.with_suffix(".yaml").write_text(yaml.safe_dump(config))
        run_program(
            "nequip.scripts.train", "-cp", path.parent, "-cn", path.stem, f"hydra.run.dir={path.parent / path.stem}"
        )
        shutil.copy(path.parent / path.stem / "last.ckpt", path)

    return write


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For files of models."""
    return tmp_path_factory.mktemp("nequip")


@pytest.fixture(scope="session")
def checkpoint(
    folder: Path,
    model_config: Callable[..., dict],
    write_checkpoint: Callable[[Path, dict], None],
    train: Callable[..., None],
) -> Callable[..., Path]:
    """Checkpoint of one of `MODELS`, in a precision."""

    def written(name: str, dtype: str = "float64") -> Path:
        path = folder / f"{name}-{dtype}.ckpt"
        if not path.exists():
            trained_by, changes = MODELS[name]
            model = model_config(model_dtype=dtype, **changes)
            if trained_by == PLAIN:
                write_checkpoint(path, model)
            else:  # so that the weights to use are not the last ones of training
                train(path, trained_by, model, max_steps=5)
        return path

    return written


@pytest.fixture(params=MODELS)
def name(request: pytest.FixtureRequest) -> str:
    """Each of `MODELS`."""
    return request.param


@pytest.fixture
def shifts() -> dict[int, float]:
    """Changes of the reference energies of elements (eV)."""
    return {8: 0.25, 12: -1.5, 13: 3.0}
