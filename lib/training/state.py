# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""The state of a training run: what a checkpoint holds, and how a resume takes it up again."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from yacs.config import CfgNode

from ..config import as_plain, differences
from ..models.checkpoints import read_checkpoint, save_checkpoint
from ..models.fused import PRODUCTS
from ..models.kinds import description
from ..models.plain import named_in
from ..utils.distributed import World
from ..utils.errors import SmoothNetError

log = logging.getLogger(__name__)

# Settings that may change from part to part of a run: where things are, what is shown, how long it goes on.
WITHOUT_EFFECT = (
    *("DEBUG", "LOGDIR", "OUTPUT_DIR", "EXP_NAME", "SMPL_MODEL_DIR", "LOG.", "VIS.", "EVALUATE.TRADITION"),
    *("EVALUATE.REPORT", "EVALUATE.PRETRAINED", "EVALUATE.PER_SEQUENCE", "TRAIN.RESUME", "TRAIN.EPOCH", "TRAIN.STEP"),
    *("TRAIN.WORKERS_NUM", "TRAIN.PROFILER", "TRAIN.LOG_EVERY", "TRAIN.MICRO_BATCH", "TRAIN.DATA_DEVICE"),
)
# Settings that decide which weights there are; a resume with others cannot go on.
OF_SHAPES = (
    *("MODEL.SLIDE_WINDOW_SIZE", "MODEL.HIDDEN_SIZE", "MODEL.RES_HIDDEN_SIZE", "MODEL.NUM_BLOCK", "MODEL.KNOTS"),
    "TRAIN.AVERAGE",
)
LARGEST_WEIGHT = 1e6  # beyond it the first step ends in NaN
LARGEST_COUNT = 2**40  # of epochs, batches, steps
LAST, BEST = "checkpoint.pth.tar", "best.pth.tar"


@dataclass
class Position:
    """Where a run is: finished epochs, batches done in the current one, iterations and float16 overflows so far."""

    epoch: int = 0
    batch: int = 0
    iteration: int = 0
    overflows: int = 0


@dataclass
class TrainingState:
    """Everything that changes while a run goes on.

    Attributes:
        average: the running mean of the network's weights (TRAIN.AVERAGE), if there is one.
        history: one entry for each epoch, as metrics.json has them.
        best: lowest `performance` so far, NaN before the first.
        epoch_loss: sum of the losses and number of the windows of the current epoch, over all processes.
        products: who does the matrix products on the CPU, see lib.models.fused; "" until that is chosen.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: Any
    average: nn.Module | None = None
    position: Position = field(default_factory=Position)
    history: list[dict[str, Any]] = field(default_factory=list)
    best: float = math.nan
    epoch_loss: tuple[float, int] = (0.0, 0)
    products: str = ""

    @property
    def result(self) -> nn.Module:
        """The network that is evaluated and used afterwards."""
        return self.model if self.average is None else self.average

    def follow(self, decay: float) -> None:
        """Move the running mean towards the weights; from few steps it is the mean of the last ones."""
        if self.average is not None:
            step = 1 - min(decay, self.position.iteration / (self.position.iteration + 10))
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), step)

    def save(self, run: Path, names: list[str], cfg: CfgNode, world: World) -> None:
        """Write the checkpoint under each of `names` in the run folder."""
        content = {
            "epoch": self.position.epoch,
            "batch": self.position.batch,
            "iteration": self.position.iteration,
            "overflows": self.position.overflows,
            "windows_per_step": cfg.TRAIN.BATCH_SIZE * world.size,
            "state_dict": self.result.state_dict(),
            **({} if self.average is None else {"learning": self.model.state_dict()}),
            "performance": self.history[-1].get("performance") if self.history else None,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "best": self.best,
            "history": self.history,
            "epoch_loss": self.epoch_loss,
            "products": self.products,
            "normalize": cfg.MODEL.NORMALIZE,
            "model": description(self.model),
            "config": as_plain(cfg),
        }
        for name in names:
            save_checkpoint(run / name, content)


def find_resume(setting: str, run: Path, world: World) -> Path | None:
    """The checkpoint that TRAIN.RESUME means: a path, or `auto` for the run folder's last one if there is one."""
    if not setting:
        return None
    for name in ("*.pth.tar", "metrics.json", "curves.png", "config.yaml") if world.main else ():  # who writes them
        for leftover in run.glob(f".{name}.*.tmp"):  # of a run that was killed while it wrote this
            leftover.unlink(missing_ok=True)
    path = run / LAST if setting == "auto" else Path(setting)
    if setting == "auto" and not path.exists():
        log.info("nothing to resume in %s: a fresh start", run)
        return None
    return path


def restore(state: TrainingState, path: Path, cfg: CfgNode, world: World) -> None:
    """Load a checkpoint of ours into `state`.

    Raises:
        SmoothNetError: it is not one that training wrote, or of another network.
    """
    checkpoint = read_checkpoint(path)
    if "iteration" not in checkpoint or not isinstance(checkpoint.get("optimizer"), dict):
        raise SmoothNetError(f"{path} cannot be resumed: it holds weights but not the state of a run")
    if named_in(checkpoint) != cfg.MODEL.NAME:
        raise SmoothNetError(f"{path} was trained with MODEL.NAME {named_in(checkpoint)}, not {cfg.MODEL.NAME}")
    if checkpoint.get("normalize", "none") != cfg.MODEL.NORMALIZE:
        raise SmoothNetError(
            f"{path} was trained with MODEL.NORMALIZE {checkpoint.get('normalize')}, not {cfg.MODEL.NORMALIZE}"
        )
    try:
        for key, value in checkpoint["state_dict"].items():
            if not (value.abs() < LARGEST_WEIGHT).all():
                raise ValueError(
                    f"its {key} holds what no training leaves behind (NaN, or {LARGEST_WEIGHT:g} and more)"
                )
        state.result.load_state_dict(checkpoint["state_dict"])
        state.model.load_state_dict(checkpoint["state_dict"] if state.average is None else checkpoint["learning"])
        state.optimizer.load_state_dict(checkpoint["optimizer"])
        for parameter, moments in state.optimizer.state.items():
            if any(moment.shape not in ((), parameter.shape) for moment in moments.values()):
                raise ValueError("the optimiser's moments have other shapes than the weights")
        if checkpoint.get("scaler") and state.scaler.state_dict():  # both in float16
            state.scaler.load_state_dict(checkpoint["scaler"])
        counts = (*(checkpoint[key] for key in ("epoch", "batch", "iteration")), checkpoint.get("overflows", 0))
        history, best, (loss, steps) = checkpoint["history"], float(checkpoint["best"]), checkpoint["epoch_loss"]
        if not all(type(count) is int and 0 <= count < LARGEST_COUNT for count in (*counts, steps)) or not all(
            isinstance(entry, dict) for entry in history
        ):
            raise ValueError("its counts or its history are none")
        state.position, state.history, state.best = Position(*counts), list(history), best
        if checkpoint.get("products") in PRODUCTS:  # they round differently
            state.products = checkpoint["products"]
        state.epoch_loss = (float(loss), steps) if world.main else (0.0, 0)  # a sum over the processes
    except Exception as error:  # the content of a foreign file can be anything
        sizes = [words for words in differences(checkpoint.get("config"), cfg) if words.startswith(OF_SHAPES)]
        reason = f"it has no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise SmoothNetError(
            f"{path} does not fit the network of this run: {'; '.join(sizes) or reason[:200]}"
        ) from error
    position = state.position
    windows = checkpoint.get("windows_per_step", cfg.TRAIN.BATCH_SIZE * world.size)
    if position.batch and (type(windows) is not int or windows != cfg.TRAIN.BATCH_SIZE * world.size):
        raise SmoothNetError(
            f"{path} was written within an epoch of {windows} windows a step (batch size x processes), so it cannot "
            f"be resumed with {cfg.TRAIN.BATCH_SIZE} x {world.size}; use the same, or resume from an epoch_N.pth.tar"
        )
    log.info("resumed from %s: epoch %d, step %d", path, position.epoch + 1, position.batch + 1)
    for difference in differences(checkpoint.get("config"), cfg):
        if not difference.startswith(WITHOUT_EFFECT):
            log.warning("the run goes on with other settings: %s", difference)
