"""Which method a configuration gets, and which wishes are refused."""

import pytest

from equisparse.blocks import Layout, matrix_blocks
from equisparse.config.finetune import FinetuneConfig
from equisparse.errors import InputError
from equisparse.inputs.splits import choose_method
from equisparse.methods.lowrank import LowRank
from equisparse.methods.sparse import Sparse

LAYOUT = Layout(
    (
        *matrix_blocks("mix.weight", [("0e->0e", 0, 1, (500, 500))], "linear", 0),
        *matrix_blocks("radial.weight", [("radial", 0, 1, (8, 64))], "radial", 0),
    ),
    {"mix.weight": (250_000,), "radial.weight": (8, 64)},
    300_000,
)


def chosen(**wishes: object) -> tuple[object, tuple[str, ...]]:
    method, layout = choose_method(FinetuneConfig(train=["x.xyz"], **wishes), LAYOUT)  # type: ignore[arg-type]
    return method, layout.tensors


def test_the_default_is_the_published_method_without_radial_networks() -> None:
    assert chosen() == (Sparse(regime="L"), ("mix.weight",))


def test_a_fraction_and_targets_are_passed_on() -> None:
    assert chosen(changed=0.01, targets=["all"]) == (Sparse(changed=0.01), ("mix.weight", "radial.weight"))


@pytest.mark.parametrize(("budget", "kind"), [("3KB", Sparse), ("5KB", LowRank), ("30KB", LowRank)])
def test_the_best_method_for_a_size(budget: str, kind: type) -> None:
    assert isinstance(chosen(budget=budget)[0], kind)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"changed": 0.1, "budget": "40KB"}, "mutually exclusive"),
        ({"changed": 0.1, "method": "scale"}, "cannot be given a changed fraction"),
        ({"budget": "40KB", "method": "full"}, "cannot be fitted into a size"),
        ({"budget": "3KB", "method": "scale"}, "do not fit into the size"),
        ({"budget": "1KB"}, "cannot be that small"),
        ({"changed": 0.95}, "out of reach"),
        ({"method": "nonsense"}, "no such method"),
        ({"method_options": {"speed": 3}}, "no such option"),
        ({"targets": ["readout"]}, "matches no tensor"),
    ],
)
def test_wishes_that_cannot_be_met(wishes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        chosen(**wishes)
