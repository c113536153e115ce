"""Translate names and values of configurations that were written by earlier versions."""

from collections.abc import Mapping

from equisparse.errors import InputError

_REMOVED = {
    "tau_per": ("tensor", "there is one threshold per tensor"),
    "dense_lr": (None, "the learning rate is that of the dense part, and last_lr is that of the last stage"),
    "gate": ("exp", "gates multiply by the exponential of their modulation"),
}
"""Removed option of a method -> its only remaining value, and the meaning of this value."""


def upgraded(values: Mapping[str, object]) -> dict[str, object]:
    """Translate the values of a configuration file to the current names.

    Raises
    ------
    InputError
        If a value asks for something that was removed.
    """
    result = dict(values)
    options = result.get("method_options")
    if isinstance(options, dict):
        result["method_options"] = _without_removed(options)
    if result.get("method") == "sparse":
        result |= _of_one_method(result)
    return result


def _without_removed(options: Mapping[str, object]) -> dict[str, object]:
    """Options without those that were removed.

    Raises
    ------
    InputError
        If a removed option has another than its only remaining value.
    """
    kept = dict(options)
    for name, (only, meaning) in _REMOVED.items():
        if name in kept and kept.pop(name) != only:
            raise InputError(
                f"The method option {name} was removed: {meaning}.",
                given=f"{name}: {options[name]}",
                next_step=f"leave out {name} under method_options (--method-options.{name} on the command line)",
            )
    return kept


def _of_one_method(values: Mapping[str, object]) -> dict[str, object]:
    """The method that ``sparse`` means, and the options that it has.

    In files of early versions it could have a regime in place of a size; that method is now ``soft_threshold``.
    """
    from equisparse.methods.choose import own_options  # imports torch, which the help of the command line does without

    options = values.get("method_options")
    inner = options if isinstance(options, dict) else {}
    sizes = (values.get("changed"), values.get("budget"), inner.get("changed"), inner.get("value_bytes"))
    regime = values.get("regime") or inner.get("regime")
    thresholds = regime is not None and all(size is None for size in sizes)
    name = "soft_threshold" if thresholds else "sparse"
    return {"method": name} | ({"method_options": own_options(name, inner)} if inner else {})
