"""Files of NequIP models: checkpoints of ``nequip-train`` and packages of ``nequip-package``."""

import io
import subprocess
import sys
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import hydra
import torch
import yaml
from nequip.model.modify_utils import only_apply_persistent_modifiers
from nequip.model.saved_models import package as packages
from nequip.model.saved_models.load_utils import load_saved_model
from nequip.model.utils import override_model_compile_mode
from nequip.scripts._package_utils import _EXTERNAL_MODULES, _INTERNAL_MODULES, _MOCK_MODULES
from torch import Tensor, nn
from torch.package.importer import sys_importer
from torch.package.package_exporter import PackageExporter, PackagingError
from torch.package.package_importer import PackageImporter

from equisparse.errors import BackboneError
from equisparse.files import replacing

MODEL = "sole_model"
"""Name of the model among those of a file."""

_on_cpu = getattr(packages, "_cpu_deserialize_always", nullcontext)
"""Lets models that were packaged on a GPU load without one; nequip >= 0.19.1."""

_OPTIMIZER = ("optimizer_states", "lr_schedulers", "schedulefree_optimizer_state_dict")
"""Entries of a checkpoint that belong to other weights than the merged ones."""


class ModelFile(ABC):
    """A file with one model.

    Parameters
    ----------
    path : Path
        Has to exist.
    """

    suffix: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> nn.Module:
        """The model in eager mode and in the precision of the file, from the upstream's loader."""
        models = load_saved_model(str(self.path), compile_mode="eager", model_key=None)
        if list(models) != [MODEL]:
            raise BackboneError(
                "The file holds several models.", given=", ".join(models), expected="a file with one model"
            )
        model: nn.Module = models[MODEL]
        return model

    @abstractmethod
    def rebuilt(self, model: nn.Module, dtype: str) -> nn.Module:
        """The loaded `model` in another precision.

        Raises
        ------
        BackboneError
            If the upstream cannot build it in that precision.
        """

    @abstractmethod
    def save(self, path: Path, values: Mapping[str, Tensor]) -> None:
        """Write the file with other values of some parameters and buffers, each in the precision of the file.

        Parameters
        ----------
        path : Path
            Target; its ending says which of the two kinds it is.
        values : mapping of str to Tensor
            By name in the model; all parameters in their order first.

        Raises
        ------
        BackboneError
            If a file of that kind cannot be made from this one.
        """


class Checkpoint(ModelFile):
    """A checkpoint of ``nequip-train``."""

    suffix = ".ckpt"

    def rebuilt(self, model: nn.Module, dtype: str) -> nn.Module:
        config = _replaced(self._contents()["hyper_parameters"]["model"], "model_dtype", dtype)
        build = hydra.utils.get_method(config.pop("_target_"))
        with override_model_compile_mode("eager"), only_apply_persistent_modifiers(persistent_only=True):
            built = build(**config)
        other: nn.Module = built[MODEL] if isinstance(built, nn.ModuleDict) else built
        if other.model_dtype != getattr(torch, dtype):
            raise _fixed_precision(model, dtype, "it was trained from a file that has to stay in its precision")
        _copy_state(model, other)
        return other

    def save(self, path: Path, values: Mapping[str, Tensor]) -> None:
        if is_package(path):
            with tempfile.TemporaryDirectory() as folder:
                checkpoint, package = Path(folder, "merged.ckpt"), Path(folder, "merged.nequip.zip")
                self.save(checkpoint, values)
                _build_package(checkpoint, package)
                with replacing(path) as file:
                    file.write(package.read_bytes())
            return
        contents = self._contents()
        state = contents["state_dict"]
        for number, (name, value) in enumerate(values.items()):
            state[f"model.{MODEL}.{name}"].copy_(value)
            if (average := state.get(f"ema.ema_weight_{number}")) is not None:
                average.copy_(value)
        for entry in _OPTIMIZER:
            contents.pop(entry, None)
        with replacing(path) as file:
            torch.save(contents, file)

    def _contents(self) -> dict[str, Any]:
        """What the file holds; the upstream has opened it the same way."""
        contents: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=False)
        return contents


class Package(ModelFile):
    """A package of ``nequip-package``, which brings the code of its model with it."""

    suffix = ".nequip.zip"

    def rebuilt(self, model: nn.Module, dtype: str) -> nn.Module:
        raise _fixed_precision(model, dtype, "a packaged model cannot be built anew")

    def save(self, path: Path, values: Mapping[str, Tensor]) -> None:
        if not is_package(path):
            raise BackboneError(
                "A package cannot become a checkpoint: it does not hold how the model was trained.",
                given=str(path),
                expected=f"a name that ends in {self.suffix}",
            )
        try:
            contents = self._exported(values)
        except PackagingError as error:
            raise BackboneError(
                "The package cannot be written again.",
                given=str(self.path),
                cause=str(error).strip().splitlines()[0],
                next_step="install the versions that `nequip-package info` names",
            ) from error
        with replacing(path) as file:
            file.write(contents.getbuffer())

    def _exported(self, values: Mapping[str, Tensor]) -> io.BytesIO:
        """The package with other values, its code as it is; in memory, which a failing exporter may still write to."""
        contents = io.BytesIO()
        with _quiet_packaging():
            source = PackageImporter(self.path)
            metadata = yaml.safe_load(source.load_text("model", "package_metadata.txt"))
            external = _EXTERNAL_MODULES | metadata.get("external_modules", {}).keys()
            with PackageExporter(contents, importer=(source, sys_importer)) as target:
                target.mock([f"{name}.**" for name in _MOCK_MODULES])
                target.extern([f"{name}.**" for name in external])
                target.intern([f"{name}.**" for name in _INTERNAL_MODULES])
                for name in ("config.yaml", "package_metadata.txt"):
                    target.save_text("model", name, source.load_text("model", name))
                target.save_pickle("model", "example_data.pkl", _unpickled(source, "example_data.pkl"))
                for mode in metadata["available_models"]:
                    models = _unpickled(source, f"{mode}_model.pkl")
                    _write_values(models[MODEL], values)
                    target.save_pickle("model", f"{mode}_model.pkl", models)
        return contents


def is_package(path: Path) -> bool:
    """Whether a file name is that of a package."""
    return path.name.endswith(Package.suffix)


def _build_package(checkpoint: Path, path: Path) -> None:
    """Run ``nequip-package build`` in a process of its own: it changes the state of the one it runs in."""
    words = [sys.executable, "-m", "nequip.scripts.package", "build", str(checkpoint), str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603  our own words
    if done.returncode:
        raise BackboneError(
            "NequIP cannot package this model.",
            given=f"nequip-package build {checkpoint.name} {path.name}",
            cause=(done.stderr.strip().splitlines() or ["no message"])[-1],
            next_step="the data that the base was trained on have to be where they were; or merge into a .ckpt",
        )


def _copy_state(source: nn.Module, target: nn.Module) -> None:
    """Copy weights, and buffers that both hold in one precision; other buffers are constants, exact in each model."""
    values, parameters = source.state_dict(), dict(target.named_parameters())
    for name, tensor in target.state_dict().items():
        if name in parameters or tensor.dtype == values[name].dtype:
            tensor.copy_(values[name])


@torch.no_grad()
def _write_values(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Copy values into parameters and buffers of a model by name."""
    state = model.state_dict()
    for name, value in values.items():
        state[name].copy_(value)


def _replaced(config: Any, key: str, value: str) -> Any:
    """A copy of nested dicts and lists with another value wherever there is `key`."""
    if isinstance(config, Mapping):
        return {name: value if name == key else _replaced(part, key, value) for name, part in config.items()}
    return [_replaced(part, key, value) for part in config] if isinstance(config, list) else config


def _fixed_precision(model: nn.Module, dtype: str, cause: str) -> BackboneError:
    """Error for a model that cannot be had in `dtype`."""
    own = str(model.model_dtype).removeprefix("torch.")
    return BackboneError(
        f"This model computes in {own} and NequIP cannot convert it.",
        given=dtype,
        cause=cause,
        next_step=f"use --dtype {own}",
    )


def _unpickled(source: PackageImporter, name: str) -> Any:
    """An object of a package, on the CPU wherever it was packaged."""
    with _on_cpu():
        return source.load_pickle("model", name, map_location="cpu")


@contextmanager
def _quiet_packaging() -> Iterator[None]:
    """Keep torch's talk about its own storages away from users."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="TypedStorage is deprecated")
        yield
