# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) SmoothNet contributors
"""What the general smoother learns from: pools of windows, the batches of an epoch, and the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ..utils.errors import SmoothNetError
from .motion import MotionSource, Recording, View, clean_windows, generate_motion, pair_windows
from .noise import ErrorModel, add_errors, extend

# What is added to every error in the loss, in units of the body's size: a quarter of a millimetre of a person. It keeps
# windows without any error from being divided by nothing.
ERROR_FLOOR = 5e-4
# How differently fast people move: the standard deviation of the log of the frame rate that the network is told, about
# the one at which a motion would be just as fast as it was.
OWN_SPEED = 0.25
# (joints, coordinates) of the windows, with their shares of the pool.
SHAPES: tuple[tuple[int, int, float], ...] = (
    (1, 2, 0.02), (1, 3, 0.03), (2, 2, 0.03), (2, 3, 0.03), (5, 2, 0.04), (5, 3, 0.05), (9, 2, 0.07), (9, 3, 0.10),
    (13, 2, 0.08), (13, 3, 0.15), (15, 2, 0.05), (15, 3, 0.10), (20, 2, 0.08), (20, 3, 0.17),
)  # fmt: skip


@dataclass(frozen=True)
class PoolSettings:
    """What a pool of windows is made of."""

    windows: int = 48_000
    window_size: int = 32
    pairs: float = 0.22  # share of windows that are real pairs
    rated: float = 0.6  # share of windows whose frame rate the network is told
    short: float = 0.05  # share of windows as recordings shorter than a window give them
    view: View = field(default_factory=View)
    errors: ErrorModel = field(default_factory=ErrorModel)

    def __post_init__(self) -> None:
        if self.windows < 100:
            raise SmoothNetError(f"a pool needs at least 100 windows, not {self.windows}")
        if not 0 <= self.pairs < 1:
            raise SmoothNetError(f"the share of real pairs must be at least 0 and below 1, not {self.pairs}")
        if not 0 <= self.short <= 1:
            raise SmoothNetError(f"the share of short windows must be between 0 and 1, not {self.short}")


@dataclass(frozen=True)
class Group:
    """Windows of one shape.

    Attributes:
        detected, truth: (N, K, D, W) float32, the body's size about 1.
        fps: (N,) float32, frames per second, 0 where the network is not told.
    """

    detected: torch.Tensor
    truth: torch.Tensor
    fps: torch.Tensor


def generated_recordings(rng: np.random.Generator, count: int = 150, frames: int = 300) -> list[Recording]:
    """Made-up motion (see generate_motion) of 20 joints, for those who have no other and beside it."""
    return [
        Recording(f"generated {i}", "generated", str(i), generate_motion(rng, frames, joints=20)) for i in range(count)
    ]


def make_pool(
    motion: MotionSource, pairs: MotionSource | None, settings: PoolSettings, rng: np.random.Generator
) -> list[Group]:
    """A pool of windows, grouped by their shape.

    Args:
        motion: true motion, which gets errors of the error model.
        pairs: recordings with `detected`; None for none, whatever the settings say.
        rng: source of every draw: a seed gives the same pool again.
    """
    groups = []
    for joints, dims, share in SHAPES:
        count = max(4, round(share * settings.windows))
        real = 0
        if pairs is not None and ((pairs.joints >= joints) & (pairs.dims >= dims)).any():
            real = round(settings.pairs * count)
        truth, size, relative, fps = clean_windows(
            motion, count - real, joints, dims, settings.window_size, rng, settings.view
        )
        fps = fps * np.exp(OWN_SPEED * rng.standard_normal(len(fps)))
        fps[rng.random(len(fps)) >= settings.rated] = 0
        detected = add_errors(truth, size, rng, settings.errors, fps)
        # What comes relative to a joint is relative to the detected one.
        detected = np.where(relative[:, None, None, None], detected - detected[:, :1], detected)
        cut = rng.integers(min(8, settings.window_size), settings.window_size + 1, len(truth))
        length = np.where(rng.random(len(truth)) < settings.short, cut, settings.window_size)
        hold = rng.random(len(truth)) < 0.4
        detected, truth = extend(detected, length, hold), extend(truth, length, hold)
        if pairs is not None and real:
            seen, true, rate = pair_windows(pairs, real, joints, dims, settings.window_size, rng, settings.view)
            rate[rng.random(real) >= settings.rated] = 0
            detected, truth = np.concatenate([detected, seen]), np.concatenate([truth, true])
            fps = np.concatenate([fps, rate])
        arrays = (np.ascontiguousarray(values, np.float32) for values in (detected, truth, fps))
        groups.append(Group(*map(torch.from_numpy, arrays)))
    return groups


def batch_plan(
    groups: Sequence[Group], channels: int, generator: torch.Generator, processes: int = 1
) -> list[tuple[Group, torch.Tensor]]:
    """Every window of the pool once, as numbers of batches of one shape and about `channels` channels, in random order.

    The generator decides the order, so that training can be resumed in the middle of an epoch. A batch has at least as
    many windows as there are processes; a smaller rest joins the batch before it.
    """
    batches = []
    for group in groups:
        order = torch.randperm(len(group.truth), generator=generator)
        per_window = group.truth.shape[1] * group.truth.shape[2]
        size = min(max(16, channels // per_window), 256 * processes)
        starts = range(0, max(len(order) - processes + 1, 1), size)
        batches += [(group, order[i:j]) for i, j in zip(starts, [*starts[1:], len(order)], strict=True)]
    return [batches[number] for number in torch.randperm(len(batches), generator=generator).tolist()]


def general_loss(
    output: torch.Tensor, truth: torch.Tensor, detected: torch.Tensor, acceleration: float = 0.2
) -> torch.Tensor:
    """The logarithm of how much of the input's error is left: of positions, plus `acceleration` times that of second
    differences.

    Halving a small error counts as much as halving a large one, as in geometric means of ratios; and a window without
    errors, of which anything that is done to it is many times its error, does not outweigh the others.

    Args:
        output, truth, detected: (N, K, D, W), the body's size about 1.

    Returns:
        the mean over windows, a scalar; 0 for the input itself. Lengths are Euclidean, as in MPJPE.
    """

    def left(error: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
        return torch.log((_mean_length(error) + ERROR_FLOOR) / (_mean_length(of) + ERROR_FLOOR))

    after, before = output - truth, detected - truth
    loss = left(after, before) + acceleration * left(_bend(after), _bend(before))
    return loss.mean()


def _bend(x: torch.Tensor) -> torch.Tensor:
    return x[..., 2:] - 2 * x[..., 1:-1] + x[..., :-2]


def _mean_length(x: torch.Tensor) -> torch.Tensor:
    return torch.sqrt((x**2).sum(2) + 1e-12).mean((1, 2))
