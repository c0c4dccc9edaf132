# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""Watching the loss of an epoch."""

from __future__ import annotations

import math
import time

import torch

from ..utils.dllogger import IterationLog
from ..utils.errors import SmoothNetError
from .state import Position


def check_finite(loss: float, position: Position) -> None:
    """Raise if the loss at `position` cannot be trained on."""
    if not math.isfinite(loss):
        raise SmoothNetError(
            f"the loss became {loss} at epoch {position.epoch + 1}, step {position.batch + 1}; the last good "
            "checkpoint is kept; lower the learning rate (--lr) or look at the data of that epoch"
        )


class Meter:
    """Mean loss and speed of an epoch, reading losses from the device only every `every` iterations."""

    def __init__(self, every: int, lines: IterationLog, total: float = 0.0, windows: int = 0):
        self.every, self.lines = every, lines
        self.pending: list[tuple[torch.Tensor, int, float, float]] = []
        self.total, self.windows, self.loss = total, windows, math.nan
        self.before = windows  # seen before a resume, which the speed leaves out
        self.start = self.last_read = time.perf_counter()

    def add(self, loss: torch.Tensor, windows: int, weight: float, lr: float, position: Position) -> bool:
        """Note one iteration, its windows, its loss's weight in the sum, and its learning rate.

        Returns:
            True when the losses were read.
        """
        self.pending.append((loss, windows, weight, lr))
        if len(self.pending) < self.every:
            return False
        self.read(position)
        return True

    def read(self, position: Position) -> None:
        """Read the pending losses; raises SmoothNetError for the first that is not finite."""
        if not self.pending:
            return
        losses = torch.stack([loss for loss, *_ in self.pending]).cpu().tolist()
        now = time.perf_counter()
        seconds = max(now - self.last_read, 1e-9)
        rate = sum(windows for _, windows, *_ in self.pending) / seconds
        self.last_read = now
        for i, (loss, (_, windows, weight, lr)) in enumerate(zip(losses, self.pending, strict=True)):
            batch = position.batch - len(losses) + i
            check_finite(loss, Position(position.epoch, batch))
            speed = {"train.ips": rate, "train.lr": lr, "train.time": seconds / len(losses)}
            self.lines.log(position.epoch, batch, **{"train.loss": loss, **speed})
            self.total += loss * weight
            self.windows += windows
        self.loss = losses[-1]
        self.pending.clear()

    @property
    def rate(self) -> float:
        return (self.windows - self.before) / max(time.perf_counter() - self.start, 1e-9)
