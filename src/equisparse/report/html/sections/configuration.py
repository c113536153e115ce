"""The full configuration and the versions of everything."""

import yaml
from markupsafe import Markup

from equisparse.report.html import elements
from equisparse.run.folder import Run


def configuration(run: Run) -> Markup:
    """Configuration as YAML that runs again, and versions."""
    versions = elements.table(["package", "version"], run.metrics["versions"].items())
    text = elements.code(yaml.safe_dump(dict(run.config), sort_keys=False))
    return elements.folded("All options (config.yaml)", text) + elements.folded("Versions", versions)
