"""Code shared by all backbones that are built from e3nn: layouts, graph rewrites, tensor products."""
