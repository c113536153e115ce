"""Properties of materials and molecules from an ASE calculator, such as elastic constants, phonons and vibrations."""
