"""Files of MACE models: where they are, and how they are opened."""

import logging
from pathlib import Path

import torch
from mace.calculators.foundations_models import download_mace_mp_checkpoint, mace_mp_urls, mace_off_urls
from torch import nn

from equisparse.backbones.upstream import translate_errors
from equisparse.errors import BackboneError

_log = logging.getLogger(__name__)

_DEFAULTS = {
    "mace-mp": "medium-mpa-0",
    "mace-mp-0": "medium",
    "mace-mp-0b3": "medium-0b3",
    "mace-mpa-0": "medium-mpa-0",
    "mace-omat-0": "medium-omat-0",
}
"""Published name of a model -> MACE's key for it."""

_PROBLEM = "MACE cannot load this model."
_EXPECTED = "a .model file written by mace_run_train, of a model that predicts energies"
_ACCELERATED = ("cuequivariance", "openequivariance")


def foundation_models() -> dict[str, str]:
    """Name of every foundation model that MACE knows -> argument of its download function, a key or an address."""
    named = {key if key.startswith("mace-") else f"mace-{key}": key for key in mace_mp_urls}
    organic = {f"mace-off23-{size}": address for size, address in mace_off_urls.items()}
    return named | _DEFAULTS | organic | {"mace-off23": mace_off_urls["medium"]}


def locate(source: str) -> Path:
    """File of a model, which MACE downloads and keeps if `source` is a name.

    Raises
    ------
    BackboneError
        If there is no such file or name, or the download fails.
    """
    if Path(source).is_file():
        return Path(source)
    known = foundation_models()
    if source.lower() not in known:
        raise BackboneError(
            "There is no such MACE model.",
            given=source,
            expected="a .model file, or one of " + ", ".join(known),
        )
    if source.lower().startswith("mace-off"):
        _log.warning("MACE-OFF23 is under the Academic Software License, which permits no commercial use.")
    next_step = "without network access, copy the .model file here and give its path"
    with translate_errors("MACE cannot download this model.", given=source, next_step=next_step):
        return Path(download_mace_mp_checkpoint(known[source.lower()]))


def open_model(path: Path, source: str) -> nn.Module:
    """Model of a file, on the CPU and in the precision of the file.

    Raises
    ------
    BackboneError
        If the file holds no model that predicts energies, one that needs more than a structure, or one that was
        converted for an accelerator.
    """
    with translate_errors(_PROBLEM, given=source, expected=_EXPECTED):
        model = torch.load(path, map_location="cpu", weights_only=False)
    if not hasattr(model, "atomic_energies_fn") or not hasattr(model, "products"):
        cause = f"the file holds a {type(model).__name__}"
        raise BackboneError(_PROBLEM, given=source, expected=_EXPECTED, cause=cause)
    if hasattr(model, "joint_embedding"):
        raise BackboneError(
            "The model needs more than the structure: it embeds charges, spins or fields of a frame.",
            given=source,
            expected="a model whose inputs are positions, cell and elements",
            next_step="choose another base",
        )
    packages = {type(module).__module__.partition(".")[0] for module in model.modules()}
    if any(package.startswith(_ACCELERATED) for package in packages):
        raise BackboneError(
            "The model was converted for an accelerator, which orders its weights differently.",
            given=source,
            expected="a model in e3nn's form, as mace_run_train writes it",
            next_step="convert it back with `mace_cueq_to_e3nn`, fine-tune it, and convert the merged file again",
        )
    loaded: nn.Module = model
    return loaded
