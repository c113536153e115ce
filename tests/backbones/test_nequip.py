"""NequIP obeys the laws of backbones, from every kind of file; one small model goes all the way from upstream's trainer
to upstream's compiled model."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
import yaml

pytest.importorskip("nequip", reason="the extra nequip is not installed")
import e3nn
from lightning.pytorch import Trainer
from nequip.integrations.ase import NequIPCalculator
from nequip.model.saved_models import load_saved_model
from nequip.train import NequIPLightningModule
from nequip.utils.versions import get_current_code_versions

import equisparse
from equisparse.adapters.attach import attach
from equisparse.backbones import nequip_files
from equisparse.backbones.nequip_state import nequip_state
from equisparse.backbones.registry import guess, load_backbone
from equisparse.cli import main
from equisparse.data.demo import demo_files
from equisparse.errors import BackboneError, StateError
from equisparse.magnetism.model import new_layer
from equisparse.methods.mmea import MMEA
from equisparse.methods.scale import Scale
from equisparse.methods.sparse import Sparse
from equisparse.testing import attached
from equisparse.testing import backbones as laws
from equisparse.testing import magnetism as spin_laws

TYPES = ["Al", "Mg", "O"]
SHIFTS = {8: 0.25, 12: -1.5, 13: 3.0}
_NEQUIP_ONLY = ("num_features", "type_embed_num_features", "radial_mlp_width")
CATEGORY = {"field": "dataset", "num_features": 2, "min": 0, "max": 1}
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
ALLEGRO = {
    "allegro": {},
    "allegro-splines": {
        "radial_chemical_embed": {"_target_": "allegro.nn.TwoBodySplineScalarEmbed"},
        "tp_path_channel_coupling": False,
    },
    "allegro-one-path": {"num_layers": 1, "l_max": 0},
}
"""Name -> what differs from the default Allegro model."""


def model_config(**changes: object) -> dict:
    """A small model, as a user would configure it."""
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


def allegro_config(**changes: object) -> dict:
    """A small Allegro model."""
    own = {name: value for name, value in model_config().items() if name not in _NEQUIP_ONLY}
    return own | {
        "_target_": "allegro.model.AllegroModel",
        "num_layers": 2,
        "l_max": 2,
        "num_scalar_features": 8,
        "num_tensor_features": 4,
        "radial_chemical_embed": {"_target_": "allegro.nn.TwoBodyBesselScalarEmbed"},
        **{f"{part}_mlp_hidden_layers_width": 8 for part in ("allegro", "readout", "scalar_embed")},
        **changes,
    }


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


def write_checkpoint(path: Path, model: dict) -> None:
    """Checkpoint of a model that was never trained, written by upstream's training module."""
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


def train(path: Path, trained_by: str, model: dict, **limits: int) -> None:
    """Checkpoint of a model that ``nequip-train`` trained on the demo data."""
    callback = {"_target_": "lightning.pytorch.callbacks.ModelCheckpoint", "save_last": True}
    optimizer = "schedulefree.AdamWScheduleFree" if "ScheduleFree" in trained_by else "torch.optim.Adam"
    config = {
        "run": ["train"],
        "data": data_config(model["type_names"]),
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
    run("nequip.scripts.train", "-cp", path.parent, "-cn", path.stem, f"hydra.run.dir={path.parent / path.stem}")
    shutil.copy(path.parent / path.stem / "last.ckpt", path)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For files of models."""
    return tmp_path_factory.mktemp("nequip")


@pytest.fixture(scope="session")
def checkpoint(folder: Path) -> Callable[..., Path]:
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


@pytest.fixture(scope="session")
def package(folder: Path, checkpoint: Callable[..., Path]) -> Path:
    """Package of the plain model, made by upstream's command."""
    path = folder / "plain.nequip.zip"
    run("nequip.scripts.package", "build", checkpoint("plain"), path)
    return path


def run(module: str, *words: object, **environment: str) -> str:
    """Output of an upstream command, which is expected to succeed."""
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


class TestEveryModel:
    """What differs between models and between the classes that trained them: layout, loading, native files."""

    @pytest.fixture(params=MODELS)
    def name(self, request):
        return request.param

    @pytest.fixture
    def backbone(self, name, checkpoint, load):
        return load(str(checkpoint(name)), dtype="float64")

    def test_layout(self, backbone):
        laws.check_layout(backbone)
        assert laws.check_element_order(backbone, 8, 12) >= 2
        assert laws.check_planted_changes(backbone) > len(backbone.layout().blocks)
        assert {block.role for block in backbone.layout()} == {
            "embedding",
            "linear",
            "self_connection",
            "radial",
            "readout",
        }
        left = dict(backbone.model.named_parameters()).keys() - set(backbone.layout().tensors)
        assert all(name.endswith(("bessel_weights", ".shifts")) for name in left), left

    def test_blocks_are_the_paths_of_e3nn(self, backbone):
        layout = backbone.layout()
        for name, module in backbone.model.named_modules():
            if name.endswith((".linear_1", ".linear_2", ".conv.sc")):
                blocks = [block.view(module.weight) for block in layout.of(f"{name}.weight")]
                views = list(module.weight_views())
            elif name.endswith(".conv"):
                last = list(module.edge_mlp.named_parameters())[-1][0]
                blocks = [block.indices()[0] for block in layout.of(f"{name}.edge_mlp.{last}")]
                columns = torch.arange(module.tp_scatter.tp.weight_numel).unsqueeze(0)
                views = [view.reshape(-1) for view in module.tp_scatter.tp.weight_views(columns)]
            else:
                continue
            assert all(torch.equal(block, view) for block, view in zip(blocks, views, strict=True)), name

    def test_upstream_calculator(self, backbone, name, checkpoint, oxides):
        laws.check_calculator(backbone, backbone.upstream_calculator(checkpoint(name)), oxides)

    def test_symmetry_of_changes(self, backbone, oxides):
        laws.check_symmetry_of_changes(backbone, oxides[1])

    def test_gates(self, backbone, oxides):
        attached.check_gates(backbone, MMEA(), oxides[1])

    @pytest.mark.parametrize("spin_orbit", [False, True], ids=["isotropic", "spin-orbit"])
    def test_spins(self, backbone, oxides, spin_orbit):
        spin_laws.check_laws(backbone, oxides, "Mg", layers=3, spin_orbit=spin_orbit)

    def test_native_file(self, backbone, oxides, tmp_path):
        shared = len(set(backbone.reference_slots.values())) == 1
        path = tmp_path / "native.ckpt"
        laws.check_native(backbone, path, oxides, dict.fromkeys(SHIFTS, 0.5) if shared else SHIFTS)
        laws.check_reload(backbone, path, oxides)

    @pytest.mark.parametrize("method", [Sparse(), Scale()], ids=repr)
    def test_merged_equals_attached_bitwise(self, backbone, oxides, tmp_path, method):
        attached.check_merged_is_attached(backbone, method, tmp_path / "merged.ckpt", oxides)


@pytest.mark.skipif(not find_spec("allegro"), reason="nequip-allegro is not installed")
class TestAllegro:
    """The same code adapts Allegro."""

    @pytest.fixture(params=ALLEGRO)
    def backbone(self, request, folder, load):
        path = folder / f"{request.param}.ckpt"
        if not path.exists():
            write_checkpoint(path, allegro_config(**ALLEGRO[request.param]))
        return load(str(path), dtype="float64")

    def test_layout_holds_all_weights(self, backbone):
        laws.check_layout(backbone)
        laws.check_element_order(backbone, 8, 12)
        assert backbone.layout().numel == backbone.layout().total_parameters

    def test_blocks_of_tensor_products_are_paths(self, backbone):
        names = {block.tensor for block in backbone.layout() if block.role == "contraction"}
        for name in names:
            module = backbone.model.get_submodule(name.rpartition(".")[0])
            assert len(backbone.layout().of(name)) == module.num_paths

    def test_laws(self, backbone, oxides):
        laws.check_batching(backbone, oxides)
        laws.check_symmetry_of_changes(backbone, oxides[0])
        laws.check_forces(backbone, oxides[0])

    def test_no_spin_layer(self, backbone):
        with pytest.raises(BackboneError, match="no features of atoms"):
            new_layer(backbone, cutoff=4.0)

    def test_native_file(self, backbone, oxides, tmp_path):
        laws.check_native(backbone, tmp_path / "native.ckpt", oxides, SHIFTS)
        laws.check_reload(backbone, tmp_path / "native.ckpt", oxides)
        assert "pair_style allegro" in backbone.deployment_notes(tmp_path)


class TestSymmetriesAndDerivatives:
    """The laws that one model stands for."""

    @pytest.fixture
    def backbone(self, checkpoint, load):
        return load(str(checkpoint("plain")), dtype="float64")

    def test_batching(self, backbone, oxides):
        laws.check_batching(backbone, oxides)

    def test_permutation(self, backbone, oxides):
        laws.check_permutation(backbone, oxides[1])

    @pytest.mark.parametrize("number", [0, 2], ids=["crystal", "molecule"])
    def test_space(self, backbone, oxides, number):
        laws.check_translation(backbone, oxides[number])
        laws.check_rotation(backbone, oxides[number])
        laws.check_forces(backbone, oxides[number])

    def test_cell(self, backbone, oxides):
        laws.check_supercell(backbone, oxides[0])
        laws.check_stress(backbone, oxides[0])

    def test_slab_periodic_in_two_directions(self, backbone, oxides):
        slab = oxides[0].copy()
        slab.pbc = (True, True, False)
        laws.check_forces(backbone, slab, directions=1)

    def test_range(self, backbone):
        laws.check_isolated_atoms(backbone, 8)
        laws.check_cutoff(backbone, "MgO", backbone.cutoff)


class TestPackage:
    """A package brings its own classes with it."""

    @pytest.fixture
    def backbone(self, package, load):
        return load(str(package), dtype="float64")

    def test_it_is_the_model_of_its_checkpoint(self, backbone, checkpoint, load, oxides):
        other = load(str(checkpoint("plain")), dtype="float64")
        assert backbone.layout() == other.layout()
        assert backbone.identity.sha256 == other.identity.sha256
        assert torch.equal(laws.predict(backbone, oxides).energy, laws.predict(other, oxides).energy)

    def test_native_file(self, backbone, oxides, tmp_path):
        path = tmp_path / f"native{backbone.native_suffix}"
        laws.check_native(backbone, path, oxides, SHIFTS)
        laws.check_reload(backbone, path, oxides)
        assert "atom_types" in run("nequip.scripts.package", "info", path)
        with nequip_state():
            eager, compiled = (load_saved_model(path, compile_mode=mode).state_dict() for mode in ("eager", "compile"))
        assert all(torch.equal(eager[name], compiled[name]) for name in eager)

    def test_checkpoints_become_packages(self, checkpoint, load, oxides, tmp_path):
        backbone = load(str(checkpoint("moving-average")), dtype="float64")
        laws.check_native(backbone, tmp_path / "native.nequip.zip", oxides, SHIFTS)

    def test_packages_do_not_become_checkpoints(self, backbone, tmp_path):
        with pytest.raises(BackboneError, match="cannot become a checkpoint"):
            backbone.save_native(tmp_path / "native.ckpt", {})
        assert not list(tmp_path.iterdir())

    def test_a_package_that_cannot_be_written_leaves_nothing(self, backbone, tmp_path, monkeypatch):
        monkeypatch.setattr(nequip_files, "_INTERNAL_MODULES", set())
        with pytest.raises(BackboneError, match="cannot be written again"):
            backbone.save_native(tmp_path / "native.nequip.zip", {})
        assert not list(tmp_path.iterdir())

    def test_another_precision_is_refused(self, package):
        with pytest.raises(BackboneError, match=r"computes in float64(.|\n)*use --dtype float64"):
            load_backbone(str(package), dtype="float32")


class TestUpstreamFinetunes:
    """Checkpoints of models that NequIP itself adapted: from a package, and with changed reference energies."""

    @pytest.fixture(params=["from-package", "modified"])
    def path(self, request, package, folder):
        path = folder / f"{request.param}.ckpt"
        modifier = {"modifier": "modify_PerTypeScaleShift", "shifts": {"O": -1.0}}
        configs = {
            "from-package": {"_target_": "nequip.model.ModelFromPackage", "package_path": str(package)},
            "modified": {"_target_": "nequip.model.modify", "modifiers": [modifier], "model": model_config()},
        }
        if not path.exists():
            write_checkpoint(path, configs[request.param])
        return path

    def test_native_file(self, path, load, oxides, tmp_path):
        backbone = load(str(path), dtype="float64")
        laws.check_native(backbone, tmp_path / "native.ckpt", oxides, SHIFTS)
        laws.check_reload(backbone, tmp_path / "native.ckpt", oxides)

    def test_precision(self, path, load, oxides):
        if path.stem == "from-package":
            with pytest.raises(BackboneError, match="use --dtype float64"):
                load_backbone(str(path), dtype="float32")
        else:
            single, double = (laws.predict(load(str(path), dtype=dtype), oxides) for dtype in ("float32", "float64"))
            laws.ENERGY[torch.float32].check("energy", single.energy, double.energy)


@pytest.mark.parametrize("stored", ["float32", "float64"])
def test_precisions_agree_and_have_one_fingerprint(checkpoint, load, oxides, stored):
    path = str(checkpoint("plain", stored))
    single, double = load(path, dtype="float32"), load(path, dtype="float64")
    assert single.identity == double.identity
    one, other = laws.predict(single, oxides), laws.predict(double, oxides)
    laws.ENERGY[torch.float32].check("energy", one.energy, other.energy)
    laws.FORCES[torch.float32].check("forces", one.forces, other.forces)
    laws.check_rotation(double, oxides[0])


@pytest.mark.parametrize("name", ["moving-average", "schedule-free"])
def test_native_checkpoints_hold_no_trace_of_the_training_before(checkpoint, load, tmp_path, name):
    backbone = load(str(checkpoint(name)), dtype="float64")
    backbone.save_native(tmp_path / "n.ckpt", {})
    contents = torch.load(tmp_path / "n.ckpt", weights_only=False)
    assert not [entry for entry in contents if "optimizer" in entry]
    for number, (parameter, weight) in enumerate(backbone.model.named_parameters()):
        written = contents["state_dict"][f"model.sole_model.{parameter}"]
        assert torch.equal(written, weight)
        assert torch.equal(contents["state_dict"].get(f"ema.ema_weight_{number}", written), weight)


def test_native_files_keep_their_precision(checkpoint, load, oxides, tmp_path):
    double = load(str(checkpoint("plain", "float32")), dtype="float64")
    double.save_native(tmp_path / "n.ckpt", {})
    again = load_backbone(str(tmp_path / "n.ckpt"))
    assert again.identity.sha256 == double.identity.sha256


def test_the_process_is_left_as_it_was(checkpoint, oxides):
    def state() -> tuple:
        return (
            torch.get_default_dtype(),
            torch.get_rng_state().tolist(),
            random.getstate(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002  the generator that upstream seeds
            dict(os.environ),
            torch.multiprocessing.get_sharing_strategy(),
            torch.backends.fp32_precision,
            dict(e3nn.get_optimization_defaults()),
        )

    before = state()
    backbone = load_backbone(str(checkpoint("plain")), dtype="float64")
    laws.check_calculator(backbone, backbone.upstream_calculator(checkpoint("plain")), oxides[:1])
    assert state() == before


def test_saving_an_attached_model_is_refused(checkpoint, load, tmp_path):
    backbone = load(str(checkpoint("plain")), dtype="float64")
    attachment = attach(backbone.model, Scale(), backbone.layout())
    with pytest.raises(StateError, match="detach first"):
        backbone.save_native(tmp_path / "m.ckpt", {})
    attachment.detach()


@pytest.mark.parametrize("name", ["broken.ckpt", "broken.nequip.zip", "missing.ckpt", "nequip.net:group/model:1"])
def test_what_is_no_model_is_refused(tmp_path, name):
    for broken in ("broken.ckpt", "broken.nequip.zip"):
        Path(tmp_path, broken).write_bytes(b"no model")
    source = name if name.startswith("nequip.net") else str(tmp_path / name)
    with pytest.raises(BackboneError, match="NequIP cannot load this model"):
        load_backbone(source)


def two_models() -> dict:
    """A training run may have several models."""
    both = {"_target_": "torch.nn.ModuleDict", "modules": {"one": model_config(), "two": model_config()}}
    return {"_target_": "hydra.utils.instantiate", "config": both | {"_convert_": "all"}}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (model_config(per_type_energy_shifts=None), "no energy shift per type"),
        (model_config(categorical_graph_field_embed=[CATEGORY]), "embeds a category"),
        (two_models(), "several models"),
        (model_config(do_derivatives=False), "predicts no forces"),
    ],
    ids=["no-references", "category", "two", "no-forces"],
)
@pytest.mark.filterwarnings("ignore:Found `per_type")
def test_models_that_cannot_be_adapted_are_refused(tmp_path, model, message):
    write_checkpoint(tmp_path / "m.ckpt", model)
    with pytest.raises(BackboneError, match=message):
        load_backbone(str(tmp_path / "m.ckpt"), dtype="float64")


def test_names_and_modalities(checkpoint):
    assert {guess("nequip.net:mir-group/NequIP-OAM-L:0.1"), guess("a/b.ckpt"), guess("b.nequip.zip")} == {"nequip"}
    with pytest.raises(BackboneError, match="no modalities"):
        load_backbone(str(checkpoint("plain")), modality="PBE")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that upstream's trainer trained."""
    path = tmp_path_factory.mktemp("trained") / "base.ckpt"
    changes = {"type_names": ["Mg", "O"], "num_layers": 2, "l_max": 1, "num_features": 8}
    energies = {"per_type_energy_shifts": {"Mg": -5.0, "O": -5.0}, "per_type_energy_scales": 1.0}
    model = model_config(model_dtype="float32", **changes, **energies)
    train(path, "nequip.train.EMALightningModule", model, max_epochs=10)
    return path


@pytest.fixture(scope="module")
def finetuned(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of our fine-tune of that model."""
    out = tmp_path_factory.mktemp("finetuned") / "run"
    words = ["finetune", "demo", "--base", str(base), "--out", str(out), "--epochs", "5", "--batch-size", "5"]
    assert main([*words, "--changed", "0.2", "--device", "cpu"]) == 0
    return out


class TestFromTrainingToDeployment:
    """A model that upstream's trainer trained is adapted by our commands and compiled by upstream's."""

    def test_fine_tuning_lowers_the_errors(self, finetuned):
        metrics = json.loads((finetuned / "metrics.json").read_text())
        error = "force_mae_mev_per_ang"
        assert metrics["final"]["test"][error] < 0.9 * metrics["refit"]["test"][error]
        assert metrics["changed_fraction_model"] == pytest.approx(0.2, rel=0.02)

    def test_evaluate_gives_the_numbers_of_the_run(self, base, finetuned, tmp_path):
        words = ["evaluate", str(demo_files().test), "--base", str(base), "--json", str(tmp_path / "e.json")]
        assert main([*words, "--adapter", str(finetuned / "adapter.safetensors"), "--device", "cpu"]) == 0
        found = json.loads((tmp_path / "e.json").read_text())
        expected = json.loads((finetuned / "metrics.json").read_text())["final"]["test"]
        assert found["stress_mae_gpa"] is expected["stress_mae_gpa"] is None
        assert found == {name: value and pytest.approx(value, rel=1e-4) for name, value in expected.items()}

    @pytest.mark.skipif(not shutil.which("g++"), reason="nequip-compile needs a C++ compiler")
    @pytest.mark.parametrize("suffix", [".ckpt", pytest.param(".nequip.zip", marks=pytest.mark.slow)])
    def test_the_compiled_merged_file_does_what_the_adapter_does(self, base, finetuned, tmp_path, suffix):
        merged, compiled = tmp_path / f"merged{suffix}", tmp_path / "compiled.nequip.pt2"
        adapter = str(finetuned / "adapter.safetensors")
        assert main(["merge", adapter, "--base", str(base), "--out", str(merged), "--device", "cpu"]) == 0
        words = ["--mode", "aotinductor", "--device", "cpu", "--target", "ase"]
        run("nequip.scripts.compile", merged, compiled, *words)
        frames = ase.io.read(demo_files().test, ":3")
        with nequip_state():
            theirs = NequIPCalculator.from_compiled_model(compiled, chemical_species_to_atom_type_map=True)
            expected = [calculated(atoms, theirs) for atoms in frames]
        ours = equisparse.calculator(str(base), adapter, device="cpu")
        for atoms, (energy, forces, stress) in zip(frames, expected, strict=True):
            found = calculated(atoms, ours)
            assert found[0] == pytest.approx(energy, abs=1e-4)
            np.testing.assert_allclose(found[1], forces, atol=1e-4)
            np.testing.assert_allclose(found[2], stress, atol=1e-5)


def calculated(atoms, calculator):
    """Energy, forces and stress of a copy."""
    copy = atoms.copy()
    copy.calc = calculator
    return copy.get_potential_energy(), copy.get_forces(), copy.get_stress()
