"""The pull towards the base, on weights that can be counted by hand."""

import pytest
import torch
from torch import nn

from equisparse.adapters.attach import Attachment, attach
from equisparse.blocks import Layout, matrix_blocks
from equisparse.errors import InputError
from equisparse.methods.base import AbstractMethod
from equisparse.methods.elora import ELoRA
from equisparse.methods.full import Full
from equisparse.methods.mmea import MMEA
from equisparse.methods.scale import Scale
from equisparse.methods.sparse import Sparse
from equisparse.testing.methods import PathNetwork
from equisparse.training.anchor import Anchor, add_gradient

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


def set_base(attachment: Attachment, name: str, values: list[float]) -> None:
    """Other base weights of one tensor."""
    with torch.no_grad():
        attachment.model.get_submodule(name.removesuffix(".weight")).parametrizations["weight"].original.copy_(
            torch.tensor(values, dtype=torch.float64)
        )


def test_penalty_by_hand() -> None:
    attachment = attached(Full())
    set_base(attachment, "mix.weight", [2.0] * 10)
    set_base(attachment, "out.weight", [3.0, 4.0])
    with torch.no_grad():
        attachment.deltas["mix.weight"].get_parameter("delta")[:2] = 1.0
        attachment.deltas["out.weight"].get_parameter("delta")[0] = 5.0
    assert Anchor(attachment, 10.0).penalty().item() == pytest.approx(10 * (2 / 40 + 25 / 25) / 2)


def test_tensors_that_are_zero_in_the_base_do_not_count() -> None:
    attachment = attached(Full())
    set_base(attachment, "mix.weight", [0.0] * 10)
    set_base(attachment, "out.weight", [3.0, 4.0])
    with torch.no_grad():
        for delta in attachment.deltas.values():
            delta.get_parameter("delta").fill_(1.0)
    assert Anchor(attachment, 1.0).penalty().item() == pytest.approx((2 / 25) / 2)


METHODS = [Full(), ELoRA(rank=1), Sparse(), Sparse(changed=0.5), Scale()]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_following_the_gradient_leads_to_the_base(method: AbstractMethod) -> None:
    attachment = moved(method)
    anchor = Anchor(attachment, 1.0)
    parameters = [p for delta in attachment.deltas.values() for p in delta.parameters()]
    start = anchor.penalty().item()
    for _ in range(1000):
        for parameter, gradient in zip(parameters, torch.autograd.grad(anchor.penalty(), parameters), strict=True):
            parameter.data.sub_(gradient, alpha=0.2)
    assert 0 <= anchor.penalty().item() < 0.05 * start


def test_a_restraint_adds_its_gradient_only_where_the_loss_has_one() -> None:
    parameter, idle = (nn.Parameter(torch.tensor([1.0, 2.0])) for _ in range(2))
    parameter.grad = torch.tensor([0.5, 0.0])
    add_gradient((parameter.square() + idle).sum(), [parameter, idle], lambda gradient: gradient / 2)
    torch.testing.assert_close(parameter.grad, torch.tensor([0.5 + 1.0, 0.0]))
    assert idle.grad is None


def test_an_anchor_needs_weights_that_change() -> None:
    with pytest.raises(InputError, match="mmea changes no weights"):
        Anchor(attached(MMEA()), 1.0)
