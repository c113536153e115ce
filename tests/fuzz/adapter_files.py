"""Wrong adapter files by the thousand: ``python tests/fuzz/adapter_files.py 100000``.

Each input is a valid file with one to three mutations: of its bytes, of safetensors' directory, of the JSON header in
it. The reader has to refuse it with an EquisparseError or to give an adapter that can be merged and shown.
Nothing else may happen: no other exception, no code from the file, no file written, no more than a gigabyte of memory.
"""

import io
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from adapter_mutations import mutated, parts
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rich.console import Console
from safetensors.torch import load, save

from equisparse.adapters.adapter import SpinPart, adapter_of
from equisparse.adapters.attach import attach
from equisparse.adapters.file import load_adapter, save_adapter
from equisparse.blocks import Layout, column_blocks, matrix_blocks
from equisparse.errors import EquisparseError
from equisparse.formats.compression import expand
from equisparse.magnetism.layer import SpinLayer
from equisparse.magnetism.options import SpinOptions
from equisparse.methods.registry import make_method
from equisparse.report.terminal.inspect import inspect_tables
from equisparse.testing.methods import PathNetwork

MEMORY = 2**30
METHODS: dict[str, dict[str, Any]] = {
    "soft_threshold": {},
    "scale": {"half_precision": True},
    "elora": {"rank": 2},
    "lowrank": {"rank": 2},
    "full": {},
    "sparse": {"changed": 0.05},
}
SPINS = "spins"
"""The kind of file that carries a spin layer."""
OLD_NAMES = {"soft_threshold": "sparse", SPINS: "sparse"}
"""Kind of file -> name of its method in versions 1 and 2, where it was another."""
LAYOUT = Layout(
    (
        *matrix_blocks("mix.weight", [("0e->0e", 0, 1, (3, 4)), ("1o->1o", 1, -1, (2, 2))], "linear", 0),
        *column_blocks("radial.weight", 3, [("0ex0e->0e", 0, 1, 2), ("1ox0e->1o", 1, -1, 2)], "radial", 0),
    ),
    {"mix.weight": (16,), "radial.weight": (3, 4)},
    100,
)
FORBIDDEN = ("os.system", "subprocess.Popen", "pickle.find_class", "socket.connect", "exec", "compile")
_watching = False


def valid_file(method: str) -> bytes:
    """Adapter file of a method on the layout, in the newest version, with changes that are not zero."""
    model = PathNetwork(LAYOUT, torch.float32, seed=0)
    name = "soft_threshold" if method == SPINS else method
    attachment = attach(model, make_method(name, METHODS[name]), LAYOUT, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for delta in attachment.deltas.values():
            for parameter in delta.parameters():
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    base = {"backbone": "sevennet", "source": "7net-0", "sha256": "ab" * 32, "version": "0.13.0"}
    adapter = adapter_of(attachment, base=base, dtype=torch.float32, shifts={8: -1.0, 12: 2.0}, elements=(8, 12))
    if method == SPINS:
        layer = SpinLayer(SpinOptions(6, 5.0, 8, "order", {26: 2.2}))
        adapter = replace(adapter, spins=SpinPart(layer.options.to_dict(), layer.stored()))
    with tempfile.TemporaryDirectory() as folder:
        save_adapter(adapter, Path(folder, "a"))
        return Path(folder, "a").read_bytes()


def with_plain_header(contents: bytes) -> bytes:
    """The same file with a header that is not compressed, so that mutations reach what it says."""
    tensors = load(contents)
    text = expand(tensors.pop("header").numpy().tobytes(), 2**24).decode()
    return save(tensors, metadata={"equisparse": text})


def of_version_2(contents: bytes, method: str) -> bytes:
    """The same file as version 2 wrote it, with a method in place of a format and a tensor for every part."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a").write_bytes(contents)
        adapter = load_adapter(Path(folder, "a"))
    tensors = {f"{name}/{part}": v for name, parts in adapter.stored.items() for part, v in parts.items()}
    tensors["reference_energy/atomic_number"] = torch.tensor(list(adapter.shifts), dtype=torch.int32)
    tensors["reference_energy/shift"] = torch.tensor(list(adapter.shifts.values()), dtype=torch.float64)
    tensors |= {f"spin_layer/{name}": v for name, v in adapter.spins.tensors.items()} if adapter.spins else {}
    header = json.loads(parts(with_plain_header(contents))[0]["__metadata__"]["equisparse"])
    new = ("format", "format_options", "trained_by", "parts", "reference_energy")
    options = {"rank": 2} if method == "elora" else {}
    named = {"version": 2, "method": OLD_NAMES.get(method, method), "options": options}
    text = json.dumps({key: value for key, value in header.items() if key not in new} | named)
    return save(tensors, metadata={"equisparse": text})


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook: stop at code that is run and at files that are written while an input is read."""
    if _watching and (
        event in FORBIDDEN or (event == "open" and isinstance(arguments[1], str) and "w" in arguments[1])
    ):
        raise AssertionError(f"reading an adapter caused {event} {arguments}")


@contextmanager
def watched() -> Iterator[None]:
    """Within the block the audit hook watches."""
    global _watching
    _watching = True
    try:
        yield
    finally:
        _watching = False


def accepted(path: Path, model: PathNetwork) -> bool:
    """Whether a file is taken for an adapter; if so it is shown, and merged into `model` or told not to fit it."""
    try:
        with watched():
            adapter = load_adapter(path)
    except EquisparseError:
        return False
    if adapter.layout.numel < 10**6:  # larger ones are refused by every model here, and take memory to be shown
        for table in inspect_tables(adapter, path.stat().st_size):
            Console(file=io.TextIOWrapper(io.BytesIO(), "utf-8"), width=100).print(table)
    if adapter.spins is not None:
        try:
            SpinLayer.restored(adapter.spins.options, adapter.spins.tensors)
        except EquisparseError:
            return True
    fits = adapter.layout.tensor_shapes == LAYOUT.tensor_shapes
    try:
        with adapter.applied(model):
            return True
    except EquisparseError:
        assert not fits, "an adapter of the model's own layout has to be merged"
        return True


def fuzz(count: int, report: Callable[[str], object] = print) -> None:
    """Try `count` inputs; raises what must not happen, with the smallest input that makes it happen."""
    files = {method: valid_file(method) for method in (*METHODS, SPINS)}
    files |= {f"{method}, version 2": of_version_2(contents, method) for method, contents in files.items()} | {
        f"{method}, plain header": with_plain_header(contents) for method, contents in files.items()
    }
    model = PathNetwork(LAYOUT, torch.float32, seed=0)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    seen = {"inputs": 0, "accepted": 0}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.safetensors")
        for contents in files.values():
            path.write_bytes(contents)
            assert accepted(path, model), "the unchanged file has to be read"

        @settings(
            max_examples=count,
            database=None,
            deadline=2000,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        @given(st.sampled_from(list(files)), st.randoms(use_true_random=False))
        def one(method: str, random: Random) -> None:
            path.write_bytes(mutated(files[method], random))
            seen["inputs"] += 1
            seen["accepted"] += accepted(path, model)

        start = time.monotonic()
        one()
    assert all(torch.equal(before[name], parameter) for name, parameter in model.named_parameters())
    report(f"{seen['inputs']} inputs, {seen['accepted']} accepted, in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.addaudithook(watch)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY,) * 2)
    fuzz(int(sys.argv[1]))
