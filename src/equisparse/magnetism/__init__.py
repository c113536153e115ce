"""Magnetism: a spin layer on the final features of a backbone, trained beside the change of the backbone itself."""
