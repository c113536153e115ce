"""Wrong adapter files by the thousand: ``python tests/fuzz/adapter_files.py 100000``.

Each input is a valid file with one to three mutations: of its bytes, of safetensors' directory, of the JSON header in
it. The reader has to refuse it with an EquisparseError or to give an adapter that can be merged and shown.
Nothing else may happen: no other exception, no code from the file, no file written, no more than a gigabyte of memory.
"""

import io
import json
import resource
import struct
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
DEEP = "<deep>"
STRANGE: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        -1,
        0,
        1,
        2,
        0.5,
        2**16,
        2**31,
        2**40,
        2**63,
        -(2**63),
        10**400,
        float("nan"),
        float("inf"),
        -0.0,
    ),
    *(
        "",
        "0",
        "sparse",
        "full",
        "elora",
        "entries",
        "dense",
        "factors",
        "gates",
        "\ud800",
        "\x1b[2J",
        "[/red]",
        "../../../etc/passwd",
        "\u202e",
        "a" * 3000,
    ),
    *(
        "__import__('os').system('touch pwned')",
        "c\nos\nsystem\n(S'x'\ntR.",
        DEEP,
        "F64",
        "I64",
        "U8",
        "F8_E5M2",
        "BOOL",
    ),
    *("entries", "dense", "factors", "quantised", "scales", "gates", "bitmap", "gaps", "float16", "bfloat16"),
    *([], {}, [[]], [1] * 50, [0], [-1], [2**31, 2**31], [0, 2**62], ["1o->1o", [1, 1]], {"a": {}}, [[None]], [1.5]),
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


def mutated(contents: bytes, random: Random) -> bytes:
    """The same file with one to three mutations."""
    for _ in range(random.randint(1, 3)):
        contents = random.choice(MUTATIONS)(contents, random)
    return contents


def mutate_bytes(contents: bytes, random: Random) -> bytes:
    """Cut, lengthen, flip, repeat or overwrite."""
    place = random.randint(0, max(len(contents) - 1, 0))
    match random.randint(0, 5):
        case 0:
            return contents[:place]
        case 1:
            return contents + bytes(random.randint(0, 255) for _ in range(random.randint(1, 20)))
        case 2:
            return contents[:place] + contents[place : place + 50] + contents[place:]
        case 3:
            return bytes(random.randint(0, 255) for _ in range(random.randint(0, 60)))
        case 4:
            sizes = (0, 1, len(contents), 2**31, 2**40, 2**63, 2**64 - 1, random.randint(0, 10_000))
            return struct.pack("<Q", random.choice(sizes)) + contents[8:]
        case _:
            flipped = bytearray(contents)
            if flipped:
                flipped[place] ^= 1 << random.randint(0, 7)
            return bytes(flipped)


def mutate_values(contents: bytes, random: Random) -> bytes:
    """Overwrite a few bytes of the tensors, which follow the directory."""
    start = parts(contents)[1]
    changed = bytearray(contents)
    for _ in range(random.randint(1, 4)):
        if start < len(changed):
            changed[random.randint(start, len(changed) - 1)] = random.choice((0, 0x7F, 0x80, 0xFF, 1))
    return bytes(changed)


def mutate_directory(contents: bytes, random: Random) -> bytes:
    """Change the names, types, shapes or offsets of tensors."""
    directory, start = parts(contents)
    return assembled(mutated_tree(directory, random), contents[start:]) if directory else contents


def mutate_header(contents: bytes, random: Random) -> bytes:
    """Change the JSON header of the adapter."""
    directory, start = parts(contents)
    try:
        header = mutated_tree(json.loads(directory["__metadata__"]["equisparse"]), random)
    except (ValueError, KeyError, TypeError, RecursionError):
        return contents
    directory["__metadata__"]["equisparse"] = written(header)
    return assembled(directory, contents[start:])


def mutate_claims(contents: bytes, random: Random) -> bytes:
    """Claim a tensor so large, consistently, that to hold it would take all memory."""
    directory, start = parts(contents)
    try:
        header = json.loads(directory["__metadata__"]["equisparse"])
        size = random.choice((2**20, 2**26, 2**31, 2**40, 2**62))
        header["layout"]["total_parameters"] = random.choice((size, 2 * size, 2**62))
        tensor = random.choice(list(header["layout"]["tensors"].values()))
        tensor |= {"shape": [size], "blocks": [["0e->0e", [1, size], *random.choice(([], [0, [size, 1]]))]]}
        directory["__metadata__"]["equisparse"] = written(header)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return contents
    return assembled(directory, contents[start:])


def mutate_keys(contents: bytes, random: Random) -> bytes:
    """Give an entry of the header twice."""
    directory, start = parts(contents)
    try:
        text = directory["__metadata__"]["equisparse"]
        key = random.choice(list(json.loads(text)))
        directory["__metadata__"]["equisparse"] = f"{text[:-1]},{json.dumps(key)}:{written(random.choice(STRANGE))}}}"
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return contents
    return assembled(directory, contents[start:])


MUTATIONS: tuple[Callable[[bytes, Random], bytes], ...] = (
    mutate_bytes,
    mutate_values,
    mutate_directory,
    *(mutate_header,) * 3,
    mutate_claims,
    mutate_keys,
)


def parts(contents: bytes) -> tuple[Any, int]:
    """Directory of a safetensors file, and where its tensors begin; nothing and 0 if it has none."""
    try:
        (length,) = struct.unpack("<Q", contents[:8])
        return json.loads(contents[8 : 8 + length]), 8 + length
    except (ValueError, struct.error, RecursionError, OverflowError):
        return {}, 0


def assembled(directory: Any, tensors: bytes) -> bytes:
    """File of a directory and its tensors."""
    text = written(directory).encode()
    return struct.pack("<Q", len(text)) + text + tensors


def written(tree: Any) -> str:
    """JSON, with a nesting that exhausts recursion where that was asked for."""
    return json.dumps(tree).replace(json.dumps(DEEP), "[" * 50_000 + "]" * 50_000)


def mutated_tree(tree: Any, random: Random) -> Any:
    """The same plain values with one changed, taken out, moved or put in."""
    places = list(places_of(tree))
    if not places:
        return random.choice(STRANGE)
    holder, key = random.choice(places)
    value = holder[key]
    match random.randint(0, 4):
        case 0:
            del holder[key]
        case 1 if type(value) is int:
            holder[key] = value + random.choice((-1, 1, 7, 1000))
        case 2 if isinstance(holder, dict):
            holder[str(random.choice(STRANGE))] = holder.pop(key)
        case 3:
            other, from_key = random.choice(places)
            if from_key in other if isinstance(other, dict) else from_key < len(other):
                holder[key] = json.loads(json.dumps(other[from_key]))
        case _:
            holder[key] = random.choice(STRANGE)
    return tree


def places_of(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every holder and key in nested dictionaries and lists."""
    keys = list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from places_of(tree[key])


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
