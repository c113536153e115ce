"""Write small adapter files with the present code, which later releases have to read bit for bit.

Run ``python tests/regression/write_adapters.py`` once for every new version of the file, before it is released. It
writes ``adapters/version-N/*.safetensors`` and, with digests of the tensors of each file and of the weights that it
gives, ``adapters/version-N/expected.json``. A folder that is there is never overwritten. Values are rounded to
multiples of 1/64, so that all sums and products are exact on every machine.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from equisparse.adapters.adapter import Adapter, SpinPart, adapter_of
from equisparse.adapters.arithmetic import combine
from equisparse.adapters.attach import attach
from equisparse.adapters.file import FORMAT_VERSION, load_adapter, save_adapter
from equisparse.magnetism.layer import SpinLayer
from equisparse.magnetism.options import SpinOptions
from equisparse.methods.registry import make_method
from equisparse.testing.methods import train
from equisparse.testing.stored_files import ADAPTER_LAYOUT, describe, exact_network

FOLDER = Path(__file__).parent / "adapters"
STEPS = 12
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "soft_threshold": ("soft_threshold", {"regime": "H"}),
    "sparse": ("sparse", {"changed": 0.1}),
    "sparse_bytes": ("sparse", {"value_bytes": 120}),
    "scale": ("scale", {}),
    "scale_half_precision": ("scale", {"half_precision": True}),
    "lowrank": ("lowrank", {"rank": 3, "value_bytes": 150}),
    "full": ("full", {}),
    "elora": ("elora", {"rank": 2, "alpha": 4.0}),
    "mmea": ("mmea", {"rank": 2}),
    "readout": ("readout", {}),
    "scratch": ("scratch", {}),
}
"""Name of the file -> method and options."""
BASE = {"backbone": "sevennet", "source": "7net-0", "sha256": "ab" * 32, "version": "0.13.0"}


def trained(name: str, dtype: torch.dtype = torch.float32) -> Adapter:
    """Adapter of a short training, its values rounded to multiples of 1/64."""
    method, options = METHODS[name]
    attachment = attach(exact_network(dtype), make_method(method, options), ADAPTER_LAYOUT, seed=1)
    train(attachment, STEPS)
    adapter = adapter_of(attachment, base=BASE, dtype=dtype, shifts={8: -1.25, 12: 1 / 3}, elements=(8, 12))
    attachment.detach()
    stored = {tensor: {part: _rounded(v) for part, v in parts.items()} for tensor, parts in adapter.stored.items()}
    return replace(adapter, stored=stored, metrics={"seed": 1})


def _rounded(values: torch.Tensor) -> torch.Tensor:
    """Multiples of 1/64 that are not zero; integers as they are."""
    if not values.is_floating_point():
        return values
    steps = (values.double() * 64).round().clamp(-40, 40)
    return (torch.where(steps == 0, 1.0, steps) / 64).to(values.dtype)


def with_spins() -> Adapter:
    """An adapter that carries a spin layer."""
    layer = SpinLayer(SpinOptions(6, 5.0, 8, "order", {26: 2.2}), seed=3)
    return replace(trained("sparse"), spins=SpinPart(layer.options.to_dict(), layer.stored()))


def write(name: str, adapter: Adapter, folder: Path) -> dict[str, Any]:
    """Write one file; returns what reading it has to give."""
    save_adapter(adapter, folder / f"{name}.safetensors")
    return describe(load_adapter(folder / f"{name}.safetensors"))


def main(folder: Path) -> None:
    """Write all files; refused if the folder is there."""
    folder.mkdir()
    makers: dict[str, Callable[[], Adapter]] = {name: lambda name=name: trained(name) for name in METHODS}
    makers |= {
        "sparse_float64": lambda: trained("sparse", torch.float64),
        "combined": lambda: combine([trained("sparse"), trained("soft_threshold")], [0.5, -0.25], names=["a", "b"]),
        "combined_dense": lambda: combine([trained("full")], [0.5]),
        "spin_layer": with_spins,
    }
    expected = {name: write(name, make(), folder) for name, make in makers.items()}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(FOLDER / (sys.argv[1] if len(sys.argv) > 1 else f"version-{FORMAT_VERSION}"))
