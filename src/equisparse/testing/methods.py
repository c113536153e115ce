"""Laws that every method obeys, as plain checks: ``for law in METHOD_LAWS: law(case, layout, dtype, seed)``.

They run on `PathNetwork`, the smallest model that has the weights of a given layout, so that a method needs no backbone
to be tested. Each raises AssertionError where the law is broken.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from equisparse.adapters.adapter import Adapter, adapter_of, count_changes
from equisparse.adapters.attach import Attachment, attach
from equisparse.adapters.file import load_adapter, save_adapter
from equisparse.blocks import Layout
from equisparse.errors import StateError
from equisparse.formats.base import holds_values
from equisparse.methods.base import AbstractMethod
from equisparse.testing.networks import PathNetwork
from equisparse.testing.tolerances import ALGEBRA, Tolerance

_STEPS = 12

_ENOUGH = 16
"""Weights of which at least one moves whatever the draw: a threshold may hold back all of a few."""


@dataclass(frozen=True)
class MethodCase:
    """A method with what its documentation promises.

    Parameters
    ----------
    method : AbstractMethod
        With the options to be tested; unresolved.
    start_change : float
        Largest change of any weight when just attached; 0 means exactly the base.
    storage : Tolerance or None
        How far the stored change may be from the trained one; None means bit for bit.
    """

    method: AbstractMethod
    start_change: float = 0.0
    storage: Tolerance | None = None


MethodLaw = Callable[[MethodCase, Layout, torch.dtype, int], None]
"""A check of one case on one layout, in one precision, with one seed."""


def train(attachment: Attachment, steps: int) -> None:
    """Train what is attached to a `PathNetwork`, with the method's own groups and controller.

    Parameters
    ----------
    attachment : Attachment
        Its model is a `PathNetwork`.
    steps : int
        Length of the whole run.
    """
    model = attachment.model
    assert isinstance(model, PathNetwork)
    controller, rate = attachment.controller(), attachment.method.learning_rate
    groups = [group for delta in attachment.deltas.values() for group in delta.groups()]
    optimizer = torch.optim.AdamW(
        [
            {
                "params": list(group.parameters),
                "lr": rate * group.lr_factor if group.lr is None else group.lr,
                "weight_decay": group.weight_decay,
            }
            for group in groups
        ]
    )
    for step in range(steps):
        optimizer.zero_grad()
        model.loss().backward()
        controller.before_step(step, steps)
        optimizer.step()
        controller.after_step(step, steps)
    assert controller.ready(steps, steps), "the method never keeps its promise"


def law_start(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """Just attached, a method changes nothing, or at most what it declares."""
    model, base, _ = _attached(case, layout, dtype, seed)
    for name, value in model.behaviour().items():
        change = float((value - base[name]).abs().max())
        if case.start_change == 0 or name in layout.tensors:
            assert change <= case.start_change, f"{name} starts {change:.3g} away from the base"


def law_seed(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """The start depends on the seed alone, and attaching draws nothing from the global generator."""
    before = torch.random.get_rng_state()
    first, _, _ = _attached(case, layout, dtype, seed)
    second, _, _ = _attached(case, layout, dtype, seed)
    assert torch.equal(before, torch.random.get_rng_state()), "the global generator was used"
    _assert_same(first.state_dict(), second.state_dict(), "two starts with one seed")
    _assert_same(first.behaviour(), second.behaviour(), "two starts with one seed")


def law_gradient(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """On the first step every touched tensor gets a gradient that is finite and, unless it is tiny, not all zero."""
    model, _, attachment = _attached(case, layout, dtype, seed)
    model.loss().backward()
    for name, delta in attachment.deltas.items():
        gradients = [parameter.grad for parameter in delta.parameters() if parameter.grad is not None]
        assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients), f"{name}: a gradient is not finite"
        moved = any(bool(gradient.any()) for gradient in gradients)
        assert moved or layout.size_of(name) < _ENOUGH, f"{name} gets no gradient on the first step"


def law_groups(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """The parameter groups hold every trainable parameter once, and nothing else of the model trains."""
    model, _, attachment = _attached(case, layout, dtype, seed)
    grouped = [id(p) for delta in attachment.deltas.values() for group in delta.groups() for p in group.parameters]
    assert len(grouped) == len(set(grouped)), "a parameter is in two groups"
    trainable = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert set(grouped) == trainable, "the groups are not the trainable parameters"


def law_equivariance(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """After any change, orthogonal maps of the components of each irrep pass through; invariants stay as they are."""
    model, _, attachment = _attached(case, layout, dtype, seed)
    _shake(attachment, seed)
    generator = torch.Generator().manual_seed(seed)
    maps = [
        torch.ones(1, 1, dtype=dtype)
        if block.l == 0 and block.parity == 1
        else _orthogonal(2 * block.l + 1, dtype, generator)
        for block in layout
    ]
    turned_first = model([x @ q for x, q in zip(model.features, maps, strict=True)])
    turned_last = [y @ q for y, q in zip(model(model.features), maps, strict=True)]
    for block, first, last in zip(layout, turned_first, turned_last, strict=True):
        ALGEBRA[dtype].check(f"{block.tensor} {block.path}", first, last)


def law_applied(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """A base with the adapter applied is the model attached, after random changes and after training."""
    for change in (_shake, _train):
        model, base, attachment = _attached(case, layout, dtype, seed)
        change(attachment, seed)
        model.eval()
        attached = model.behaviour()
        moved = any(not torch.equal(base[name], value) for name, value in attached.items())
        assert moved or layout.numel < _ENOUGH, "nothing changed: an empty check"
        adapter = _adapter(attachment)
        attachment.detach()
        _assert_same(model.behaviour(), base, "base after detach")
        with adapter.applied(model):
            if case.storage is None:
                _assert_same(model.behaviour(), attached, "the adapter applied")
        _assert_same(model.behaviour(), base, "base after the adapter was applied")
        _assert_merged(case, adapter, model, attached)


def _assert_merged(case: MethodCase, adapter: Adapter, model: PathNetwork, attached: Mapping[str, Tensor]) -> None:
    """Merged weights are those attached; merging for good gives them, or is refused where no weight changes."""
    base = model.weights()
    merged = base | adapter.weights(model)
    _assert_stored(merged, {name: attached[name] for name in base}, case.storage)
    if case.method.format.mergeable:
        adapter.merge_into(model)
        _assert_same(model.weights(), merged, "weights merged for good")
    else:
        _assert_same(merged, base, "weights under a method that changes none")
        with suppress(StateError):
            adapter.merge_into(model)
            raise AssertionError("a method that changes no weights was merged")


def law_detach(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """Detaching restores the base: bits, classes, names and their order, `requires_grad` flags."""
    model = PathNetwork(layout, dtype, seed)
    before = _anatomy(model)
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    attachment = attach(model, case.method, layout, seed=seed)
    _train(attachment, seed)
    attachment.detach()
    assert _anatomy(model) == before, "classes, names, order or flags differ after detach"
    _assert_same(dict(model.state_dict()), kept, "state after detach")


def law_frozen(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """Training moves the changed weights and leaves every parameter of the base bitwise as it was."""
    model, _, attachment = _attached(case, layout, dtype, seed)
    trained = {id(parameter) for delta in attachment.deltas.values() for parameter in delta.parameters()}
    base = {name: value for name, value in model.named_parameters() if id(value) not in trained}
    kept = {name: value.detach().clone() for name, value in base.items()}
    before = model.loss().item()
    _train(attachment, seed)
    _assert_same(base, kept, "base parameters after training")
    assert model.loss().item() != before or layout.numel < _ENOUGH, "training changed nothing: an empty check"


def law_file(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """A saved and loaded adapter does bitwise the same; stored parts are those of the method's format."""
    model, _, attachment = _attached(case, layout, dtype, seed)
    _train(attachment, seed)
    adapter = _adapter(attachment)
    attachment.detach()
    for name, parts in adapter.stored.items():
        case.method.format.check(parts, layout.tensor_shapes[name], layout.of(name))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "adapter.safetensors")
        save_adapter(adapter, path)
        loaded = load_adapter(path)
    behaviours = []
    for one in (adapter, loaded):
        with one.applied(model):
            behaviours.append(model.behaviour())
    _assert_same(behaviours[1], behaviours[0], "what the file does")
    assert loaded.layout == adapter.layout, "the layout in the file differs"
    assert loaded.shifts == adapter.shifts, "the reference energies in the file differ"
    assert loaded.stored_values == adapter.stored_values, "the file holds another number of values"


def law_counts(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """Reported counts are those of the stored tensors and of the weights that really differ."""
    model, base, attachment = _attached(case, layout, dtype, seed)
    _train(attachment, seed)
    model.eval()
    attached, adapter, stored = model.weights(), _adapter(attachment), attachment.stored()
    attachment.detach()
    values = sum(p.numel() for parts in stored.values() for p in parts.values() if holds_values(p))
    assert adapter.stored_values == values, f"{adapter.stored_values} values reported, {values} stored"
    if case.storage is None:
        changed = sum(int((weight != base[name]).sum()) for name, weight in attached.items())
        reported = count_changes(adapter, model)
        assert reported.count == changed, f"{reported.count} changes reported, {changed} made"
        assert reported.of_model == changed / layout.total_parameters, "fraction of the model"
        assert reported.of_selected == changed / adapter.layout.numel, "fraction of the selected tensors"


def law_checkpoint(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """The state dict of an attached model, loaded into a freshly attached one, gives bitwise the same."""
    model, _, attachment = _attached(case, layout, dtype, seed)
    _train(attachment, seed)
    again, _, _ = _attached(case, layout, dtype, seed + 1)
    again.load_state_dict(model.state_dict())
    again.features, again.attributes = model.features, model.attributes
    for one in (again, model):
        one.eval()
    _assert_same(again.behaviour(), model.behaviour(), "a model from a checkpoint")


def law_options(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """Options survive JSON, and resolving twice is resolving once."""
    resolved = case.method.resolve(layout)
    assert resolved.resolve(layout) == resolved, "resolve changes what it resolved"
    again = type(resolved)(**json.loads(json.dumps(resolved.options())))
    assert again == resolved, "options are lost in JSON"


METHOD_LAWS: tuple[MethodLaw, ...] = (
    law_start,
    law_seed,
    law_gradient,
    law_groups,
    law_equivariance,
    law_applied,
    law_detach,
    law_frozen,
    law_file,
    law_counts,
    law_checkpoint,
    law_options,
)
"""Every law."""


def _attached(
    case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int
) -> tuple[PathNetwork, dict[str, Tensor], Attachment]:
    """A model with the method attached, and the behaviour of its base."""
    model = PathNetwork(layout, dtype, seed % 1000)
    base = model.behaviour()
    return model, base, attach(model, case.method, layout, seed=seed)


def _adapter(attachment: Attachment) -> Adapter:
    """Adapter of what is attached, of a base that does not exist."""
    base = {"backbone": "none", "source": "path network", "sha256": "0" * 64, "version": "0"}
    dtype = next(iter(attachment.deltas.values())).groups()[0].parameters[0].dtype
    return adapter_of(attachment, base=base, dtype=dtype, shifts={1: 0.1, 8: -1 / 3}, elements=(1, 8))


def _shake(attachment: Attachment, seed: int) -> None:
    """Random values on top of every trainable parameter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for delta in attachment.deltas.values():
            for parameter in delta.parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))


def _train(attachment: Attachment, seed: int) -> None:
    """A few steps; what is random in them was drawn when the method was attached."""
    train(attachment, _STEPS)


def _orthogonal(size: int, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Random orthogonal matrix."""
    matrix: Tensor = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]
    return matrix.to(dtype)


def _anatomy(model: nn.Module) -> dict[str, object]:
    """What must be the same before attach and after detach, besides the values."""
    return {
        "classes": [(name, type(module)) for name, module in model.named_modules()],
        "parameters": [(name, id(value), value.requires_grad) for name, value in model.named_parameters()],
        "state": list(model.state_dict()),
    }


def _assert_same(actual: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str) -> None:
    """Raise AssertionError unless both have the same names, types and bits."""
    assert list(actual) == list(expected), f"{what}: {list(actual)} instead of {list(expected)}"
    for name, value in actual.items():
        assert value.dtype == expected[name].dtype, f"{what}: {name} is {value.dtype}, not {expected[name].dtype}"
        assert torch.equal(value, expected[name]), f"{what}: {name} differs"


def _assert_stored(merged: dict[str, Tensor], attached: dict[str, Tensor], storage: Tolerance | None) -> None:
    """Raise AssertionError unless merged weights are the attached ones, as exactly as the method declares."""
    if storage is None:
        _assert_same(merged, attached, "merged weights")
        return
    for name, weight in merged.items():
        storage.check(f"merged {name}", weight, attached[name])
