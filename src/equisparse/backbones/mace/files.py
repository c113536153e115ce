"""Files of MACE models: where they are, and how they are opened."""

import logging
from pathlib import Path

import torch
from mace.calculators.foundations_models import download_mace_mp_checkpoint, mace_mp_urls, mace_off_urls
from torch import nn

from equisparse.backbones.base import told
from equisparse.errors import BackboneError

_log = logging.getLogger(__name__)

_DEFAULTS = {
    "mace-mp": "medium-mpa-0",
    "mace-mp-0": "medium",
    "mace-mp-0b3": "medium-0b3",
    "mace-mpa-0": "medium-mpa-0",
    "mace-omat-0": "medium-omat-0",
}
"""Names of publications -> the model that MACE takes for them."""

_NO_MODEL = "MACE cannot load this model."
_EXPECTED = "a .model file that mace_run_train wrote, of a model that predicts energies"
_ACCELERATED = ("cuequivariance", "openequivariance")


def foundation_models() -> dict[str, str]:
    """Name of every foundation model that MACE knows -> what its own download function takes: a key or an address."""
    named = {key if key.startswith("mace-") else f"mace-{key}": key for key in mace_mp_urls}
    organic = {f"mace-off23-{size}": address for size, address in mace_off_urls.items()}
    return named | _DEFAULTS | organic | {"mace-off23": mace_off_urls["medium"]}


def locate(source: str) -> Path:
    """The file of a model, which MACE downloads and keeps if it is a name.

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
    next_step = "where there is no network, put the .model file here yourself and give its path"
    with told("MACE cannot download this model.", given=source, next_step=next_step):
        return Path(download_mace_mp_checkpoint(known[source.lower()]))


def open_model(path: Path, source: str) -> nn.Module:
    """The model of a file, on the CPU and in the precision of the file.

    Raises
    ------
    BackboneError
        If the file holds no model that gives energies, one that takes more than a structure, or one that was converted
        for an accelerator.
    """
    with told(_NO_MODEL, given=source, expected=_EXPECTED):
        model = torch.load(path, map_location="cpu", weights_only=False)
    if not hasattr(model, "atomic_energies_fn") or not hasattr(model, "products"):
        cause = f"the file holds a {type(model).__name__}"
        raise BackboneError(_NO_MODEL, given=source, expected=_EXPECTED, cause=cause)
    if hasattr(model, "joint_embedding"):
        raise BackboneError(
            "The model asks for more than the structure: it embeds charges, spins or fields of a frame.",
            given=source,
            expected="a model that takes positions, cell and elements alone",
        )
    kinds = {type(module).__module__.partition(".")[0] for module in model.modules()}
    if any(kind.startswith(_ACCELERATED) for kind in kinds):
        raise BackboneError(
            "The model was converted for an accelerator, whose weights have another order.",
            given=source,
            expected="a model in e3nn's form, as mace_run_train writes it",
            next_step="convert it back with `mace_cueq_to_e3nn` first, adapt it, and convert the merged file",
        )
    loaded: nn.Module = model
    return loaded
