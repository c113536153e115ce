"""MACE obeys the laws of backbones; one small model goes all the way from upstream's trainer to upstream's tools."""

import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import ase.io
import numpy as np
import pytest
import torch

import equisparse
from equisparse.adapters.attach import attach
from equisparse.backbones import process
from equisparse.backbones.registry import guess, load_backbone
from equisparse.cli import main
from equisparse.data.demo import demo_files
from equisparse.errors import BackboneError, StateError
from equisparse.methods.elora import ELoRA
from equisparse.methods.mmea import MMEA
from equisparse.methods.scale import Scale
from equisparse.methods.sparse import Sparse
from equisparse.testing import attached
from equisparse.testing import backbones as laws
from equisparse.testing import magnetism as spin_laws

pytestmark = pytest.mark.filterwarnings("ignore:The TorchScript type system:UserWarning")
with process.importing():
    pytest.importorskip("mace", reason="the extra mace is not installed", exc_type=ImportError)
    from e3nn import o3
    from mace import modules
    from mace.calculators import MACECalculator
    from mace.modules import lora

    from equisparse.backbones import mace_files

SHIFTS = {8: 0.25, 12: -1.5, 13: 3.0}
NUMBERS = [8, 12, 13]
HEADS = ["PBE", "R2SCAN"]
INTERACTIONS = {
    "plain": ("RealAgnosticInteractionBlock", "RealAgnosticResidualInteractionBlock"),
    "density": ("RealAgnosticDensityInteractionBlock", "RealAgnosticDensityResidualInteractionBlock"),
    "nonlinear": ("RealAgnosticResidualNonLinearInteractionBlock",) * 2,
}
MODELS: dict[str, tuple[str, dict]] = {
    "scale-shift": ("plain", {}),
    "no-scale": ("plain", {"cls": modules.MACE}),
    "heads": ("plain", {"heads": HEADS}),
    "density": ("density", {"pair_repulsion": True, "distance_transform": "Agnesi"}),
    "nonlinear": ("nonlinear", {"apply_cutoff": False, "heads": HEADS}),
}
"""Name -> interactions, and what differs from the default model."""


def build(path: Path, name: str, dtype: torch.dtype = torch.float64, **more: object) -> None:
    """Write a small untrained model from upstream's classes, as a ``.model`` file."""
    interactions, changes = MODELS[name]
    changes = changes | more
    cls, heads = changes.pop("cls", modules.ScaleShiftMACE), changes.get("heads")
    count = len(heads or [1])
    first, later = (modules.interaction_classes[kind] for kind in INTERACTIONS[interactions])
    scales = {"atomic_inter_scale": [1.2] * count, "atomic_inter_shift": [0.1] * count}
    with process.default_dtype(dtype), torch.random.fork_rng():
        torch.manual_seed(0)
        model = cls(
            r_max=4.0,
            num_bessel=6,
            num_polynomial_cutoff=5,
            max_ell=2,
            interaction_cls_first=first,
            interaction_cls=later,
            num_interactions=2,
            num_elements=len(NUMBERS),
            hidden_irreps=o3.Irreps("8x0e+8x1o"),
            MLP_irreps=o3.Irreps("8x0e"),
            gate=torch.nn.functional.silu,
            atomic_energies=np.array([[-3.0, -1.0, -2.0]] * count),
            avg_num_neighbors=8,
            atomic_numbers=NUMBERS,
            correlation=3,
            radial_MLP=[16, 16],
            **(scales if cls is modules.ScaleShiftMACE else {}),
            **changes,
        )
        torch.save(model, path)


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """File of one of `MODELS`, in a precision."""
    folder = tmp_path_factory.mktemp("mace")

    def written(name: str, dtype: torch.dtype = torch.float64) -> Path:
        path = folder / f"{name}-{dtype}.model"
        if not path.exists():
            build(path, name, dtype)
        return path

    return written


def head_of(name: str) -> str | None:
    """The head that tests choose: not the first."""
    return HEADS[1] if "heads" in MODELS[name][1] else None


class TestEveryModel:
    """Layout, laws and files of every kind of model that MACE builds."""

    @pytest.fixture(params=MODELS)
    def name(self, request):
        return request.param

    @pytest.fixture
    def backbone(self, name, model_file, load):
        return load(str(model_file(name)), dtype="float64", modality=head_of(name))

    def test_layout(self, backbone):
        laws.check_layout(backbone)
        assert laws.check_element_order(backbone, 8, 12) >= 2
        assert laws.check_planted_changes(backbone) > len(backbone.layout().blocks)
        roles = {block.role for block in backbone.layout()}
        assert roles == {"embedding", "linear", "self_connection", "radial", "contraction", "readout"}
        left = dict(backbone.model.named_parameters()).keys() - set(backbone.layout().tensors)
        assert all(
            name.endswith(("bias", "alpha", "beta")) or ".net." in name or "radial_embedding" in name for name in left
        ), left

    def test_element_tables_are_whole(self, backbone):
        contractions = [block for block in backbone.layout() if block.role == "contraction"]
        assert {block.shape[1] for block in contractions} == {len(NUMBERS)}
        for block in contractions:
            weight = backbone.model.get_parameter(block.tensor)
            assert torch.equal(block.view(weight), weight.detach().transpose(0, 1))

    def test_blocks_are_the_paths_of_e3nn(self, backbone):
        layout, checked = backbone.layout(), 0
        for name, module in backbone.model.named_modules():
            if isinstance(module, o3.Linear | o3.FullyConnectedTensorProduct):
                blocks = [block.view(module.weight) for block in layout.of(f"{name}.weight")]
                views = [view.detach() for view in module.weight_views()]
            elif isinstance(module, modules.blocks.InteractionBlock):
                prefix = f"{name}.conv_tp_weights."
                last = [tensor for tensor in layout.tensors if tensor.startswith(prefix)][-1]
                blocks = [block.indices()[0] for block in layout.of(last)]
                weight = backbone.model.get_parameter(last)
                numbers = torch.arange(weight.numel()).reshape(weight.shape)
                outputs = numbers[:, 0] if ".net." in last else numbers[0]
                views = [view.reshape(-1) for view in module.conv_tp.weight_views(outputs.unsqueeze(0))]
            else:
                continue
            checked += 1
            assert all(torch.equal(block, view) for block, view in zip(blocks, views, strict=True)), name
        assert checked > 8

    def test_upstream_calculator(self, backbone, name, model_file, oxides):
        laws.check_calculator(backbone, backbone.upstream_calculator(model_file(name)), oxides)

    def test_symmetries(self, backbone, oxides):
        laws.check_batching(backbone, oxides)
        laws.check_symmetry_of_changes(backbone, oxides[1])
        laws.check_permutation(backbone, oxides[1])

    def test_gates(self, backbone, oxides):
        attached.check_gates(backbone, MMEA(), oxides[1])

    @pytest.mark.parametrize("spin_orbit", [False, True], ids=["isotropic", "spin-orbit"])
    def test_spins(self, backbone, oxides, spin_orbit):
        spin_laws.check_laws(backbone, oxides, "Mg", layers=2, spin_orbit=spin_orbit)

    def test_derivatives(self, backbone, oxides):
        laws.check_forces(backbone, oxides[0])
        laws.check_forces(backbone, oxides[2])
        laws.check_stress(backbone, oxides[0])

    def test_range(self, backbone):
        laws.check_isolated_atoms(backbone, 8)
        laws.check_cutoff(backbone, "AlO", backbone.cutoff)

    def test_native_file(self, backbone, oxides, tmp_path):
        path = tmp_path / "native.model"
        laws.check_native(backbone, path, oxides, SHIFTS)
        laws.check_reload(backbone, path, oxides)

    def test_native_files_have_the_class_and_keys_of_the_base(self, backbone, name, model_file, tmp_path):
        backbone.save_native(tmp_path / "n.model", {})
        base, again = (torch.load(path, weights_only=False) for path in (model_file(name), tmp_path / "n.model"))
        assert type(again) is type(base)
        assert list(again.state_dict()) == list(base.state_dict())
        assert all(torch.equal(value, again.state_dict()[key]) for key, value in base.state_dict().items())

    @pytest.mark.parametrize("method", [Sparse(), Scale()], ids=repr)
    def test_merged_equals_attached_bitwise(self, backbone, oxides, tmp_path, method):
        attached.check_merged_is_attached(backbone, method, tmp_path / "merged.model", oxides)


class TestLoRAOfMACE:
    """Our `elora` against MACE's own LoRA, which gives the same change of weights for the same factors.

    The change of a block of weights is ``alpha / rank * c * A B`` with c = 1 in ours. In MACE's, c = 1 in radial
    networks. In an o3.Linear it is ``p_A p_B / p``, the path weights of the two factors and of the base. All that goes
    into an irrep goes into one bottleneck of `rank` channels, so p_A = p and p_B = 1 / sqrt(rank): c = 1 / sqrt(rank).
    Paths into one output share their B there and have one each here. Self-connections by tensor product and
    contractions stay as they are in MACE's; blocks smaller than the rank have smaller factors in ours.
    """

    RANK, ALPHA = 2, 3.0

    @pytest.mark.parametrize("name", ["scale-shift", "nonlinear"])
    def test_same_factors_give_the_same_predictions(self, name, model_file, load, oxides):
        arguments = {"dtype": "float64", "modality": head_of(name)}
        ours, theirs = (loader(str(model_file(name)), **arguments) for loader in (load, load_backbone))
        before, layout = laws.predict(ours, oxides), ours.layout()
        lora.inject_lora(theirs.model, rank=self.RANK, alpha=self.ALPHA)
        wrapped = {
            tensor: theirs.model.get_submodule(tensor.removesuffix(".weight"))
            for tensor in layout.tensors
            if min(min(block.shape) for block in layout.of(tensor)) >= self.RANK and tensor.endswith(".weight")
        }
        wrapped = {tensor: module for tensor, module in wrapped.items() if type(module).__module__ == lora.__name__}
        assert {layout.of(tensor)[0].role for tensor in wrapped} >= {"embedding", "linear", "radial"}
        attachment = attach(ours.model, ELoRA(self.RANK, self.ALPHA), layout.restrict(wrapped))
        torch.manual_seed(0)
        with torch.no_grad():
            for tensor, module in wrapped.items():
                for name, factor in module.named_parameters():
                    if name.startswith("lora_"):
                        factor.normal_(0, 0.3)
                pairs = self.factors(module, layout.of(tensor))
                for part, factors in zip(("down", "up"), zip(*pairs, strict=True), strict=True):
                    whole = torch.cat([factor.reshape(-1) for factor in factors])
                    attachment.deltas[tensor].product.get_parameter(part).copy_(whole)
        one, other = laws.predict(ours, oxides), laws.predict(theirs, oxides)
        attachment.detach()
        assert not torch.allclose(one.energy, before.energy, rtol=1e-3)
        torch.testing.assert_close(other.energy, one.energy, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(other.forces, one.forces, rtol=1e-8, atol=1e-10)

    def factors(self, module, blocks):
        """Our factors of each block, from MACE's factors of the whole tensor."""
        if isinstance(module, lora.LoRAO3Linear):
            downs, ups = (list(linear.weight_views()) for linear in (module.lora_A, module.lora_B))
            down = {path.i_in: view for path, view in zip(module.lora_A.instructions, downs, strict=True)}
            up = {path.i_out: view for path, view in zip(module.lora_B.instructions, ups, strict=True)}
            paths = [path for path in module.base.instructions if path.i_in >= 0]
            return [(down[path.i_in], up[path.i_out] / self.RANK**0.5) for path in paths]
        if isinstance(module, lora.LoRADenseLinear):  # torch's Linear is (outputs, inputs)
            down, up = module.lora_A.weight.T, module.lora_B.weight.T
        else:
            down, up = module.lora_A, module.lora_B
        return [(down, columns) for columns in up.split([block.shape[1] for block in blocks], 1)]


def test_heads_differ_and_shifts_of_one_leave_the_other(model_file, load, oxides, tmp_path):
    path = str(model_file("heads"))
    one, other = (load(path, dtype="float64", modality=head) for head in HEADS)
    before = laws.predict(one, oxides).energy
    assert not torch.allclose(before, laws.predict(other, oxides).energy)
    other.save_native(tmp_path / "m.model", {8: 1.0})
    again = load_backbone(str(tmp_path / "m.model"), dtype="float64", modality=HEADS[0])
    assert torch.equal(laws.predict(again, oxides).energy, before)
    with pytest.raises(BackboneError, match="PBE or R2SCAN"):
        load_backbone(path)


@pytest.mark.parametrize("stored", [torch.float32, torch.float64])
def test_precisions_agree_and_have_one_fingerprint(model_file, load, oxides, stored):
    path = str(model_file("scale-shift", stored))
    single, double = load(path, dtype="float32"), load(path, dtype="float64")
    assert single.identity == double.identity
    one, other = laws.predict(single, oxides), laws.predict(double, oxides)
    laws.ENERGY[torch.float32].check("energy", one.energy, other.energy)
    laws.FORCES[torch.float32].check("forces", one.forces, other.forces)


def test_the_process_is_left_as_it_was(model_file, oxides):
    state = dict(os.environ), torch.get_default_dtype(), torch.get_rng_state().tolist()
    backbone = load_backbone(str(model_file("scale-shift")), dtype="float64")
    laws.check_calculator(backbone, backbone.upstream_calculator(model_file("scale-shift")), oxides[:1])
    assert (dict(os.environ), torch.get_default_dtype(), torch.get_rng_state().tolist()) == state


def test_saving_an_attached_model_is_refused(model_file, load, tmp_path):
    backbone = load(str(model_file("scale-shift")), dtype="float64")
    attachment = attach(backbone.model, Scale(), backbone.layout())
    with pytest.raises(StateError, match="detach first"):
        backbone.save_native(tmp_path / "m.model", {})
    attachment.detach()


def test_what_is_no_model_is_refused(tmp_path):
    Path(tmp_path, "broken.model").write_bytes(b"no model")
    torch.save({"a": 1}, tmp_path / "other.model")
    for name in ("broken.model", "other.model"):
        with pytest.raises(BackboneError, match="MACE cannot load this model"):
            load_backbone(str(tmp_path / name))
    with pytest.raises(BackboneError, match=r"no such MACE model(.|\n)*mace-mpa-0"):
        load_backbone("mace-mystery")


def test_models_that_take_charges_are_refused(tmp_path):
    spec = {"type": "categorical", "per": "graph", "in_dim": 1, "emb_dim": 4, "num_classes": 5, "offset": 2}
    build(tmp_path / "charged.model", "scale-shift", embedding_specs={"total_charge": spec})
    with pytest.raises(BackboneError, match="embeds charges"):
        load_backbone(str(tmp_path / "charged.model"))


def test_names_of_foundation_models():
    known = mace_files.foundation_models()
    assert {"mace-mp", "mace-mpa-0", "mace-off23", "mace-off23-small", "mace-omat-0", "mace-mh-1"} <= known.keys()
    assert {guess(name) for name in known} == {guess("mine.model")} == {"mace"}


def test_a_failed_download_is_told_in_words(monkeypatch):
    def fail(_: str) -> str:
        raise URLError("no route")

    monkeypatch.setattr(mace_files, "download_mace_mp_checkpoint", fail)
    with pytest.raises(BackboneError, match=r"cannot download(.|\n)*put the .model file here"):
        load_backbone("mace-mh-1")
    told = []
    monkeypatch.setattr(mace_files._log, "warning", told.append)
    with pytest.raises(BackboneError, match="cannot download"):
        load_backbone("mace-off23")
    assert "no commercial use" in told[0]


@pytest.mark.network
def test_a_foundation_model_is_downloaded(oxides):
    backbone = load_backbone("mace-mp-0")
    laws.check_layout(backbone)
    assert backbone.elements >= {8, 12, 13}


def test_a_pinned_file_is_opened_only_if_it_is_the_one(model_file, tmp_path):
    path = model_file("scale-shift")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_backbone(str(path), sha256=digest[:12]).identity.source == path.name
    trap = tmp_path / "trap.model"
    torch.save(Trap(tmp_path / "sprung"), trap)
    for pin in ("0" * 64, hashlib.sha256(trap.read_bytes()).hexdigest()[:4]):
        with pytest.raises(BackboneError, match="not opened"):
            load_backbone(str(trap), sha256=pin)
    assert not (tmp_path / "sprung").exists()


def test_opening_a_pickle_is_told_once(model_file, caplog, tmp_path):
    path = tmp_path / "copy.model"
    path.write_bytes(model_file("scale-shift").read_bytes())
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            load_backbone(str(path))
    assert sum("is a pickle" in record.getMessage() for record in caplog.records) == 1


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def run(module: str, *words: object) -> str:
    """Output of an upstream command, which is expected to succeed."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that upstream's trainer trained on the demo data."""
    folder = tmp_path_factory.mktemp("trained")
    for name, source in (("train", demo_files().train), ("valid", demo_files().valid)):
        ase.io.write(folder / f"{name}.extxyz", ase.io.read(source, ":40"))
    options = {
        "name": "base",
        "work_dir": folder,
        "train_file": folder / "train.extxyz",
        "valid_file": folder / "valid.extxyz",
        "E0s": "average",
        "energy_key": "REF_energy",
        "forces_key": "REF_forces",
        "model": "MACE",
        "hidden_irreps": "8x0e+8x1o",
        "r_max": 4.0,
        "max_ell": 2,
        "correlation": 2,
        "batch_size": 5,
        "max_num_epochs": 6,
        "default_dtype": "float32",
        "device": "cpu",
        "seed": 1,
        "plot": False,
    }
    run("mace.cli.run_train", *(f"--{name}={value}" for name, value in options.items()))
    return folder / "base.model"


@pytest.fixture(scope="module")
def finetuned(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of our fine-tune of that model."""
    out = tmp_path_factory.mktemp("finetuned") / "run"
    words = ["finetune", "demo", "--base", str(base), "--out", str(out), "--epochs", "5", "--batch-size", "5"]
    assert main([*words, "--changed", "0.2", "--targets", "all", "--device", "cpu"]) == 0
    return out


class TestFromTrainingToDeployment:
    """A model that upstream's trainer trained is adapted by our commands and used by upstream's."""

    def test_fine_tuning_lowers_the_errors(self, finetuned):
        metrics = json.loads((finetuned / "metrics.json").read_text())
        error = "force_mae_mev_per_ang"
        assert metrics["final"]["test"][error] < 0.9 * metrics["refit"]["test"][error]
        assert metrics["changed_fraction_model"] == pytest.approx(0.2, rel=0.02)
        assert (finetuned / "merged.model").exists()

    def test_evaluate_gives_the_numbers_of_the_run(self, base, finetuned, tmp_path):
        words = ["evaluate", str(demo_files().test), "--base", str(base), "--json", str(tmp_path / "e.json")]
        assert main([*words, "--adapter", str(finetuned / "adapter.safetensors"), "--device", "cpu"]) == 0
        found = json.loads((tmp_path / "e.json").read_text())
        expected = json.loads((finetuned / "metrics.json").read_text())["final"]["test"]
        assert found["stress_mae_gpa"] is expected["stress_mae_gpa"] is None
        assert found == {name: value and pytest.approx(value, rel=1e-4) for name, value in expected.items()}

    def test_spin_layer_from_training_to_deployment(self, base, tmp_path):
        for name, numbers in (("train", ":8"), ("valid", ":2")):
            frames = ase.io.read(getattr(demo_files(), name), numbers)
            for seed, atoms in enumerate(frames):
                signs = np.random.default_rng(seed).choice([-1.0, 1.0], len(atoms))
                atoms.set_initial_magnetic_moments(2.0 * signs)
                atoms.arrays["REF_magmoms"] = signs * np.linspace(1.2, 1.8, len(atoms))
            ase.io.write(tmp_path / f"{name}.extxyz", frames)
        words = ["finetune", str(tmp_path / "train.extxyz"), "--valid", str(tmp_path / "valid.extxyz"), "--spin"]
        words += ["--base", str(base), "--out", str(tmp_path / "run"), "--epochs", "10", "--batch-size", "4"]
        assert main([*words, "--spin-lr", "0.02", "--device", "cpu"]) == 0
        final = json.loads((tmp_path / "run" / "metrics.json").read_text())["final"]["valid"]
        assert final["moment_mae_mub"] < 0.3
        atoms.calc = equisparse.calculator(str(base), tmp_path / "run" / "adapter.safetensors", device="cpu")
        assert atoms.get_magnetic_moments() == pytest.approx(atoms.arrays["REF_magmoms"], abs=0.7)

    def test_upstream_tools_take_the_merged_file(self, base, finetuned, tmp_path):
        merged, frames = tmp_path / "merged.model", ase.io.read(demo_files().test, ":3")
        adapter = str(finetuned / "adapter.safetensors")
        assert main(["merge", adapter, "--base", str(base), "--out", str(merged), "--device", "cpu"]) == 0
        ase.io.write(tmp_path / "frames.extxyz", frames)
        words = ["--configs", tmp_path / "frames.extxyz", "--model", merged, "--output", tmp_path / "out.extxyz"]
        run("mace.cli.eval_configs", *words, "--device", "cpu", "--default_dtype", "float32")
        ours = equisparse.calculator(str(base), adapter, device="cpu")
        for atoms, theirs in zip(frames, ase.io.read(tmp_path / "out.extxyz", ":"), strict=True):
            atoms.calc = ours
            assert theirs.info["MACE_energy"] == pytest.approx(atoms.get_potential_energy(), abs=1e-3)
            np.testing.assert_allclose(theirs.arrays["MACE_forces"], atoms.get_forces(), atol=1e-4)
        run("mace.cli.create_lammps_model", merged)
        exported = torch.jit.load(f"{merged}-lammps.pt")
        assert exported.atomic_numbers.tolist() == [8, 12]

    @pytest.mark.filterwarnings("ignore:To copy construct:UserWarning", "ignore:cuequivariance_ops:UserWarning")
    def test_accelerated_forms_of_the_merged_file(self, finetuned, tmp_path):
        pytest.importorskip("cuequivariance_torch", reason="cuEquivariance is not installed")
        merged = finetuned / "merged.model"
        run("mace.cli.create_lammps_model", merged, "--format=mliap")
        assert Path(f"{merged}-mliap_lammps.pt").exists()
        calculators = []
        with process.default_dtype(torch.float32):  # the converter sets it
            for fast in (False, True):
                model = torch.load(merged, weights_only=False)
                options = {"device": "cpu", "default_dtype": "float32", "enable_cueq": fast}
                calculators.append(MACECalculator(models=[model], **options))
        for atoms in ase.io.read(demo_files().test, ":2"):
            results = []
            for atoms.calc in calculators:
                results.append((atoms.get_potential_energy(), atoms.get_forces()))
            assert results[0][0] == pytest.approx(results[1][0], abs=1e-4)
            np.testing.assert_allclose(results[0][1], results[1][1], atol=1e-4)
        torch.save(calculators[1].models[0], tmp_path / "fast.model")
        with pytest.raises(BackboneError, match="converted for an accelerator"):
            load_backbone(str(tmp_path / "fast.model"))

    def test_the_merged_file_in_upstreams_calculator(self, base, finetuned):
        model = torch.load(finetuned / "merged.model", weights_only=False)
        theirs = MACECalculator(models=[model], device="cpu", default_dtype="float32")
        ours = equisparse.calculator(str(base), finetuned / "adapter.safetensors", device="cpu")
        for atoms in ase.io.read(demo_files().test, ":2"):
            results = []
            for calculator in (ours, theirs):
                atoms.calc = calculator
                results.append((atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()))
            (e1, f1, s1), (e2, f2, s2) = results
            assert e1 == pytest.approx(e2, abs=1e-4)
            np.testing.assert_allclose(f1, f2, atol=1e-4)
            np.testing.assert_allclose(s1, s2, atol=1e-5)
