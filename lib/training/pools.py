# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Batches for the general smoother: pools of made windows, a new one every few epochs. See lib/dataset/general.py."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from torch import nn
from yacs.config import CfgNode

from ..dataset.general import PoolSettings, batch_plan, general_loss, generated_recordings, make_pool
from ..dataset.motion import MotionSource, Recording, load_recordings, plausible
from ..dataset.named import split_list
from ..dataset.windows import derive_seed
from ..utils import device as devices
from ..utils.distributed import World
from ..utils.errors import SmoothNetError
from .loss import Batch, Loss
from .muon import Muon

# Layers of the network whose matrices lie between what comes in and what goes out.
HIDDEN = ("encoder", "contexts", "down", "up")

log = logging.getLogger(__name__)


def read_motion(cfg: CfgNode) -> list[Recording]:
    """The recordings of GENERAL.FILES without the people of GENERAL.HELD_OUT ("uiprmd 9, cmu 02_03").

    Raises:
        SmoothNetError: as load_recordings; somebody who is to be held out is not there.
    """
    recordings = [recording for path in split_list(cfg.GENERAL.FILES) for recording in load_recordings(Path(path))]
    held = set(split_list(cfg.GENERAL.HELD_OUT))
    missing = held - {f"{recording.group} {recording.person}" for recording in recordings}
    if missing:
        raise SmoothNetError(f"GENERAL.HELD_OUT names {', '.join(sorted(missing))}, which GENERAL.FILES do not hold")
    if cfg.GENERAL.PAIR_SHARES and all(recording.detected is None for recording in recordings):
        raise SmoothNetError(
            f"GENERAL.PAIR_SHARES is {cfg.GENERAL.PAIR_SHARES!r}, but GENERAL.FILES hold no real pairs to share out"
        )
    kept = [recording for recording in recordings if f"{recording.group} {recording.person}" not in held]
    names = (split_list(cfg[key]) for key in ("DATASET_NAME", "ESTIMATOR", "BODY_REPRESENTATION"))
    for test in ["_".join((*words, "test.npz")) for words in zip(*names, strict=False)] if cfg.TRAIN.VALIDATE else ():
        if any(recording.name.startswith(f"{test}, ") for recording in kept):
            log.warning(
                "%s is among GENERAL.FILES: the run is evaluated on what it learns from; name the file of the train "
                "phase in its folder detected, or people in GENERAL.HELD_OUT", test,
            )  # fmt: skip
    sound = plausible(kept)
    if len(sound) < len(kept):
        log.info("%d of %d recordings are left out: joints jump in them", len(kept) - len(sound), len(kept))
    return sound


def shares(text: str, key: str) -> dict[str, float] | None:
    """ "cmu 0.4, generated 0.2" -> shares by group; None where nothing is said."""
    try:
        pairs = [part.split() for part in split_list(text)]
        return {group: float(share) for group, share in pairs} or None
    except ValueError:
        raise SmoothNetError(f"{key} must be like 'cmu 0.4, generated 0.2', not {text!r}") from None


def pool_loss(cfg: CfgNode) -> Loss:
    """The mean of general_loss over windows, with LOSS.W_ACCEL for its second differences; autograd derives it."""

    def totals(output: torch.Tensor, batch: Batch) -> tuple[torch.Tensor]:
        return (general_loss(output.float(), batch.truth, batch.x, cfg.LOSS.W_ACCEL) * len(output),)

    return Loss((cfg.LOSS.W_POS,), totals, lambda shape, mask: (shape[0],))


def pool_optimizer(model: nn.Module, cfg: CfgNode) -> torch.optim.Optimizer:
    """Muon for the matrices inside; AdamW for those that lead out of the network and for biases, which do not decay."""
    parts: dict[str, list[nn.Parameter]] = {"hidden": [], "matrices": [], "rest": []}
    for name, parameter in model.named_parameters():
        inside = "hidden" if name.startswith(HIDDEN) else "matrices"
        parts[inside if parameter.ndim > 1 else "rest"].append(parameter)
    groups = [
        {"params": parts["hidden"], "weight_decay": 0.01, "hidden": True},
        {"params": parts["matrices"], "weight_decay": 0.01},
        {"params": parts["rest"], "weight_decay": 0.0},
    ]
    return Muon(groups, lr=cfg.TRAIN.LR, betas=(0.9, 0.98))


def cosine(cfg: CfgNode, epoch: int, done: float) -> float:
    """TRAIN.LR, rising from 0 over the first 2 % of all epochs and falling to 0 along a cosine."""
    share = (epoch + done) / cfg.TRAIN.EPOCH
    return float(cfg.TRAIN.LR * min(1.0, (share + 1e-4) / 0.02) * 0.5 * (1 + np.cos(np.pi * share)))


class Pools:
    """Windows of the recordings and of generated motion, with made errors or as real pairs.

    Every GENERAL.EPOCHS_PER_POOL epochs have a pool of GENERAL.WINDOWS windows of their own. Pools and orders follow
    from the seed and the epoch; each process makes the whole pool and takes its part of every batch.
    """

    def __init__(self, recordings: list[Recording], cfg: CfgNode, world: World, device: torch.device):
        self.recordings, self.cfg, self.world, self.device = recordings, cfg, world, device
        self.settings = PoolSettings(cfg.GENERAL.WINDOWS, cfg.MODEL.SLIDE_WINDOW_SIZE, cfg.GENERAL.PAIRS)
        self.made = -1

    def begin(self, epoch: int) -> None:
        number = epoch // self.cfg.GENERAL.EPOCHS_PER_POOL
        if number != self.made:
            self.groups, self.plan = [], []  # so that memory holds one pool
            self.groups, self.made = self._pool(number), number
            self.windows = sum(len(group.truth) for group in self.groups)
            self.channels = max(group.truth[0, :, :, 0].numel() for group in self.groups)
        generator = torch.Generator().manual_seed(derive_seed(self.cfg.SEED_VALUE, epoch, 0, 0))
        self.plan = batch_plan(self.groups, self.cfg.GENERAL.CHANNELS * self.world.size, generator, self.world.size)
        self.size = round(self.windows / len(self.plan))

    def _pool(self, number: int) -> list:
        rng = np.random.default_rng((self.cfg.SEED_VALUE, number))
        general = self.cfg.GENERAL
        motion = MotionSource(
            [*self.recordings, *generated_recordings(rng)], shares(general.MOTION_SHARES, "GENERAL.MOTION_SHARES")
        )
        paired = [recording for recording in self.recordings if recording.detected is not None]
        pairs = MotionSource(paired, shares(general.PAIR_SHARES, "GENERAL.PAIR_SHARES")) if paired else None
        return make_pool(motion, pairs, self.settings, rng)

    def __len__(self) -> int:
        return len(self.plan)

    def batch(self, number: int, seed: int) -> Batch:
        group, everyone = self.plan[number]
        mine = everyone[self.world.rank :: self.world.size]
        x, truth, fps = (
            devices.to_device(values[mine], self.device) for values in (group.detected, group.truth, group.fps)
        )
        return Batch(x, truth, None, len(everyone), fps=fps)
