"""Controller that follows one schedule in short runs and another one in long runs."""

from collections.abc import Callable, Mapping
from typing import cast

from equisparse.methods.base import Controller, Probes, Renewal, Trial


class ByLength(Controller):
    """Choose one of two controllers by the number of steps of the run, and follow it.

    A finished run that gets more steps keeps the controller that it had.

    Parameters
    ----------
    short, long : Controller
    fewest : int
        Fewest steps of a run that follows `long`.
    """

    def __init__(self, short: Controller, long: Controller, *, fewest: int) -> None:
        self._short, self._long, self._fewest = short, long, fewest
        self._is_short: bool | None = None

    @property
    def trials(self) -> tuple[Trial, ...]:
        return self._short.trials if self._is_short else self._long.trials

    def start_step(self, step: int, total: int, probes: Probes) -> Renewal:
        return self._chosen(total).start_step(step, total, probes)

    def before_step(self, step: int, total: int) -> None:
        self._chosen(total).before_step(step, total)

    def after_step(self, step: int, total: int) -> None:
        self._chosen(total).after_step(step, total)

    def lr_factor(self, step: int, total: int, warmup: int) -> float:
        return self._chosen(total).lr_factor(step, total, warmup)

    def ends_stage(self, step: int, total: int) -> bool:
        return self._chosen(total).ends_stage(step, total)

    def end_stage(self, step: int, total: int, valid_loss: Callable[[], float]) -> None:
        self._chosen(total).end_stage(step, total, valid_loss)

    def ready(self, step: int, total: int) -> bool:
        return self._chosen(total).ready(step, total)

    def state(self) -> dict[str, object]:
        return {"is_short": self._is_short, "short": self._short.state(), "long": self._long.state()}

    def load_state(self, state: Mapping[str, object]) -> None:
        if "is_short" not in state:  # of a version with one controller less, which was that of long runs
            if state:
                self._is_short = False
                self._long.load_state(state)
            return
        self._is_short = cast(bool | None, state["is_short"])
        self._short.load_state(cast(Mapping[str, object], state["short"]))
        self._long.load_state(cast(Mapping[str, object], state["long"]))

    def _chosen(self, total: int) -> Controller:
        if self._is_short is None:
            self._is_short = total < self._fewest
        return self._short if self._is_short else self._long
