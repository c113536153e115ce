"""Names and order of layers in reports."""


def layer_name(layer: int) -> str:
    """Name of a layer: the embedding comes before the first, the readout after the last."""
    return {-1: "embedding", -2: "readout"}.get(layer, str(layer))


def layer_sort_key(layer: int) -> tuple[bool, int]:
    """Key that sorts layers from the embedding to the readout."""
    return layer == -2, layer


def group_name(by: str, group: str | int) -> str:
    """Name of a group of changes; `by` is the way of grouping."""
    return layer_name(int(group)) if by == "layer" else str(group)
