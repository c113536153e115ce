"""Optimisers and learning-rate schedules, from a method's parameter groups."""

from collections.abc import Iterable
from typing import Any

import torch
from schedulefree import AdamWScheduleFree
from torch.optim.lr_scheduler import LambdaLR

from equisparse.methods.base import AbstractChange, Controller, ParameterGroup
from equisparse.training.muon import Muon
from equisparse.training.options import TrainingOptions


def build_optimizer(
    changes: Iterable[AbstractChange], options: TrainingOptions, more: Iterable[ParameterGroup] = ()
) -> torch.optim.Optimizer:
    """Build the optimiser that the options name, over the parameter groups of all changes and `more`."""
    parameter_groups = [*(group for change in changes for group in change.groups()), *more]
    lr = options.lr or 0.0
    groups = _joined(parameter_groups, lr)
    if options.optimizer == "schedulefree":
        schedule_free: torch.optim.Optimizer = AdamWScheduleFree(groups, lr=lr, warmup_steps=options.warmup_steps)
        return schedule_free
    if options.optimizer == "muon":
        matrices = {p: positions for group in parameter_groups for p, positions in group.matrices.items() if positions}
        return Muon(groups, lr=lr, matrices=matrices)
    return torch.optim.AdamW(groups, lr=lr)


def build_schedule(
    optimizer: torch.optim.Optimizer, options: TrainingOptions, controller: Controller, total_steps: int
) -> LambdaLR | None:
    """Build the schedule of the controller, by default warm-up and cosine decay to zero; None if schedule-free.

    Groups with their own learning rate keep it constant.
    """
    if options.optimizer == "schedulefree":
        return None

    def factor(step: int) -> float:
        return controller.lr_factor(step, total_steps, options.warmup_steps)

    factors = [(lambda _: 1.0) if group["own_lr"] else factor for group in optimizer.param_groups]
    return LambdaLR(optimizer, factors)


def _joined(groups: list[ParameterGroup], lr: float) -> list[dict[str, Any]]:
    """Torch parameter groups: groups with equal settings are joined, in order of first appearance."""
    joined: dict[tuple[Any, ...], dict[str, Any]] = {}
    for group in groups:
        settings = {
            "name": group.name,
            "lr": group.lr if group.lr is not None else lr * group.lr_factor,
            "weight_decay": group.weight_decay,
            "own_lr": group.lr is not None,
        }
        joined.setdefault(tuple(settings.values()), settings | {"params": []})["params"].extend(group.parameters)
    return list(joined.values())
