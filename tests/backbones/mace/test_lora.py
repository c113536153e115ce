"""Our LoRA and MACE's own."""

import pytest
import torch

from equisparse.adapters.attach import attach
from equisparse.backbones import upstream
from equisparse.backbones.registry import load_backbone
from equisparse.methods.elora import ELoRA
from equisparse.quantities import ENERGY, FORCES
from equisparse.testing import backbones as laws

pytestmark = pytest.mark.filterwarnings("ignore:The TorchScript type system:UserWarning")
with upstream.quiet_import():
    pytest.importorskip("mace.modules", reason="the extra mace is not installed", exc_type=ImportError)
    from mace.modules import lora


class TestLoRAOfMACE:
    """Our `elora` against MACE's own LoRA, which gives the same change of weights for the same factors.

    The change of a block of weights is ``alpha / rank * c * A B`` with c = 1 in ours. In MACE's, c = 1 in radial
    networks. In an o3.Linear it is ``p_A p_B / p``, the path weights of the two factors and of the base. All that goes
    into an irrep goes into one bottleneck of `rank` channels, so p_A = p and p_B = 1 / sqrt(rank): c = 1 / sqrt(rank).
    Paths into one output share their B there and have one each here. Self-connections by tensor product and
    contractions stay as they are in MACE's; blocks smaller than the rank have smaller factors in ours.
    """

    RANK, ALPHA = 2, 3.0

    @pytest.mark.parametrize("name", ["scale-shift", "nonlinear"])
    def test_same_factors_give_the_same_predictions(self, name, model_file, head_of, load, oxides):
        arguments = {"dtype": "float64", "modality": head_of(name)}
        ours, theirs = (loader(str(model_file(name)), **arguments) for loader in (load, load_backbone))
        before, layout = laws.predict(ours, oxides), ours.layout()
        lora.inject_lora(theirs.model, rank=self.RANK, alpha=self.ALPHA)
        wrapped = {
            tensor: theirs.model.get_submodule(tensor.removesuffix(".weight"))
            for tensor in layout.tensors
            if min(min(block.shape) for block in layout.of(tensor)) >= self.RANK and tensor.endswith(".weight")
        }
        wrapped = {tensor: module for tensor, module in wrapped.items() if type(module).__module__ == lora.__name__}
        assert {layout.of(tensor)[0].role for tensor in wrapped} >= {"embedding", "linear", "radial"}
        attachment = attach(ours.model, ELoRA(self.RANK, self.ALPHA), layout.restrict(wrapped))
        torch.manual_seed(0)
        with torch.no_grad():
            for tensor, module in wrapped.items():
                for name, factor in module.named_parameters():
                    if name.startswith("lora_"):
                        factor.normal_(0, 0.3)
                pairs = self.factors(module, layout.of(tensor))
                for part, factors in zip(("down", "up"), zip(*pairs, strict=True), strict=True):
                    whole = torch.cat([factor.reshape(-1) for factor in factors])
                    attachment.deltas[tensor].product.get_parameter(part).copy_(whole)
        one, other = laws.predict(ours, oxides), laws.predict(theirs, oxides)
        attachment.detach()
        assert not torch.allclose(one[ENERGY], before[ENERGY], rtol=1e-3)
        torch.testing.assert_close(other[ENERGY], one[ENERGY], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(other[FORCES], one[FORCES], rtol=1e-8, atol=1e-10)

    def factors(self, module, blocks):
        """Our factors of each block, from MACE's factors of the whole tensor."""
        if isinstance(module, lora.LoRAO3Linear):
            downs, ups = (list(linear.weight_views()) for linear in (module.lora_A, module.lora_B))
            down = {path.i_in: view for path, view in zip(module.lora_A.instructions, downs, strict=True)}
            up = {path.i_out: view for path, view in zip(module.lora_B.instructions, ups, strict=True)}
            paths = [path for path in module.base.instructions if path.i_in >= 0]
            return [(down[path.i_in], up[path.i_out] / self.RANK**0.5) for path in paths]
        if isinstance(module, lora.LoRADenseLinear):  # torch's Linear is (outputs, inputs)
            down, up = module.lora_A.weight.T, module.lora_B.weight.T
        else:
            down, up = module.lora_A, module.lora_B
        return [(down, columns) for columns in up.split([block.shape[1] for block in blocks], 1)]
