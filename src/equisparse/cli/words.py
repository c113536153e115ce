"""Words of the command line in the form that jsonargparse takes."""

import json

_POSITIONAL = {
    "finetune": "train",
    "audit": "data",
    "evaluate": "data",
    "compare": "runs",
    "combine": "adapters",
    "ensemble": "train",
}
"""Command -> the option that its leading words are."""
_LISTS = ("train", "valid", "test", "replay", "targets", "data", "runs", "adapters")
"""Options that take several values."""
_NUMBERS = ("weights", "supercell")
"""Options that take several numbers."""
KEYS = tuple(f"{name}_key" for name in ("energy", "forces", "stress", "spins", "moments", "magnetic_forces"))
"""Options that name labels."""
_FLAGS = ("resume", "force", "bootstrap", "spin", "spin_orbit")
"""Options that may stand without a value."""


def normalised(words: list[str]) -> list[str]:
    """Words in the form that jsonargparse takes: ``--batch-size`` as ``--batch_size``, several values as one list.

    >>> normalised(["finetune", "a.xyz", "b.xyz", "--batch-size", "4"])
    ['finetune', '--train', '["a.xyz", "b.xyz"]', '--batch_size', '4']
    """
    if not words or words[0].startswith("-"):
        return words
    command, rest = words[0], words[1:]
    positional = _POSITIONAL.get(command)
    if positional and rest and not rest[0].startswith("-"):
        rest = [f"--{positional}", *rest]
    result = [command]
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            result.append(word)
            continue
        name, _, value = word[2:].partition("=")
        name = name.replace("-", "_")
        values = [value] if value else []
        if name in (*_LISTS, *_NUMBERS):
            while not value and rest and not rest[0].startswith("--"):
                values.append(rest.pop(0))
            result += [f"--{name}", json.dumps(values) if name in _LISTS else f"[{', '.join(values)}]"]
        elif name in _FLAGS and not value and (not rest or rest[0].startswith("--")):
            result.append(f"--{name}=true")
        else:
            result += [f"--{name}={value}" if value else f"--{name}"]
    return result
