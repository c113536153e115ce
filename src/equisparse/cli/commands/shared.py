"""Options and values that several commands share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from equisparse.cli.command import Command
from equisparse.config.shared import BASE, BaseOptions
from equisparse.options import ADVANCED, DATA, MODEL, Option

if TYPE_CHECKING:
    from equisparse.inputs.base import LoadOptions

ADAPTER_FILE = "Adapter: file, such as run/adapter.safetensors, folder of a run, hf:USER/NAME, or URL"


@dataclass(frozen=True, kw_only=True)
class BaseCommand(BaseOptions, Command):
    """A command that loads a base model."""

    @property
    def load_options(self) -> "LoadOptions":
        """Options of loading the base model."""
        return {
            "backbone": self.backbone,
            "device": self.device,
            "dtype": self.dtype,
            "modality": self.modality,
            "sha256": self.sha256,
        }


@dataclass(frozen=True, kw_only=True)
class NamedBase(BaseCommand):
    """A command that needs a base model."""

    base: Annotated[str, Option(BASE, MODEL, "MODEL")]


@dataclass(frozen=True, kw_only=True)
class RunCommand(Command):
    """A command on a finished run."""

    folder: Annotated[str, Option("Folder of a finished run", DATA, "RUN", positional=True)]


DEVICE = Option("Where to compute: auto, cpu, cuda or cuda:1", ADVANCED, "DEVICE")
