"""Names and values of configurations that were written by earlier versions: translated here, and nowhere else."""

from collections.abc import Mapping

from equisparse.errors import InputError

_REMOVED = {
    "tau_per": ("tensor", "there is one threshold per tensor"),
    "gate": ("exp", "gates multiply by the exponential of their modulation"),
}
"""Removed option of a method -> the value that is now the only one, and what that means."""


def upgraded(values: Mapping[str, object]) -> dict[str, object]:
    """Translate the values of a configuration to the present names.

    Raises
    ------
    InputError
        If a value asks for something that was removed.
    """
    result = dict(values)
    options = result.get("method_options")
    if isinstance(options, dict):
        result["method_options"] = _without_removed(options)
    if _means_soft_threshold(result):
        result["method"] = "soft_threshold"
    return result


def _without_removed(options: Mapping[str, object]) -> dict[str, object]:
    """Leave out removed options that have the value which is now the only one."""
    kept = dict(options)
    for name, (only, meaning) in _REMOVED.items():
        if name in kept and kept.pop(name) != only:
            raise InputError(
                f"The method option {name} was removed: {meaning}.",
                given=f"{name}: {options[name]}",
                next_step=f"leave out {name} under method_options (--method-options.{name} on the command line)",
            )
    return kept


def _means_soft_threshold(values: Mapping[str, object]) -> bool:
    """Whether the method sparse is named without a size: what is now the method soft_threshold."""
    options = values.get("method_options")
    inner = options if isinstance(options, dict) else {}
    sizes = (values.get("changed"), values.get("budget"), inner.get("changed"), inner.get("value_bytes"))
    return values.get("method") == "sparse" and all(size is None for size in sizes)
