"""Events of a running task, for the command line and for Python users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from equisparse.backbones.base import AbstractBackbone
from equisparse.data.audit.finding import Finding
from equisparse.methods.base import AbstractMethod
from equisparse.run.folder import Run
from equisparse.training.listener import FitListener
from equisparse.training.options import TrainingOptions


@dataclass(frozen=True)
class Plan:
    """Plan of a fine-tune.

    Parameters
    ----------
    base : str
        Name or file of the base, as given.
    backbone : AbstractBackbone
        The loaded base.
    frames : mapping of str to int
        Number of frames of each split.
    method : AbstractMethod
    training : TrainingOptions
        Options with a number in place of every default.
    """

    base: str
    backbone: AbstractBackbone
    frames: Mapping[str, int]
    method: AbstractMethod
    training: TrainingOptions


class Listener(FitListener):
    """Receives what a task reports and shows nothing; override the methods whose calls you want to show.

    >>> class Epochs(Listener):
    ...     def epoch_done(self, progress):
    ...         print(progress.curve[-1].error("valid", "force_mae_mev_per_ang"))
    """

    def planned(self, plan: Plan) -> None:
        """Called before a fine-tune begins."""

    def audited(self, findings: Sequence[Finding], *, stopped: bool) -> None:
        """Called with the findings of the audit; `stopped` if training is refused because of them."""

    def notice(self, topic: str, text: str) -> None:
        """Called with a remark; `topic` is one word such as ``speed``."""

    def member_started(self, number: int, members: int, seed: int, *, finished_before: bool) -> None:
        """Called when a member of an ensemble, `number` from 0, begins, or was finished by an earlier call."""

    def finished(self, run: Run) -> None:
        """Called when a fine-tune is finished."""
