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
"""Name of the model within a file."""

_on_cpu = getattr(packages, "_cpu_deserialize_always", nullcontext)
"""Context in which a model that was packaged on a GPU loads without one; nequip >= 0.19.1."""

_OPTIMIZER = ("optimizer_states", "lr_schedulers", "schedulefree_optimizer_state_dict")
"""Entries of a checkpoint that do not fit merged weights."""


class ModelFile(ABC):
    """A file with one model.

    Parameters
    ----------
    path : Path
        An existing file.
    """

    suffix: ClassVar[str]

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> nn.Module:
        """Load the model in eager mode, in the precision of the file, with the upstream's loader.

        Raises
        ------
        BackboneError
            If the file holds several models.
        """
        models = load_saved_model(str(self.path), compile_mode="eager", model_key=None)
        if list(models) != [MODEL]:
            raise BackboneError(
                "The file holds several models.", given=", ".join(models), expected="a file with one model"
            )
        model: nn.Module = models[MODEL]
        return model

    @abstractmethod
    def rebuilt(self, model: nn.Module, dtype: str) -> nn.Module:
        """Build the loaded `model` in another precision.

        Raises
        ------
        BackboneError
            If the upstream cannot build it in that precision.
        """

    @abstractmethod
    def save(self, path: Path, values: Mapping[str, Tensor]) -> None:
        """Write a copy of the file with other values of some parameters and buffers, in the precision of the file.

        Parameters
        ----------
        path : Path
            Target; its suffix chooses between checkpoint and package.
        values : mapping of str to Tensor
            Name in the model -> value; all parameters in their order, then buffers.

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
            raise _fixed_precision(model, dtype, "it was trained from a file whose precision is fixed")
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
        for index, (name, value) in enumerate(values.items()):
            state[f"model.{MODEL}.{name}"].copy_(value)
            if (average := state.get(f"ema.ema_weight_{index}")) is not None:
                average.copy_(value)
        for entry in _OPTIMIZER:
            contents.pop(entry, None)
        with replacing(path) as file:
            torch.save(contents, file)

    def _contents(self) -> dict[str, Any]:
        """Contents of the file, which the upstream has already opened in the same way."""
        contents: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=False)
        return contents


class Package(ModelFile):
    """A package of ``nequip-package``, which contains the code of its model."""

    suffix = ".nequip.zip"

    def rebuilt(self, model: nn.Module, dtype: str) -> nn.Module:
        raise _fixed_precision(model, dtype, "a packaged model cannot be built again")

    def save(self, path: Path, values: Mapping[str, Tensor]) -> None:
        if not is_package(path):
            raise BackboneError(
                "A package cannot be merged into a checkpoint: it does not contain the training state.",
                given=str(path),
                expected=f"a file name that ends in {self.suffix}",
            )
        try:
            contents = self._exported(values)
        except PackagingError as error:
            raise BackboneError(
                "The package cannot be written.",
                given=str(self.path),
                cause=str(error).strip().splitlines()[0],
                next_step="install the versions that `nequip-package info` names",
            ) from error
        with replacing(path) as file:
            file.write(contents.getbuffer())

    def _exported(self, values: Mapping[str, Tensor]) -> io.BytesIO:
        """Package with other values and the same code; in memory, so that a failing export leaves no file."""
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
    """Return whether a file name is that of a package."""
    return path.name.endswith(Package.suffix)


def _build_package(checkpoint: Path, path: Path) -> None:
    """Run ``nequip-package build`` in a process of its own: it changes the state of the one it runs in."""
    command = [sys.executable, "-m", "nequip.scripts.package", "build", str(checkpoint), str(path)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  a fixed command
    if process.returncode:
        raise BackboneError(
            "NequIP cannot package this model.",
            given=f"nequip-package build {checkpoint.name} {path.name}",
            cause=(process.stderr.strip().splitlines() or ["no message"])[-1],
            next_step="put the training data of the base where they were during its training, or merge into a .ckpt",
        )


def _copy_state(source: nn.Module, target: nn.Module) -> None:
    """Copy weights, and buffers that have one precision in both models; other buffers are constants of each model."""
    values, parameters = source.state_dict(), dict(target.named_parameters())
    for name, tensor in target.state_dict().items():
        if name in parameters or tensor.dtype == values[name].dtype:
            tensor.copy_(values[name])


@torch.no_grad()
def _write_values(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Copy values into the parameters and buffers with their names."""
    state = model.state_dict()
    for name, value in values.items():
        state[name].copy_(value)


def _replaced(config: Any, key: str, value: str) -> Any:
    """Copy of nested dicts and lists with `value` wherever the key is `key`."""
    if isinstance(config, Mapping):
        return {name: value if name == key else _replaced(entry, key, value) for name, entry in config.items()}
    return [_replaced(entry, key, value) for entry in config] if isinstance(config, list) else config


def _fixed_precision(model: nn.Module, dtype: str, cause: str) -> BackboneError:
    """Error for a model that cannot be converted to `dtype`."""
    own = str(model.model_dtype).removeprefix("torch.")
    return BackboneError(
        f"This model computes in {own} and NequIP cannot convert it.",
        given=dtype,
        cause=cause,
        next_step=f"use --dtype {own}",
    )


def _unpickled(source: PackageImporter, name: str) -> Any:
    """Object of a package, on the CPU, whatever the device it was packaged on."""
    with _on_cpu():
        return source.load_pickle("model", name, map_location="cpu")


@contextmanager
def _quiet_packaging() -> Iterator[None]:
    """Hide a deprecation warning of torch about its own code."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="TypedStorage is deprecated")
        yield
