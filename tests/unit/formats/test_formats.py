"""Formats: stored parts that do not fit are refused, and what is applied is what the formula says."""

import pytest
import torch

from equisparse.blocks import matrix_blocks
from equisparse.formats.base import Channels
from equisparse.formats.dense import Dense
from equisparse.formats.entries import Entries, pack
from equisparse.formats.factors import Factors
from equisparse.formats.gates import Gates
from equisparse.formats.quantised import Quantised, quantise
from equisparse.formats.registry import FORMATS, make_format, register_format
from equisparse.formats.scales import ChannelScales

BLOCKS = matrix_blocks("mix.weight", [("0e->0e", 0, 1, (2, 3)), ("1o->1o", 1, -1, (2, 2))], "linear", 0)
SHAPE = (10,)
WEIGHT = torch.arange(10.0) - 4


def numbers(count: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (torch.arange(count) % 5 - 2).to(dtype)


RANKS = torch.tensor([1, 2], dtype=torch.int16)
STORED = {
    "entries": {"index": torch.tensor([1, 9], dtype=torch.uint16), "value": torch.tensor([0.5, -1.0])},
    "dense": {"change": numbers(10)},
    "factors": {"down": numbers(8), "up": numbers(10)},
    "quantised": {
        "ranks": RANKS,
        "down": numbers(6, torch.int8),
        "up": numbers(7, torch.int8),
        "size": torch.tensor([0.5, 0.25, 2.0]),
    },
    "scales": {"input_scale": numbers(4), "output_scale": numbers(5)},
}
OPTIONS = {"factors": {"rank": 2, "factor": 0.5}}


def expected(name: str) -> torch.Tensor:
    """Changed weight by the slow, obvious formula."""
    first, second, parts = WEIGHT[:6].view(2, 3), WEIGHT[6:].view(2, 2), STORED[name]
    match name:
        case "entries":
            return WEIGHT + torch.tensor([0, 0.5, 0, 0, 0, 0, 0, 0, 0, -1.0])
        case "dense":
            return WEIGHT + parts["change"]
        case "factors":
            down, up = parts["down"], parts["up"]
            first = first + 0.5 * down[:4].view(2, 2) @ up[:6].view(2, 3)
            second = second + 0.5 * down[4:].view(2, 2) @ up[6:].view(2, 2)
        case "quantised":
            down, up = parts["down"].float(), parts["up"].float()
            first = first + 0.5 * down[:2].view(2, 1) @ up[:3].view(1, 3)
            sizes = torch.diag(torch.tensor([0.25, 2.0]))
            second = second + down[2:].view(2, 2) @ sizes @ up[3:].view(2, 2)
        case _:
            a, b = 1 + parts["input_scale"], 1 + parts["output_scale"]
            first = torch.diag(a[:2]) @ first @ torch.diag(b[:3])
            second = torch.diag(a[2:]) @ second @ torch.diag(b[3:])
    return torch.cat([first.reshape(-1), second.reshape(-1)])


@pytest.mark.parametrize("name", STORED)
def test_applying_is_the_formula(name):
    stored_format = make_format(name, OPTIONS.get(name, {}))
    stored_format.check(STORED[name], SHAPE, BLOCKS)
    kept = WEIGHT.clone()
    torch.testing.assert_close(stored_format.apply(WEIGHT, STORED[name], BLOCKS), expected(name))
    assert torch.equal(WEIGHT, kept)


@pytest.mark.parametrize("name", STORED)
def test_additive_formats_add_the_same_to_every_weight(name):
    stored_format = make_format(name, OPTIONS.get(name, {}))
    change = stored_format.apply(torch.zeros(10), STORED[name], BLOCKS)
    same = torch.allclose(stored_format.apply(WEIGHT, STORED[name], BLOCKS) - WEIGHT, change)
    assert same == stored_format.additive == (name != "scales")


@pytest.mark.parametrize("name", STORED)
def test_parts_of_other_names_shapes_types_or_values_are_refused(name):
    stored_format, stored = make_format(name, OPTIONS.get(name, {})), STORED[name]
    for part, values in stored.items():
        wrong = [
            {key: value for key, value in stored.items() if key != part},
            stored | {"more": values},
            stored | {part: values[:-1]},
            stored | {part: values.to(torch.int32 if values.is_floating_point() else torch.float32)},
        ]
        if values.is_floating_point():
            wrong.append(stored | {part: values / 0})
        for broken in wrong:
            with pytest.raises(ValueError, match=r"stored|shape|finite|indices|ranks"):
                stored_format.check(broken, SHAPE, BLOCKS)


@pytest.mark.parametrize("index", [[5, 3], [3, 3], [0, 10], [-1, 3]])
def test_indices_that_do_not_rise_or_fit_are_refused(index):
    with pytest.raises(ValueError, match="indices"):
        Entries().check({"index": torch.tensor(index), "value": torch.ones(2)}, SHAPE, BLOCKS)


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("ranks", torch.tensor([1, 7], dtype=torch.int16)),
        ("ranks", torch.tensor([-1, 1], dtype=torch.int16)),
        ("ranks", torch.tensor([1.0, 1.0])),
        ("ranks", torch.tensor([1], dtype=torch.int16)),
        ("down", torch.zeros(3, dtype=torch.int8)),
        ("up", torch.zeros(7, dtype=torch.int16)),
        ("size", torch.zeros(3, dtype=torch.int8)),
        ("size", torch.zeros(2)),
    ],
)
def test_quantised_parts_that_do_not_fit_are_refused(part, values):
    with pytest.raises(ValueError, match=r"ranks|down|up|size"):
        Quantised().check(STORED["quantised"] | {part: values}, SHAPE, BLOCKS)


def test_quantised_rows_are_within_half_a_step():
    rows = torch.randn(5, 40, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [[1e-9], [1e-3], [1], [1e4], [0]]
    )
    whole, size = quantise(rows)
    assert whole.abs().amax(1).tolist() == [127] * 4 + [0]
    assert bool(((whole * size[:, None] - rows).abs() <= 0.501 * size[:, None]).all())


def test_small_tensors_have_small_indices():
    assert pack(torch.ones(2**16))["index"].dtype == torch.uint16
    assert pack(torch.ones(2**16 + 1))["index"].dtype == torch.int32


INPUTS = (Channels(2, 0, 1), Channels(1, 1, -1))
OUTPUTS = (Channels(1, 0, 1), Channels(2, 1, -1))
GATE = {"down": torch.ones(2, 1), "down_bias": torch.zeros(1), "up": torch.ones(1, 3), "up_bias": torch.zeros(3)}


@pytest.mark.parametrize("modulation", ["exp", "residual"])
def test_gates_add_to_scalars_and_multiply_vectors(modulation):
    features, output = torch.tensor([[0.5, 0.25, 9, 9, 9]]), torch.arange(1.0, 8).view(1, 7)
    gate = Gates(modulation).restore(GATE, INPUTS, OUTPUTS)
    s = torch.nn.functional.silu(torch.tensor(0.75))
    factor = s.exp() if modulation == "exp" else 1 + s
    torch.testing.assert_close(gate(features, output), torch.cat([output[:, :1] + s, output[:, 1:] * factor], -1))


@pytest.mark.parametrize("outputs", [OUTPUTS[:1], (*OUTPUTS, Channels(1, 2, 1))])
def test_gates_of_other_modules_are_refused(outputs):
    with pytest.raises(ValueError, match="number of channels of a gate differs"):
        Gates().restore(GATE, INPUTS, outputs)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("nonsense", {}),
        ("entries", {"rank": 1}),
        ("factors", {}),
        ("factors", {"rank": 0}),
        ("factors", {"rank": 1.5}),
        ("factors", {"rank": True}),
        ("factors", {"rank": 1, "factor": float("nan")}),
        ("gates", {"modulation": "sigmoid"}),
        ("gates", {"modulation": 3}),
    ],
)
def test_formats_and_options_that_do_not_exist_are_refused(name, options):
    with pytest.raises((ValueError, TypeError)):
        make_format(name, options)


@pytest.mark.parametrize("name", FORMATS)
def test_options_make_the_same_format_again(name):
    made = {"factors": Factors(3, 0.1), "gates": Gates("residual")}.get(name) or make_format(name, {})
    assert make_format(name, made.options()) == made


def test_a_name_is_not_taken_twice():
    class Other(type(Dense())):  # type: ignore[misc]
        pass

    with pytest.raises(ValueError, match="already"):
        register_format(Other)
    assert FORMATS["dense"] is Dense
    assert FORMATS["scales"] is ChannelScales
