"""The faster form of MACE, and the polynomials that take the place of its symmetric contraction."""

import pytest
import torch
from ase import Atoms

from equisparse.backbones import upstream
from equisparse.backbones.e3nn.edge_product import EdgeProduct
from equisparse.backbones.e3nn.polynomials import Polynomials, contraction_weights
from equisparse.backbones.registry import load_backbone
from equisparse.methods.mmea import MMEA
from equisparse.methods.soft_threshold import SoftThreshold
from equisparse.testing import faster_form, periodicity

pytestmark = pytest.mark.filterwarnings("ignore:The TorchScript type system:UserWarning")
with upstream.quiet_import():
    pytest.importorskip("mace.modules", reason="the extra mace is not installed", exc_type=ImportError)
    from e3nn import o3
    from mace.modules.symmetric_contraction import SymmetricContraction


@pytest.mark.parametrize("name", ["scale-shift", "density", "nonlinear"])
def test_every_kind_of_interaction(name, model_file, head_of, load, oxides, tmp_path):
    plain = load(str(model_file(name)), dtype="float64", modality=head_of(name))
    fast = load_backbone(str(model_file(name)), dtype="float64", modality=head_of(name))
    faster_form.check_faster_form(plain, fast, oxides, tmp_path)
    kinds = [type(module) for module in fast.model.modules()]
    assert (kinds.count(EdgeProduct), kinds.count(Polynomials)) == (2, 2)
    faster_form.check_compiled(plain, fast, oxides, 2)
    periodicity.check_no_edges(fast, [Atoms("O"), Atoms("MgO", [[0, 0, 0], [9, 0, 0]])])


@pytest.mark.parametrize("method", [SoftThreshold(), MMEA()], ids=repr)
def test_methods_train_on_it(method, model_file, load, oxides):
    source = str(model_file("scale-shift"))
    plain, fast = load(source, dtype="float64"), load_backbone(source, dtype="float64")
    assert fast.accelerate(oxides[:1])
    faster_form.check_training(plain, fast, oxides, method)


@pytest.mark.parametrize("correlation", [1, 2, 3])
@pytest.mark.parametrize("irreps", ["4x0e", "4x0e+4x1o+4x2e"])
def test_contraction(correlation, irreps):
    with upstream.default_dtype(torch.float64):
        contraction = SymmetricContraction(o3.Irreps("4x0e+4x1o+4x2e"), o3.Irreps(irreps), correlation, num_elements=3)
        features = torch.randn(5, 4, 9, requires_grad=True)
        attributes = torch.eye(3)[[0, 2, 1, 1, 0]]
    outputs = [
        contraction(features, attributes),
        Polynomials(contraction)(features, attributes, contraction_weights(contraction)),
    ]
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-12, atol=1e-12)
    first = [torch.autograd.grad(out.square().sum(), features, create_graph=True)[0] for out in outputs]
    torch.testing.assert_close(first[1], first[0], rtol=1e-10, atol=1e-10)
    second = [torch.autograd.grad(value.square().sum(), features)[0] for value in first]
    torch.testing.assert_close(second[1], second[0], rtol=1e-9, atol=1e-9)


def test_few_products_are_left():
    contraction = SymmetricContraction(o3.Irreps("1x0e+1x1o+1x2e+1x3o"), o3.Irreps("1x0e"), 3, num_elements=1)
    assert Polynomials(contraction).coefficients.shape[1] == 1 + 16 + 77
