"""Training: data loaders, loss, optimisers and the fit, on Lightning."""
