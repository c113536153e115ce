"""The full configuration and the versions of everything."""

import yaml
from markupsafe import Markup

from equisparse.report import html
from equisparse.report.run import Run


def configuration(run: Run) -> Markup:
    """Configuration as YAML that runs again, and versions."""
    versions = html.table(["package", "version"], run.metrics["versions"].items())
    text = html.code(yaml.safe_dump(dict(run.config), sort_keys=False))
    return html.folded("All options (config.yaml)", text) + html.folded("Versions", versions)
