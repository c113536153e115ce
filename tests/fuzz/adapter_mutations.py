"""Mutations of adapter files: of their bytes, of safetensors' directory, and of the JSON header in it."""

import json
import struct
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

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
