"""Coarser matrix products: where they are refused, that they end with the block, and their price in predictions."""

import pytest
import torch
from torch import Tensor

from equisparse.backbones.base import AbstractBackbone
from equisparse.data.demo import demo_files
from equisparse.data.read import read_frames
from equisparse.errors import InputError
from equisparse.inference.dataset import FrameDataset
from equisparse.inference.precision import check_precision, matrix_products, precision_price
from equisparse.testing.toy import ToyBackbone

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def test_tf32_is_refused_where_it_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    check_precision("full", CPU, torch.float32)
    with pytest.raises(InputError, match=r"(?s)no effect here.*the device cpu"):
        check_precision("tf32", CPU, torch.float32)
    with pytest.raises(InputError, match="float64"):
        check_precision("tf32", GPU, torch.float64)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    with pytest.raises(InputError, match=r"compute capability 7\.5"):
        check_precision("tf32", GPU, torch.float32)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    check_precision("tf32", GPU, torch.float32)


def test_the_setting_of_torch_is_restored() -> None:
    before = torch.get_float32_matmul_precision()
    with matrix_products("tf32"):
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == before
    with matrix_products("full"):
        assert torch.get_float32_matmul_precision() == before


@pytest.fixture
def backbone(monkeypatch: pytest.MonkeyPatch) -> AbstractBackbone:
    """Toy model whose predictions are rounded as by TF32 while that is on: a CPU has none."""
    predict = ToyBackbone.predict

    def rounded(self: ToyBackbone, batch: object, *, training: bool = False) -> dict[object, Tensor]:
        found = predict(self, batch, training=training)
        coarse = torch.get_float32_matmul_precision() == "high"
        return {quantity: values.half().to(values.dtype) if coarse else values for quantity, values in found.items()}

    monkeypatch.setattr(ToyBackbone, "predict", rounded)
    return ToyBackbone.load("toy-1")


def test_the_price_is_the_largest_difference_of_predictions(backbone: AbstractBackbone) -> None:
    frames = read_frames(demo_files().valid)
    dataset = FrameDataset(backbone, frames, {})
    assert precision_price(backbone, dataset, "full") is None
    price = precision_price(backbone, dataset, "tf32")
    assert price is not None
    assert price.n_frames == min(20, len(frames))
    assert set(price.largest) >= {"energy", "forces", "stress"}
    assert 0 < price.largest["forces"] < 1e-2
    assert "trained with tf32; against full precision" in str(price)
    assert "meV/Angstrom" in str(price)
