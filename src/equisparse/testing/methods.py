"""Laws of all methods, as functions: ``for law in METHOD_LAWS: law(case, layout, dtype, seed)``.

They use a `PathNetwork`, a small model with the weights of a given layout, so that the test of a method needs no
backbone. Each law raises AssertionError if it is violated.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
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
from equisparse.methods.base import AbstractMethod, Renewal
from equisparse.testing.networks import PathNetwork
from equisparse.testing.tolerances import ALGEBRA, Tolerance

_STEPS = 12

_ENOUGH = 16
"""Number of weights of which at least one changes for any seed; a threshold can suppress all of a few changes."""


@dataclass(frozen=True)
class MethodCase:
    """A method with the properties that its documentation states.

    Parameters
    ----------
    method : AbstractMethod
        Method with the options to test, not resolved.
    start_change : float
        Largest change of any weight directly after `attach`; 0 means exactly the base.
    storage : Tolerance or None
        Tolerance between the stored and the trained change; None means bit for bit.
    """

    method: AbstractMethod
    start_change: float = 0.0
    storage: Tolerance | None = None


MethodLaw = Callable[[MethodCase, Layout, torch.dtype, int], None]
"""A check of one case on one layout, in one precision, with one seed."""


def train(attachment: Attachment, steps: int) -> None:
    """Train an attachment to a `PathNetwork` with the parameter groups and the controller of its method.

    Parameters
    ----------
    attachment : Attachment
        Attachment whose model is a `PathNetwork`.
    steps : int
        Number of steps of the whole run.
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
    generator = torch.Generator().manual_seed(0)

    def probes() -> Iterator[None]:
        for _ in range(4):
            outputs = torch.cat([output.flatten() for output in model(model.features)])
            (outputs @ torch.randn(len(outputs), generator=generator, dtype=outputs.dtype)).backward()
            yield

    for step in range(steps):
        if controller.start_step(step, steps, probes) is Renewal.PARAMETERS:
            optimizer.state.clear()
        optimizer.zero_grad()
        model.loss().backward()
        controller.before_step(step, steps)
        optimizer.step()
        controller.after_step(step, steps)
    assert controller.ready(steps, steps), "the method does not meet its target by the end of the run"


def law_start(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """Check that a method changes nothing at its start, or at most what it declares."""
    model, base, _ = _attached(case, layout, dtype, seed)
    for name, value in model.behaviour().items():
        change = float((value - base[name]).abs().max())
        if case.start_change == 0 or name in layout.tensors:
            assert change <= case.start_change, f"{name} starts {change:.3g} away from the base"


def law_seed(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """Check that the start depends only on the seed, and that the global generator is not used."""
    before = torch.random.get_rng_state()
    first, _, _ = _attached(case, layout, dtype, seed)
    second, _, _ = _attached(case, layout, dtype, seed)
    assert torch.equal(before, torch.random.get_rng_state()), "the global generator was used"
    _assert_same(first.state_dict(), second.state_dict(), "two starts with one seed")
    _assert_same(first.behaviour(), second.behaviour(), "two starts with one seed")


def law_gradient(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """Check that every tensor has a finite gradient on the first step, not all zero unless the tensor is tiny."""
    model, _, attachment = _attached(case, layout, dtype, seed)
    model.loss().backward()
    for name, delta in attachment.deltas.items():
        gradients = [parameter.grad for parameter in delta.parameters() if parameter.grad is not None]
        assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients), f"{name}: a gradient is not finite"
        has_gradient = any(bool(gradient.any()) for gradient in gradients)
        assert has_gradient or layout.size_of(name) < _ENOUGH, f"{name} gets no gradient on the first step"


def law_groups(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """Check that parameter groups and controller have every trainable parameter of the model once, and no others."""
    model, _, attachment = _attached(case, layout, dtype, seed)
    deltas = attachment.deltas.values()
    grouped = [id(p) for delta in deltas for group in delta.groups() for p in group.parameters]
    grouped += [id(p) for delta in deltas for p in delta.moved_by_controller()]
    assert len(grouped) == len(set(grouped)), "a parameter is in two groups"
    trainable = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert set(grouped) == trainable, "groups and controller do not have the trainable parameters"


def law_equivariance(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """Check that the changed model commutes with orthogonal maps of the components of each irrep."""
    model, _, attachment = _attached(case, layout, dtype, seed)
    _perturb(attachment, seed)
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
    """Check that a base with the adapter applied equals the attached model, after random changes and training."""
    for change in (_perturb, _train):
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
    """Check that merged weights equal the attached ones, and that adapters that change outputs cannot be merged."""
    base = model.weights()
    merged = base | adapter.weights(model)
    _assert_stored(merged, {name: attached[name] for name in base}, case.storage)
    if case.method.format.mergeable:
        adapter.merge_into(model)
        _assert_same(model.weights(), merged, "permanently merged weights")
    else:
        _assert_same(merged, base, "weights under a method that changes none")
        with suppress(StateError):
            adapter.merge_into(model)
            raise AssertionError("a method that changes no weights was merged")


def law_detach(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """Check that detaching restores the base: bits, classes, names and their order, `requires_grad` flags."""
    model = PathNetwork(layout, dtype, seed)
    before = _structure(model)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    attachment = attach(model, case.method, layout, seed=seed)
    _train(attachment, seed)
    attachment.detach()
    assert _structure(model) == before, "classes, names, order or flags differ after detach"
    _assert_same(dict(model.state_dict()), state, "state after detach")


def law_frozen(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """Check that training changes the model, and leaves every parameter of the base bitwise the same."""
    model, _, attachment = _attached(case, layout, dtype, seed)
    trained = {id(parameter) for delta in attachment.deltas.values() for parameter in delta.parameters()}
    base = {name: value for name, value in model.named_parameters() if id(value) not in trained}
    original = {name: value.detach().clone() for name, value in base.items()}
    before = model.loss().item()
    _train(attachment, seed)
    _assert_same(base, original, "base parameters after training")
    assert model.loss().item() != before or layout.numel < _ENOUGH, "training changed nothing: an empty check"


def law_file(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """Check that a saved and loaded adapter has bitwise the same effect, and the parts of the method's format."""
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
    _assert_same(behaviours[1], behaviours[0], "the effect of the file")
    assert loaded.layout == adapter.layout, "the layout in the file differs"
    assert loaded.shifts == adapter.shifts, "the reference energies in the file differ"
    assert loaded.stored_values == adapter.stored_values, "the file holds another number of values"


def law_counts(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """Check the reported counts against the stored tensors and the weights that differ."""
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
    """Check that the state dict of an attached model, loaded into another one, restores its outputs bitwise."""
    model, _, attachment = _attached(case, layout, dtype, seed)
    _train(attachment, seed)
    again, _, _ = _attached(case, layout, dtype, seed + 1)
    again.load_state_dict(model.state_dict())
    again.features, again.attributes = model.features, model.attributes
    for one in (again, model):
        one.eval()
    _assert_same(again.behaviour(), model.behaviour(), "a model from a checkpoint")


def law_options(case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int) -> None:
    """Check that options can be stored as JSON, and that resolving twice has no further effect."""
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
"""All laws of methods."""


def _attached(
    case: MethodCase, layout: Layout, dtype: torch.dtype, seed: int
) -> tuple[PathNetwork, dict[str, Tensor], Attachment]:
    """Model with the method attached, behaviour of its base, and the attachment."""
    model = PathNetwork(layout, dtype, seed % 1000)
    base = model.behaviour()
    return model, base, attach(model, case.method, layout, seed=seed)


def _adapter(attachment: Attachment) -> Adapter:
    """Adapter of the attached method."""
    base = {"backbone": "none", "source": "path network", "sha256": "0" * 64, "version": "0"}
    dtype = next(iter(attachment.deltas.values())).groups()[0].parameters[0].dtype
    return adapter_of(attachment, base=base, dtype=dtype, shifts={1: 0.1, 8: -1 / 3}, elements=(1, 8))


def _perturb(attachment: Attachment, seed: int) -> None:
    """Add random values to every trainable parameter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for delta in attachment.deltas.values():
            for parameter in delta.parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))


def _train(attachment: Attachment, seed: int) -> None:
    """Train for a few steps; the random numbers were drawn when the method was attached."""
    train(attachment, _STEPS)


def _orthogonal(size: int, dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Random orthogonal matrix."""
    matrix: Tensor = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]
    return matrix.to(dtype)


def _structure(model: nn.Module) -> dict[str, object]:
    """Properties of the model, besides values, that have to be equal before `attach` and after `detach`."""
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
    """Raise AssertionError unless merged weights equal the attached ones within the declared tolerance."""
    if storage is None:
        _assert_same(merged, attached, "merged weights")
        return
    for name, weight in merged.items():
        storage.check(f"merged {name}", weight, attached[name])
