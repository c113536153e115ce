"""Which method a request gets, and which requests are refused."""

import pytest

from equisparse.blocks import Layout, matrix_blocks
from equisparse.config.finetune import FinetuneConfig
from equisparse.config.upgrade import upgraded
from equisparse.errors import InputError
from equisparse.inputs.method import configured_method
from equisparse.methods.choose import choose_method
from equisparse.methods.elora import ELoRA
from equisparse.methods.scale import Scale
from equisparse.methods.soft_threshold import SoftThreshold
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
    method, layout = configured_method(FinetuneConfig(train=["x.xyz"], **wishes), LAYOUT)  # type: ignore[arg-type]
    return method, layout.tensors


@pytest.mark.parametrize("method", [None, "sparse"])
def test_the_default_searches_the_fewest_entries_without_radial_networks(method: str | None) -> None:
    assert chosen(method=method) == (Sparse(), ("mix.weight",))


def test_the_published_method_has_its_published_regime() -> None:
    assert chosen(method="soft_threshold") == (SoftThreshold(regime="L"), ("mix.weight",))


@pytest.mark.parametrize("wishes", [{"regime": "H"}, {"method_options": {"regime": "H"}}])
def test_a_regime_alone_means_the_published_method(wishes: dict[str, object]) -> None:
    assert chosen(**wishes)[0] == SoftThreshold(regime="H")


@pytest.mark.parametrize("method", [None, "soft_threshold"])
def test_the_regime_and_options_are_passed_on(method: str | None) -> None:
    options = {"rank": None, "tau_lr": 0.1}
    expected = SoftThreshold(regime="H", rank=None, tau_lr=0.1)
    assert chosen(method=method, regime="H", method_options=options)[0] == expected


def test_a_fraction_and_targets_are_passed_on() -> None:
    assert chosen(changed=0.01, targets=["all"]) == (Sparse(changed=0.01), ("mix.weight", "radial.weight"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"changed": 0.02}, Sparse(changed=0.02)),
        ({"value_bytes": 1000, "changed": None}, Sparse(value_bytes=1000)),
        ({"changed": 0.02, "regime": "L", "tau_lr": 0.01}, Sparse(changed=0.02)),
        ({"changed": None, "regime": "H"}, SoftThreshold(regime="H")),
    ],
)
@pytest.mark.parametrize("method", [None, "sparse"])
def test_options_of_both_methods_in_a_file_of_an_earlier_version(
    method: str | None, options: dict[str, object], expected: object
) -> None:
    wishes = upgraded({"method": method, "method_options": options})
    assert chosen(**wishes)[0] == expected


def test_entries_are_fitted_into_a_size() -> None:
    method = chosen(budget="30KB", method_options={"rank": 8})[0]
    assert isinstance(method, Sparse)
    assert method.rank == 8
    assert 27_000 < (method.value_bytes or 0) < 30_000


def test_all_entries_may_change_in_a_size_that_has_room_for_them() -> None:
    assert isinstance(chosen(budget="30MB")[0], Sparse)


def test_a_method_can_be_given_as_an_object() -> None:
    assert choose_method(ELoRA(rank=16), LAYOUT, targets=["all"]) == (ELoRA(rank=16), LAYOUT)
    assert isinstance(choose_method(Scale(), LAYOUT, budget=9000)[0], Scale)
    with pytest.raises(InputError, match="already has its options"):
        choose_method(Sparse(changed=0.1), LAYOUT, changed=0.2)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"changed": 0.1, "budget": "40KB"}, "mutually exclusive"),
        ({"changed": 0.1, "method": "scale"}, "has no option for the changed fraction"),
        ({"budget": "40KB", "method": "full"}, "has no option for its size"),
        ({"budget": "40KB", "method": "soft_threshold"}, "has no option for its size"),
        ({"budget": "3KB", "method": "scale"}, "too small for the scales"),
        ({"budget": "1KB"}, "too small for an adapter file"),
        ({"changed": 0.95}, "out of reach"),
        ({"method": "nonsense"}, "no such method"),
        ({"method_options": {"speed": 3}}, "no such option"),
        ({"method": "soft_threshold", "method_options": {"prune_end": 0.5}}, "no such option"),
        ({"method_options": {"tau_per": "path"}}, "no such option"),
        ({"targets": ["readout"]}, "matches no tensor"),
    ],
)
def test_wishes_that_cannot_be_met(wishes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        chosen(**wishes)
