"""Allegro obeys the laws of backbones."""

from importlib.util import find_spec

import pytest

pytest.importorskip("nequip", reason="the extra nequip is not installed")

from equisparse.errors import BackboneError
from equisparse.magnetism.model import new_layer
from equisparse.testing import backbone_layout, periodicity
from equisparse.testing import backbones as laws

_NEQUIP_ONLY = ("num_features", "type_embed_num_features", "radial_mlp_width")
ALLEGRO = {
    "allegro": {},
    "allegro-splines": {
        "radial_chemical_embed": {"_target_": "allegro.nn.TwoBodySplineScalarEmbed"},
        "tp_path_channel_coupling": False,
    },
    "allegro-one-path": {"num_layers": 1, "l_max": 0},
}
"""Name -> what differs from the default Allegro model."""


def allegro_config(default: dict, **changes: object) -> dict:
    """A small Allegro model, from the default model of NequIP."""
    own = {name: value for name, value in default.items() if name not in _NEQUIP_ONLY}
    return own | {
        "_target_": "allegro.model.AllegroModel",
        "num_layers": 2,
        "l_max": 2,
        "num_scalar_features": 8,
        "num_tensor_features": 4,
        "radial_chemical_embed": {"_target_": "allegro.nn.TwoBodyBesselScalarEmbed"},
        **{f"{part}_mlp_hidden_layers_width": 8 for part in ("allegro", "readout", "scalar_embed")},
        **changes,
    }


@pytest.mark.skipif(not find_spec("allegro"), reason="nequip-allegro is not installed")
class TestAllegro:
    """The same code adapts Allegro."""

    @pytest.fixture(params=ALLEGRO)
    def backbone(self, request, folder, model_config, write_checkpoint, load):
        path = folder / f"{request.param}.ckpt"
        if not path.exists():
            write_checkpoint(path, allegro_config(model_config(), **ALLEGRO[request.param]))
        return load(str(path), dtype="float64")

    def test_layout_holds_all_weights(self, backbone):
        backbone_layout.check_layout(backbone)
        backbone_layout.check_element_order(backbone, 8, 12)
        assert backbone.layout().numel == backbone.layout().total_parameters

    def test_blocks_of_tensor_products_are_paths(self, backbone):
        names = {block.tensor for block in backbone.layout() if block.role == "contraction"}
        for name in names:
            module = backbone.model.get_submodule(name.rpartition(".")[0])
            assert len(backbone.layout().of(name)) == module.num_paths

    def test_laws(self, backbone, oxides):
        laws.check_batching(backbone, oxides)
        laws.check_symmetry_of_changes(backbone, oxides[0])
        laws.check_forces(backbone, oxides[0])
        periodicity.check_structures(backbone)

    def test_no_spin_layer(self, backbone):
        with pytest.raises(BackboneError, match="no features per atom"):
            new_layer(backbone, cutoff=4.0)

    def test_native_file(self, backbone, oxides, shifts, tmp_path):
        laws.check_native(backbone, tmp_path / "native.ckpt", oxides, shifts)
        laws.check_reload(backbone, tmp_path / "native.ckpt", oxides)
        assert "pair_style allegro" in backbone.deployment_notes(tmp_path)
