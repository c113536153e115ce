"""Configuration, and versions of the packages."""

from markupsafe import Markup

from equisparse.report.html import elements
from equisparse.report.table import Table
from equisparse.run.folder import Run


def configuration(run: Run) -> Markup:
    """Configuration as YAML, which can be run again, and versions."""
    versions = elements.table(Table(["package", "version"], list(run.metrics.versions.items())))
    text = elements.code(run.config.to_yaml())
    return elements.folded("All options (config.yaml)", text) + elements.folded("Versions", versions)
