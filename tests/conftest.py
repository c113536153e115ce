"""Settings of all tests: one thread, reproducible Hypothesis runs, no tests of a missing backbone.

What tests of several folders share: a small base, and Python programs in processes of their own.
"""

import multiprocessing
from collections.abc import Callable, Generator
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.process import BaseProcess
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


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    """Keep tests that share what is costly to set up on one worker, with ``--dist loadgroup``; all others spread.

    The marks of groups of xdist 3.8 have no effect with pytest 9.2, which does not read the names that xdist changes.
    """
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return shared_by(nodeid)

    return Scheduling(config, log)


SHARED = ("tests/backbones/sevennet", "tests/backbones/nequip")
"""Folders whose tests share models."""


def shared_by(nodeid: str) -> str:
    """Group of a test: its folder, its file, or the test itself."""
    file = nodeid.partition("::")[0]
    for folder in SHARED:
        if file.startswith(f"{folder}/"):
            return folder
    return file if file.startswith(("tests/backbones/", "tests/integration/")) else nodeid


@pytest.fixture(scope="session")
def small_base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Checkpoint file of an untrained model of all elements: a fine-tune of it takes a fifth of the time of 7net-0."""
    from equisparse.testing.small_sevennet import write_small_sevennet

    return str(write_small_sevennet(tmp_path_factory.mktemp("base") / "small.pth"))


@dataclass(frozen=True)
class Program:
    """A module that runs as a program, with the files of what it writes."""

    process: BaseProcess
    stdout: Path
    stderr: Path

    def ended(self) -> "Program":
        """Itself, when the process has ended; one that hangs is killed after five minutes."""
        self.process.join(300)
        self.process.kill()
        self.process.join()
        return self

    @property
    def written(self) -> str:
        """All that it has written, errors last."""
        return self.stdout.read_text() + self.stderr.read_text()


PRELOADED = {
    "lightning": "lightning.pytorch",
    "hydra": "hydra",
    "sevenn": "equisparse.backbones.sevennet.backbone",
    "mace": "equisparse.backbones.mace.backbone",
    "equisparse": "equisparse.tasks.finetune",
}
"""Package -> module that most programs of the tests import where the package is installed; together five seconds."""

RUN = """
import os, runpy, sys, warnings
for number, path in ((1, {stdout!r}), (2, {stderr!r})):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
os.environ.update({environment!r})
sys.argv[1:] = {words!r}
warnings.simplefilter("ignore")
{code}
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Program]:
    """Function that starts a module with words of a command line in a process of its own, as ``python -m`` does.

    The process is forked from one that has imported `PRELOADED` and has done nothing else. `code` comes first.
    """
    folder = tmp_path_factory.mktemp("programs")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module for package, module in PRELOADED.items() if find_spec(package)])
    started: list[Program] = []

    def program(module: str, *words: object, code: str = "", **environment: str) -> Program:
        files = [folder / f"{len(started)}.{kind}" for kind in ("out", "err")]
        for file in files:
            file.touch()
        values = {"stdout": str(files[0]), "stderr": str(files[1]), "words": [str(word) for word in words]}
        text = RUN.format(**values, environment=environment, code=code, module=module)
        started.append(Program(context.Process(target=exec, args=(text, {})), *files))
        started[-1].process.start()
        return started[-1]

    return program


@pytest.fixture(scope="session")
def run_program(start: Callable[..., Program]) -> Callable[..., str]:
    """Function that gives all that a module wrote, which is expected to succeed: see `start`."""

    def output(module: str, *words: object, **environment: str) -> str:
        program = start(module, *words, **environment).ended()
        assert program.process.exitcode == 0, program.written[-3000:]
        return program.written

    return output
