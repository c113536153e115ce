"""Settings of all tests: one thread, reproducible Hypothesis runs, and no tests of a backbone that is missing."""

from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

collect_ignore = ["typing"] if find_spec("sevenn") else ["typing", "backbones", "integration"]
torch.set_num_threads(1)
settings.register_profile(
    "equisparse", deadline=None, derandomize=True, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("equisparse")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file() -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Collect no doctests in this folder: a test file that cannot be imported would be skipped instead of failing."""
    collectors = yield
    return [collector for collector in collectors if type(collector).__name__ != "DoctestModule"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that share what is costly to set up on one worker: see `shared_by`. All others spread."""
    for item in items:
        if (group := shared_by(item)) is not None:
            item.add_marker(pytest.mark.xdist_group(group))


def shared_by(item: pytest.Item) -> str | None:
    """File of a test that uses a fixture of its module; folder of a test of one backbone, whose models are shared."""
    tests = Path(__file__).parent
    if not any(item.path.is_relative_to(tests / folder) for folder in ("backbones", "integration")):
        return None
    path = item.path.relative_to(tests)
    definitions = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009 - it has no public name
    if any(known[-1].scope == "module" for known in definitions.values()):
        return str(path)
    return str(path.parent) if len(path.parts) > 2 else None
