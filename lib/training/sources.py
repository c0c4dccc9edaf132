# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Where training's batches come from."""

from __future__ import annotations

import logging
from typing import Protocol

import torch

from ..dataset.augment import augment, is_on
from ..dataset.poses import PoseData
from ..dataset.windows import TrainingWindows, derive_seed, epoch_batches, epoch_order, training_windows
from ..models.normalize import normalize
from ..utils import device as devices
from ..utils.distributed import World
from ..utils.tree import CfgNode
from .loss import Batch

log = logging.getLogger(__name__)


class Source(Protocol):
    """What training draws its batches from. All that is random follows from the arguments, for an exact resume.

    Attributes:
        windows: of an epoch.
        size: windows of a batch, all processes together; where they differ, the mean.
        channels: of a window, at most.
    """

    windows: int
    size: int
    channels: int

    def begin(self, epoch: int) -> None:
        """Make ready for an epoch: draw its order. All else is asked for after it."""

    def __len__(self) -> int:
        """Batches of the epoch."""

    def batch(self, number: int, seed: int) -> Batch:
        """This process's part of a batch of the epoch, on the device; `seed` is for what is drawn anew each time."""


class PoseWindows:
    """Windows of pose files, every one once an epoch; batches alternate between the datasets.

    Args:
        datasets: in the order of the names.
        world: each process takes every so-and-so-many-th window of a batch.
    """

    def __init__(self, datasets: list[PoseData], cfg: CfgNode, world: World, device: torch.device):
        sets = [training_windows(data, cfg.MODEL.SLIDE_WINDOW_SIZE, cfg.TRAIN.SAMPLING) for data in datasets]
        self.cfg, self.world, self.device = cfg, world, device
        self.sets = place(sets, cfg.TRAIN.DATA_DEVICE, device)
        self.windows = sum(map(len, sets))
        self.channels = max(s.detected.shape[1] for s in sets)
        legacy = cfg.TRAIN.SAMPLING == "legacy"
        self.parts = epoch_batches([len(s) for s in sets], cfg.TRAIN.BATCH_SIZE, legacy, world.size)
        self.size = cfg.TRAIN.BATCH_SIZE * world.size

    def begin(self, epoch: int) -> None:
        self.orders = [
            epoch_order(len(s), self.cfg.SEED_VALUE, epoch, d).to(s.starts.device) for d, s in enumerate(self.sets)
        ]

    def __len__(self) -> int:
        return len(self.parts)

    def batch(self, number: int, seed: int) -> Batch:
        """Normalised as MODEL.NORMALIZE says, augmented as AUGMENT says."""
        d, part = self.parts[number]
        windows, everyone = self.sets[d], self.orders[d][part]
        x, truth, mask = windows.batch(everyone[self.world.rank :: self.world.size])
        x, truth = devices.to_device(x, self.device), devices.to_device(truth, self.device)
        mask = None if mask is None else devices.to_device(mask, self.device)
        if self.cfg.MODEL.NORMALIZE != "none":
            x, offset, scale = normalize(x, windows.dims)
            truth = (truth - offset) / (scale + (scale == 0))  # 0: nothing moves in the window
        if is_on(self.cfg.AUGMENT):
            generator = torch.Generator().manual_seed(derive_seed(seed, 2))  # apart from the dropout masks of this step
            x, truth = augment(x, truth, self.cfg.AUGMENT, generator, mask)
        return Batch(x, truth, mask, len(everyone), windows.mask(everyone))


def place(sets: list[TrainingWindows], where: str, device: torch.device) -> list[TrainingWindows]:
    """Put the frames on the device if asked for, or if they take less than half of its free memory."""
    if where == "cpu" or device.type == "cpu":
        return sets
    size = sum(s.detected.nbytes + s.groundtruth.nbytes for s in sets)
    free = devices.memory_free(device)
    if where == "auto" and free is not None and size > free / 2:
        log.info("the frames (%.1f GB) stay in host memory: the device has %.1f GB free", size / 1e9, free / 1e9)
        return sets
    return [s.to(device) for s in sets]
