# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""How each kind of network is trained: its data, its loss, its optimiser. A new kind is a row here.

How it is built, saved and run is a row in lib/models/kinds.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from yacs.config import CfgNode

from ..config import changed
from ..dataset.named import load_all
from ..models.kinds import find_kind
from ..utils.distributed import World
from ..utils.errors import SmoothNetError
from . import pools
from .loss import Loss, smoothnet_loss
from .sources import PoseWindows, Source


def make_optimizer(model: nn.Module, cfg: CfgNode) -> torch.optim.Optimizer:
    """Adam with amsgrad and no weight decay, as published."""
    return torch.optim.Adam(model.parameters(), lr=cfg.TRAIN.LR, amsgrad=True)


@dataclass(frozen=True)
class Recipe:
    """How one kind of network is trained.

    Attributes:
        data: settings -> what there is to train on, read and checked.
        source: (data, settings, processes, device) -> its batches.
        loss: settings -> what is minimised.
        optimizer: (network, settings) -> its optimiser.
        rate: (settings, epoch, share of the epoch's batches that are done) -> learning rate of a step.
        without_effect: settings, or groups of them, that mean nothing here.
    """

    data: Callable[[CfgNode], Any]
    source: Callable[[Any, CfgNode, World, torch.device], Source]
    loss: Callable[[CfgNode], Loss]
    optimizer: Callable[[nn.Module, CfgNode], torch.optim.Optimizer] = make_optimizer
    rate: Callable[[CfgNode, int, float], float] = lambda cfg, epoch, done: cfg.TRAIN.LR * cfg.TRAIN.LRDECAY**epoch
    without_effect: tuple[str, ...] = ()

    def ignored(self, cfg: CfgNode) -> list[str]:
        """The settings, as `KEY value`, that are not at their defaults and mean nothing to this kind of network."""
        return [f"{key} {value}" for key, value in changed(cfg).items() if key.startswith(self.without_effect)]


RECIPES = {
    "smoothnet": Recipe(
        data=lambda cfg: load_all(cfg, "train"),
        source=PoseWindows,
        loss=lambda cfg: smoothnet_loss(cfg.LOSS.W_POS, cfg.LOSS.W_ACCEL),
        without_effect=("GENERAL.", "MODEL.KNOTS"),
    ),
    "general": Recipe(
        data=pools.read_motion,
        source=pools.Pools,
        loss=pools.pool_loss,
        optimizer=pools.pool_optimizer,
        rate=pools.cosine,
        without_effect=(
            *("AUGMENT.", "MODEL.DROPOUT", "MODEL.NORMALIZE", "TRAIN.LRDECAY"),
            *("TRAIN.BATCH_SIZE", "TRAIN.SAMPLING", "TRAIN.DATA_DEVICE"),  # GENERAL.CHANNELS sizes the batches
        ),
    ),
}


def find_recipe(name: str) -> Recipe:
    """The recipe of MODEL.NAME.

    Raises:
        SmoothNetError: there is none.
    """
    if name not in RECIPES:
        raise SmoothNetError(f"MODEL.NAME must be one of {', '.join(RECIPES)}, not {name!r}")
    return RECIPES[name]


def build_model(cfg: CfgNode) -> nn.Module:
    """A fresh network; its weights are drawn on the CPU, so they are the same for every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.SEED_VALUE)
        return find_kind(cfg.MODEL.NAME).build(cfg.MODEL)
