"""Sum of edge products over the edges of each atom, in a cheaper order."""

from torch import Tensor

from equisparse.backbones.e3nn.edge_product import EdgeProduct
from equisparse.backbones.e3nn.fx_graphs import concatenate


def convolve(
    product: EdgeProduct, features: Tensor, harmonics: Tensor, weights: Tensor, *, source: Tensor, target: Tensor
) -> Tensor:
    """Sum the messages of each path over edges, before the paths are joined.

    Parameters
    ----------
    product : EdgeProduct
    features : Tensor, shape (n_atoms, dimension of the first irreps)
    harmonics : Tensor, shape (n_edges, dimension of the second irreps)
    weights : Tensor, shape (n_edges, number of weights)
    source, target : Tensor, shape (n_edges,)
        Atoms that an edge starts from, and atoms whose messages are summed.

    Returns
    -------
    Tensor, shape (n_atoms, dimension of the output irreps)
    """
    if product.compiled and product.fused.takes(features):
        return product.fused(features, harmonics @ product.coefficients, weights, source, target)
    messages = product(features.index_select(0, source), harmonics, weights)
    summed = [message.new_zeros(len(features), message.shape[1]).index_add(0, target, message) for message in messages]
    return concatenate(summed)
