"""Use of the result, and citation."""

from markupsafe import Markup

from equisparse.report.html import elements
from equisparse.run.folder import Run

_PYTHON = """\
import ase.io, equisparse

atoms = ase.io.read("structure.extxyz")
atoms.calc = equisparse.calculator("{base}", "{folder}/adapter.safetensors")
print(atoms.get_potential_energy(), atoms.get_forces())"""
_SHELL = """\
equisparse evaluate frames.extxyz --base {base} --adapter {folder}/adapter.safetensors
equisparse inspect {folder}/adapter.safetensors
equisparse finetune --config {folder}/config.yaml --out again"""
BIBTEX = """\
@inproceedings{arxiv260618691,
  title     = {Robust and Interpretable Adaptation of Equivariant Materials Foundation Models
               via Sparsity-promoting Fine-tuning},
  booktitle = {International Conference on Learning Representations},
  year      = {2026},
  note      = {arXiv:2606.18691}
}"""


def usage(run: Run) -> Markup:
    """Use from Python, from the command line and with upstream tools; citation."""
    names = {"base": run.config.base, "folder": run.name}
    version = run.metrics.versions["equisparse"]
    parts = [
        Markup("<h3>Adapter on its base, from Python (ASE)</h3>"),
        elements.code(_PYTHON.format(**names)),
        Markup("<h3>Command line</h3>"),
        elements.code(_SHELL.format(**names)),
    ]
    if notes := run.metrics.deployment:
        parts += [
            Markup("<h3>Merged checkpoint: ASE and LAMMPS through the upstream's tools</h3>"),
            elements.code(notes),
        ]
    parts += [
        Markup("<h3>How to cite</h3>"),
        elements.paragraph(f"Cite equisparse {version} (CITATION.cff), the base model, and the paper of the method:"),
        elements.code(BIBTEX),
    ]
    return Markup("").join(parts)
