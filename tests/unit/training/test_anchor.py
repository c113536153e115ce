"""The pull towards the base, layer by layer, on a network of two layers."""

import pytest
import torch
from torch import nn

from equisparse.adapters.attach import Attachment, attach
from equisparse.adapters.parameters import parameter_owner
from equisparse.blocks import Layout, matrix_blocks
from equisparse.methods.base import AbstractMethod
from equisparse.methods.elora import ELoRA
from equisparse.methods.full import Full
from equisparse.methods.lowrank import LowRank
from equisparse.methods.mmea import MMEA
from equisparse.methods.scale import Scale
from equisparse.methods.soft_threshold import SoftThreshold
from equisparse.methods.sparse import Sparse
from equisparse.testing.methods import PathNetwork
from equisparse.training.anchor import MOST_ROWS, Anchor, LayerRows, layer_rows
from equisparse.training.gradients import add_where_trained, gradients_of

LAYOUT = Layout(
    (
        *matrix_blocks("mix.weight", [("0e->0e", 0, 1, (3, 2)), ("1o->1o", 1, -1, (2, 2))], "linear", 0),
        *matrix_blocks("out.weight", [("0e->0e", 0, 1, (2, 1))], "readout", -2),
    ),
    {"mix.weight": (10,), "out.weight": (2,)},
    12,
)


def attached(method: AbstractMethod) -> Attachment:
    """A method on a small network, in training."""
    attachment = attach(PathNetwork(LAYOUT, torch.float64, seed=0), method, LAYOUT)
    for delta in attachment.deltas.values():
        delta.train()
    return attachment


def moved(method: AbstractMethod) -> Attachment:
    """The same, with every parameter off its start."""
    attachment = attached(method)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for delta in attachment.deltas.values():
            for parameter in delta.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64), alpha=0.1)
    return attachment


def rows_of(attachment: Attachment, n: int = 200) -> dict[str, LayerRows]:
    """Rows of the base of a network with two layers."""
    network = PathNetwork(LAYOUT, torch.float64, seed=0)
    generator = torch.Generator().manual_seed(2)
    widths = {"mix.weight": 3 + 3 * 2, "out.weight": 2}

    def predict() -> None:
        for name, width in widths.items():
            parameter_owner(network, name)[0](torch.randn(n, width, generator=generator, dtype=torch.float64))

    return layer_rows(network, LAYOUT, predict)


def test_rows_are_what_layers_take_and_give() -> None:
    network = PathNetwork(LAYOUT, torch.float64, seed=0)
    rows = rows_of(attached(Full()), n=7)
    assert {name: (layer.inputs.shape, layer.outputs.shape) for name, layer in rows.items()} == {
        "mix.weight": ((7, 9), (7, 8)),
        "out.weight": ((7, 2), (7, 1)),
    }
    for name, layer in rows.items():
        torch.testing.assert_close(parameter_owner(network, name)[0](layer.inputs), layer.outputs)


def test_many_rows_are_thinned_out() -> None:
    assert len(rows_of(attached(Full()), n=MOST_ROWS + 50)["out.weight"].inputs) == MOST_ROWS


def test_penalty_by_hand() -> None:
    attachment = attached(Full())
    rows = rows_of(attachment)
    assert Anchor(attachment, rows, 10.0).penalty(0).item() == 0.0
    with torch.no_grad():
        attachment.deltas["out.weight"].get_parameter("delta").copy_(attachment.model.weight("out.weight"))
    # doubled outputs of one of two layers: a relative change of 1, up to the choice of rows
    assert Anchor(attachment, rows, 10.0).penalty(0).item() == pytest.approx(10 / 2, rel=0.3)


def test_rows_of_a_step_depend_on_the_seed_and_the_step() -> None:
    attachment = moved(Full())
    rows = rows_of(attachment)
    first, again, other = (Anchor(attachment, rows, 1.0, seed) for seed in (1, 1, 2))
    assert first.penalty(3) == again.penalty(3)
    assert len({first.penalty(3).item(), first.penalty(4).item(), other.penalty(3).item()}) == 3


def test_layers_that_gave_zero_do_not_count() -> None:
    attachment = moved(Full())
    rows = rows_of(attachment)
    alone = Anchor(attachment, {"mix.weight": rows["mix.weight"]}, 1.0)
    silent = rows["out.weight"]._replace(outputs=torch.zeros_like(rows["out.weight"].outputs))
    assert Anchor(attachment, rows | {"out.weight": silent}, 1.0).penalty(0) == alone.penalty(0)


def test_random_combinations_give_the_curvature_of_the_penalty() -> None:
    attachment = moved(Full())
    anchor = Anchor(attachment, rows_of(attachment), 3.0)
    parameters = [p for delta in attachment.deltas.values() for p in delta.parameters()]
    generator = torch.Generator().manual_seed(1)
    direction = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in parameters]

    def mean_penalty(distance: float) -> float:
        for parameter, along in zip(parameters, direction, strict=True):
            parameter.data.add_(along, alpha=distance)
        mean = float(torch.stack([anchor.penalty(step).detach() for step in range(200)]).mean())
        for parameter, along in zip(parameters, direction, strict=True):
            parameter.data.sub_(along, alpha=distance)
        return mean

    squares = []
    for _ in range(400):
        gradients = torch.autograd.grad(anchor.random_combination(generator), parameters)
        squares.append(sum(float((g * d).sum()) for g, d in zip(gradients, direction, strict=True)) ** 2)
    exact = mean_penalty(1.0) + mean_penalty(-1.0) - 2 * mean_penalty(0.0)
    assert sum(squares) / len(squares) == pytest.approx(exact, rel=0.25)


METHODS = [Full(), ELoRA(rank=1), SoftThreshold(), Sparse(changed=0.5), LowRank(rank=2), Scale(), MMEA()]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_following_the_gradient_leads_to_the_base(method: AbstractMethod) -> None:
    attachment = moved(method)
    anchor = Anchor(attachment, rows_of(attachment), 1.0)
    parameters = [p for delta in attachment.deltas.values() for p in delta.parameters()]
    start = anchor.penalty(0).item()
    for step in range(1000):
        gradients = torch.autograd.grad(anchor.penalty(step), parameters, allow_unused=True, materialize_grads=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.data.sub_(gradient, alpha=0.2)
    assert 0 <= anchor.penalty(0).item() < 0.05 * start


def test_a_restraint_adds_its_gradient_only_where_the_loss_has_one() -> None:
    parameter, idle = (nn.Parameter(torch.tensor([1.0, 2.0])) for _ in range(2))
    parameter.grad = torch.tensor([0.5, 0.0])
    restraint = (parameter.square() / 2 + idle).sum()
    add_where_trained([parameter, idle], gradients_of(restraint, [parameter, idle]))
    torch.testing.assert_close(parameter.grad, torch.tensor([0.5 + 1.0, 0.0]))
    assert idle.grad is None
