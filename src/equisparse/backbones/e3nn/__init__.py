"""Parts that all backbones made of e3nn share: layouts, graph rewrites, products."""
